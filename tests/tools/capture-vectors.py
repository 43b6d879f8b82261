#!/usr/bin/python3
"""Writes tests/vectors/task, result, reply, repr, control and event from what a real Celery client says (Debian: python3-celery).

No broker is needed: messages are taken where kombu hands them to its AMQP transport, results where the backend hands
them to its store. Ids, clock and host are fixed, so that a second run with the same Celery writes the same bytes.

    tests/tools/capture-vectors.py [DIR]        (DIR defaults to tests/vectors beside this script)
"""
import base64
import json
import os
import random
import sys
import uuid
from datetime import datetime, timedelta, timezone

import amqp
import billiard.einfo
import celery
import celery.app.amqp
import celery.events.dispatcher
import celery.events.event
import celery.worker.heartbeat
import celery.worker.request
import kombu
import kombu.pidbox
from celery import Celery, chain, chord, group
from celery.app.task import Context
from celery.backends import base as backends_base
from celery.events.dispatcher import EventDispatcher
from celery.exceptions import NotRegistered, Retry, SoftTimeLimitExceeded
from celery.utils.saferepr import saferepr
from kombu.transport.pyamqp import Channel
from kombu.utils.json import dumps
from kombu.utils.uuid import uuid as kombu_uuid

NOW = datetime(2026, 11, 21, 2, 56, 0, 651564, tzinfo=timezone.utc)
ids = 0


def next_uuid():
    global ids
    ids += 1
    return uuid.UUID(int=(0xC0FFEE00 << 96) | (4 << 76) | (8 << 60) | ids)


kombu_uuid.__defaults__ = (next_uuid,)


class FixedDatetime(datetime):
    @classmethod
    def utcnow(cls):
        return NOW.replace(tzinfo=None)


backends_base.datetime = FixedDatetime


class App(Celery):
    thread_oid = "5f0d5ad5-c0de-3000-8000-0123456789ab"

    def now(self):
        return NOW


NOW_S = NOW.timestamp()
celery.events.event.Event.__defaults__ = (None, dict, lambda: NOW_S)
celery.worker.heartbeat.load_average = lambda: (0.13, 0.15, 0.1)
celery.worker.request.time = lambda: NOW_S
kombu.pidbox.time = lambda: NOW_S
kombu.pidbox.uuid = kombu_uuid
kombu.pidbox.oid_from = lambda instance: "5f0d5ad5-c0de-3000-8000-0123456789ab"

# The sender's name would hold this process's id and host.
celery.app.amqp.anon_nodename = lambda: "gen13104@vm"


def make_app(**conf):
    app = App("t", broker="memory://", backend="cache+memory://", set_as_current=True)
    app.conf.update(task_publish_retry=False, **conf)

    @app.task(name="t.add")
    def add(x, y=0):
        return x + y

    @app.task(name="t.sum")
    def tsum(xs):
        return sum(xs)

    @app.task(name="t.failed")
    def failed(*args):
        return None

    return app, add, tsum, failed


# --- tasks ---------------------------------------------------------------------------------------------------------

captured = []


def hook_publish(self, body, priority, content_type, content_encoding, headers, properties, routing_key, mandatory,
                 immediate, exchange, declare, timeout=None):
    message = Channel.prepare_message(None, body, priority, content_type, content_encoding, headers, properties)
    captured.append((exchange, routing_key, message))


kombu.Producer._publish = hook_publish


def typed(value):
    """The AMQP field type that py-amqp chooses, and the value in JSON."""
    if value is None:
        return {"type": "V"}
    if isinstance(value, bool):
        return {"type": "t", "value": value}
    if isinstance(value, str):
        return {"type": "S", "value": value}
    if isinstance(value, int):
        return {"type": "I" if -2**31 <= value < 2**31 else "L", "value": value}
    if isinstance(value, float):
        return {"type": "d", "value": value}
    if isinstance(value, (list, tuple)):
        return {"type": "A", "value": [typed(v) for v in value]}
    if isinstance(value, dict):
        return {"type": "F", "value": [dict(key=k, **typed(v)) for k, v in value.items()]}
    raise TypeError(type(value))


