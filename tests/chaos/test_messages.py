"""F54-F72: messages that are broken, hostile, doubled, poisonous, late or early."""
import json
import signal
import time
import zlib

import celery
import pytest

from harness import SLOW, alive
from lab import KINDS, encode
from warren_servers import wait_until

# Together they take minutes: they run with WARREN_CHAOS=full, not with every check.
pytestmark = pytest.mark.slow

GOOD_HEADERS = encode("length", ("x",))[1]


def peak_kib(pid):
    with open("/proc/%d/status" % pid) as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))


def send_bad(lab, messages):
    """Publishes (body, headers, properties) each; then one good task. All the bad ones must be dead, bytes and all; returns them."""
    for body, headers, properties in messages:
        lab.publish(body, headers, **properties)
    lab.send_run()
    lab.close_books(starts=(1, 1))
    wait_until(lambda: lab.site.counter("messages", "warren.dead.work") == len(messages), 20 * SLOW,
               lambda: "%d dead letters: %r" % (len(messages), lab.site.queues()))
    dead = lab.dead()
    for (body, _, _), (dead_body, dead_headers, _) in zip(messages, dead):
        assert as_bytes(dead_body) == as_bytes(body)
        assert dead_headers["x-warren-reason"] and dead_headers["x-warren-error"]
    return dead


def as_bytes(body):
    return body.encode() if isinstance(body, str) else bytes(body)


BROKEN = [
    b"", b"{", b"[[], {}, {}", b'[[], {}, {"chain": }]', b"[[1], {}, {}] trailing", b'[["\xff\xfe"], {}, {}]', b"null", b"17", b'"text"',
    b"[]", b"[[]]", b"[{}, [], {}]", b"[[], {}, []]", b'[[], {}, {"callbacks": 5}]', b"\x00\x01\x02", b'[["\\ud800x"], {}, ',
    b"[[01], {}, {}]", b"[[1.], {}, {}]", b"[[+1], {}, {}]", b"[['a'], {}, {}]", b"[[], {}, {}],",
]


def test_f54_malformed_bodies(lab):
    lab.declare()
    w = lab.worker()
    dead = send_bad(lab, [(body, GOOD_HEADERS, {"content_encoding": "binary" if body.startswith(b"\x00") else "utf-8"})
                          for body in BROKEN])
    assert {h["x-warren-reason"] for _, h, _ in dead} <= {"malformed", "content-type"}
    assert w.alive()


def test_f55_bombs_are_refused_before_they_cost_memory(lab):
    lab.declare()
    w = lab.worker("--message-max", "16M")
    before = peak_kib(w.pid)
    dead = send_bad(lab, [
        ("[[%s%s], {}, {}]" % ("[" * 100000, "]" * 100000), GOOD_HEADERS, {}),
        ("[[%s], {}, {}]" % ",".join(["{}"] * 350000), GOOD_HEADERS, {}),
        ('[[], {"x": {%s}}, {}]' % ",".join('"%d":[]' % i for i in range(400000)), GOOD_HEADERS, {}),
    ])
    assert [h["x-warren-reason"] for _, h, _ in dead] == ["too-big"] * 3
    assert peak_kib(w.pid) - before < 64 << 10


def test_f55_body_over_the_limit_is_not_taken_whole(lab):
    lab.declare()
    w = lab.worker("--message-max", "1M")
    before = peak_kib(w.pid)
    body = '[["%s"], {}, {}]' % ("x" * (10 << 20))
    lab.publish(body, GOOD_HEADERS)
    lab.send_run()
    lab.close_books(starts=(1, 1))
    wait_until(lambda: lab.site.counter("messages", "warren.dead.work") == 1, 20 * SLOW, "the dead letter")
    [(_, headers, _)] = lab.dead()
    assert headers["x-warren-reason"] == "too-big"
    assert peak_kib(w.pid) - before < 64 << 10


