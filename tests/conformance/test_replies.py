"""Results over rpc:// (check 13): replies to the queue that a task names, from our workers to Celery's client, and back."""
import contextlib
import json
import os
import threading

import kombu
import pytest
from celery import chain, group
from celery.exceptions import TaskRevokedError

from harness import HERE as INTEGRATION, PYTHON, SLOW, WARREN, wait_state
from helpers import as_it_is, get, raised_by, send
from warren_servers import wait_until

HERE = os.path.dirname(os.path.realpath(__file__))
STATES = {"REPLY_SLOW": "1"}


@contextlib.contextmanager
def rpc(site):
    site.backend = "rpc://"
    try:
        yield site
    finally:
        for app in site.apps:
            with contextlib.suppress(AttributeError):  # one that never waited has nothing to stop
                app.backend.result_consumer.stop()
        site.apps.clear()


@pytest.fixture
def replies(site):
    """site.app() and our programs have rpc:// as their backend."""
    with rpc(site):
        yield site


class Mailbox:
    """A reply queue of our own, to see every message as it is."""

    def __init__(self, connection, **declared):
        declared.setdefault("durable", False)
        self.queue = kombu.Queue("mailbox", auto_delete=False, **declared).bind(connection.channel())
        self.queue.declare()

    def wait(self, n, timeout_s=10):
        seen = []

        def enough():
            seen.extend(iter(lambda: self.queue.get(no_ack=True), None))
            return len(seen) >= n
        wait_until(enough, timeout_s * SLOW, lambda: "%d replies, there are %r" % (n, [m.payload for m in seen]))
        return seen


@pytest.fixture
def mailbox(replies):
    with replies.raw_connection() as connection:
        yield Mailbox(connection)


@pytest.fixture
def application(replies, worker):
    """reply_app under one of our workers, which has broker and backend from it alone."""
    def start(*args, **env):
        return worker("-A", "reply_app", "-c", "1", "-n", "ours@here", *args, env={
            "PYTHONPATH": HERE, "REPLY_BROKER": replies.broker, "WARREN_BROKER": "", "WARREN_RESULT_BACKEND": "", **env})
    return start


@pytest.fixture
def celerys(replies, programs):
    """reply_app under a Celery worker."""
    def start(**env):
        argv = [PYTHON, "-m", "celery", "-A", "reply_app", "worker", "-l", "info", "-P", "solo", "-n", "ours@here", "--without-gossip",
                "--without-mingle", "--without-heartbeat"]
        started = programs("celery", argv, replies.env(PYTHONPATH=HERE, REPLY_BROKER=replies.broker, **env))
        started.wait_line(r" ready\.$")
        return started
    return start


def test_c13_a_result_comes_to_who_waits_and_who_comes_later(replies, ours, queue, tmp_path):
    app = replies.app()
    w = ours("-Q", queue)
    assert w.lines(r"WARNING.* \(rpc://\) .* chords are refused")
    result = send(app, queue, "hold", str(tmp_path / "gate"))
    wait_state(result, "STARTED")
    got = []
    waiter = threading.Thread(target=lambda: got.append(get(result)))
    waiter.start()
    (tmp_path / "gate").touch()
    waiter.join(20)
    assert got == ["held"]
    early, late = send(app, queue, "add", 1, 2), send(app, queue, "add", 3, 4)
    assert get(late) == 7
    assert get(early) == 3 and early.state == "SUCCESS"
    assert get(group(app.signature("add", (i, i)).set(queue=as_it_is(queue)) for i in range(5)).apply_async()) == [0, 2, 4, 6, 8]


def test_c13_failures_are_celerys_own(replies, ours):
    app = replies.app()
    ours("-Q", "work")
    error = raised_by(app.send_task("fail", ("boom",), queue="work"))
    assert type(error) is ValueError and error.args == ("boom",)
    failed = app.send_task("fail", ("boom",), queue="work")
    assert isinstance(failed.get(timeout=10, propagate=False), ValueError)
    assert failed.state == "FAILURE" and "in fail" in failed.traceback
    app.control.revoke("R1")
    app.control.inspect(timeout=1).revoked()  # whoever answers this has heard of that
    error = raised_by(app.send_task("add", (1, 2), task_id="R1", queue="work"))
    assert isinstance(error, TaskRevokedError) and error.args == ("revoked",)
    # What will not run any more fails too, each for whoever waits for it.
    steps = chain(app.signature("fail", ("first",)), app.signature("add", (1,)), app.signature("add", (2,)))
    error = raised_by(steps.set(queue="work").apply_async(queue="work"))
    assert type(error) is ValueError and error.args == ("first",)


