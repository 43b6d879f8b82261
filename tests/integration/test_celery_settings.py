"""Settings of a Celery application that it has under `celery worker` as under `warren worker`: each test runs the same application under both."""
import json

import pytest

import harness
from harness import wait_final, wait_state
from warren_servers import wait_until

HEAD = """
import os, redis
from celery import Celery, chain, chord, group
app = Celery("shop", broker={broker!r}, backend={backend!r})
store = redis.Redis.from_url({backend!r})
def wait_for(key):
    store.blpop(key, timeout=60)
"""


@pytest.fixture
def begin(tmp_path, programs, worker):
    """Starts a worker of either kind on shop.py."""
    def start(kind, node, *args):
        if kind == "warren":
            return worker("-A", "shop", "-n", node, *args, env={"WARREN_BROKER": "", "WARREN_RESULT_BACKEND": ""}, cwd=str(tmp_path))
        argv = [harness.PYTHON, "-m", "celery", "-A", "shop", "worker", "-l", "info", "-n", node, "--without-gossip", "--without-mingle",
                "--without-heartbeat", *args]
        started = programs("celery", argv, harness.environment(), str(tmp_path))
        started.wait_line(r" ready\.$")
        return started
    return start


@pytest.fixture(params=["celery", "warren"])
def shop(request, site, tmp_path, begin):
    """Writes an application, starts a worker of this kind on it, and gives the application as a client has it: shop(SOURCE, *args)."""
    def start(source, *args):
        text = HEAD.format(broker=site.broker, backend=site.backend) + source
        (tmp_path / "shop.py").write_text(text)
        start.worker = begin(request.param, "w@here", *args)
        start.module = {"__name__": "shop"}
        exec(compile(text, "shop.py", "exec"), start.module)
        site.apps.append(start.module["app"])
        start.is_ours = request.param == "warren"
        return start.module["app"]
    return start


def notes_of(shop):
    """What the worker says it does not honour."""
    return shop.worker.lines("shop sets ")


QUIET = """
app.conf.update(task_track_started=False)
@app.task(track_started=True, send_events=False)
def tracked():
    wait_for("go")
@app.task
def untracked():
    store.rpush("untracked runs", 1)
    wait_for("go")
@app.task
def loud():
    pass
"""


def test_started_and_events_of_one_task(site, shop):
    app = shop(QUIET, "-E", "-c", "3")
    with site.raw_connection() as connection:
        channel = connection.channel()
        heard = channel.queue_declare("heard", durable=False, exclusive=True).queue
        channel.exchange_declare("celeryev", "topic", durable=True, auto_delete=False)
        channel.queue_bind(heard, "celeryev", "task.#")
        untracked = app.send_task("shop.untracked")
        assert site.redis.blpop("untracked runs", timeout=20)
        tracked = app.send_task("shop.tracked")
        wait_state(tracked, "STARTED")
        # It began before.
        assert untracked.state == "PENDING"
        site.redis.rpush("go", 1, 1)
        wait_final([tracked, untracked])
        loud = app.send_task("shop.loud")
        told = {}

        def hear():
            message = channel.basic_get(heard, no_ack=True)
            while message is not None:
                events = json.loads(message.body)
                for event in events if isinstance(events, list) else [events]:
                    told.setdefault(event["uuid"], []).append(event["type"])
                message = channel.basic_get(heard, no_ack=True)
            return "task-succeeded" in told.get(loud.id, ())
        wait_until(hear, 20, lambda: "events: %r" % told)
        assert tracked.id not in told and told[untracked.id] == told[loud.id] == ["task-received", "task-started", "task-succeeded"]
    assert not notes_of(shop)


