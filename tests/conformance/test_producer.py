"""Messages of `warren send`, served by a Celery worker (checks 1-13)."""
import json
import time
from datetime import datetime, timezone

import pytest

from harness import SLOW, wait_state
from helpers import Events, get, raised_by
from warren_servers import wait_until


@pytest.fixture
def send(warren, app):
    """Sends one task with warren; Celery's result object of it."""
    def send(*words, **how):
        return app.AsyncResult(warren("send", *words, **how).stdout.strip())
    return send


def peek(site, queue):
    """The message at the head of a queue, as it is."""
    with site.raw_connection() as connection:
        channel = connection.channel()
        message = wait_until(lambda: channel.basic_get(queue, no_ack=False), 10, "a message in " + queue)
        channel.basic_reject(message.delivery_tag, requeue=True)
        return message


def test_c01_a_celery_worker_returns_the_result(send, theirs):
    """Classic only: Celery takes from quorum queues from 5.5 on."""
    theirs("-Q", "work")
    assert get(send("add", "2", "3", "--queue", "work")) == 5


def test_c02_headers_are_those_of_celerys_client(site, app, send):
    send("add", "2", "3", "--queue", "ours")
    app.send_task("add", (2, 3), queue="theirs")
    ours, theirs = peek(site, "ours"), peek(site, "theirs")
    assert set(ours.headers) >= set(theirs.headers) - {"stamps", "stamped_headers"}
    # What is null there is null here, and not left out or an empty text.
    assert {k for k, v in theirs.headers.items() if v is None} <= {k for k, v in ours.headers.items() if v is None}
    for key in ("task", "retries", "timelimit", "argsrepr", "kwargsrepr", "ignore_result"):
        assert ours.headers[key] == theirs.headers[key], key
    assert ours.headers["root_id"] == ours.headers["id"] == ours.properties["correlation_id"]
    assert json.loads(ours.body) == json.loads(theirs.body)
    for key in ("content_type", "content_encoding", "delivery_mode", "priority"):
        assert ours.properties.get(key) == theirs.properties.get(key), key


def test_c02_a_celery_task_sees_a_complete_request(send, theirs):
    theirs("-Q", "work")
    seen = get(send("request", "1", "--queue", "work", "--id", "seen-id"))
    assert (seen["id"], seen["root_id"], seen["parent_id"], seen["retries"], seen["args"], seen["kwargs"]) == ("seen-id", "seen-id", None, 0, [1], {})
    assert seen["timelimit"] == [None, None] and seen["eta"] is None and seen["expires"] is None and seen["group"] is None
    assert "@" in seen["origin"] and seen["delivery_info"]["routing_key"] == "work"


@pytest.mark.parametrize("flag, error", [("--time-limit", "TimeLimitExceeded"), ("--soft-time-limit", "SoftTimeLimitExceeded")])
def test_c03_time_limits_are_hard_then_soft(send, theirs, flag, error):
    theirs("-Q", "work", "-c", "1", pool="prefork")
    result = send("sleep", "20", "--queue", "work", flag, "1")
    assert type(raised_by(result, 15)).__name__ == error and result.state == "FAILURE"


def test_c04_eta_is_kept(send, theirs, app, warren):
    theirs("-Q", "work", "-c", "1", pool="prefork", bare=False)
    start = time.time()
    result = send("stamp", "--queue", "work", "--countdown", "2s")
    held = wait_until(lambda: app.control.inspect(timeout=0.5, destination=["theirs@here"]).scheduled(), 5 * SLOW, "an answer")["theirs@here"]
    # It waits in the worker, or it still waits on the broker.
    assert [t["request"]["id"] for t in held] in ([result.id], [])
    ran = get(result)
    # Celery's own timer is good to a second; the rest is for a busy machine.
    assert start + 2 <= ran <= start + 2 + 2.5 * SLOW


