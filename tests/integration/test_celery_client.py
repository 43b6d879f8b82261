"""A Celery client in this process, tasks in Python and in C in a worker of warren; and warren's client with a Celery worker."""
import datetime
import json
import threading

import pytest
from celery.result import AsyncResult, ResultSet

from harness import C_TASKS, SLOW, wait_final, wait_state
from warren_servers import wait_until

RUNNERS = {"python": ["-A", "tasks"], "c": ["--module", C_TASKS]}


@pytest.fixture(params=sorted(RUNNERS))
def runner(request):
    return RUNNERS[request.param]


@pytest.fixture
def app(site):
    return site.app()


def send(app, name, *args, **kwargs):
    return app.send_task(name, args, kwargs)


def test_wait_begun_before_the_result_is_stored(site, app, worker, runner, tmp_path):
    worker(*runner, "-c", "1")
    gate = tmp_path / "gate"
    result = send(app, "hold", str(gate))
    wait_state(result, "STARTED")
    got = []
    waiter = threading.Thread(target=lambda: got.append(result.get(timeout=20)))
    waiter.start()
    key = "celery-task-meta-" + result.id
    wait_until(lambda: dict(site.redis.pubsub_numsub(key))[key.encode()] == 1, 10, "the client to wait")
    gate.touch()
    waiter.join(20)
    assert got == ["held"]


def test_wait_begun_after_the_result_is_stored(site, app, worker, runner):
    worker(*runner, "-c", "1")
    task_id = send(app, "add", 2, 3).id
    wait_until(lambda: b'"SUCCESS"' in (site.meta(task_id) or b""), 10 * SLOW, "the result to be stored")
    assert AsyncResult(task_id, app=site.app()).get(timeout=5) == 5


def test_add_within_five_seconds(app, worker, runner):
    worker(*runner, "-c", "1")
    assert app.tasks["add"].delay(2, 3).get(timeout=5 * SLOW) == 5


def test_states_of_a_task(app, worker, runner, tmp_path):
    started = worker(*runner, "-c", "2", "-n", "states@%h")
    hold, steps, own = (tmp_path / name for name in ("hold", "steps", "own"))
    held = send(app, "hold", str(hold))
    assert AsyncResult("no-such-id", app=app).state == "PENDING"
    wait_state(held, "STARTED")
    assert held.info["hostname"].startswith("states@")
    assert held.info["pid"] in started.descendants()
    assert not held.ready()

    stepping = send(app, "steps", str(steps))
    wait_state(stepping, "PROGRESS")
    assert stepping.info == {"current": 1, "total": 2, "step": "first"}
    steps.touch()
    digging = send(app, "own_state", str(own))
    wait_state(digging, "DIGGING")
    assert digging.info == {"depth": 3}
    hold.touch()
    own.touch()

    assert held.get(timeout=10 * SLOW) == "held"
    assert (held.state, held.info, held.traceback) == ("SUCCESS", "held", None)
    assert held.successful() and held.date_done is not None
    assert stepping.get(timeout=10 * SLOW) == 2
    assert digging.get(timeout=10 * SLOW) is None


def test_failure_is_the_exception_that_was_raised(app, worker, runner):
    worker(*runner, "-c", "1")
    result = app.tasks["fail"].delay("no such thing")
    try:
        result.get(timeout=10 * SLOW)
    except ValueError as e:
        assert e.args == ("no such thing",)
    else:
        pytest.fail("get() did not raise")
    assert result.state == "FAILURE" and result.failed()
    assert isinstance(result.info, ValueError)
    assert result.get(propagate=False).args == ("no such thing",)


def test_traceback_shows_the_line_of_the_task(app, worker):
    worker("-A", "tasks", "-c", "1")
    result = send(app, "fail", "here")
    wait_state(result, "FAILURE")
    lines = result.traceback.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "ValueError: here"
    assert any("tasks.py" in line and "in fail" in line for line in lines)
    # What is under the task's own function is ours and of no use to anybody.
    assert not any("warren_runner" in line for line in lines)


def test_exception_class_of_its_own_keeps_its_name(app, worker):
    worker("-A", "tasks", "-c", "1")
    result = send(app, "fail_oddly", "a", 2)
    with pytest.raises(Exception) as caught:
        result.get(timeout=10 * SLOW)
    assert type(caught.value).__name__ == "Odd"
    assert caught.value.args == ("a", 2)