def test_f56_numbers_reach_the_child_as_they_were_sent(lab):
    lab.declare()
    runner = lab.folder / "copy"
    taken = lab.folder / "taken"
    runner.write_text("#!/bin/sh\necho '{\"hello\":{\"protocol\":1,\"language\":\"sh\",\"pid\":1,\"tasks\":[\"copy\"]}}' >&3\n"
                      "read -r line <&3\nprintf '%%s\\n' \"$line\" >%s\n"
                      "id=$(sed 's/^{\"run\":{\"id\":\"\\([^\"]*\\)\".*/\\1/' %s)\n"
                      "echo '{\"done\":{\"id\":\"'$id'\",\"result\":1}}' >&3\nread -r line <&3\n" % (taken, taken))
    runner.chmod(0o755)
    numbers = "[9223372036854775808,18446744073709551616,123456789012345678901234567890,1e400,-0,-0.0,0.1,1E+5,3.0,1e-400]"
    lab.worker("--runner", str(runner), "-Q", lab.queue, "-c", "1", pool=False)
    headers = encode("copy")[1]
    lab.publish('[%s, {"n": 1.10}, {}]' % numbers, headers)
    lab.wait_state(headers["id"], "SUCCESS")
    frame = taken.read_text()
    assert '"args":%s' % numbers in frame and '"kwargs":{"n": 1.10}' in frame, frame


def test_f57_unknown_task(lab):
    lab.declare()
    lab.worker()
    body, headers = encode("nope", (1,))
    dead = send_bad(lab, [(body, headers, {})])
    assert dead[0][1]["x-warren-reason"] == "unknown-task"
    meta = lab.meta(headers["id"])
    assert (meta["status"], meta["result"]["exc_type"]) == ("FAILURE", "NotRegistered")


def test_f58_other_content_types_are_never_decoded(lab):
    lab.declare()
    lab.worker()
    body = encode("length", ("x",))[0]
    dead = send_bad(lab, [(body, GOOD_HEADERS, {"content_type": kind}) for kind in (
        "application/x-python-serialize", "application/x-yaml", "application/x-msgpack", "text/plain")] + [
        (body.encode("utf-16"), GOOD_HEADERS, {"content_encoding": "utf-16"})])
    assert {h["x-warren-reason"] for _, h, _ in dead} == {"content-type"}


def test_f59_compression_bombs_and_unknown_codecs(lab):
    lab.declare()
    w = lab.worker("--message-max", "16M")
    before = peak_kib(w.pid)
    pack = zlib.compressobj(9)
    bomb = pack.compress(b'[["') + b"".join(pack.compress(b"0" * (1 << 20)) for _ in range(1024)) + pack.flush()
    body = encode("length", ("x",))[0].encode()
    dead = send_bad(lab, [
        (bomb, dict(GOOD_HEADERS, compression="application/x-gzip"), {}),
        (body, dict(GOOD_HEADERS, compression="application/x-bz2"), {}),
        (body, dict(GOOD_HEADERS, compression="application/x-gzip"), {}),
        (zlib.compress(body)[:-3], dict(GOOD_HEADERS, compression="application/x-gzip"), {}),
    ])
    assert [h["x-warren-reason"] for _, h, _ in dead] == ["too-big", "compression", "compression", "compression"]
    assert peak_kib(w.pid) - before < 64 << 10


def test_f60_hostile_header_tables(lab):
    lab.declare()
    w = lab.worker()
    nested = {"leaf": 1}
    for _ in range(8):
        nested = {"deeper": nested}
    deep = nested
    for _ in range(40):
        deep = {"deeper": deep}
    body = encode("length", ("x",))[0]
    dead = send_bad(lab, [
        (body, dict(GOOD_HEADERS, id=17), {}),
        (body, dict(GOOD_HEADERS, id={"a": 1}), {}),
        (body, dict(GOOD_HEADERS, task=["length"]), {}),
        (body, dict(GOOD_HEADERS, eta={"when": "now"}), {}),
        (body, dict(GOOD_HEADERS, eta="tomorrow-ish"), {}),
        (body, dict(GOOD_HEADERS, retries="many"), {}),
        (body, dict(GOOD_HEADERS, timelimit="1"), {}),
        (body, dict(GOOD_HEADERS, id="x" * 5000), {}),
        (body, dict(GOOD_HEADERS, id="line\nbreak"), {}),
        (body, dict(GOOD_HEADERS, stamps=deep), {}),
    ])
    assert {h["x-warren-reason"] for _, h, _ in dead} <= {"header", "not-a-task", "too-big"}
    # Strange, but a task: what is not ours is passed over.
    lab.send("length", ("abc",), gives=3, stamps=nested)
    lab.send("length", ("abcd",), gives=4, **{"h%d" % i: i for i in range(5000)})
    lab.close_books()
    assert w.alive()


