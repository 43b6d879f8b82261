"""What the Python runner answers when it is asked where messages go."""

import json

import pytest

from celery_child import celery_child
from worker import closing

APP = """
import re, sys, time
from celery import Celery
from kombu import Exchange, Queue
app = Celery("shop")

def by_value(name, args, kwargs, options, task=None, **more):
    first = args[0] if args else None
    if first == "raise":
        raise KeyError("no shelf for", name)
    if first == "exit":
        sys.exit("gone")
    if first == "slow":
        time.sleep(0.3)
    if isinstance(first, dict):
        return first
    if isinstance(first, str):
        return first
    if kwargs.get("tell"):
        return {"queue": "told", "headers": {"saw": [name, list(args), kwargs, sorted(k for k, v in options.items() if v is not None),
                                                    task is not None]}}

app.conf.task_routes = ROUTES
app.conf.task_queues = [Queue("celery"), Queue("topical", Exchange("media", "topic", delivery_mode=1), "films.new")]

@app.task
def sink(*args, **kwargs):
    pass
@app.task(queue="own", priority=3)
def owned(*args):
    pass
"""


@pytest.fixture
def child(tmp_path):
    def start(routes="(by_value,)"):
        (tmp_path / "shop.py").write_text(APP.replace("ROUTES", routes))
        return closing(celery_child("shop", cwd=tmp_path))
    return start


def call(*args, name="shop.sink", **more):
    return {"name": name, "args": list(args), "kwargs": {}, "options": {}, **more}


def ask(child, *calls, id="1"):
    child.send({"route": {"id": id, "calls": list(calls)}})
    routed = child.frame()["routed"]
    assert routed["id"] == id
    return routed


def route(child, *args, **more):
    answer, = ask(child, call(*args, **more))["routes"]
    return answer


@pytest.mark.parametrize("routes,wanted", [
    ("(by_value,)", True), ("'shop.by_value'", True), ("[{'a': 'b'}, by_value]", True), ("([(re.compile('(?i)A'), 'b')],)", True),
    ("{}", False), ("{'a': 'b'}", False), ("([('a.*', {'queue': 'b'}), (re.compile('a.c'), 'b')],)", False), ("None", False)])
def test_hello_says_whether_there_are_routers_to_be_asked(child, routes, wanted):
    with child(routes) as c:
        assert c.frame()["hello"].get("routes", False) is wanted


def test_what_a_route_leaves_open_is_filled_in_as_celery_does(child):
    with child() as c:
        c.frame()
        assert route(c) == {"exchange": "", "routing_key": "celery"}
        assert route(c, "plain") == {"exchange": "", "routing_key": "plain"}
        assert route(c, {"queue": "q", "priority": 0}) == {"exchange": "", "routing_key": "q", "priority": 0}
        assert route(c, "topical") == {"exchange": "media", "routing_key": "films.new", "delivery_mode": 1}
        assert route(c, {"queue": "topical", "routing_key": "films.old", "delivery_mode": "persistent"}) == {
            "exchange": "media", "routing_key": "films.old", "delivery_mode": 2}
        assert route(c, {"exchange": "x", "routing_key": "k", "expiration": 2, "compression": "zlib"}) == {
            "exchange": "x", "routing_key": "k", "expiration": 2.0, "compression": True}
        # What the signature says, and then what the task says, goes before the router.
        assert route(c, "plain", options={"queue": "set", "priority": 1}) == {"exchange": "", "routing_key": "set", "priority": 1}
        assert route(c, "plain", name="shop.owned") == {"exchange": "", "routing_key": "own", "priority": 3}
        assert route(c, "plain", name="shop.owned", priority=7)["priority"] == 7
        assert route(c, "plain", parent_priority=5)["priority"] == 5
        assert route(c, {"queue": "q", "priority": 2}, parent_priority=5)["priority"] == 2
        assert route(c, "plain", name="other.task") == {"exchange": "", "routing_key": "plain"}


def test_a_router_sees_the_call_as_in_celery(child):
    with child() as c:
        c.frame()
        options = {"queue": "set", "countdown": 5, "expires": 3, "shadow": "s", "task_id": "x", "mine": 1}
        answer = route(c, 1, kwargs={"tell": True}, options=options)
        assert answer["headers"]["saw"] == ["shop.sink", [1], {"tell": True}, ["mine", "queue", "serializer"], True]
        assert answer["routing_key"] == "set"
        assert route(c, 1, name="not.here", kwargs={"tell": True})["headers"]["saw"][4] is False
        # Those of the signature are in the message already.
        assert "headers" not in route(c, "plain", options={"headers": {"a": 1}})


@pytest.mark.parametrize("bad,type,text", [
    ("raise", "KeyError", "no shelf"), ("exit", "SystemExit", "gone"), ({"queue": "q", "priority": 256}, "ValueError", "256"),
    ({"queue": "q", "priority": "high"}, "ValueError", "high"), ({"exchange": "x"}, "ValueError", "neither a queue"),
    ({"queue": "q" * 256}, "ValueError", "cannot be the name"), ({"queue": "q", "delivery_mode": 5}, "ValueError", "no delivery mode"),
    ({"queue": "q", "headers": 5}, "TypeError", "")])
def test_what_cannot_be_routed_is_named_and_the_process_goes_on(child, bad, type, text):
    with child() as c:
        c.frame()
        routed = ask(c, call("plain"), call(bad), call("plain"))
        assert routed["at"] == 1 and "routes" not in routed
        assert routed["error"]["type"] == type and text in json.dumps(routed["error"]["message"])
        assert "_celery_routes.py" not in routed["error"]["traceback"]
        assert route(c, "plain") == {"exchange": "", "routing_key": "plain"}
        c.send_run("shop.sink", 1)
        assert c.frame()["done"]["result"] is None


def test_long_work_is_answered_in_parts(child):
    with child() as c:
        c.frame()
        c.send({"route": {"id": "9", "calls": [call("slow")] * 4 + [call("plain")]}})
        sizes = []
        while sum(sizes) < 5:
            routed = c.frame()["routed"]
            assert routed["id"] == "9"
            sizes.append(len(routed["routes"]))
        assert len(sizes) > 1 and sum(sizes) == 5