def micros(text):
    if text is None:
        return None
    when = datetime.fromisoformat(text)
    if when.tzinfo is None:
        when = when.replace(tzinfo=timezone.utc)
    return (when - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1)


def expected(headers, body_text):
    """What a reader must find, said by Python's own reading of headers and body."""
    body = json.loads(body_text)
    if isinstance(body, dict):
        facts, embed, args, kwargs = body, body, body["args"], body["kwargs"]
    else:
        facts, (args, kwargs, embed) = headers, body
    limits = facts["timelimit"]
    e = {
        "protocol": 1 if facts is body else 2,
        "task": facts["task"], "id": facts["id"], "group": facts["group"], "group_index": facts["group_index"],
        "retries": facts["retries"], "eta": facts["eta"], "expires": facts["expires"],
        "eta_us": micros(facts["eta"]), "expires_us": micros(facts["expires"]),
        "time_limit": limits[0], "soft_time_limit": limits[1],
        "args": dumps(args), "kwargs": dumps(kwargs),
    }
    for key in ("root_id", "parent_id", "shadow", "origin", "argsrepr", "kwargsrepr", "ignore_result"):
        e[key] = facts.get(key)
    for key in ("callbacks", "errbacks", "chain", "chord"):
        e[key] = None if embed.get(key) is None else dumps(embed[key])
    for key in ("args", "kwargs", "callbacks", "errbacks", "chain", "chord"):
        assert e[key] is None or e[key] in body_text, (key, e[key], body_text)
    return e


def vector(call, exchange, routing_key, message):
    properties = dict(message.properties)
    headers = properties.pop("application_headers")
    raw = message.body.encode() if isinstance(message.body, str) else message.body
    text = kombu.compression.decompress(raw, headers["compression"]).decode() if "compression" in headers else raw.decode()
    return {
        "call": call, "exchange": exchange, "routing_key": routing_key, "properties": properties,
        "headers": typed(headers)["value"], "body": base64.b64encode(raw).decode(),
        "amqp_properties": base64.b64encode(message._serialize_properties()).decode(),
        "expect": expected(headers, text),
    }


def write(path, what):
    """One member a line, and one header a line, so that differences can be read."""
    def text(value):
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return "[\n" + ",\n".join("  " + json.dumps(v) for v in value) + "\n ]"
        return json.dumps(value)

    with open(path, "w") as f:
        f.write("{\n" + ",\n".join(f" {json.dumps(k)}: {text(v)}" for k, v in what.items()) + "\n}\n")


