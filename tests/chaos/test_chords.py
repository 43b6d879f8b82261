"""
Chords under fire: the body of a chord gets the result of every member, and has one result of its own, whatever happens to the workers and the broker
meanwhile. 300 members in each run, 10,000 with WARREN_CHAOS=full.
"""
import json
import random
import signal
import uuid

import pytest

from harness import SLOW, wait_until


def signature(name, args=(), **options):
    return {"task": name, "args": list(args), "kwargs": {}, "options": options, "subtask_type": None, "immutable": False}


def send_chord(lab, members, seconds=0.0):
    """A task whose link is a chord, so that a worker starts it; the id of the body."""
    body = str(uuid.uuid4())
    chord = {"task": "celery.chord", "args": [], "subtask_type": "chord", "immutable": False,
             "kwargs": {"header": [dict(signature("run", [lab.journal, i, None, seconds], queue=lab.queue), immutable=True)
                                   for i in range(members)],
                        "body": signature("gather", [lab.journal], task_id=body, queue=lab.queue)}, "options": {}}
    embed = {"callbacks": [chord], "errbacks": None, "chain": None, "chord": None}
    task = str(uuid.uuid4())
    headers = {"lang": "py", "task": "run", "id": task, "root_id": task, "retries": 0}
    lab.publish(json.dumps([[lab.journal, 0, None, 0], {}, embed]), headers)
    return body


def wait_body(lab, body, members, timeout_s):
    lab.wait_final([body], timeout_s=timeout_s)
    meta = lab.meta(body)
    assert meta["status"] == "SUCCESS", meta
    assert meta["result"] == [2 * i for i in range(members)]
    lab.wait_quiet(60)
    wait_until(lambda: not [k for k in lab.site.redis.keys("celery-taskset-meta-*") if k.endswith((b".j", b".s"))], 60 * SLOW,
               lambda: "the counters to be removed")
    bodies = [line[1] for line in lab.lines("start") if line[1] == body]
    return len(bodies)


