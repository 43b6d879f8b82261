"""
Canvases from seeds as canvases.py makes them, of what is rarer: groups and chords of one, chords in headers and bodies, links and error links on
everything, partial and immutable signatures, options, retries, series, replaced tasks, failures at any depth, signatures that went through JSON. Nearly all
tasks give back what they were called with, so a result shows what went where.

Left out is what Celery 5.2 does not do the same way twice, or does wrongly:
* what follows a chord whose body is a group: it is run once for each member of that body (docs/canvas.md)
* members of a chord that end with a group, unless they are groups: the worker that joins them sometimes takes None for the results of others
* a task with `expires` that retries: sending it again compares the text of the time with a number, and the task stays STARTED
* a link on what ends with a group, or on a chain that ends with a chord: refused by the client, or by the worker in the middle of the canvas
* a retry at once: its RETRY can be stored after the SUCCESS of the message it has sent
* a chain of nothing but a group: what it is called with does not reach the members
* a chord in a chord's header whose body replaces itself: the outer body is then called with an empty list
* a task replaced by several whose results differ: they all get the place of the one they replace, so their order is that of their ids
"""
import json
import random

from celery import chain, chord, group

VALUES = (None, True, 0, -7, 1.5, "", "text", "\u00e9\u4e16 \"\\\n", [], [[]], {"k": [1, {}]}, "x" * 3000)
SMALL = VALUES[:7]


class Maker:
    def __init__(self, app, seed, replaces=False):
        self.app, self.seed, self.r, self.replaces = app, seed, random.Random("wild %d" % seed), replaces
        self.may_fail = self.chance(0.25)
        self.errbacks = []  # their ids

    def chance(self, p):
        return self.r.random() < p

    def sig(self, name, *args, **options):
        return self.app.signature(name, args=args, **options)

    def errback(self):
        s = self.sig("note").set(task_id="err-%d-%d" % (self.seed, len(self.errbacks)))
        self.errbacks.append(s.options["task_id"])
        return s

    def series(self, value):
        echo = self.app.tasks["echo"]
        s = echo.map([value, 1]) if self.chance(0.6) else echo.starmap([[value, 1], [], [2]])
        s["immutable"] = True
        return s

    def task(self):
        kind, value = self.r.random(), self.r.choice(VALUES)
        if self.may_fail and self.chance(0.12):
            return self.sig("fail", "boom-%d" % self.r.randint(0, 9), immutable=True)
        if kind < 0.1:
            return self.sig("second_time", value, immutable=True)
        if kind < 0.25:
            return self.series(value)
        if kind < 0.35 and self.replaces:
            how = ["task", "chain", "group", "chord"] + ["failure"] * self.may_fail
            return self.sig("replaced_by", self.r.choice(how), 1, immutable=True)
        if kind < 0.5:
            return self.sig("note", value, immutable=True)
        args = [self.r.choice(SMALL) for _ in range(self.r.randint(0, 2))]
        kwargs = {"k%d" % self.r.randint(0, 2): self.r.randint(0, 9)} if self.chance(0.2) else None
        return self.sig("echo", *args, kwargs=kwargs, immutable=self.chance(0.15))

    def plain(self):
        s = self.task()
        if self.chance(0.1):
            s.link(self.sig("echo", "linked"))
            if self.chance(0.3):
                s.options["link"][0].link(self.sig("echo", "linked twice"))
        if self.chance(0.1):
            s.link(self.any(1))
        if self.chance(0.1):
            s.link_error(self.errback())
        for p, option in ((0.06, {"countdown": 0.1}), (0.06, {"expires": 120}), (0.06, {"priority": 3}), (0.06, {"queue": "celery"})):
            if self.chance(p) and not (s.task == "second_time" and "expires" in option):
                s.set(**option)
        return s

    def any(self, depth):
        kind = self.r.random()
        if depth <= 0 or kind < 0.3:
            return self.plain()
        return self.chain(depth) if kind < 0.6 else self.group(depth) if kind < 0.8 else self.chord(depth)

    def ends_many(self, c):
        """Whether it ends with several results."""
        if c.task == "celery.group":
            return len(c.tasks) != 1 or self.ends_many(c.tasks[0])
        if c.task == "celery.chain":
            return self.ends_many(c.tasks[-1])
        return c.task == "celery.chord" and (c.body.task == "celery.group" or self.ends_many(c.body))

    def takes_links(self, c):
        if c.task == "celery.chain":
            return "." not in c.tasks[-1].task
        return c.task != "celery.group" and (c.task != "celery.chord" or self.takes_links(c.body))

    def nests(self, c):
        """Whether a chord has to wait for more than one result of this member."""
        return any(map(self.nests, c.tasks)) if c.task == "celery.group" else self.ends_many(c)

    def decorated(self, c):
        if self.chance(0.08):
            c.link_error(self.errback())
        if self.chance(0.08) and self.takes_links(c):
            c.link(self.sig("echo", "end linked"))
        if self.chance(0.05):
            c.set(priority=3)
        if self.chance(0.1):
            c = self.app.signature(json.loads(json.dumps(c)))
        return c.clone() if self.chance(0.1) else c

    def group(self, depth):
        return self.decorated(group([self.any(depth - 1) for _ in range(self.r.choice([1, 2, 2, 3]))]))

    def chain(self, depth):
        steps = [self.any(depth - 1) for _ in range(self.r.choice([1, 2, 2, 3, 3, 4]))]
        c = chain(*[s for s in steps[:-1] if not self.nests(s)], steps[-1])
        if c.task == "celery.chain" and any(s.task == "celery.chord" and self.ends_many(s) for s in c.tasks[:-1]):
            c = chain(self.plain(), self.plain())  # groups in a row have become a chord whose body is a group
        if c.task == "celery.chain" and [s.task for s in c.tasks] == ["celery.group"]:
            c = c.tasks[0]
        return self.decorated(c)

    def chord(self, depth):
        header = [self.any(depth - 1) for _ in range(self.r.choice([1, 2, 2, 3]))]
        header = [m if not self.nests(m) and not (self.replaces and "celery.chord" in json.dumps(m)) else self.plain() for m in header]
        return self.decorated(chord(group(header) if self.chance(0.3) else header, self.any(depth - 1)))

    def top(self):
        """The canvas, and what it is called with."""
        depth, kind = self.r.randint(1, 3), self.r.random()
        c = self.chain(depth) if kind < 0.4 else self.group(depth) if kind < 0.6 else self.chord(depth)
        return c, (self.r.choice(SMALL),) if self.chance(0.2) else ()