def task_calls():
    """name -> (settings, the call as text). The text is what runs and what the vector shows."""
    tz = "timezone(timedelta(hours=2))"
    return {
        "plain": ({}, "add.delay(2, 3)"),
        "no-args": ({}, "failed.delay()"),
        "kwargs": ({}, "add.apply_async((1,), {'y': 2.5})"),
        "types": ({}, "add.delay([None, True, False, 0, -1, 1.5, 1e22, 1e-7, 'it\\'s', {'a': [1, {'b': (2,)}]}])"),
        "unicode": ({}, "add.delay('\\u00fc\\u2028\\U0001f600 \\\\ \"q\" \\x00\\n\\t/', y={'\\u00e4': '\\ud800'})"),
        "nonfinite": ({}, "add.delay(float('nan'), y=[float('inf'), float('-inf')])"),
        "bigint": ({}, "add.delay(2**63, y=-2**70)"),
        "nested": ({}, "add.delay([[[[[1]]]]], y={'a': {'b': {'c': {'d': {}}}}})"),
        "long-args": ({}, "add.apply_async((list(range(1000)),), {'y': 'x' * 2000})"),
        "long-text": ({}, "add.delay('word ' * 500)"),
        "countdown": ({}, "add.apply_async((1, 2), countdown=60)"),
        "eta-offset": ({}, f"add.apply_async((1, 2), eta=datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo={tz}))"),
        "eta-naive": ({}, "add.apply_async((1, 2), eta=datetime(2030, 1, 2, 3, 4, 5))"),
        "expires": ({}, "add.apply_async((1, 2), expires=60)"),
        "expires-datetime": ({}, "add.apply_async((1, 2), expires=NOW + timedelta(milliseconds=29999))"),
        "priority": ({}, "add.apply_async((1, 2), priority=5)"),
        "transient": ({}, "add.apply_async((1, 2), delivery_mode=1)"),
        "queue": ({"task_default_queue": "jobs"}, "add.apply_async((1, 2))"),
        "time-limits": ({}, "add.apply_async((1, 2), time_limit=30, soft_time_limit=20.5)"),
        "ignore-result": ({}, "add.apply_async((1, 2), ignore_result=True)"),
        "shadow": ({}, "add.apply_async((1, 2), shadow='pretty.name')"),
        "own-id": ({}, "add.apply_async((1, 2), task_id='any text is an id')"),
        "retries": ({}, "add.apply_async((1, 2), retries=3, parent_id='p', root_id='r')"),
        "headers": ({}, "add.apply_async((1, 2), headers={'x-my': 'v', 'n': 2**40, 'f': 1.5, 'none': None, 'yes': True,"
                        " 'nested': {'a': [1, 'b', None]}})"),
        "link": ({}, "add.apply_async((1, 2), link=add.s(10), link_error=[failed.s(), failed.si(1)])"),
        "chain": ({}, "chain(add.s(1, 2), add.s(3), add.s(4)).apply_async()"),
        "chain-link-error": ({}, "chain(add.s(1, 2), add.s(3)).on_error(failed.s()).apply_async()"),
        "chain-of-groups": ({}, "chain(add.s(1, 2), group(add.s(3), add.s(4)), tsum.s()).apply_async()"),
        "group": ({}, "group(add.s(1, 2), add.s(3, 4)).apply_async()"),
        "chord": ({}, "chord([add.s(1, 2), add.s(3, 4)], tsum.s()).apply_async()"),
        "map": ({}, "tsum.map([[1, 2], [3]]).apply_async()"),
        "zlib": ({}, "add.apply_async((1, 2), compression='zlib')"),
        "gzip": ({}, "add.apply_async(('x' * 5000,), compression='gzip')"),
        "v1-plain": ({"task_protocol": 1}, "add.delay(2, 3)"),
        "v1-all": ({"task_protocol": 1},
                   "add.apply_async(('\\u00fc',), {'y': None}, countdown=60, expires=NOW + timedelta(hours=1), time_limit=30,"
                   " soft_time_limit=20, link=add.s(1), link_error=failed.s(), priority=3)"),
        "v1-group": ({"task_protocol": 1}, "group(add.s(1, 2), add.s(3, 4)).apply_async()"),
        "v1-zlib": ({"task_protocol": 1}, "add.apply_async((1, 2), compression='zlib')"),
    }


def capture_tasks(folder):
    global ids
    for name, (conf, call) in task_calls().items():
        ids = 0
        captured.clear()
        app, add, tsum, failed = make_app(**conf)
        scope = dict(globals(), add=add, tsum=tsum, failed=failed)
        eval(call, scope)  # the calls stand above, nothing comes from outside
        assert captured, name
        for i, message in enumerate(captured):
            suffix = f"-{i}" if len(captured) > 1 else ""
            write(os.path.join(folder, f"{name}{suffix}.json"), vector(call, *message))


# --- results -------------------------------------------------------------------------------------------------------

class OutOfPaper(Exception):
    class Inner(Exception):
        pass


def raised(exc):
    try:
        raise exc
    except type(exc) as e:
        return e


