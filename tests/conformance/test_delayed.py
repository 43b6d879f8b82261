"""Tasks for later: on a classic queue, on a quorum queue fed by native delayed delivery, and from our ladder (checks 50-53)."""
import time

import pytest

from harness import SLOW
from helpers import get, send
from warren_servers import wait_until

LEVELS = 28


def ladder_key(seconds, key):
    return ".".join(format(seconds, "028b")) + "." + key


@pytest.fixture
def w(ours, queue):
    return ours("-A", "conformance_tasks", "-Q", queue)


def test_c50_a_countdown_of_celerys_client_is_kept(app, w, queue, site):
    start = time.time()
    result = send(app, queue, "stamp", countdown=2.3)
    # It waits on the broker and not in the worker, so `inspect scheduled` has nothing to list; nothing is held.
    wait_until(lambda: sum(q["messages"] for n, q in site.queues().items() if n.startswith("celery_delayed_")) == 1, 5, "it to be on the ladder")
    wait_until(lambda: site.unacked(queue) == 0, 5, "nothing to be held")
    ran = get(result, 20)
    assert start + 2.3 <= ran <= start + 2.3 + 2 * SLOW


@pytest.mark.parametrize("kind, key, sent", [("quorum", "docs.new", "docs.new"), ("classic", "docs.*", "docs.old")])
def test_c51_native_delayed_delivery_is_received(app, ours, site, tmp_path, kind, key, sent):
    """As Celery 5.5 publishes for quorum queues: to celery_delayed_27, the time in the routing key, eta in the headers. Debian has 5.2."""
    config = tmp_path / "warren.yaml"
    config.write_text('queues:\n  docs: { type: %s, exchange: documents, exchange_type: topic, routing_key: "%s" }\n' % (kind, key))
    ours("-A", "conformance_tasks", "-Q", "docs", "--config", str(config))
    # Clients count on the workers to have made the delay queues and bound theirs to their end.
    wait_until(lambda: "celery_delayed_0" in site.queues(), 10 * SLOW, "the ladder")
    with site.raw_connection() as connection:
        wait_until(lambda: site.rabbitmq.eval_json('[1 || B <- rabbit_binding:list(<<"%s">>), element(1, B) =:= binding, '
                                                   'element(4, element(2, B)) =:= <<"celery_delayed_delivery">>]' % site.vhost), 10, "the binding")
        start = time.time()
        message = app.amqp.as_task_v2("native-id", "stamp", [], {}, countdown=3)
        connection.Producer().publish(message.body, exchange="celery_delayed_27", routing_key=ladder_key(3, sent), headers=message.headers,
                                      serializer="json", **message.properties)
    ran = get(app.AsyncResult("native-id"), 20)
    assert start + 3 - 1 <= ran <= start + 3 + 1.5 * SLOW


def test_c52_what_we_delay_a_celery_worker_runs_on_time(app, ours, theirs, site):
    first = ours("-A", "conformance_tasks", "-Q", "work")
    start = time.time()
    result = app.send_task("stamp", countdown=3, queue="work")
    wait_until(lambda: sum(q["messages"] for n, q in site.queues().items() if n.startswith("celery_delayed_")) == 1, 5, "it to be on the ladder")
    assert first.stop() == 0
    theirs("-Q", "work")
    ran = get(result, 20)
    assert start + 3 <= ran <= start + 3 + 2.5 * SLOW


@pytest.mark.parametrize("queue", ["quorum"], indirect=True)
def test_c53_retries_of_delayed_tasks_do_not_grow(app, w, queue, site):
    with site.raw_connection() as connection:
        channel = connection.channel()
        channel.exchange_declare("celery_delayed_1", "topic", durable=True, auto_delete=False)
        channel.queue_declare("spy", durable=True, auto_delete=False)
        # What waits for 2 or 3 s enters here.
        channel.queue_bind("spy", "celery_delayed_1", "#")
        assert get(send(app, queue, "flaky", 2, 2.3, countdown=2.3), 60)["retries"] == 2
        seen = [channel.basic_get("spy", no_ack=True) for _ in range(3)]
    assert [m.headers["retries"] for m in seen] == [0, 1, 2]
    for message in seen:
        key = message.delivery_info["routing_key"]
        # 28 digits, once, and the queue: the digits of earlier rounds are gone, and so is what the broker noted of them.
        assert key.count(".") == LEVELS and key.endswith("." + queue) and "x-death" not in message.headers, (key, message.headers)