def under_fire(lab, members, kills, broker_kills):
    """Kills workers one after the other, and the broker, while the members run; how often the body ran."""
    lab.declare()
    workers = [lab.worker(c=2) for _ in range(2)]
    if broker_kills:
        lab.site.rabbitmq.eval("[dets:sync(Table) || Table <- dets:all()]")
    body = send_chord(lab, members, seconds=0.005)
    rounds = kills + broker_kills
    for i in range(rounds):
        lab.wait_ends((i + 1) * members // (rounds + 2), timeout_s=300)
        if i % (rounds // broker_kills if broker_kills else rounds + 1) == 1:
            lab.site.servers.stop("rabbitmq", signal.SIGKILL)
            lab.site.servers.start("rabbitmq")
        else:
            victim = workers.pop(random.randrange(len(workers)))
            victim.kill()
            workers.append(lab.worker(c=2))
    return wait_body(lab, body, members, timeout_s=300)


def test_chord_completes_when_workers_are_killed(lab):
    assert under_fire(lab, 300, kills=3, broker_kills=0) == 1


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_chord_of_10000_completes_under_fire(lab):
    assert under_fire(lab, 10000, kills=8, broker_kills=2) == 1


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_chord_of_10000_completes(lab):
    lab.declare()
    lab.worker(c=4)
    assert wait_body(lab, send_chord(lab, 10000), 10000, timeout_s=300) == 1


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_group_of_12500(lab):
    """As a link: sent by the worker, each member once. More than its publisher holds at one time."""
    lab.declare()
    lab.worker(c=4)
    group = {"task": "celery.group", "args": [], "subtask_type": "group", "immutable": False, "options": {"task_id": "G"},
             "kwargs": {"tasks": [dict(signature("run", [lab.journal, i], queue=lab.queue), immutable=True) for i in range(12500)]}}
    embed = {"callbacks": [group], "errbacks": None, "chain": None, "chord": None}
    headers = {"lang": "py", "task": "run", "id": "first", "root_id": "first", "retries": 0}
    lab.publish(json.dumps([[lab.journal, 0], {}, embed]), headers)
    lab.wait_ends(12501, timeout_s=300)
    lab.wait_quiet(60)
    assert lab.starts() == 12501
    children = lab.meta("first")["children"]
    assert len(children) == 1 and len(children[0][1]) == 12500


@pytest.mark.parametrize("point", ["C1", "C3", "R2", "C2", "P6"])
def test_last_member_whose_worker_dies_on_the_way(lab, point):
    """Killed after it was counted, after it may go on, after the body is with the broker, after the counters are gone, before the acknowledgement."""
    lab.declare()
    group = {"group": "G", "group_index": 0}
    embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": signature("gather", [lab.journal], task_id="body", queue=lab.queue)}
    lab.site.redis.set("celery-taskset-meta-G.s", 2)
    lab.site.redis.zadd("celery-taskset-meta-G.j", {json.dumps([1, "other", "SUCCESS", 5]): 1})
    headers = {"lang": "py", "task": "run", "id": "member", "root_id": "member", "retries": 0, **group}
    w = lab.worker(fail="%s:kill9" % point)
    lab.publish(json.dumps([[lab.journal, 2], {}, embed]), headers)
    assert w.wait() == -signal.SIGKILL
    lab.worker()
    lab.wait_final(["body"])
    assert lab.meta("body")["result"] == [4, 5]
    lab.wait_quiet()
    assert lab.starts("member") == 1 and lab.starts("body") == 1
    assert not lab.site.redis.keys("celery-taskset-meta-G.*")


def test_members_that_are_delivered_again_while_another_goes_on(lab):
    """The worker that is to send the body stands still; a member that comes again finds the chord full, and leaves it to the other."""
    lab.declare()
    embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": signature("gather", [lab.journal], task_id="body", queue=lab.queue)}
    lab.site.redis.set("celery-taskset-meta-G.s", 2)
    lab.site.redis.set("celery-task-meta-first", json.dumps({"status": "SUCCESS", "result": 8, "task_id": "first"}))
    lab.site.redis.zadd("celery-taskset-meta-G.j", {json.dumps([1, "first", "SUCCESS", 8]): 0})

    def member(name, index):
        headers = {"lang": "py", "task": "run", "id": name, "root_id": name, "retries": 0, "group": "G", "group_index": index}
        lab.publish(json.dumps([[lab.journal, 4], {}, embed]), headers)
    stopped = lab.worker(fail="C3:stop")
    member("second", 1)
    wait_until(lambda: lab.site.redis.hget("warren:chord:G", "sender"), 20, lambda: "a member to go on")
    other = lab.worker()
    member("first", 0)
    lab.wait_ends(2)
    other.wait_line(r"Task run\[first\] succeeded")
    assert lab.state("body") == "PENDING" and lab.starts("body") == 0
    stopped.send_signal(signal.SIGCONT)
    lab.wait_final(["body"])
    lab.wait_quiet()
    assert lab.meta("body")["result"] == [8, 8] and lab.starts("body") == 1


def test_rest_of_a_chain_is_marked_again(lab):
    """Its worker dies between the failure of the task and the failure of those behind it."""
    lab.declare()
    rest = [signature("run", [lab.journal, 1], task_id="third"), signature("run", [lab.journal, 1], task_id="second")]
    embed = {"callbacks": None, "errbacks": None, "chain": rest, "chord": None}
    headers = {"lang": "py", "task": "raise_now", "id": "first", "root_id": "first", "retries": 0}
    w = lab.worker(fail="P5:kill9")
    lab.publish(json.dumps([[lab.journal], {}, embed]), headers)
    assert w.wait() == -signal.SIGKILL
    assert lab.state("first") == "FAILURE" and lab.state("second") == lab.state("third") == "PENDING"
    lab.worker()
    lab.wait_final(["second", "third"])
    assert lab.meta("third")["result"] == lab.meta("second")["result"] == lab.meta("first")["result"]
    lab.wait_quiet()
    assert lab.starts("first") == 1
