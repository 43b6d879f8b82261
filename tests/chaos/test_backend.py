"""F73-F79: the result backend."""
import json
import os
import signal
import time

import celery
import pytest

import harness
from harness import SLOW
from lab import KINDS
from warren_servers import wait_until

# Together they take minutes: they run with WARREN_CHAOS=full, not with every check.
pytestmark = pytest.mark.slow


def config_set(lab, name, value):
    """Sets it; the value it had."""
    before = lab.site.redis.config_get(name)[name]
    lab.site.redis.config_set(name, value)
    return before


@pytest.mark.parametrize("kind", KINDS)
def test_f73_redis_away_when_tasks_end(lab, kind):
    lab.declare(kind)
    redis = lab.redis_proxy()
    w = lab.worker(redis=redis, c=2)
    lab.send_many(20)
    lab.send_run(gated=True)
    lab.wait_starts(21)
    redis.refuse()
    lab.open_gate()
    more = lab.send_many(4)
    lab.wait_ends(22)
    w.wait_line("lost the result backend")
    # As many as there are slots have run; their results wait, and with them their deliveries.
    wait_until(lambda: lab.unacked() == 2, 10 * SLOW, "two deliveries to wait")
    assert sum(lab.state(i) == "PENDING" for i in more) == 4
    redis.heal()
    lab.close_books(starts=(1, 1))


@pytest.mark.slow
def test_f73_redis_stopped_for_a_minute_under_load(lab):
    lab.declare()
    w = lab.worker(c=4)
    lab.send_many(500, seconds=0.01)
    lab.wait_ends(100)
    os.kill(lab.site.servers.pid("redis"), signal.SIGSTOP)
    began = time.monotonic()
    try:
        w.wait_line("lost the result backend")
        w.wait_line("cannot reach the result backend", count=5, timeout_s=60)
        wait_until(lambda: time.monotonic() - began > 60, 70, "the minute to be over")
    finally:
        os.kill(lab.site.servers.pid("redis"), signal.SIGCONT)
    lab.close_books(starts=(1, 1), timeout_s=120)


@pytest.mark.parametrize("kind", KINDS)
def test_f73_longer_than_the_delivery_timeout(lab, kind, consumer_timeout):
    """The broker gives 2 s for each delivery; Redis is away for longer. Results and dead letters are all there in the end."""
    lab.declare(kind)
    redis = lab.redis_proxy()
    w = lab.worker("--outbox-after", "500ms", *lab.config("tasks:\n  die: { max_lost: 0 }\n"), redis=redis, c=2)
    lab.send_run(gated=True)
    lab.wait_starts(1)
    redis.refuse()
    lost = lab.send("die", (lab.journal, "SIGKILL"))
    lab.send_many(30)
    lab.open_gate()
    lab.wait_ends(31)
    w.wait_line("the result waits in queue", count=32, timeout_s=40)
    wait_until(lambda: lab.unacked() == 0, 10 * SLOW, "everything to be acknowledged")
    assert lab.state(lost) == "PENDING"
    redis.heal()
    lab.wait_state(lost, "FAILURE")
    assert lab.starts(lost) == 1
    del lab.sent[lost]
    lab.wait_final()
    lab.wait_quiet()
    assert not w.lines("PRECONDITION_FAILED")
    [(_, headers, _)] = lab.dead()
    assert headers["id"] == lost
    assert lab.starts() == 32
    for task_id, gives in lab.sent.items():
        assert lab.meta(task_id)["result"] == gives


def test_f73_parked_by_one_stored_by_another(lab):
    """Who parked it is gone when Redis can be reached again; who stores it never lost it."""
    lab.declare()
    redis = lab.redis_proxy()
    cut_off = lab.worker("--outbox-after", "500ms", redis=redis)
    lab.send_run(gated=True)
    lab.wait_starts(1)
    redis.refuse()
    lab.open_gate()
    cut_off.wait_line("the result waits in queue")
    wait_until(lambda: lab.unacked() == 0, 10 * SLOW, "it to be acknowledged")
    cut_off.kill()
    # The proxy stands for the same Redis; the queue is named after the address.
    redis.heal()
    lab.worker(redis=redis)
    lab.close_books(starts=(1, 1))