def capture_results(folder):
    traceback = 'Traceback (most recent call last):\n  File "t.py", line 3, in add\nValueError: b\u00e4d "input"\n'
    app = make_app()[0]
    request = Context(id="U1", task="t.add", args=[1, 2], kwargs={"y": "\u00fc"}, hostname="w1@vm", retries=2, root_id="R1",
                      parent_id="P1", group="G1", delivery_info={"routing_key": "jobs", "exchange": ""},
                      _children=[app.AsyncResult("C1"), app.GroupResult("G2", [app.AsyncResult("C2"), app.AsyncResult("C3")])])
    bare = Context(id="U1", task="t.add", args=[], kwargs={}, children=[])
    calls = {
        "success": lambda b: b.mark_as_done("U1", 5, request=bare),
        "success-null": lambda b: b.mark_as_done("U1", None, request=bare),
        "success-no-request": lambda b: b.mark_as_done("U1", True),
        "success-types": lambda b: b.mark_as_done("U1", ["\u00fc\U0001f600\n", 2**70, float("nan"), {"a": [1.5, 1e22]}, ()], request=bare),
        "success-family": lambda b: b.mark_as_done("U1", 3, request=request),
        "failure": lambda b: b.mark_as_failure("U1", raised(ValueError("b\u00e4d \"input\"")), traceback=traceback, request=bare),
        "failure-key": lambda b: b.mark_as_failure("U1", KeyError("boom", 3, None), traceback=None, request=bare),
        "failure-no-args": lambda b: b.mark_as_failure("U1", SoftTimeLimitExceeded(), traceback=None, request=bare),
        "failure-own": lambda b: b.mark_as_failure("U1", OutOfPaper.Inner("tray 2"), traceback=None, request=bare),
        "failure-unserializable": lambda b: b.mark_as_failure("U1", TypeError(ValueError("inner")), traceback=None, request=bare),
        "failure-unregistered": lambda b: b.mark_as_failure("U1", NotRegistered("no.such"), traceback=None, request=bare),
        "retry": lambda b: b.mark_as_retry("U1", raised(OSError(111, "refused")), traceback=traceback, request=bare),
        "retry-no-cause": lambda b: b.mark_as_retry("U1", None, traceback="", request=bare),
        "revoked": lambda b: b.mark_as_revoked("U1", "terminated", request=bare),
        "started": lambda b: b.mark_as_started("U1", pid=13860, hostname="w1@vm"),
        "progress": lambda b: b.store_result("U1", {"current": 3, "total": 10}, "PROGRESS", request=bare),
        "custom": lambda b: b.store_result("U1", [1, None], "UPLOADING"),
        "extended": lambda b: b.mark_as_done("U1", 3, request=request),
        "extended-failure": lambda b: b.mark_as_failure("U1", ZeroDivisionError("division by zero"), traceback=traceback, request=request),
    }
    for name, call in calls.items():
        app = make_app(result_extended=name.startswith("extended"))[0]
        backend = app.backend
        backend.delete(backend.get_key_for_task("U1"))
        call(backend)
        stored = backend.get(backend.get_key_for_task("U1"))
        stored = stored.decode() if isinstance(stored, bytes) else stored
        meta = json.loads(stored)
        write(os.path.join(folder, f"{name}.json"),
              {"key": backend.get_key_for_task("U1").decode(), "stored": stored, "state": meta["status"],
               "value": dumps(meta["result"]), "date_done_us": micros(meta["date_done"]),
               "error_text": error_text(meta)})


def error_text(meta):
    """What Python prints for the error, on one line."""
    if meta["status"] not in ("FAILURE", "RETRY", "REVOKED") or meta["result"] is None:
        return None
    kind = KeyError if meta["result"]["exc_type"] == "KeyError" else Exception
    text = str(kind(*meta["result"]["exc_message"]))
    return meta["result"]["exc_type"] + (": " + text if text else "")