def test_c05_expired_means_revoked(site, send, theirs, app):
    result = send("add", "1", "2", "--queue", "work", "--expires", "300ms")
    header = peek(site, "work").headers["expires"]
    assert abs(datetime.fromisoformat(header).replace(tzinfo=timezone.utc).timestamp() - time.time()) < 60
    # Without the time-to-live of the message itself, so that a worker sees it.
    message = app.amqp.as_task_v2(result.id, "add", [1, 2], {}, expires=datetime.fromisoformat(header).replace(tzinfo=timezone.utc))
    wait_until(lambda: site.counter("messages", "work") == 0, 10, "the message to expire")
    theirs("-Q", "work")
    with app.producer_or_acquire() as producer:
        producer.publish(message.body, routing_key="work", exchange="", headers=message.headers, serializer="json", **message.properties)
    assert wait_state(result, "REVOKED") and type(result.info).__name__ == "TaskRevokedError"


def test_c06_expiration_is_milliseconds_as_text(site, send):
    send("add", "1", "2", "--queue", "work", "--expires", "90s")
    value = peek(site, "work").properties["expiration"]
    assert isinstance(value, str) and 80000 < int(value) <= 90000


def test_c07_priority_is_honoured(site, send, theirs):
    with site.raw_connection() as connection:
        connection.channel().queue_declare("ranked", durable=True, auto_delete=False, arguments={"x-max-priority": 9})
    # 11: it is used as it is, and not declared again with other arguments.
    low = [send("stamp", "--queue", "ranked", "--priority", "1") for _ in range(3)]
    high = send("stamp", "--queue", "ranked", "--priority", "8")
    theirs("-Q", "ranked", env={"PEER_MAX_PRIORITY": "9"})
    assert get(high) < min(get(result) for result in low)


def test_c08_compressed_bodies_are_understood(site, send, theirs, tmp_path):
    config = tmp_path / "warren.yaml"
    config.write_text("tasks:\n  length: { compress: true }\n")
    result = send("length", "x" * 20000, "--queue", "work", "--config", str(config))
    message = peek(site, "work")
    assert message.headers["compression"] == "application/x-gzip" and len(message.body) < 2000
    theirs("-Q", "work")
    assert get(result) == 20000


def test_c09_wrapped_values_pass_as_they_are(send, ours):
    """kombu's wrappers of 5.3 and later: made and undone by both ends in Python; on the way they are JSON that nobody touches."""
    wrapped = {"__type__": "datetime", "__value__": "2026-11-21T02:56:00.651564+00:00"}
    ours("--module", __import__("harness").C_TASKS, "-Q", "work")
    assert get(send("echo", "--args", json.dumps([wrapped]), "--queue", "work")) == [[wrapped], {}]


def test_c10_an_unknown_queue_is_made_as_celery_makes_it(site, send, theirs):
    result = send("add", "2", "3", "--queue", "fresh")
    w = theirs("-Q", "fresh")
    assert get(result) == 5
    assert "PRECONDITION" not in w.output()
    with site.raw_connection() as connection:
        connection.channel().exchange_declare("fresh", "direct", durable=True, auto_delete=False)  # a mismatch would raise


def test_c12_task_sent_is_told_when_wanted(app, send, site):
    with Events(app) as events:
        silent = send("add", "1", "2", "--queue", "work")
        told = send("add", "1", "2", "--queue", "work", "--sent-events", "--id", "told-id")
        events.wait(lambda: events.of(told.id), "task-sent")
        assert events.of(silent.id) == []
        event, = [e for e in events.all if e["type"] == "task-sent"]
        app.conf.task_send_sent_event = True
        app.send_task("add", (1, 2), queue="work", task_id="their-id")
        events.wait(lambda: events.of("their-id"), "Celery's own")
        theirs, = [e for e in events.all if e.get("uuid") == "their-id"]
    assert set(event) == set(theirs) - {"utcoffset"}
    for key in ("name", "args", "kwargs", "retries", "eta", "expires", "queue", "exchange", "routing_key", "parent_id"):
        assert event[key] == theirs[key], key
    assert event["hostname"].startswith("gen") and event["root_id"] == told.id