PRIORITIES = """
from kombu import Queue
app.conf.update(task_queues=[Queue("celery", max_priority=10), Queue("other", max_priority=10)],
                task_routes={"shop.routed": {"queue": "other", "priority": 6}}, %s)
def tell(self, tag):
    store.hset("told", tag, self.request.delivery_info["priority"] or 0)
@app.task(bind=True)
def step(self, *args, tag, sends=False):
    tell(self, tag)
    if sends:
        step.apply_async(kwargs={"tag": tag + " sub"})
        owned.apply_async(kwargs={"tag": tag + " sub owned"})
        routed.apply_async(kwargs={"tag": tag + " sub routed"})
        app.send_task("shop.step", kwargs={"tag": tag + " sub by name"})
    return 1
@app.task(bind=True, priority=2)
def owned(self, *args, tag):
    tell(self, tag)
@app.task(bind=True)
def routed(self, *args, tag):
    tell(self, tag)
@app.task(bind=True)
def again(self, tag):
    tell(self, tag + " %%d" %% self.request.retries)
    if self.request.retries == 0:
        self.retry(countdown=0)
@app.task(bind=True)
def bad(self):
    raise ValueError("bad")
@app.task(bind=True)
def becomes(self, tag):
    self.replace(step.si(tag=tag))
def send():
    step.apply_async(kwargs={"tag": "first", "sends": True}, priority=7)
    step.apply_async(kwargs={"tag": "linked"}, priority=7, link=[
        step.s(tag="link"), step.s(tag="link own").set(priority=1), owned.s(tag="link owned"), routed.s(tag="link routed"),
        step.s(tag="link elsewhere").set(queue="other"), routed.s(tag="link routed elsewhere").set(queue="celery"),
        group(step.s(tag="link member"), owned.s(tag="link owned member"))])
    chain(step.s(tag="c1"), step.s(tag="c2"), step.s(tag="c3").set(priority=1), owned.s(tag="c4")).apply_async(priority=7)
    members = [step.s(tag="h").set(priority=7)]
    chord(members, step.s(tag="body")).apply_async()
    chord(members, step.s(tag="body own").set(priority=1)).apply_async()
    chord(members, owned.s(tag="body owned")).apply_async()
    chord(members, routed.s(tag="body routed")).apply_async()
    chord(members, step.s(tag="body elsewhere").set(queue="other")).apply_async()
    chord(members, routed.s(tag="body routed elsewhere").set(queue="celery")).apply_async()
    chain(step.s(tag="k1"), group(step.s(tag="k2a"), step.s(tag="k2b")), step.s(tag="k3")).apply_async(priority=7)
    again.apply_async(kwargs={"tag": "again"}, priority=7)
    bad.apply_async(priority=7, link_error=[step.si(tag="errlink")])
    becomes.apply_async(kwargs={"tag": "became"}, priority=7)
    step.apply_async(kwargs={"tag": "plain"}, link=[step.s(tag="plain link"), owned.s(tag="plain owned")])
"""
SAID = {"first": 7, "linked": 7, "c1": 7, "h": 7, "k1": 7, "again 0": 7, "again 1": 7, "body own": 1, "body owned": 2, "first sub owned": 2}


@pytest.mark.parametrize("settings, expected", [
    ("task_inherit_parent_priority=True", {
        "first sub": 7, "first sub routed": 6, "first sub by name": 7, "link": 7, "link own": 7, "link owned": 7, "link routed": 7,
        "link member": 7, "link owned member": 7, "c2": 7, "c3": 7, "c4": 7, "body": 7, "body routed": 6, "k2a": 7, "k2b": 7, "k3": 7,
        "errlink": 0, "became": 7, "plain": 0, "plain link": 0, "plain owned": 0, "link elsewhere": 7, "link routed elsewhere": 7,
        "body elsewhere": 0, "body routed elsewhere": 6}),
    ("task_default_priority=4", {
        "first sub": 4, "first sub routed": 4, "first sub by name": 0, "link": 4, "link own": 1, "link owned": 2, "link routed": 4,
        "link member": 4, "link owned member": 2, "c2": 4, "c3": 1, "c4": 2, "body": 4, "body routed": 4, "k2a": 4, "k2b": 4,
        "errlink": 4, "became": 4, "plain": 4, "plain link": 4, "plain owned": 2, "link elsewhere": 4, "link routed elsewhere": 4,
        "body elsewhere": 4, "body routed elsewhere": 4}),
    ("", {
        "first sub": 0, "first sub routed": 6, "first sub by name": 0, "link": 0, "link own": 1, "link owned": 2, "link routed": 6,
        "link member": 0, "link owned member": 2, "c2": 0, "c3": 1, "c4": 2, "body": 0, "body routed": 6, "k2a": 0, "k2b": 0,
        "errlink": 0, "became": 0, "plain": 0, "plain link": 0, "plain owned": 2, "link elsewhere": 0, "link routed elsewhere": 6,
        "body elsewhere": 0, "body routed elsewhere": 6}),
])
def test_priorities(site, shop, settings, expected):
    shop(PRIORITIES % settings, "-c", "2", "-Q", "celery,other")
    shop.module["send"]()
    wanted = {**SAID, **expected}

    def told():
        found = {tag.decode(): int(priority) for tag, priority in site.redis.hgetall("told").items()}
        # With a default Celery forgets it for the body of a chord that a group in a chain has become.
        return {tag: found[tag] for tag in found if tag in wanted or tag != "k3"}
    wait_until(lambda: len(told()) == len(wanted), 30, lambda: "priorities: %r" % told())
    assert told() == wanted
    assert not notes_of(shop)


