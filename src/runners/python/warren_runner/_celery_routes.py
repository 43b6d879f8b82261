"""Where the routers of a Celery application want what its worker publishes: the answers to route frames.

    route frame -> options of the signature, its task's, a router's -> exchange and key -> routed frame

What Celery does between apply_async and the message is done here too, and by its own router as far as it has one: a router sees the
name, arguments and options that it would see in Celery's worker, and what it leaves open is filled in the same way.
"""

import inspect
import sys
from time import monotonic

from celery import Celery
from kombu.entity import Exchange

from ._codec import encode
from ._loop import error_fields, format_traceback

# The worker hears from a long list at least so often, and need not take it for stuck.
_FLUSH_S = 0.5
# What send_task takes for itself, so that no router sees it.
_OWN = frozenset(inspect.signature(Celery.send_task).parameters) | {"ignore_result", "route_name"}
_GZIP = ("gzip", "zlib", "application/x-gzip")
_DELIVERY_MODES = {"transient": 1, "persistent": 2, 1: 1, 2: 2}


class Routes:
    def __init__(self, app):
        self._app = app

    def frames(self, id, calls):
        """Routed frames that answer all calls, or say which of them cannot be routed and why."""
        id = encode(id)
        found, since = [], monotonic()
        for place, call in enumerate(calls):
            try:
                found.append(encode(self.route(call)))
            except BaseException as exc:  # SystemExit and its like are the router's mistake, not the end of this process
                text = format_traceback(exc)
                print(text, end="", file=sys.stderr, flush=True)
                yield f'{{"routed":{{"id":{id},"at":{place},"error":{error_fields(exc, text)}}}}}'
                return
            if monotonic() - since > _FLUSH_S:
                yield f'{{"routed":{{"id":{id},"routes":[{",".join(found)}]}}}}'
                found, since = [], monotonic()
        if found:
            yield f'{{"routed":{{"id":{id},"routes":[{",".join(found)}]}}}}'

    def route(self, call):
        """One call as the worker tells of it, and where Celery would send it."""
        app, name = self._app, call["name"]
        task = app.tasks.get(name)
        options = {key: value for key, value in call["options"].items() if value is not None and key not in _OWN}
        if call.get("priority") is not None:
            options["priority"] = call["priority"]
        if task is not None:
            own = {key: value for key, value in task._get_exec_options().items() if key not in _OWN}
            options = {**own, **options}
        headers = options.get("headers")
        options = app.amqp.router.route(options, name, tuple(call["args"]), call["kwargs"], task)
        if call.get("parent_priority") is not None:
            options.setdefault("priority", call["parent_priority"])
        exchange, routing_key, delivery_mode = self._address(**options)
        answer = {"exchange": exchange, "routing_key": routing_key}
        if options.get("priority") is not None:
            answer["priority"] = _priority(options["priority"])
        if delivery_mode is not None:
            answer["delivery_mode"] = _delivery_mode(delivery_mode)
        if options.get("headers") and options["headers"] != headers:
            answer["headers"] = dict(options["headers"])
        if options.get("expiration") is not None:
            answer["expiration"] = float(options["expiration"])
        if options.get("compression") in _GZIP:
            answer["compression"] = True
        return answer

    def _address(self, exchange=None, routing_key=None, queue=None, exchange_type=None, delivery_mode=None, **_):
        """As amqp.send_task_message finds it."""
        amqp, conf = self._app.amqp, self._app.conf
        if queue is None and exchange is None:
            queue = amqp.default_queue
        if isinstance(queue, str):
            queue = amqp.queues[queue]
        of_queue = getattr(queue, "exchange", None)
        if delivery_mode is None:
            delivery_mode = getattr(of_queue, "delivery_mode", None)
        if exchange_type is None:
            exchange_type = getattr(of_queue, "type", "direct")
        if (not exchange or not routing_key) and exchange_type == "direct":
            exchange, routing_key = "", getattr(queue, "name", None)
        elif exchange is None:
            exchange = of_queue.name or amqp.default_exchange
            routing_key = routing_key or queue.routing_key or conf.task_default_routing_key
        if isinstance(exchange, Exchange):
            exchange = exchange.name
        exchange, routing_key = _name("exchange", exchange or ""), _name("routing key", routing_key or "")
        if not exchange and not routing_key:
            raise ValueError("the route names neither a queue nor an exchange with a routing key")
        return exchange, routing_key, delivery_mode


def _name(what, value):
    if not isinstance(value, str) or len(value.encode()) > 255:
        raise ValueError(f"{value!r} cannot be the name of a queue, an exchange or a routing key ({what})")
    return value


def _priority(value):
    if not isinstance(value, int) or not 0 <= value <= 255:
        raise ValueError(f"{value!r} is no priority: they are 0 to 255")
    return int(value)


def _delivery_mode(value):
    try:
        return _DELIVERY_MODES[value]
    except (KeyError, TypeError):
        raise ValueError(f"{value!r} is no delivery mode: they are 'transient' and 'persistent', or 1 and 2") from None
