"""
Random canvases, run by Celery alone and by warren alone: the same results, states and children. 40 of them in each run; WARREN_CHAOS=full does 1,000.
WARREN_SEED=N runs the one canvas of that seed.

Wilder ones (wild.py), also by workers of both kinds together: besides, the same tasks have run. 2 x 500 with WARREN_CHAOS=full; WARREN_WILD=N begins with
that seed.
"""
import collections
import json
import os

import pytest
from celery import chain, chord, group

import canvases
import wild
from cluster import Cluster
from harness import FINAL, HERE as INTEGRATION, PYTHON, TASKS, wait_final
from picture import ID, Picture, compare, is_final, leaves, shown, wait_for_rest

FOLDER = os.path.dirname(os.path.realpath(__file__))


def run_all(cluster, app, seeds):
    """The results of all canvases, once nothing moves any more: Celery leaves some open, and what is open is part of the comparison."""
    cluster.site.redis.flushdb()
    app.set_current()  # a chain that begins with a group asks the current application
    results = {seed: canvases.make(app, seed).apply_async(queue="celery") for seed in seeds}
    wait_for_rest(cluster, results.values())
    return results


@pytest.fixture(scope="module")
def clusters(servers, new_number, built, tmp_path_factory):
    """clusters("theirs"): begun when first asked for."""
    workers = {"theirs": ("celery",), "again": ("celery",), "ours": ("tasks",), "app": ("wild_app:app",), "mixed": ("celery", "wild_app:app")}
    made = {}

    def get(name):
        if name in made:
            return made[name]
        c = made[name] = Cluster(servers, new_number(), tmp_path_factory.mktemp(name))
        # What names a worker's own broker is not for its tasks to see.
        c.env.update(WILD_BROKER=c.site.broker, WILD_BACKEND=c.site.backend)
        c.env["PYTHONPATH"] = os.pathsep.join([FOLDER, TASKS, INTEGRATION])
        for kind in workers[name]:
            if kind == "celery":
                c.start("celery", [PYTHON, "-m", "celery", "-A", "wild_app:app", "worker", "-l", "info", "-c", "4", "--without-gossip",
                                   "--without-mingle", "--without-heartbeat", "-Q", "celery"], r"celery@")
            else:
                c.warren("-A", kind, "-Q", "celery", "-c", "2")
        return c
    try:
        yield get
    finally:
        for c in made.values():
            c.close()


def trial(clusters, seeds):
    _, ours = both = [clusters("theirs"), clusters("ours")]
    seen = [run_all(c, c.app(), seeds) for c in both]
    different = {}
    for seed in seeds:
        what = compare(seen[0][seed], seen[1][seed])
        if what:
            different[seed] = what
    assert not different, "%d of %d differ (Celery / warren):\n%s\n%s" % (
        len(different), len(seeds), "\n".join("seed %d: %s" % x for x in sorted(different.items())[:12]), ours.output()[-3000:])
    left = [s for s in seeds if not is_final(seen[1][s])]
    assert not left, "warren left these open: %r" % left


@pytest.mark.timeout(300)
def test_random_canvases_end_alike(clusters):
    one = os.environ.get("WARREN_SEED")
    trial(clusters, [int(one)] if one else range(1, 41))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_thousand_random_canvases_end_alike(clusters):
    for first in range(1000, 2000, 100):
        trial(clusters, range(first, first + 100))


# --- the wilder ones ---------------------------------------------------------------------------------------------------

def ids_of(result, out):
    """Of all that its client knows of."""
    while result is not None:
        for r in getattr(result, "results", None) or []:
            ids_of(r, out)
        out.add(result.id)
        result = result.parent


class Wild:
    """Canvases that one cluster has run: their results, and all tasks of each of them, also those that its client never hears of."""

    def __init__(self, cluster, app, seeds, replaces):
        app.set_current()
        cluster.site.redis.flushdb()
        self.makers = {seed: wild.Maker(app, seed, replaces) for seed in seeds}
        self.results, self.refused, self.runs = {}, {}, collections.defaultdict(collections.Counter)
        owner = {}
        for seed, maker in self.makers.items():
            try:
                canvas, args = maker.top()
                self.results[seed] = canvas.apply_async(args, queue="celery")
            except (TypeError, RuntimeError) as e:
                self.refused[seed] = shown(e)
                continue
            mine = set(maker.errbacks)
            ids_of(self.results[seed], mine)
            owner.update((id, seed) for id in mine)
        wait_for_rest(cluster, self.results.values())
        self.read(cluster, owner)

    def read(self, cluster, owner):
        """Each task names the one that sent it, up to one that the client knows."""
        keys = cluster.keys("celery-task-meta-*")
        metas = {m["task_id"]: m for m in map(json.loads, cluster.site.redis.mget(keys))}
        for id, meta in metas.items():
            seen = set()  # the parent of a task can be the task itself
            while id is not None and id not in owner and id not in seen:
                seen.add(id)
                id = metas.get(id, {}).get("parent_id")
            id = id if id in owner else None
            if id is not None:
                self.runs[owner[id]][(meta["status"], ID.sub("ID", json.dumps(meta["result"], sort_keys=True)))] += 1

    def is_open(self, seed):
        return not all(is_final(r) for r in leaves(self.results[seed]))

    def picture(self, seed):
        try:
            return Picture(self.results[seed])
        except AttributeError:
            return None  # Celery 5.2 sometimes lists children that its own client cannot read

    def is_like(self, other, seed):
        a, b = self.picture(seed), other.picture(seed)
        return a is not None and b is not None and (a.shape, a.tasks, self.runs[seed]) == (b.shape, b.tasks, other.runs[seed])


