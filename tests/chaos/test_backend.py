"""F73-F79: the result backend."""
import json
import os
import signal

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
    try:
        w.wait_line("lost the result backend")
        w.wait_line("cannot reach the result backend", count=5, timeout_s=60)
    finally:
        os.kill(lab.site.servers.pid("redis"), signal.SIGCONT)
    lab.close_books(starts=(1, 1), timeout_s=120)


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
        wait_until(lambda: lab.unacked() == 1, 5, "the delivery to wait")
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
        assert lab.unacked() == 1
    finally:
        lab.site.redis.execute_command("REPLICAOF", "NO", "ONE")
    lab.close_books(starts=(1, 1))


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