def reply_calls():
    """name -> (settings, the call on the rpc:// backend as text)."""
    return {
        "started": ({}, "b.store_result('U1', {'pid': 13860, 'hostname': 'w1@vm'}, 'STARTED', request=bare)"),
        "progress": ({}, "b.store_result('U1', {'current': 3, 'total': 10}, 'PROGRESS', request=bare)"),
        "success": ({}, "b.mark_as_done('U1', 5, request=bare)"),
        "success-family": ({}, "b.mark_as_done('U1', ['\u00fc\U0001f600\\n', None, 1.5], request=family)"),
        "success-persistent": ({"result_persistent": True}, "b.mark_as_done('U1', 5, request=bare)"),
        "success-extended": ({"result_extended": True}, "b.mark_as_done('U1', 5, request=family)"),
        "failure": ({}, "b.mark_as_failure('U1', KeyError('boom', 3, None), traceback=traceback, request=bare)"),
        "retry": ({}, "b.mark_as_retry('U1', OSError(111, 'refused'), traceback=traceback, request=bare)"),
        "revoked": ({}, "b.mark_as_revoked('U1', 'terminated', request=bare)"),
        "own-correlation": ({}, "b.mark_as_done('U1', 5, request=own)"),
    }


def capture_replies(folder):
    """What the rpc:// backend publishes: states as messages to the queue that reply_to names."""
    for name, (conf, call) in reply_calls().items():
        captured.clear()
        app = make_app(**conf)[0]
        app.backend_cls = "rpc://"
        common = {"id": "U1", "task": "t.add", "args": [1, 2], "kwargs": {}, "hostname": "w1@vm", "reply_to": "Q1", "correlation_id": "U1"}
        scope = {"b": app.backend, "traceback": 'Traceback (most recent call last):\n  File "t.py", line 3\n', "bare": Context(common),
                 "family": Context(common, root_id="R1", parent_id="P1", group="G1", _children=[app.AsyncResult("C1")]),
                 "own": Context(common, correlation_id="my-own-1")}
        eval(call, dict(globals(), **scope))
        [(exchange, key, message)] = captured
        raw = message_vector(call, exchange, key, message)
        meta = json.loads(raw["text"])
        write(os.path.join(folder, f"{name}.json"), dict(
            raw, persistent=bool(conf.get("result_persistent")), task_id=meta["task_id"], state=meta["status"],
            value=dumps(meta["result"]), traceback=meta["traceback"], children=dumps(meta["children"])))


# --- repr ----------------------------------------------------------------------------------------------------------

def random_value(rng, depth):
    kind = rng.choice("lllddsssifnb" if depth else "ssifnb")
    if kind == "l":
        return [random_value(rng, depth - 1) for _ in range(rng.randrange(5))]
    if kind == "d":
        return {random_text(rng): random_value(rng, depth - 1) for _ in range(rng.randrange(4))}
    if kind == "s":
        return random_text(rng)
    if kind == "i":
        return rng.choice([0, 7, -12345, 2**63, -10**30])
    if kind == "f":
        return rng.choice([0.1, -0.0, 1e22, 2.5e-7, 1e16, 123456.789, float("nan"), float("inf"), float("-inf")])
    return None if kind == "n" else rng.random() < 0.5


def random_text(rng):
    return "".join(rng.choice(["a", "b ", " ", "'", '"', "\\", "\n", "\u00fc", "\u20ac", "\U0001f600", "/", "\x00"])
                   for _ in range(rng.randrange(12)))


def capture_reprs(folder):
    """JSON and the text Celery shows for it, at limits that cut it in every place."""
    rng = random.Random(20261121)
    with open(os.path.join(folder, "repr.jsonl"), "w") as f:
        for i in range(600):
            value, limit = random_value(rng, 5), rng.choice([1, 2, 5, 10, 20, 40, 80, 1024])
            line = {"json": dumps(value), "max": limit, "repr": saferepr(value, limit)}
            if isinstance(value, list):
                line["args"] = saferepr(tuple(value), 1024)
            f.write(json.dumps(line) + "\n")


# --- remote control and events --------------------------------------------------------------------------------------

def message_vector(call, exchange, routing_key, message):
    properties = dict(message.properties)
    headers = properties.pop("application_headers")
    body = message.body if isinstance(message.body, str) else message.body.decode()
    return {
        "call": call, "exchange": exchange, "routing_key": routing_key, "properties": properties,
        "headers": typed(headers)["value"], "body": base64.b64encode(body.encode()).decode(), "text": body,
    }