def test_f61_protocol_1_and_2_side_by_side(lab):
    lab.declare()
    lab.worker()
    for i in range(5):
        task_id = "old-%d" % i
        lab.publish(json.dumps({"task": "run", "id": task_id, "args": [lab.journal, i], "kwargs": {}, "retries": 0, "eta": None,
                                "expires": None, "utc": True, "callbacks": None, "errbacks": None, "timelimit": [None, None],
                                "taskset": None, "chord": None}), {})
        lab.sent[task_id] = 2 * i
        lab.send_run(value=i)
    lab.close_books(starts=(1, 1))


@pytest.mark.parametrize("kind", KINDS)
def test_f62_delivered_again_after_its_result_is_stored(lab, kind):
    lab.declare(kind)
    w = lab.worker(fail="P6:kill9")
    lab.send_run()
    assert w.wait() == -signal.SIGKILL
    second = lab.worker()
    lab.close_books(starts=(1, 1))
    second.wait_line("was finished before")


@pytest.mark.parametrize("point", ["P5", "P6"])
def test_f62_what_follows_is_sent_again_and_runs_once(lab, point):
    """Killed before the next step was sent (P5), and after (P6)."""
    lab.declare()
    app = lab.site.app(task_default_queue=lab.queue)
    w = lab.worker(fail=point + ":kill9")
    result = celery.chain(app.signature("run", (lab.journal, 4)), app.signature("run", (lab.journal, 5), immutable=True,
                                                                                      queue=lab.queue)).apply_async()
    assert w.wait() == -signal.SIGKILL
    lab.worker()
    assert result.get(timeout=30 * SLOW) == 10
    lab.wait_quiet()
    assert lab.starts() == 2 and lab.starts(result.id) == 1


def test_f63_published_twice(lab):
    lab.declare()
    lab.count_finals()
    lab.worker(c=2)
    for _ in range(2):
        lab.send_run(task_id="twice")
    lab.close_books(starts=(1, 2))


