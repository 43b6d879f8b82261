"""
Routers that are code: the same application under `celery worker` and under `warren worker`. What follows a task must reach the same queues, in the
same form, and the routers must have been asked the same.
"""
import importlib
import json
import re
import shutil
import sys
import zlib

import harness
from harness import PYTHON, SLOW
from warren_servers import wait_until

SHOP = """
import json, os, re
import redis
from celery import Celery, chain, chord, group
from kombu import Exchange, Queue
app = Celery("shop", broker={broker!r}, backend={backend!r}, set_as_current=False)
store = redis.Redis.from_url({backend!r})

class Tenants:
    '''The old form: a class, without options.'''
    def route_for_task(self, name, args=None, kwargs=None):
        if kwargs and "tenant" in kwargs:
            return "tenant_%s" % kwargs["tenant"]

def by_value(name, args, kwargs, options, task=None, **more):
    if os.environ.get("IS_WORKER"):
        said = dict((key, getattr(value, "name", value)) for key, value in options.items() if value is not None)
        store.rpush("seen", json.dumps([name, list(args), kwargs, said, task.name if task is not None else None], sort_keys=True))
    if name in ("celery.starmap", "celery.map"):
        return dict(queue="maps", priority=1)
    if name == "shop.on_error":
        return dict(queue="failures", priority=2)
    if name != "shop.sink":
        return None
    first = args[0] if args else None
    if isinstance(first, list):
        return dict(queue="lists", priority=min(len(first), 9))
    if isinstance(first, int) and first >= 100:
        return dict(exchange="media", exchange_type="topic", routing_key="video.%d" % first)
    if first == 7:
        return dict(queue="topical")
    if first == 8:
        return dict(queue="even", priority=8, delivery_mode="transient", headers=dict(shelf="eight"), expiration=3600)
    if first == 9:
        return dict(queue="odd", delivery_mode=2, compression="gzip")
    if isinstance(first, int):
        return "even" if first % 2 == 0 else "odd"

app.conf.update(
    task_routes=("shop.Tenants", by_value, [(re.compile("(?i)SHOP.ROUTED"), dict(queue="by_pattern"))], dict([("shop.mapped", dict(queue="by_map", priority=4))])),
    task_queues=[Queue("celery", Exchange("celery"), "celery"), Queue("topical", Exchange("media", "topic"), "films.new")],
    task_queue_max_priority=None, worker_prefetch_multiplier=1, task_inherit_parent_priority={inherit!r})

@app.task
def give(value):
    return value
@app.task
def fail():
    raise ValueError("no")
@app.task
def sink(*args, **kwargs):
    pass
@app.task
def mapped(value):
    pass
@app.task
def routed(value):
    pass
@app.task(queue="own", priority=3)
def owned(value):
    pass
@app.task
def on_error(uuid):
    pass
"""

QUEUES = ["even", "odd", "lists", "topical", "failures", "maps", "by_pattern", "by_map", "own", "tenant_a", "tenant_b", "set", "videos"]


def start(s):
    """Everything that the worker has to send something for; how many messages that makes."""
    give, fail, sink, mapped, on_error = s["give"], s["fail"], s["sink"], s["mapped"], s["on_error"]
    chain, chord, group = s["chain"], s["chord"], s["group"]
    give.apply_async((2,), link=sink.s())                                      # even
    give.apply_async((3,), link=[sink.s("more"), sink.si(4), mapped.s()])      # odd, even, by_map
    give.apply_async((100,), link=sink.s())                                    # videos
    give.apply_async((7,), link=sink.s())                                      # topical
    give.apply_async((8,), link=sink.s().set(headers={"mine": "kept"}))        # even
    give.apply_async((8,), link=sink.s())                                      # even
    give.apply_async((9,), link=sink.s())                                      # odd
    give.apply_async((2,), link=sink.s().set(queue="set"))                     # set
    give.apply_async((8,), link=sink.s().set(queue="set", priority=2))         # set
    give.apply_async((1,), link=[s["owned"].s(), s["routed"].s()])             # own, by_pattern
    give.apply_async((1,), link=sink.s(tenant="a"), priority=5)                # tenant_a
    chain(give.s(1), give.si(6), sink.s(tenant="b")).apply_async()             # tenant_b
    chain(give.s([1, 2]), sink.s()).apply_async(priority=6)                    # lists
    chain(give.s(1), group(sink.s(), sink.si(12), mapped.s())).apply_async()   # odd, even, by_map
    chord([give.s(11), give.s(12)])(sink.s())                                  # lists
    chord([give.s(1), give.s(2), give.s(3)])(group(sink.s(), mapped.s()))      # lists, by_map
    chain(give.s(1), group(give.si(21), give.si(22)), sink.s()).apply_async()  # lists
    fail.apply_async(link_error=[on_error.s().set(queue="set"), on_error.s()]) # set, failures
    chord([give.s(1), fail.s()])(sink.s().on_error(on_error.s()))              # failures
    sink.chunks([(1,), (2,), (3,)], 2).apply_async()                           # 2 of maps
    return 28