def control_calls():
    return {
        "ping": "c.ping()",
        "ping-destination": "c.ping(destination=['w1@vm', 'w2@vm'], timeout=2)",
        "inspect-active": "c.inspect().active(safe=True)",
        "inspect-registered": "c.inspect(destination=['w1@vm']).registered('rate_limit')",
        "inspect-query": "c.inspect().query_task('U1', 'U2')",
        "inspect-conf": "c.inspect().conf(with_defaults=True)",
        "inspect-pattern": "c.inspect(pattern='w*@vm', matcher='glob').stats()",
        "hello": "c.inspect().hello('w1@vm', revoked={'U1': [1394.212, 'U1']})",
        "revoke": "c.revoke('U1')",
        "revoke-list": "c.revoke(['U1', 'U2'], terminate=True, signal='SIGKILL', reply=True)",
        "rate-limit": "c.rate_limit('t.add', '10/m', reply=True)",
        "time-limit": "c.time_limit('t.add', soft=1, hard=2.5, reply=True)",
        "add-consumer": "c.add_consumer('q2', exchange='x', routing_key='k', reply=True)",
        "pool-grow": "c.pool_grow(2, reply=True)",
        "enable-events": "c.enable_events()",
        "broadcast-pcre": "c.broadcast('heartbeat', pattern='w[12]@', matcher='pcre')",
        "unicode": "c.broadcast('nosuch', arguments={'\\u00fc \"q\"': ['\\U0001f600', None, True]}, reply=True)",
    }


def capture_control(folder):
    global ids
    kombu.pidbox.Mailbox._collect = lambda self, ticket, **kwargs: []
    for name, call in control_calls().items():
        ids = 0
        captured.clear()
        app = make_app()[0]
        eval(call, {"c": app.control})
        [(exchange, key, message)] = captured
        write(os.path.join(folder, f"request-{name}.json"),
              dict(message_vector(call, exchange, key, message), expect=json.loads(message.body)))
    replies = {
        "ok": {"ok": "pong"},
        "null": None,
        "error": {"error": "KeyError('nosuch')"},
        "list": [{"id": "U1", "name": "t.\u00fc", "time_start": 1795229886.213631, "worker_pid": None}],
    }
    for name, value in replies.items():
        captured.clear()
        app = make_app()[0]
        node = app.control.mailbox(app.connection()).Node("w1@vm")
        node.reply({"w1@vm": value}, "reply.celery.pidbox", "K1", "T1")
        [(exchange, key, message)] = captured
        write(os.path.join(folder, f"reply-{name}.json"),
              dict(message_vector(f"node.reply({value!r})", exchange, key, message), value=dumps(value)))


class NoTimer:
    def call_repeatedly(self, *args):
        return self

    def cancel(self, tref):
        pass


def worker_request(app, eventer, **headers):
    """A task as Celery's worker holds it."""
    captured.clear()
    app.tasks["t.add"].apply_async((2,), {"y": "\u00fc"}, **headers)
    _, _, sent = captured.pop()
    properties = dict(sent.properties)
    message = kombu.Message(sent.body, headers=properties.pop("application_headers"), properties=properties, channel=None,
                            content_type="application/json", content_encoding="utf-8",
                            delivery_info={"exchange": "", "routing_key": "celery", "redelivered": False})
    return celery.worker.request.Request(message, app=app, hostname="w1@vm", eventer=eventer, task=app.tasks["t.add"])


def send_received(eventer, req):
    """As celery.worker.strategy.default says it."""
    eventer.send("task-received", uuid=req.id, name=req.name, args=req.argsrepr, kwargs=req.kwargsrepr, root_id=req.root_id,
                 parent_id=req.parent_id, retries=req.request_dict.get("retries", 0), eta=req.eta and req.eta.isoformat(),
                 expires=req.expires and req.expires.isoformat())


