"""The picture of a cluster that warren makes of events, against the one Celery's own monitor makes of the same events in the same disorder."""
import json
import os
import random
import subprocess

from celery.events.state import State

HERE = os.path.dirname(os.path.realpath(__file__))
BUILD = os.path.realpath(os.environ.get("WARREN_BUILDDIR", os.path.join(HERE, os.pardir, os.pardir, "build")))
PROGRAM = os.path.join(BUILD, "tests", "conformance", "viewstates")
SEED = int(os.environ.get("WARREN_SEED", "7"))
KINDS = ["sent", "received", "started", "succeeded", "failed", "retried", "revoked", "rejected"]
TIMES = ["sent", "received", "started", "succeeded", "failed", "retried", "revoked", "rejected"]


def more_of(rng, kind, number):
    """What an event of this kind says besides."""
    if kind in ("sent", "received"):
        return {"name": "t.%s" % (number % 3), "args": "(%d,)" % number, "kwargs": "{}", "retries": rng.randrange(3), "root_id": None,
                "parent_id": None, "eta": None, "expires": None}
    return {"succeeded": {"result": str(rng.random()), "runtime": rng.random()}, "failed": {"exception": "E(%d)" % number, "traceback": "tb"},
            "retried": {"exception": "R(%d)" % number, "traceback": "tb"}, "rejected": {"requeue": False},
            "revoked": {"terminated": True, "signum": 9, "expired": False}}.get(kind, {})


def events(rng, n):
    """(received at, events of one message)"""
    now = 1700000000.0
    for clock in range(n):
        now += rng.choice([0, 0.001, 0.5, 3])
        worker = "w%d@h" % rng.randrange(4)
        about = {"hostname": worker, "timestamp": now - rng.random(), "clock": clock, "pid": 1}
        if rng.random() < 0.2:
            kind = rng.choice(["online", "heartbeat", "heartbeat", "offline"])
            yield now, dict(about, type="worker-" + kind, freq=rng.choice([1.0, 2.0]), active=1, processed=clock, loadavg=[0.1, 0.2, 0.3],
                            sw_ident="x", sw_ver="1", sw_sys="Linux")
            continue
        number, kind = rng.randrange(n // 8), rng.choice(KINDS)
        if kind == "sent":
            about["hostname"] = "gen1@h"
        event = dict(about, type="task-" + kind, uuid="task-%d" % number, **more_of(rng, kind, number))
        yield now, event if rng.random() < 0.5 else [event]


def test_c61_states_of_tasks_and_workers_equal_celerys():
    rng = random.Random(SEED)
    stream = list(events(rng, 4000))
    state = State()
    for now, body in stream:
        for event in body if isinstance(body, list) else [body]:
            state.event(dict(event, local_received=now))
    done = subprocess.run([PROGRAM], input="".join("%r %s\n" % (now, json.dumps(body)) for now, body in stream), capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    tasks = {t["uuid"]: t for t in lines if "uuid" in t}
    workers = {w["hostname"]: w for w in lines if "hostname" in w}
    assert len(tasks) == len(state.tasks) > 300
    for task_id, theirs in state.tasks.items():
        ours = tasks[task_id]
        assert [ours["state"], ours["name"], ours["args"], ours["result"], ours["exception"]] == [
            theirs.state, theirs.name, theirs.args, theirs.result, theirs.exception], task_id
        assert ours["worker"] == (theirs.worker.hostname if theirs.worker else None) and ours["client"] == theirs.client
        assert ours["times"] == [getattr(theirs, name) or 0 for name in TIMES], task_id
        # Celery's timestamp is sometimes that of a late event; ours is that of the event that made the state.
        assert ours["timestamp"] in ours["times"] and ours["retries"] == (theirs.retries or 0)
    end = stream[-1][0]
    alive = {name for name, w in state.workers.items() if w.heartbeats and end < w.heartbeat_expires}
    # Celery forgets who says goodbye, and takes it for alive again when a task of it is heard of; here it is not.
    assert {name for name, w in workers.items() if w["alive"]} <= alive and set(state.workers) <= set(workers)
