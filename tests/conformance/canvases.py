"""
Random canvases from a seed: the same seed gives the same canvas, for any application. What a part takes is tracked, so that every canvas makes sense: nothing
(None), a whole number ("int"), or a list of numbers, however it nests ("list").
"""
import random

from celery import chain, chord, group


class Maker:
    def __init__(self, app, seed):
        self.app, self.r = app, random.Random(seed)
        self.failing = self.r.random() < 0.2     # whether this canvas may fail at all
        self.failed = False

    def sig(self, name, *args, **options):
        return self.app.signature(name, args=args, **options)

    def plain(self, takes):
        """One task that gives a number."""
        n = self.r.randint(0, 9)
        kind = self.r.random()
        if self.failing and not self.failed and kind < 0.15:
            self.failed = True
            return self.sig("fail", "boom-%d" % n, immutable=True)
        if takes is None or kind < 0.2:
            s = self.sig("add", n, self.r.randint(0, 9), immutable=takes is not None)
        elif takes == "list":
            s = self.sig("xsum")
        else:
            s = self.sig("add", n)
        if self.r.random() < 0.15:
            s.link(self.sig("add", n))
            if self.r.random() < 0.3:
                s.link(self.sig("add", 1, 1, immutable=True))
        return s

    def group(self, takes, depth):
        return group([self.member(takes, depth - 1) for _ in range(self.r.randint(2, 4))])

    def member(self, takes, depth):
        """Of a group: gives a number."""
        if depth > 0 and self.r.random() < 0.4:
            return self.chain(takes, depth - 1, many=False)
        if depth > 0 and self.r.random() < 0.2:
            return chord([self.member(takes, 0) for _ in range(self.r.randint(1, 3))], self.plain("list"))
        return self.plain(takes)

    def chain(self, takes, depth, many=True):
        steps, gives, groups = [], takes, 0
        for i in range(self.r.randint(2, 4)):
            # Three groups in a row are not among them: there Celery 5.2 runs the third once for each member of the second.
            if depth > 0 and groups < 2 and self.r.random() < 0.4:
                steps.append(self.group(gives, depth))
                gives, groups = "list", groups + 1
            else:
                steps.append(self.plain(gives))
                gives, groups = "int", 0
        if gives == "list" and not many:
            steps.append(self.plain("list"))
        return chain(*steps)

    def top(self):
        depth, kind = self.r.randint(1, 2), self.r.random()
        if kind < 0.5:
            return self.chain(None, depth)
        if kind < 0.7:
            return self.group(None, depth)
        body = self.plain("list") if self.r.random() < 0.5 else self.r.choice([
            lambda: self.group("list", 0), lambda: self.chain("list", 0)])()
        return chord([self.member(None, depth - 1) for _ in range(self.r.randint(1, 5))], body)


def make(app, seed):
    return Maker(app, seed).top()
