"""What a client can see of a canvas once nothing moves any more, and how two of them differ."""
import json
import re
import time

from harness import FINAL, SLOW, wait_until

ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def leaves(result):
    if getattr(result, "results", None) is None:
        return [result]
    return [leaf for r in result.results for leaf in leaves(r)]


def shown(value):
    """Errors as text, ids left out."""
    if isinstance(value, BaseException):
        return "%s: %s" % (type(value).__name__, ID.sub("ID", str(value)))
    return value


class Picture:
    """What a client can see of a canvas, with ids replaced by numbers in the order in which they are met."""

    def __init__(self, result):
        self.numbers = {}
        self.tasks = {}
        self.shape = self.of(result)

    def number(self, id):
        return self.numbers.setdefault(id, len(self.numbers))

    def of(self, result):
        if result is None:
            return None
        # A group is its members: Celery gives the header of a chord inside a chain another id than the one its client knows.
        if getattr(result, "results", None) is not None:
            return ("group", [self.of(r) for r in result.results], self.of(result.parent))
        seen = result.id in self.numbers
        n = self.number(result.id)
        if not seen:
            self.tasks[n] = (result.state, shown(result.result))
            # To the body of a failed chord Celery writes the children of the member that happened to be the last.
            is_chord_error = type(result.result).__name__ == "ChordError"
            children = [] if is_chord_error else [self.of(c) for c in (result.children or [])]
            self.tasks[n] += (children,)
        return ("task", n, self.of(result.parent))


def is_final(result):
    return all(r.state in FINAL for r in leaves(result))


def wait_for_rest(cluster, results):
    """Until nothing moves any more. Celery leaves some canvases open, so their results alone do not tell: no message may be left anywhere, and nothing
    that has begun, or will begin again."""
    seen = {"what": None, "since": time.monotonic()}

    def moving():
        """The message of a task that runs can be acknowledged already, or not yet sent again."""
        keys = sorted(cluster.keys("celery-task-meta-*"))
        now = cluster.site.redis.mget(keys) if keys else []
        if now != seen["what"]:
            seen.update(what=now, since=time.monotonic())
        metas = [json.loads(m) for m in now]
        return [(m["task_id"], m["status"]) for m in metas if m["status"] not in FINAL] or cluster.site.left()

    def at_rest():
        if moving():
            return False
        # Those that end well do so at once; a worker that waits for results inside a chord gives up after three seconds.
        calm_s = 0.5 if all(is_final(r) for r in results) else 4
        return time.monotonic() - seen["since"] > calm_s * SLOW
    wait_until(at_rest, (60 + len(results)) * SLOW, lambda: "the canvases to come to rest; moving: %r" % (moving(),), every_s=0.1)


# Celery 5.2 ends a failed task with this error of its own, when a step behind it belongs to a chord whose group it does not know.
OWN_FAULT = "TypeError: sequence item 1: expected a bytes-like object, NoneType found"


def compare(theirs, ours):
    """None, or what differs. Where Celery leaves a task open that we have ended, ours counts."""
    a, b = Picture(theirs), Picture(ours)
    if any(value == OWN_FAULT for _, value, _ in a.tasks.values()):
        return None
    if a.shape != b.shape:
        # Numbers follow from what was met before, so the first task that differs tells more than the whole.
        for n in sorted(a.tasks):
            if a.tasks[n] != b.tasks.get(n):
                return "task %d: %r / %r" % (n, a.tasks[n], b.tasks.get(n))
        return "shape: %r / %r" % (a.shape, b.shape)
    for n, (state, value, children) in sorted(a.tasks.items()):
        if state not in FINAL:
            continue
        if (state, value, children) != b.tasks.get(n):
            return "task %d: %r / %r" % (n, a.tasks[n], b.tasks.get(n))
    return None