@pytest.mark.parametrize("task, args", [("states", [2]), ("jam", [3]), ("again", []), ("add", [1, 2])])
def test_c13_what_is_published_is_what_celery_publishes(replies, mailbox, application, celerys, task, args):
    def run(start):
        program = start(**STATES)
        replies.app().send_task(task, args, task_id="U1", queue="work", reply_to="mailbox")
        seen = []
        while not seen or seen[-1].payload["status"] not in ("SUCCESS", "FAILURE"):
            seen += mailbox.wait(1)
        assert program.stop() == 0
        return seen

    theirs, ours = run(celerys), run(application)
    for messages in (theirs, ours):
        for m in messages:
            if m.payload["traceback"]:
                m.payload["traceback"] = m.payload["traceback"].splitlines()[-1]

    def quiet(messages):
        # STARTED of short tasks, and behind a task's own state, is left out by ours.
        return [(json.dumps(m.payload), {k: v for k, v in m.properties.items() if k != "application_headers"}, m.headers, m.content_type,
                 m.content_encoding) for m in messages if m.payload["status"] != "STARTED"]
    assert quiet(ours) == quiet(theirs)


def test_c13_an_applications_own_backend(replies, application):
    application(REPLY_PERSISTENT="1")
    import reply_app
    app = replies.app(task_default_queue="work")
    error = raised_by(app.send_task("jam", (7,)))
    assert isinstance(error, reply_app.OutOfPaper) and error.args == ("tray 7",)
    result = app.send_task("parent")
    child = get(result)
    # Celery's own: what a task sends replies to the process that ran it, and nobody there listens.
    assert [c.id for c in result.children] == [child]
    # ... nor is there a queue for that.
    assert set(replies.queues()) - {"ours@here.celery.pidbox"} == {"work", app.thread_oid}
    with replies.raw_connection() as connection:
        box = Mailbox(connection, durable=True)
        app.send_task("add", (1, 2), reply_to="mailbox")
        assert box.wait(1)[0].properties["delivery_mode"] == 2


def test_c13_who_is_gone_gets_nothing_and_nobody_minds(replies, mailbox, ours):
    w = ours("-Q", "work", "-l", "debug")
    app = replies.app()
    app.send_task("add", (1, 2), task_id="gone", queue="work", reply_to="nowhere")
    w.wait_line(r"DEBUG.*Task add\[gone\]: nobody takes its result: .*'nowhere'")
    # Neither do those that only the broker knows.
    with replies.raw_connection() as connection:
        channel, got = connection.channel(), []
        channel.basic_consume("amq.rabbitmq.reply-to", no_ack=True, callback=lambda m: got.append(json.loads(m.body)["result"]))
        kombu.Producer(channel).publish([[3, 4], {}, {}], routing_key="work", reply_to="amq.rabbitmq.reply-to",
                                        headers={"task": "add", "id": "direct", "lang": "py"})
        while not got:
            connection.drain_events(timeout=10 * SLOW)
        assert got == [7]
    # Not even an address: a message that no Celery client would write.
    with replies.raw_connection() as connection:
        producer = connection.Producer()
        producer.publish([[3, 4], {}, {}], routing_key="work", headers={"task": "add", "id": "mute", "lang": "py"})
    w.wait_line(r"Task add\[mute\] succeeded")
    app.send_task("add", (1, 2), task_id="ignored", queue="work", reply_to="mailbox", ignore_result=True)
    w.wait_line(r"Task add\[ignored\] succeeded")
    app.send_task("add", (5, 6), task_id="last", queue="work", reply_to="mailbox")
    assert [m.payload["task_id"] for m in mailbox.wait(1)] == ["last"]
    replies.wait_empty()
    assert len(w.lines("nobody takes")) == 1