def test_f73_canvas_waits_for_redis(lab):
    """A chain goes on at once, a chord is counted when Redis is back; each step runs once."""
    lab.declare()
    redis = lab.redis_proxy()
    w = lab.worker("--outbox-after", "500ms", redis=redis, c=2)
    app = lab.site.app(task_default_queue=lab.queue)
    chain = celery.chain(app.signature("run", (lab.journal, 1, lab.gate)), app.signature("echo", queue=lab.queue)).apply_async()
    chord = celery.chord([app.signature("run", (lab.journal, 10 + i, lab.gate)) for i in range(2)])(app.signature("echo", queue=lab.queue))
    lab.wait_starts(2)
    redis.refuse()
    lab.open_gate()
    w.wait_line("the result waits in queue", count=4)
    wait_until(lambda: lab.unacked() == 0, 10 * SLOW, "everything to be acknowledged")
    redis.heal()
    assert chain.get(timeout=20 * SLOW) == [2]
    assert chord.get(timeout=20 * SLOW) == [[20, 22]]
    lab.wait_quiet()
    assert lab.starts() == 3


def delivered_again_without_redis(lab, *args):
    """A task of a killed worker comes to another, which cannot reach Redis: (the proxy before it, that worker)."""
    lab.declare()
    redis = lab.redis_proxy()
    first = lab.worker()
    lab.send_run(gated=True)
    lab.wait_starts(1)
    second = lab.worker(*args, redis=redis)
    redis.refuse()
    second.wait_line("lost the result backend")
    lab.wait_state(next(iter(lab.sent)), "STARTED")
    first.kill()
    return redis, second


def test_f73_delivered_again_while_redis_is_away(lab):
    """Only Redis knows whether it runs or has run: nobody guesses."""
    redis, second = delivered_again_without_redis(lab)
    second.wait_line("has come again and waits")
    lab.open_gate()
    assert lab.starts() == 1
    redis.heal()
    lab.close_books(starts=(2, 2))


def test_f73_what_has_to_ask_goes_back_while_redis_is_away(lab):
    """For no answer is a delivery held for longer than it may be."""
    _, second = delivered_again_without_redis(lab, "--outbox-after", "500ms")
    second.wait_line("its message goes back and comes again in 60s")
    wait_until(lambda: lab.unacked() == 0, 10 * SLOW, "the delivery to be acknowledged")
    wait_until(lambda: lab.site.counter("messages") == 1, 10 * SLOW, "the copy that comes again")
    assert lab.starts() == 1


def test_f74_redis_too_slow_and_silent_within_an_answer(lab):
    lab.declare()
    redis = lab.redis_proxy()
    w = lab.worker("--result-timeout", "500ms", redis=redis, c=2)
    stored = redis.on("up", "EVALSHA", lambda frame: redis.stall("down"), where=lambda frame: b"SUCCESS" in frame.data)
    lab.send_run(value=1)
    stored.wait()
    w.wait_line("lost the result backend")
    lab.send_run(value=2)
    redis.heal()
    # Late answers belong to a connection that is gone: each result is its own.
    lab.close_books(starts=(1, 1))
    # And half of an answer is none.
    w.wait_line("results go to", count=2)
    half = redis.on("down", "reply", "part", nth=1)
    lab.send_run(value=3)
    half.wait()
    w.wait_line("lost the result backend", count=2)
    redis.heal()
    lab.close_books(starts=(1, 1))


def test_f75_redis_out_of_memory(lab):
    lab.declare()
    w = lab.worker()
    policy, memory = config_set(lab, "maxmemory-policy", "noeviction"), config_set(lab, "maxmemory", "1mb")
    try:
        lab.site.redis.config_set("maxmemory", "1")
        lab.send_run()
        lab.wait_ends(1)
        wait_until(lambda: lab.unacked() == 1, 5 * SLOW, "the delivery to wait")
        w.wait_line("OOM|out of memory|maxmemory")
    finally:
        lab.site.redis.config_set("maxmemory", memory)
        lab.site.redis.config_set("maxmemory-policy", policy)
    lab.close_books(starts=(1, 1))