def shown(queue, message):
    """Of a message what a router can have a say in."""
    headers, properties = message.headers, message.properties
    body = message.body if isinstance(message.body, bytes) else message.body.encode()
    packed = headers.get("compression")
    if packed:
        body = zlib.decompress(body)
    args, kwargs, _ = json.loads(body)
    text = json.dumps([args, kwargs], sort_keys=True)
    text = re.sub("[0-9a-f]{8}-[0-9a-f-]{27}", "ID", text)
    delivery = message.delivery_info
    return (queue, delivery["exchange"], delivery["routing_key"], headers["task"], text, properties.get("priority"),
            properties.get("delivery_mode"), properties.get("expiration"), packed, headers.get("shelf"), headers.get("mine"))


def run(site, programs, tmp_path, monkeypatch, kind, inherit):
    text = SHOP.format(broker=site.broker, backend=site.backend, inherit=inherit)
    (tmp_path / "shop.py").write_text(text)
    # Imported, for its dotted path; under no cached form of the one before.
    shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("shop", None)
    module = vars(importlib.import_module("shop"))
    site.apps.append(module["app"])
    argv = {"warren": [harness.WARREN, "worker", "-A", "shop", "-Q", "celery", "-c", "2"],
            "celery": [PYTHON, "-m", "celery", "-A", "shop", "worker", "-l", "info", "-Q", "celery", "-c", "2", "--without-gossip",
                       "--without-mingle", "--without-heartbeat"]}[kind]
    worker = programs(kind, argv, harness.environment(IS_WORKER="1"), str(tmp_path))
    worker.wait_line(r" ready\.")
    site.redis.delete("seen")
    expected = start(module)
    with site.raw_connection() as connection:
        channel = connection.channel()

        def count():
            return sum(channel.queue_declare(name, passive=True).message_count for name in QUEUES)
        wait_until(lambda: count() == expected, 30 * SLOW, lambda: "%d messages, there are %s:\n%s" % (
            expected, {name: channel.queue_declare(name, passive=True).message_count for name in QUEUES}, worker.output()[-3000:]))
        wait_until(lambda: site.counter("messages", "celery") == 0, 20 * SLOW, "the worker to be idle")
        found = []
        for name in QUEUES:
            while True:
                message = channel.basic_get(name, no_ack=True)
                if message is None:
                    break
                found.append(shown(name, message))
    seen = sorted(re.sub("[0-9a-f]{8}-[0-9a-f-]{27}", "ID", line.decode()) for line in site.redis.lrange("seen", 0, -1))
    worker.send_signal(15)
    assert worker.wait() == 0, worker.output()
    return sorted(found, key=repr), seen, worker


def declare(site):
    with site.raw_connection() as connection:
        channel = connection.channel()
        channel.exchange_declare("media", "topic", durable=True, auto_delete=False)
        for name in QUEUES:
            if name not in ("topical", "videos"):
                channel.exchange_declare(name, "direct", durable=True, auto_delete=False)
            channel.queue_declare(name, durable=True, auto_delete=False)
            channel.queue_bind(name, {"topical": "media", "videos": "media"}.get(name, name),
                               {"topical": "films.new", "videos": "video.*"}.get(name, name))


def test_what_follows_a_task_goes_where_celery_sends_it(site, programs, tmp_path, monkeypatch):
    declare(site)
    for inherit in (False, True):
        theirs, asked_theirs, _ = run(site, programs, tmp_path, monkeypatch, "celery", inherit)
        ours, asked_ours, worker = run(site, programs, tmp_path, monkeypatch, "warren", inherit)
        assert ours == theirs
        assert asked_ours == asked_theirs
        assert not worker.lines("shop sets task_routes")
