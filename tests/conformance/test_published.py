"""
What a worker publishes because of the tasks it runs: its delivery mode, and the event task-sent. One application is run by Celery's worker and by
warren's; what lies in the queue afterwards, and what was told, is the same.
"""
import importlib
import json

import pytest

from helpers import Events
from warren_servers import wait_until
from harness import SLOW

TOLD = ("name", "root_id", "parent_id", "args", "kwargs", "retries", "eta", "expires", "queue", "exchange", "routing_key")


@pytest.fixture
def client(site):
    """The application as its client has it, without the worker's settings."""
    module = importlib.reload(importlib.import_module("published_app"))
    module.app.conf.update(broker_url=site.broker, result_backend=site.backend)
    yield module
    module.app.close()


def send_all(m):
    """Tasks whose ends have the worker publish to queue `out`; ids of what is published there."""
    from celery import chord
    to = {"queue": "work"}

    def follow(task, task_id, **options):
        return task.si().set(task_id=task_id, **options)
    m.ok.apply_async(link=follow(m.plain, "link"), task_id="ok-1", **to)
    m.ok.apply_async(link=follow(m.routed, "link-routed"), task_id="ok-2", **to)
    m.ok.apply_async(link=follow(m.own, "link-own"), task_id="ok-3", **to)
    m.ok.apply_async(link=follow(m.plain, "link-set", delivery_mode=1), task_id="ok-4", **to)
    m.ok.apply_async(link=follow(m.routed, "link-back", delivery_mode="persistent"), task_id="ok-5", **to)
    (m.ok.si().set(task_id="ok-6", **to) | m.plain.s(1).set(task_id="chain", delivery_mode="transient")).apply_async()
    chord([m.ok.si().set(task_id="ok-7", **to), m.ok.si().set(task_id="ok-8", **to)], m.plain.s().set(task_id="body")).apply_async()
    m.fails.apply_async(link_error=m.error.s().set(task_id="error"), task_id="fails-1", **to)
    m.again.apply_async(task_id="retry", **to)
    m.again.apply_async(task_id="retry-of-transient", delivery_mode=1, **to)
    m.again.apply_async(kwargs={"delivery_mode": 1}, task_id="retry-set", **to)
    m.again_own.apply_async(task_id="retry-own", **to)
    m.again_here.apply_async(task_id="retry-here", **to)
    return {"link", "link-routed", "link-own", "link-set", "link-back", "chain", "body", "error", "retry", "retry-of-transient", "retry-set",
            "retry-own"}


def published(site, expected):
    """By id: how it lies in the queue."""
    found = {}

    def take():
        with site.raw_connection() as connection:
            channel = connection.channel()
            while True:
                m = channel.basic_get("out", no_ack=True)
                if m is None:
                    return expected <= set(found)
                found[m.headers["id"]] = (m.headers["task"], m.headers["retries"], m.properties["delivery_mode"])
    wait_until(take, 20 * SLOW, lambda: "messages, there are %s" % sorted(found))
    return found


@pytest.mark.parametrize("settings", [{"task_send_sent_event": True}, {"task_default_delivery_mode": "transient"}], ids=["told", "transient"])
def test_what_follows_a_task_is_published_as_celery_does(site, client, ours, theirs, settings):
    with site.raw_connection() as connection:
        connection.channel().queue_declare("out", durable=True, auto_delete=False)
    env = {"PUBLISHED": json.dumps(settings)}
    seen, told = {}, {}
    for kind in ("celery", "warren"):
        with Events(client.app) as events:
            w = theirs("-Q", "work", env=env, app="published_app:app") if kind == "celery" else ours(
                "-A", "published_app", "-Q", "work", env=env)
            expected = send_all(client)
            seen[kind] = published(site, expected)
            if settings.get("task_send_sent_event"):
                events.wait(lambda: expected | {"retry-here"} <= {e["uuid"] for e in events.all if e["type"] == "task-sent"}, "task-sent")
            sent = [e for e in events.all if e["type"] == "task-sent"]
            assert all(e["hostname"].startswith("gen") and set(e) > {"pid", "clock", "timestamp"} for e in sent)
            told[kind] = {e["uuid"]: {key: e[key] for key in TOLD} for e in sent}
            assert len(told[kind]) == len(sent) == (13 if settings.get("task_send_sent_event") else 0)
            assert w.stop() == 0
        site.redis.flushdb()
    assert seen["warren"] == seen["celery"]
    for kind, events in told.items():
        if events:
            # When it is to run differs by the moment.
            assert events["retry-here"].pop("eta") is not None, kind
    assert told["warren"] == told["celery"]


@pytest.mark.parametrize("ttl, expires", [(7, 33), (None, None)], ids=["set", "none"])
def test_the_queue_of_orders_is_as_the_application_says(site, ours, theirs, ttl, expires):
    env = {"PUBLISHED": json.dumps({"control_queue_ttl": ttl, "control_queue_expires": expires})}
    theirs("-Q", "work", env=env, app="published_app:app")
    ours("-A", "published_app", "-Q", "work", env=env)
    lines = site.rabbitmq.ctl("list_queues", "-q", "-p", site.vhost, "--no-table-headers", "name", "arguments").splitlines()
    arguments = dict(line.split("\t") for line in lines if ".pidbox" in line)
    assert arguments["ours@here.celery.pidbox"] == arguments["theirs@here.celery.pidbox"]
    assert ("33000" in arguments["ours@here.celery.pidbox"]) == (expires is not None)
