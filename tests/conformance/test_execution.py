"""A worker of ours, served by Celery's client, on queues of both kinds (checks 14-30)."""
import datetime
import json
import signal
import threading

import pytest
from celery.exceptions import NotRegistered

from harness import C_TASKS, SLOW, wait_final, wait_state
from helpers import as_it_is, get, raised_by, send
from warren_servers import wait_until

RUNNERS = {"python": ["-A", "tasks"], "c": ["--module", C_TASKS]}


@pytest.fixture(params=sorted(RUNNERS))
def runner(request):
    return RUNNERS[request.param]


def test_c14_a_task_of_celerys_client_runs(app, ours, queue, runner):
    ours(*runner, "-Q", queue)
    assert get(send(app, queue, "add", 2, 3)) == 5


def test_c15_protocol_1_is_understood(site, ours, queue):
    ours("-Q", queue)
    assert get(send(site.app(task_protocol=1), queue, "add", 2, 3)) == 5


def test_c16_c17_results_come_to_those_who_wait_and_who_come_later(site, app, ours, queue, tmp_path):
    ours("-Q", queue)
    result = send(app, queue, "hold", str(tmp_path / "gate"))
    wait_state(result, "STARTED")
    got = []
    waiter = threading.Thread(target=lambda: got.append(get(result)))
    waiter.start()
    key = "celery-task-meta-" + result.id
    # 16: it is subscribed before the result is stored, so only a PUBLISH can wake it.
    wait_until(lambda: dict(site.redis.pubsub_numsub(key))[key.encode()] == 1, 10, "the client to wait")
    (tmp_path / "gate").touch()
    waiter.join(20)
    assert got == ["held"]
    assert get(site.app().AsyncResult(result.id)) == "held"


@pytest.mark.parametrize("expires, least, most", [("1h", 3500, 3600), ("0", -1, -1)])
def test_c18_the_key_lives_as_long_as_result_expires(site, app, ours, expires, least, most):
    ours("-Q", "work", "--result-expires", expires)
    result = app.send_task("add", (1, 2), queue="work")
    get(result)
    assert least <= site.redis.ttl("celery-task-meta-" + result.id) <= most


def test_c19_c20_exceptions_keep_their_class(app, ours, runner):
    ours(*runner, "-Q", "work")
    error = raised_by(app.send_task("fail", ("boom",), queue="work"))
    assert type(error) is ValueError and error.args == ("boom",)
    if runner[0] == "-A":
        error = raised_by(app.send_task("fail_oddly", ("a",), queue="work"))
        assert type(error).__name__ == "Odd" and error.args == ("a",)


@pytest.mark.parametrize("tracked", [True, False])
def test_c21_started_and_progress(site, app, ours, tmp_path, tracked):
    ours("-Q", "work", *([] if tracked else ["--no-track-started"]))
    held = app.send_task("hold", (str(tmp_path / "hold"),), queue="work")
    steps = app.send_task("steps", (str(tmp_path / "steps"),), queue="work")
    wait_state(steps, "PROGRESS")
    assert steps.info == {"current": 1, "total": 2, "step": "first"}
    if tracked:
        wait_state(held, "STARTED")
    else:
        assert held.state == "PENDING"
    (tmp_path / "hold").touch()
    (tmp_path / "steps").touch()
    assert get(held) == "held" and get(steps) == 2
    assert tracked or not any(b"STARTED" in (site.meta(r.id) or b"") for r in (held, steps))


def test_c22_ignored_results_leave_no_key(site, app, ours, queue):
    ours("-c", "1", "-Q", queue)
    ignored = send(app, queue, "add", 1, 2, ignore_result=True)
    assert get(send(app, queue, "add", 1, 2)) == 3
    assert site.meta(ignored.id) is None


def test_c23_a_success_is_never_overwritten(site, app, ours, queue):
    """A SUCCESS is stored and its message delivered again: acknowledged without another run. The kill itself: tests/chaos, f31, P5."""
    ours("-c", "1", "-Q", queue)
    first = send(app, queue, "add", 1, 2, task_id="twice")
    get(first)
    before = site.meta("twice")
    failing = send(app, queue, "fail", "boom", task_id="twice")
    # One slot: when the next is done, that one is.
    get(send(app, queue, "add", 3, 4))
    assert site.meta(failing.id) == before and get(first) == 3
    site.wait_empty()