def einfo(exc):
    try:
        raise exc
    except type(exc):
        info = billiard.einfo.ExceptionInfo()
    info.exception = exc  # as it is once it has come back from the pool
    info.traceback = "Traceback (most recent call last):\n  ...\n"
    return info


def event_calls(app, eventer):
    heart = celery.worker.heartbeat.Heart(NoTimer(), eventer)
    heart.eventer.on_enabled.clear()

    def revoked(*args):
        worker_request(app, eventer)._announce_revoked(*args)

    def whole_life():
        req = worker_request(app, eventer)
        send_received(eventer, req)
        req.on_accepted(13859, 0)
        req.on_success((False, "5", 0.003882176000161053))
        eventer.flush()

    return {
        "worker-online": lambda: heart._send("worker-online"),
        "worker-heartbeat": lambda: heart._send("worker-heartbeat"),
        "worker-offline": lambda: heart._send("worker-offline"),
        "task-received": lambda: send_received(eventer, worker_request(app, eventer)),
        "task-received-eta": lambda: send_received(eventer, worker_request(
            app, eventer, eta=datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone.utc), expires=datetime(2031, 1, 2, tzinfo=timezone.utc), retries=2)),
        "task-started": lambda: worker_request(app, eventer).on_accepted(13859, 0),
        "task-succeeded": lambda: worker_request(app, eventer).on_success((False, "'\u00fc'", 0.003882176000161053)),
        "task-failed": lambda: worker_request(app, eventer).on_failure(einfo(KeyError("boom")), return_ok=True),
        "task-retried": lambda: worker_request(app, eventer).on_retry(einfo(Retry("later", ValueError("again 1"), 0.2))),
        "task-revoked": lambda: revoked("revoked", False, None, False),
        "task-revoked-expired": lambda: revoked("expired", False, None, True),
        "task-revoked-terminated": lambda: revoked("terminated", True, 9, False),
        "task-rejected": lambda: worker_request(app, eventer).reject(requeue=True),
        "task-multi": whole_life,
    }


def capture_events(folder):
    global ids
    app = make_app()[0]
    for name in event_calls(app, EventDispatcher(app.connection(), app=app)):
        ids = 0
        app = make_app()[0]
        buffered = {"task"} if name == "task-multi" else None
        eventer = EventDispatcher(app.connection(), hostname="w1@vm", app=app, buffer_group=buffered)
        eventer.pid = 13856
        call = event_calls(app, eventer)[name]
        captured.clear()
        call()
        exchange, key, message = captured[-1]
        write(os.path.join(folder, f"{name}.json"), dict(message_vector(name, exchange, key, message), events=as_list(message.body)))
    capture_task_sent(folder)


def as_list(body):
    """Each event as the text it is within the body."""
    value = json.loads(body)
    events = value if isinstance(value, list) else [value]
    texts = [dumps(e) for e in events]
    assert all(t in body for t in texts), body
    return texts


def capture_task_sent(folder):
    global ids
    ids = 0
    captured.clear()
    app, add, _, _ = make_app(task_send_sent_event=True)

    class Named(EventDispatcher):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.hostname, self.pid = "gen18213@vm", 18213
            self.headers = {"hostname": self.hostname}

    app.amqp._event_dispatcher = Named(app.connection(), app=app)
    add.delay(2, 3)
    [(exchange, key, message)] = [c for c in captured if c[0] == "celeryev"]
    write(os.path.join(folder, "task-sent.json"),
          dict(message_vector("add.delay(2, 3)", exchange, key, message), events=as_list(message.body)))


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "vectors")
    for name, capture in (("task", capture_tasks), ("result", capture_results), ("reply", capture_replies), ("repr", capture_reprs),
                          ("control", capture_control), ("event", capture_events)):
        folder = os.path.join(root, name)
        os.makedirs(folder, exist_ok=True)
        for old in os.listdir(folder):
            os.unlink(os.path.join(folder, old))
        capture(folder)
    print(f"captured with celery {celery.__version__}, kombu {kombu.__version__}, py-amqp {amqp.__version__}")


if __name__ == "__main__":
    main()