def test_f75_redis_became_a_replica(lab):
    lab.declare()
    w = lab.worker()
    lab.site.redis.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        lab.send_run()
        lab.wait_ends(1)
        w.wait_line("READONLY")
        wait_until(lambda: lab.unacked() == 1, 5 * SLOW, "the delivery to wait")
    finally:
        lab.site.redis.execute_command("REPLICAOF", "NO", "ONE")
    lab.close_books(starts=(1, 1))


def test_f75_user_without_rights_for_notes(lab):
    """What warren keeps beside the results must not cost the results."""
    lab.declare()
    lab.site.redis.acl_setuser("narrow", enabled=True, passwords=["+secret"], keys=["celery-task-meta-*"], channels=["*"], commands=["+@all"])
    try:
        url = lab.site.backend.replace("redis://", "redis://narrow:secret@")
        w = lab.worker(env={"WARREN_RESULT_BACKEND": url})
        for i in range(3):
            lab.send_run(value=i, seconds=0.1)
        lab.send("flaky", (lab.journal, 4, 1), gives=8)
        lab.close_books(starts=(1, 2))
        assert len(w.lines("takes no notes of what runs .*NOPERM")) == 1
    finally:
        lab.site.redis.acl_deluser("narrow")


def test_f75_key_of_another_type(lab):
    """Neither the result nor a word about it can be stored: the message is kept for a person."""
    lab.declare()
    lab.worker()
    lab.site.redis.rpush("celery-task-meta-taken", "x")
    lab.send("run", (lab.journal, 1), task_id="taken")
    wait_until(lambda: lab.site.queues().get("warren.dead.work", {}).get("messages") == 1, 20 * SLOW, "the dead letter")
    [(_, headers, _)] = lab.dead()
    assert headers["id"] == "taken" and headers["x-warren-reason"] == "result-refused"
    assert "WRONGTYPE" in headers["x-warren-error"]
    lab.wait_quiet()
    assert lab.starts() == 1


def test_f76_redis_killed_under_load(lab):
    lab.declare()
    lab.worker(c=4)
    lab.send_many(300, seconds=0.005)
    lab.wait_ends(80)
    lab.site.servers.stop("redis", signal.SIGKILL)
    wait_until(lambda: lab.unacked() == 4, 10 * SLOW, "the slots to wait")
    lab.site.servers.start("redis")
    lab.close_books(starts=(1, 1))


def test_f77_result_that_is_too_big(lab):
    lab.declare()
    w = lab.worker("--result-max", "1M")
    task_id = lab.send("big", (lab.journal, 3 << 20))
    lab.wait_state(task_id, "FAILURE")
    assert "1048576 bytes" in json.dumps(lab.meta(task_id)["result"])
    # It would be as big the next time.
    assert lab.starts(task_id) == 1
    del lab.sent[task_id]
    lab.send_run()
    lab.close_books()
    assert w.alive()


def test_f78_first_success_stays(lab):
    """Two workers run the same task; the one that began second ends first."""
    lab.declare()
    broker = lab.broker_proxy()
    lab.worker("--broker-heartbeat", "1s", "--lease", "0", broker=broker)
    task_id = lab.send("turn", (lab.journal, lab.gate), gives=2)
    lab.wait_starts(1)
    broker.blackhole()
    lab.worker("--broker-heartbeat", "1s", "--lease", "0")
    lab.wait_starts(2)
    open(lab.gate + ".2", "a").close()
    lab.wait_state(task_id, "SUCCESS")
    open(lab.gate + ".1", "a").close()
    lab.wait_ends(2)
    broker.heal()
    lab.workers[0].wait_line("succeeded in .*: 1$")
    lab.close_books(starts=(2, 2))


def test_f79_word_of_a_result_is_lost(lab):
    """A waiting client that hears nothing looks by itself."""
    lab.declare()
    lab.worker()
    redis = lab.redis_proxy()
    deaf = redis.on("up", "SUBSCRIBE", "drop", every=True)
    env = lab.site.env(WARREN_RESULT_BACKEND=lab.through(lab.site.backend, redis))
    task_id = lab.send_run(gated=True)
    waiting = lab.programs("result", [harness.WARREN, "result", "--wait", "--timeout", "30s", task_id], env)
    deaf.wait()
    lab.open_gate()
    assert waiting.wait(30) == 0
    assert "42" in waiting.output()
    lab.close_books(starts=(1, 1))