@pytest.mark.parametrize("workers", [1, 2])
def test_f63_published_twice_and_all_ask(lab, workers):
    lab.declare()
    for _ in range(workers):
        lab.worker("--deduplicate", "all", c=2 // workers)
    for _ in range(2):
        lab.send_run(task_id="twice", gated=True)
    wait_until(lambda: any(w.lines("still runs on") for w in lab.workers), 20 * SLOW, "one of them to be held off")
    lab.open_gate()
    lab.close_books(starts=(1, 1))


def test_f63_published_twice_while_redis_takes_its_time(lab):
    """Both have asked before the first is answered; to Redis they are the same worker."""
    lab.declare()
    redis = lab.redis_proxy()
    w = lab.worker("--deduplicate", "all", c=2, redis=redis)
    redis.stall("down")
    for _ in range(2):
        lab.send_run(task_id="twice", gated=True)
    w.wait_line("Task run.* received", count=2)
    redis.heal()
    w.wait_line("still runs on")
    lab.open_gate()
    lab.close_books(starts=(1, 1))


@pytest.mark.parametrize("kind", KINDS)
def test_f64_poison_that_kills_its_child(lab, kind):
    lab.declare(kind)
    w = lab.worker(*lab.config("tasks:\n  die: { max_lost: 2 }\n"))
    body, headers = encode("die", (lab.journal, "SIGKILL"))
    lab.publish(body, headers)
    lab.send_run()
    lab.wait_state(headers["id"], "FAILURE")
    assert lab.starts(headers["id"]) == 3
    lab.wait_final()
    lab.wait_quiet()
    # A quorum queue's counters lag: the work queue may look quiet before the letter is there.
    wait_until(lambda: lab.site.counter("messages", "warren.dead." + lab.queue) == 1, 20 * SLOW, "the dead letter")
    [(dead_body, dead_headers, _)] = lab.dead()
    assert as_bytes(dead_body) == body.encode()
    assert dead_headers["x-warren-reason"] == "lost" and "SIGKILL" in dead_headers["x-warren-error"]
    assert w.alive()


def test_f64_poison_survives_a_change_of_worker(lab):
    """The count of lost runs travels with the message."""
    lab.declare()
    config = lab.config("tasks:\n  die: { max_lost: 3 }\n")
    body, headers = encode("die", (lab.journal, "SIGKILL"))
    lab.publish(body, headers)
    first = lab.worker(*config)
    lab.wait_starts(1)
    first.kill()
    lab.worker(*config)
    lab.wait_state(headers["id"], "FAILURE")
    assert 4 <= lab.starts(headers["id"]) <= 5
    lab.wait_quiet()


@pytest.mark.parametrize("kind", KINDS)
def test_f64_poison_that_kills_its_worker(lab, kind):
    """Nobody is left to count: the next worker does, by the note of the one that died."""
    lab.declare(kind)
    config = lab.config("tasks:\n  parricide: { max_lost: 1 }\n")
    body, headers = encode("parricide", (lab.journal,))
    lab.publish(body, headers)
    runs = 0
    while lab.state(headers["id"]) != "FAILURE":
        w = lab.worker(*config)
        wait_until(lambda: not w.alive() or lab.state(headers["id"]) == "FAILURE", 40 * SLOW, "it to run, or to be given up")
        runs += not w.alive()
    # Two are counted; the first may have been too short for a note.
    assert 2 <= runs <= 3 and lab.starts(headers["id"]) == runs
    lab.wait_quiet()
    wait_until(lambda: lab.site.counter("messages", "warren.dead." + lab.queue) == 1, 20 * SLOW, "the dead letter")
    [(dead_body, dead_headers, _)] = lab.dead()
    assert as_bytes(dead_body) == body.encode()
    assert dead_headers["x-warren-reason"] == "lost" and "ended without a word" in dead_headers["x-warren-error"]
    lab.send_run()
    lab.wait_final()


@pytest.mark.parametrize("kind", KINDS)
def test_f65_requeue_storm(lab, kind):
    """A task that gives its message back is not run in a tight loop, and others go on."""
    lab.declare(kind)
    lab.worker()
    body, headers = encode("refuse", (lab.journal,))
    lab.publish(body, headers)
    began = time.monotonic()
    lab.wait_starts(4, headers["id"])
    # At once, then after 1 and 1-2 seconds.
    assert time.monotonic() - began > 1.9
    lab.send_run()
    lab.wait_final()
    assert lab.starts(headers["id"]) <= 5
    assert lab.state(headers["id"]) in ("PENDING", "STARTED")
    lab.workers[0].stop()
    wait_until(lambda: sum(q["messages"] for q in lab.site.queues().values()) == 1, 20 * SLOW, "it to be kept")


def test_f66_queue_of_dead_letters_deleted(lab):
    lab.declare()
    lab.worker()
    for i in range(3):
        body, headers = encode("nope", (i,))
        lab.publish(body, headers)
        lab.wait_state(headers["id"], "FAILURE")
        lab.wait_quiet()
        with lab.connect() as connection:
            assert connection.channel().queue_delete("warren.dead.work") == 1


@pytest.mark.parametrize("kind", KINDS)
def test_f68_three_retries_with_equal_delay(lab, kind):
    """A broker drops a message that comes round to a queue it expired from before, unless its history is taken away."""
    lab.declare(kind)
    lab.worker()
    lab.send("flaky", (lab.journal, 5, 3, 1.2), gives=10)
    lab.close_books(starts=(4, 4))


def test_f69_short_delay_behind_a_long_one(lab):
    lab.declare()
    lab.worker()
    now = time.time()
    body, headers = encode("punctual", (lab.journal, now + 300), eta=utc(now + 300))
    lab.publish(body, headers)
    wait_until(lambda: any("delayed_delivery" in n or "delay" in n for n in lab.site.queues()), 20 * SLOW, "the ladder")
    soon = lab.send("punctual", (lab.journal, now + 2), eta=utc(now + 2))
    lab.wait_state(soon, "SUCCESS", timeout_s=10)
    [line] = lab.lines("start")
    assert line[1] == soon and 0 <= float(line[2]) < 1.5 * SLOW


def utc(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + ("%.6f" % (seconds % 1))[1:] + "+00:00"


def test_f70_strange_times(lab):
    lab.declare()
    lab.worker()
    for eta in ("1970-01-01T00:00:00", "2001-02-03T04:05:06+00:00", "0001-01-01T00:00:00+00:00", None):
        lab.send_run(eta=eta)
    lab.close_books(starts=(1, 1))
    far = encode("run", (lab.journal, 1), eta="9999-12-31T23:59:59+00:00")
    lab.publish(*far)
    wait_until(lambda: lab.site.counter("messages", lab.queue) == 0, 20 * SLOW, "the message to leave its queue")
    # It waits at the top of the ladder.
    wait_until(lambda: lab.site.counter("messages") == 1, 20 * SLOW, lambda: "one message to wait: %r" % lab.site.queues())
    assert lab.starts(far[1]["id"]) == 0


@pytest.mark.slow
def test_f70_delay_across_a_restart_of_the_broker(lab):
    lab.declare()
    w = lab.worker()
    due = time.time() + 8
    task_id = lab.send("punctual", (lab.journal, due), eta=utc(due))
    wait_until(lambda: lab.site.counter("messages", lab.queue) == 0, 20 * SLOW, "the message to leave its queue")
    lab.site.servers.stop("rabbitmq", signal.SIGKILL)
    lab.site.servers.start("rabbitmq")
    w.wait_line("Connected to", count=2, timeout_s=60)
    lab.wait_state(task_id, "SUCCESS", timeout_s=30)
    [line] = lab.lines("start")
    # A queue's clock starts anew with the broker, so it may be late by the outage, never early.
    assert float(line[2]) >= 0


def test_f71_expired_in_the_queue(lab):
    lab.declare()
    w = lab.worker()
    busy = lab.send_run(gated=True)
    lab.wait_starts(1)
    until = time.time() + 0.3
    expired = [lab.send("run", (lab.journal, 1), expires=utc(until)) for _ in range(3)]
    wait_until(lambda: time.time() > until + 0.01, 20, "them to expire")
    lab.open_gate()
    lab.wait_final()
    assert [lab.state(i) for i in expired] == ["REVOKED"] * 3
    assert lab.meta(expired[0])["result"]["exc_type"] == "TaskRevokedError"
    assert lab.starts() == 1 and lab.state(busy) == "SUCCESS"
    lab.wait_quiet()
    assert w.alive()


def told(app, ids, **more):
    """What each worker answers to a revoke: [(text, {id: state})]."""
    answers = app.control.revoke(ids, reply=True, timeout=5 * SLOW, limit=1, **more)
    return [(a["ok"], a["tasks"]) for answer in answers for a in answer.values()]


def test_f72_revoke_tells_what_became_of_each_and_may_be_said_twice(lab):
    lab.declare()
    w = lab.worker()
    app = lab.site.app()
    done = lab.send_run(value=1)
    lab.wait_final()
    running = lab.send_run(value=2, gated=True)
    lab.wait_starts(2)
    queued = lab.send_run(value=3)
    ids = [done, running, queued, "nobody"]
    for _ in range(2):
        [(text, states)] = told(app, ids)
        assert text == "tasks %s flagged as revoked" % ", ".join(ids)
        assert states == dict(zip(ids, ("finished", "running", "unknown", "unknown")))
    lab.open_gate()
    lab.wait_final()
    # What ran goes on; what had not begun does not begin; what is over stays as it was.
    assert [lab.state(i) for i in ids[:3]] == ["SUCCESS", "SUCCESS", "REVOKED"]
    assert lab.starts() == 2 and lab.starts(queued) == 0
    lab.wait_quiet()
    assert w.alive()


def test_f72_terminate_ends_the_run_and_nothing_else(lab):
    lab.declare()
    w = lab.worker(c=2)
    app = lab.site.app()
    ended, other = lab.send_run(value=1, gated=True), lab.send_run(value=2, gated=True)
    lab.wait_starts(2)
    pid = {line[1]: int(line[2]) for line in lab.lines("start")}
    [(text, states)] = told(app, [ended, "nobody"], terminate=True, signal="SIGKILL")
    assert text == "terminate: %s" % ended and states == {ended: "running", "nobody": "unknown"}
    lab.wait_state(ended, "REVOKED")
    wait_until(lambda: not alive(pid[ended]), 5 * SLOW, "its process to end")
    assert alive(pid[other])
    # Said again, the process that has its slot now is not hit for it.
    lab.wait_ready_messages(0)
    [(text, states)] = told(app, [ended], terminate=True)
    assert states == {ended: "finished"}
    lab.open_gate()
    lab.wait_state(other, "SUCCESS")
    lab.wait_quiet()
    assert lab.starts(ended) == 1 and w.alive()


def test_f72_worker_that_was_away_knows(lab):
    lab.declare()
    lab.declare(name="elsewhere")
    listens = lab.worker(queues="elsewhere")
    sent = [lab.send_run(value=i) for i in range(3)]
    [(_, states)] = told(lab.site.app(), sent[:2])
    assert set(states.values()) == {"unknown"}
    assert listens.stop() == 0
    lab.worker()
    lab.wait_final()
    assert [lab.state(i) for i in sent] == ["REVOKED", "REVOKED", "SUCCESS"]
    assert lab.starts() == 1
    # What is kept has an end.
    assert 0 < lab.site.redis.ttl("warren:revoked") <= 31 * 86400