def differs(theirs, ours, seed):
    if theirs.makers[seed].replaces:
        # Children and parents of what a task becomes are told by whoever ran last under its id; states and values are not.
        a, b = ({n: task[:2] for n, task in w.picture(seed).tasks.items()} for w in (theirs, ours))
        # With a failure we end more than Celery does.
        unlike = {n: (a[n], b.get(n)) for n in a if a[n] != b.get(n) and a[n][0] in FINAL}
        return repr(unlike) if unlike else None
    what = compare(theirs.results[seed], ours.results[seed])
    less, more = theirs.runs[seed] - ours.runs[seed], ours.runs[seed] - theirs.runs[seed]
    if theirs.makers[seed].may_fail:
        # With a failure we mark more than Celery does; what has run is the same.
        less, more = ({k: n for k, n in x.items() if k[0] == "SUCCESS"} for x in (less, more))
    if what or less or more:
        return "%s; runs of theirs alone: %r, of ours alone: %r" % (what, dict(less), dict(more))
    return None


def wild_trial(clusters, seeds, names, replaces=False):
    """How many were compared. What Celery refuses, leaves open, or ends in two ways is not; but ours alone never leaves anything open."""
    seen = {name: Wild(clusters(name), clusters(name).app(), seeds, replaces) for name in names}
    theirs, different, compared = seen.pop("theirs"), {}, 0
    again = seen.pop("again", theirs)
    for name, ours in seen.items():
        assert ours.refused == theirs.refused
        for seed in sorted(ours.results):
            what = "is open" if ours.is_open(seed) else None
            if theirs.is_open(seed) or again.is_open(seed) or not theirs.is_like(again, seed):
                # A Celery worker that leaves it open does so in a mixed cluster too.
                what = what if name != "mixed" else None
            else:
                compared += 1
                what = what or differs(theirs, ours, seed)
            if what:
                different[name, seed] = what.replace("x" * 100, "")[:1500]
    assert not different, "%d of %d differ:\n%s" % (
        len(different), compared, "\n".join("%s, seed %d: %s" % (*k, what) for k, what in sorted(different.items())[:12]))
    assert compared > 0.9 * len(seeds) * len(seen)
    return compared


@pytest.mark.parametrize("how", ["task", "chain", "group", "chord"])
def test_a_body_that_replaces_itself(clusters, how):
    app = clusters("app").app()
    r = chord([app.signature("echo"), app.signature("echo")], app.signature("replaced_by", (how, 1), immutable=True)).apply_async()
    wait_final([r])
    one = [[1], {}]
    assert r.get(timeout=1) == {"task": [[how, 1], {}], "chain": [[one, how], {}], "group": [one, one], "chord": [[[one, one], "body"], {}]}[how]


@pytest.mark.timeout(300)
def test_canvases_without_members_end_alike(clusters):
    seen = []
    for c in (clusters("theirs"), clusters("app")):
        app = c.app()
        app.set_current()
        e = lambda x: app.signature("echo", args=(x,))
        forms = [
            chord([], e(1)), chord([group([])], e(1)), chord([group([]), e(1)], e(2)), chord([e(1)], group([])), chord([e(1)], chord([], e(2))),
            chord([chord([], e(1)), e(2)], e(3)), group([]), group([group([]), e(1)]), chain(e(1), group([])), chain(e(1), group([]), e(2)),
            chain(e(1), chord([], e(2)), e(3)), e(1).set(link=[group([])]), e(1).set(link=[chord([], e(2))]),
        ]
        results = [f.apply_async() for f in forms]
        wait_for_rest(c, results)
        seen.append([(p.shape, p.tasks) for p in map(Picture, results)])
    assert seen[0] == seen[1]


def fine(seeds, replaces):
    """Those in which nothing fails: how far Celery ends the others depends on the worker that a step falls to."""
    return [seed for seed in seeds if not wild.Maker(None, seed, replaces).may_fail]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("replaces", [False, True], ids=["plain", "replaces"])
def test_wild_canvases_end_alike_on_a_mixed_cluster(clusters, replaces):
    wild_trial(clusters, fine(range(1, 18), replaces), ("theirs", "mixed"), replaces)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("replaces", [False, True], ids=["plain", "replaces"])
def test_hundreds_of_wild_canvases_end_alike(clusters, replaces):
    first = int(os.environ.get("WARREN_WILD", "1"))
    # Task.replace is a matter of Celery's own classes, which only an application brings.
    names = ("theirs", "again", "app", "mixed") + (() if replaces else ("ours",))
    for seed in range(first, first + 500, 100):
        wild_trial(clusters, range(seed, seed + 100), names, replaces)