def test_unserializable_result_is_a_failure(app, worker):
    worker("-A", "tasks", "-c", "1")
    result = send(app, "unserializable")
    wait_state(result, "FAILURE")
    assert type(result.info).__name__ == "EncodeError"
    assert send(app, "add", 1, 1).get(timeout=10 * SLOW) == 2


VALUES = [
    None, True, 0, -1, 2**53 + 1, 2**80, 1.5, 1e-300, 1e300, "", "text", "ä€😀\u2028\0\x1f\"\\/", [], {}, [[[[1]]]],
    {"a": {"b": [1, None, {"": "empty"}]}}, "x" * 100000, list(range(1000)),
]


def test_values_pass_unchanged(app, worker, runner):
    worker(*runner, "-c", "2")
    result = send(app, "echo", *VALUES, named=VALUES[15], ünïcode=1)
    assert result.get(timeout=20 * SLOW) == [VALUES, {"named": VALUES[15], "ünïcode": 1}]


def test_values_pass_compressed(site, worker, runner):
    worker(*runner, "-c", "1")
    app = site.app(task_compression="zlib")
    assert send(app, "length", "x" * 50000).get(timeout=10 * SLOW) == 50000
    app = site.app(task_compression="gzip")
    assert send(app, "length", "x" * 50000).get(timeout=10 * SLOW) == 50000


def test_protocol_1_is_understood(site, worker, runner):
    worker(*runner, "-c", "1")
    assert send(site.app(task_protocol=1), "add", 20, 22).get(timeout=10 * SLOW) == 42


def test_many_results_of_one_client(app, worker, runner):
    worker(*runner, "-c", "4")
    results = [send(app, "add", i, i) for i in range(300)]
    assert ResultSet(results, app=app).join(timeout=60 * SLOW) == [2 * i for i in range(300)]


def test_ignored_result_is_not_stored(site, app, worker):
    worker("-A", "tasks", "-c", "1")
    ignored = app.send_task("add", (1, 2), ignore_result=True)
    # One slot: when the second is done, the first is.
    assert send(app, "add", 3, 4).get(timeout=10 * SLOW) == 7
    assert site.meta(ignored.id) is None


def test_expired_task_is_revoked_and_does_not_run(app, worker, journal):
    # Celery's client also sets the message's own expiry, and the broker would be the one to drop it; so by hand.
    past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=1)
    message = app.amqp.as_task_v2("late-one", "journal", [journal.path, 1], {}, expires=past)
    with app.producer_or_acquire() as producer:
        producer.publish(message.body, routing_key="celery", exchange="", headers=message.headers, serializer="json",
                         declare=[app.amqp.queues["celery"]], **message.properties)
    worker("-A", "tasks", "-c", "1")
    late = AsyncResult("late-one", app=app)
    wait_state(late, "REVOKED")
    assert type(late.info).__name__ == "TaskRevokedError"
    assert journal.lines() == []


def test_async_function(app, worker):
    worker("-A", "tasks", "-c", "1")
    assert send(app, "nap", 0.01).get(timeout=10 * SLOW) == "slept"


def test_extended_result_says_who_did_what(site, app, worker):
    worker("-A", "tasks", "-c", "1", "-n", "who@here", env={"WARREN_RESULT_EXTENDED": "true"})
    result = send(app, "add", 2, 3)
    result.get(timeout=10 * SLOW)
    meta = json.loads(site.meta(result.id))
    assert (meta["name"], meta["args"], meta["kwargs"], meta["worker"], meta["queue"], meta["retries"]) == (
        "add", [2, 3], {}, "who@here", "celery", 0)
    assert (result.name, result.args, result.worker) == ("add", [2, 3], "who@here")


def test_warren_send_is_served_by_a_celery_worker(celery_worker, warren):
    celery_worker()
    assert warren("send", "add", "2", "3", "--wait", "--timeout", "10s").stdout == "5\n"
    failed = warren("send", "fail", "gone", "--wait", "--timeout", "10s", code=1)
    assert "ValueError" in failed.stderr and "gone" in failed.stderr


def test_celery_and_warren_share_a_queue(site, app, worker, celery_worker):
    celery_worker("-n", "theirs@%h")
    worker("-A", "tasks", "-c", "1", "-n", "ours@%h")
    results = [send(app, "add", i, 1) for i in range(100)]
    wait_final(results)
    assert [r.result for r in results] == [i + 1 for i in range(100)]
    site.wait_empty()