def test_c24_an_unknown_task_is_not_registered(site, app, ours, queue):
    ours("-Q", queue)
    result = send(app, queue, "no.such.task", 1)
    error = raised_by(result)
    assert type(error) is NotRegistered or isinstance(error, NotRegistered)
    # Where Celery rejects the message and nobody sees it again, it is kept.
    wait_until(lambda: site.counter("messages", "warren.dead." + queue) == 1, 10, "the dead letter")
    site.wait_empty()


def test_c25_defects_leave_it_running(site, app, ours, queue):
    w = ours("-Q", queue)
    headers = {"lang": "py", "task": "add", "id": "bad", "root_id": "bad", "parent_id": None, "group": None}
    embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    good = json.dumps([[1, 2], {}, embed])
    defects = [("", good, "application/json", headers), ("{", good, None, headers), ("not json", None, "application/json", headers),
               ("[]", None, "application/json", headers), ("[[1,2],{}]", None, "application/json", headers), ("{}", None, "application/json", {}),
               (good, None, "application/x-python-serialize", headers), (good, None, "application/json", dict(headers, eta="soon")),
               (good, None, "application/json", dict(headers, id=None)), ("\x80\x02]", None, "application/x-yaml", headers)]
    with site.raw_connection() as connection:
        producer = connection.Producer()
        for body, other, content_type, head in defects:
            producer.publish(other or body, routing_key=queue, exchange="", headers=head, content_type=content_type or "application/json",
                             content_encoding="utf-8", serializer=None)
    assert get(send(app, queue, "add", 2, 3)) == 5
    assert w.alive()
    site.wait_empty()


@pytest.mark.parametrize("late", [True, False])
def test_c26_early_and_late_acknowledgement(site, app, worker, queue, tmp_path, journal, late):
    config = tmp_path / "warren.yaml"
    config.write_text("tasks:\n  journal: { acks_late: %s }\n" % str(late).lower())
    first = worker("-A", "tasks", "-c", "1", "-Q", queue, "--config", str(config))
    result = send(app, queue, "journal", journal.path, 7, 0.0, str(tmp_path / "gate"))
    journal.wait_count(1)
    first.kill()
    (tmp_path / "gate").touch()
    worker("-A", "tasks", "-c", "1", "-Q", queue, "--config", str(config))
    assert get(send(app, queue, "add", 2, 3), 30) == 5
    if late:
        assert get(result, 60) == 49 and len(journal.lines()) == 2
    else:
        site.wait_empty()
        assert len(journal.lines()) == 1 and result.state in ("STARTED", "PENDING")


def test_c27_prefetch_is_the_number_of_slots(site, app, ours, queue, tmp_path):
    ours("-c", "3", "-Q", queue)
    held = [send(app, queue, "hold", str(tmp_path / "gate")) for _ in range(10)]
    for result in held[:3]:
        wait_state(result, "STARTED")
    wait_until(lambda: site.unacked(queue) == 3, 10, "three to be held, and no more")
    (tmp_path / "gate").touch()
    wait_final(held)


def test_c28_warm_shutdown_finishes_what_runs_and_returns_the_rest(site, app, ours, queue, tmp_path):
    w = ours("-c", "1", "-Q", queue)
    held = [send(app, queue, "hold", str(tmp_path / "gate")) for _ in range(3)]
    wait_state(held[0], "STARTED")
    w.send_signal(signal.SIGTERM)
    w.wait_line("stopping: 1 tasks may finish")
    (tmp_path / "gate").touch()
    assert w.wait() == 0 and get(held[0]) == "held"
    wait_until(lambda: site.counter("messages_ready", queue) == 2, 10, "the others to be back")


def test_c29_extended_results(site, app, ours, queue):
    ours("-Q", queue, "--result-extended")
    result = send(app, queue, "add", 2, 3)
    get(result)
    fresh = site.app(result_extended=True).AsyncResult(result.id)
    assert (fresh.name, fresh.args, fresh.kwargs, fresh.worker, fresh.retries, fresh.queue) == ("add", [2, 3], {}, "ours@here", 0, queue)
    assert isinstance(fresh.date_done, datetime.datetime)


def test_c30_children_are_listed(app, ours, queue):
    ours("-Q", queue)
    link = app.signature("add", args=(10,), queue=as_it_is(queue), task_id="child-id")
    result = app.send_task("add", (2, 3), queue=as_it_is(queue), link=[dict(link, options={"queue": queue, "task_id": "child-id"})])
    assert get(result) == 5
    child, = wait_until(lambda: app.AsyncResult(result.id).children, 10 * SLOW, "the child to be listed")
    assert child.id == "child-id" and get(child) == 15
    assert {node.id for node in app.AsyncResult(result.id).graph} == {result.id, "child-id"}