EXCHANGES = """
app.conf.update(control_exchange="shop", event_exchange="shop-events")
@app.task
def work():
    pass
"""


def test_exchanges_of_control_and_events(site, shop, warren, programs):
    """Celery's client and ours reach the worker by the names that the application gives, and nobody does by Celery's usual ones."""
    app = shop(EXCHANGES, "-E", "-c", "1")
    names = {"WARREN_CONTROL_EXCHANGE": "shop", "WARREN_EVENT_EXCHANGE": "shop-events"}
    assert app.control.inspect(["w@here"], timeout=10).ping() == {"w@here": {"ok": "pong"}}
    assert "w@here" in warren("inspect", "ping", "-d", "w@here", "-t", "10s", env=names).stdout
    warren("inspect", "ping", "-t", "300ms", code=1)
    events = programs("events", [harness.WARREN, "events"], site.env(**names))
    wait_until(lambda: any(name.startswith("celeryev.") for name in site.queues()), 10, "the listener's queue")
    assert app.send_task("shop.work").get(timeout=20) is None
    events.wait_line(r"task-succeeded w@here shop\.work")
    assert not notes_of(shop)


UNORDERED = """
app.conf.result_backend_transport_options = {"result_chord_ordered": False}
@app.task
def same(n):
    return n
@app.task
def fails():
    raise ValueError("bad")
"""


@pytest.mark.parametrize("shop", ["celery"], indirect=True)
def test_chords_without_order(site, shop, begin):
    """Celery counts in a list then; wherever the members of one chord fall, each counts once."""
    app = shop(UNORDERED, "-Q", "theirs", "-c", "1")
    ours = begin("warren", "ours@here", "-Q", "ours,bodies", "-c", "2")
    same, fails, chord = (shop.module[name] for name in ("same", "fails", "chord"))

    def chord_of(name, *members):
        site.redis.set("celery-taskset-meta-%s.s" % name, len(members))
        body = same.s().set(task_id=name + "-body", queue="bodies")
        for i, (queue, n, times) in enumerate(members):
            for _ in range(times):
                same.apply_async((n,), task_id="%s-%d" % (name, i), group_id=name, group_index=i, chord=body, queue=queue)
            # One after the other, so that it is known who begins and who is last.
            wait_final([app.AsyncResult("%s-%d" % (name, i))])
            site.wait_empty()
            if i < len(members) - 1:
                assert site.redis.type("celery-taskset-meta-%s.j" % name) == b"list"
                assert site.redis.llen("celery-taskset-meta-%s.j" % name) == i + 1
        return app.AsyncResult(name + "-body")
    assert chord_of("a", ("ours", 1, 2), ("theirs", 2, 1)).get(timeout=20) == [1, 2]
    assert chord_of("b", ("theirs", 1, 1), ("ours", 2, 3), ("ours", 3, 1)).get(timeout=20) == [1, 2, 3]
    assert chord_of("c", ("ours", 1, 1), ("ours", 2, 1)).get(timeout=20) == [1, 2]
    many = chord([same.s(n).set(queue=("ours", "theirs")[n % 2]) for n in range(100)], same.s().set(queue="bodies"))
    assert sorted(many.apply_async().get(timeout=30)) == list(range(100))
    bad = chord([same.s(1).set(queue="theirs"), fails.s().set(queue="ours")], same.s().set(queue="bodies")).apply_async()
    with pytest.raises(Exception, match="bad"):
        bad.get(timeout=20)
    # Of "a" Celery has closed what it knows of; the rest goes when a worker looks after its chords.
    wait_until(lambda: not site.redis.keys("*taskset-meta-[abc].*") + site.redis.keys("warren:chord:[bc]:places"), 20, "counters to be gone")
    assert not ours.lines("shop sets result_backend_transport_options")