def test_c13_acknowledged_when_the_broker_has_the_reply(replies, ours, queue):
    """A reply queue that is full and refuses more: the task is held until there is room."""
    with replies.raw_connection() as connection:
        box = Mailbox(connection, queue_arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
        ours("-Q", queue)
        for i in range(2):
            send(replies.app(), queue, "add", i, 0, reply_to="mailbox")
        wait_until(lambda: replies.unacked(queue) == 1 and replies.counter("messages_ready", "mailbox") == 1, 10,
                   lambda: "one held, one replied: %r" % replies.queues())
        assert sorted(m.payload["result"] for m in box.wait(2)) == [0, 1]
        replies.wait_empty()


def test_c13_chords_are_refused_by_both(replies, mailbox, ours):
    app = replies.app()
    ours("-Q", "work")
    tasks = [app.signature("add", (i, i)).set(queue="work") for i in range(2)]
    with pytest.raises(NotImplementedError):
        chain(group(tasks), app.signature("xsum").set(queue="work")).apply_async()
    body = app.signature("xsum").set(queue="work", task_id="body", reply_to="mailbox")
    app.send_task("add", (1, 2), task_id="member", queue="work", reply_to="mailbox", group_id="G", chord=dict(body))
    reply, = mailbox.wait(1)
    assert reply.payload["status"] == "FAILURE" and reply.payload["result"]["exc_type"] == "NotImplementedError"
    assert "give the worker a Redis backend" in reply.payload["result"]["exc_message"][0]


def test_c13_a_broker_that_starts_again_gets_the_reply(own_site, worker, programs, tmp_path):
    site = own_site()
    with rpc(site):
        with site.raw_connection() as connection:
            Mailbox(connection, durable=True)
        w = worker("-A", "tasks", "-Q", "work", "-c", "2", site=site, env={"PYTHONPATH": os.path.join(INTEGRATION, "tasks")})
        site.app().send_task("hold", (str(tmp_path / "gate"),), task_id="U1", queue="work", reply_to="mailbox")
        waiting = programs("send", [WARREN, "send", "hold", str(tmp_path / "gate"), "--id", "U2", "-q", "work", "--wait"], site.env())
        for i in ("U1", "U2"):
            w.wait_line(r"Task hold\[%s\] received" % i)
        site.servers.stop("rabbitmq")
        (tmp_path / "gate").touch()
        for i in ("U1", "U2"):
            w.wait_line(r"Task hold\[%s\] succeeded" % i)
        site.servers.start("rabbitmq")
        with site.raw_connection() as connection:
            # STARTED, which is transient, may have gone down with the broker.
            box, states = Mailbox(connection, durable=True), []
            while "SUCCESS" not in states:
                states += [m.payload["status"] for m in box.wait(1, 40)]
            assert set(states) <= {"STARTED", "SUCCESS"}
            assert waiting.wait() == 0 and waiting.output() == '"held"\n'
            # Should it have been delivered again after its end, it runs again: nothing tells that it did.
            wait_until(lambda: site.counter("messages", "work") == 0, 20, lambda: "the task to be acknowledged: %r" % site.queues())


@pytest.mark.parametrize("kind", ["ours", "celery"])
def test_c13_warren_send_waits_for_workers_of_both_kinds(replies, warren, application, celerys, kind):
    application("-Q", "work") if kind == "ours" else celerys()
    assert warren("send", "add", "2", "3", "-q", "work", "--wait", "--timeout", "10s").stdout == "5\n"
    failed = warren("send", "jam", "4", "-q", "work", "--wait", "--timeout", "10s", code=1)
    assert "OutOfPaper: tray 4" in failed.stderr and "in jam" in failed.stderr
    assert warren("send", "states", "3", "-q", "work", "--wait", "--timeout", "10s").stdout == "3\n"
    part = {"task": "add", "args": [1], "queue": "work"}
    steps = json.dumps([dict(part, args=[1, 1]), part, part])
    assert warren("send", "--chain", steps, "--wait", "--timeout", "10s").stdout == "4\n"
    many = json.dumps([dict(part, args=[i, i]) for i in range(20)])
    assert warren("send", "--group", many, "--wait", "--timeout", "10s").stdout.split() == [str(2 * i) for i in range(20)]
    # Nothing is left of its queues.
    assert sorted(n for n in replies.queues() if n.startswith("warren.reply")) == []


def test_c13_what_rpc_cannot_do_is_told(replies, warren):
    for args in (("result", "U1"), ("result", "U1", "--wait"), ("result", "U1", "--forget")):
        told = warren(*args, code=2)
        assert told.stdout == "" and told.stderr.count("\n") == 1 and "rpc://, which keeps no results" in told.stderr
    part = {"task": "add", "args": [1, 1], "queue": "work"}
    told = warren("send", "--chord", json.dumps({"header": [part], "body": part}), code=2)
    assert "rpc:// cannot: use redis://" in told.stderr
    # Nobody waits, so no worker need reply.
    warren("send", "add", "1", "2", "-q", "work")
    with replies.raw_connection() as connection:
        message = kombu.Queue("work").bind(connection.channel()).get(no_ack=True)
    assert "reply_to" not in message.properties
    assert "rpc://" in warren("status", code=1).stdout
