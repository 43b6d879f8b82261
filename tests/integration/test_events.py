"""Events: warren events on a cluster of both kinds of worker, and what a worker does with them when the broker does not take them."""
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import fcntl
import termios
import time

import pytest

from harness import SLOW, WARREN, wait_final, wait_state
from warren_servers import wait_until

OURS, THEIRS = "ours@here", "theirs@here"


def events_of(listener):
    """What `warren events --json` has printed so far."""
    return [json.loads(line) for line in listener.output().splitlines() if line.startswith("{")]


def types_of(listener, task_id):
    return [e["type"] for e in events_of(listener) if e.get("uuid") == task_id]


@pytest.fixture
def listen(site, built, programs):
    """Starts `warren events`; it listens when this returns."""
    def start(*args, env=None):
        before = set(site.queues())
        listener = programs("events", [WARREN, "events", *args], env or site.env())
        wait_until(lambda: any(name.startswith("celeryev.") and name not in before for name in site.queues()), 10, "the listener's queue")
        return listener
    return start


def test_stream_of_a_mixed_cluster(site, worker, celery_worker, listen, warren):
    worker("-A", "tasks", "-c", "1", "-n", OURS, "-Q", "ours")
    celery_worker("-n", THEIRS, "-Q", "theirs", bare=False)
    app = site.app()
    quiet = listen("--json")
    listener = listen("--json", "--enable")
    plain = listen()
    only = listen("--type", "task-f*,task-s*", "--task", "fail")
    wait_until(lambda: {e["hostname"] for e in events_of(listener) if e["type"] == "worker-heartbeat"} == {OURS, THEIRS}, 20, "heartbeats of both")
    # Both have been asked when both say "already".
    wait_until(lambda: warren("control", "enable_events", "-d", OURS + "," + THEIRS, "-t", "5s").stdout.count("already enabled") == 2, 20,
               "task events to be on")
    sent = {queue: app.send_task("add", (2, 3), queue=queue) for queue in ("ours", "theirs")}
    failed = {queue: app.send_task("fail", ("boom",), queue=queue) for queue in ("ours", "theirs")}
    wait_final(list(sent.values()) + list(failed.values()))
    for queue, node in (("ours", OURS), ("theirs", THEIRS)):
        wait_until(lambda: types_of(listener, sent[queue].id) == ["task-received", "task-started", "task-succeeded"], 10, "events of add")
        wait_until(lambda: types_of(listener, failed[queue].id)[-1:] == ["task-failed"], 10, "events of fail")
        plain.wait_line(r"\d\d:\d\d:\d\d\.\d{3} task-succeeded %s add\[%s\] result=5 runtime=" % (node, sent[queue].id))
        plain.wait_line(r"task-received %s add\[%s\] args=\[?\(?2, 3" % (node, sent[queue].id))
        only.wait_line(r"task-failed %s fail\[%s\] error=" % (node, failed[queue].id))
    ours = [e for e in events_of(listener) if e.get("uuid") == sent["ours"].id]
    theirs = [e for e in events_of(listener) if e.get("uuid") == sent["theirs"].id]
    # The same members as Celery's, but for utcoffset, which would shift the times.
    assert [sorted(e) for e in ours] == [sorted(set(e) - {"utcoffset"}) for e in theirs]
    assert not [line for line in only.output().splitlines() if not re.search(r" task-(failed|started) .* fail\[", line)]
    assert {e["type"] for e in events_of(quiet)} >= {"worker-heartbeat", "task-succeeded"}
    for l in (quiet, listener, plain, only):
        assert l.stop(signal.SIGINT) == 0


def test_it_ends_when_it_has_seen_enough(worker, warren):
    worker("-A", "tasks", "-c", "1", "-n", OURS, "--heartbeat", "200ms")
    lines = warren("events", "--json", "--limit", "1").stdout.splitlines()
    assert len(lines) == 1 and json.loads(lines[0])["hostname"] == OURS
    assert warren("events", "--for", "100ms", "--type", "no-such").stdout == ""
    assert "terminal" in warren("events", "--top", code=2).stderr
    warren("events", code=3, env={"WARREN_BROKER": "amqp://127.0.0.1:1//"})


def test_task_events_are_off_unless_wanted(site, worker, listen, warren):
    worker("-A", "tasks", "-c", "1", "-n", OURS)
    app = site.app()
    listener = listen("--json")
    assert app.send_task("add", (1, 1)).get(timeout=10 * SLOW) == 2
    warren("control", "enable_events", "-d", OURS)
    told = app.send_task("add", (1, 1))
    wait_until(lambda: types_of(listener, told.id)[-1:] == ["task-succeeded"], 10, "events of the second task")
    warren("control", "disable_events", "-d", OURS)
    assert app.send_task("add", (1, 1)).get(timeout=10 * SLOW) == 2
    warren("control", "heartbeat", "-d", OURS)
    beats = len([e for e in events_of(listener) if e["type"] == "worker-heartbeat"])
    wait_until(lambda: len([e for e in events_of(listener) if e["type"] == "worker-heartbeat"]) > beats, 10, "a later event")
    assert {e["uuid"] for e in events_of(listener) if "uuid" in e} == {told.id}


def test_listening_goes_on_after_a_lost_connection(site, worker, listen):
    worker("-A", "tasks", "-c", "1", "-n", OURS, "-E")
    listener = listen("--json")
    site.rabbitmq.close_connections(site.vhost)
    listener.wait_line("lost the connection")
    listener.wait_line("listening again")
    seen = len(events_of(listener))
    wait_until(lambda: len(events_of(listener)) > seen, 20, "events of after the loss")


def test_a_broker_that_takes_no_events_holds_up_no_task(site, worker, warren, tmp_path):
    """The publishing connection is blocked by an alarm: tasks run and are acknowledged, events are dropped and counted."""
    app = site.app()
    w = worker("-A", "tasks", "-c", "1", "-n", OURS, "-E", "--heartbeat", "200ms")
    gate = tmp_path / "gate"
    app.send_task("hold", (str(gate),))
    results = [app.send_task("add", (i, i)) for i in range(300)]
    wait_until(lambda: site.counter("messages", "celery") == 301, 10, "all tasks to be there")
    site.rabbitmq.eval("vm_memory_monitor:set_vm_memory_high_watermark(0.000001)")
    try:
        w.wait_line("the broker accepts no messages now")
        gate.touch()
        wait_final(results, timeout_s=20)
        assert [r.result for r in results] == [2 * i for i in range(300)]
        site.wait_empty()
        w.wait_line("events were dropped: the broker did not take them")
        assert not w.lines("accepts messages again")
    finally:
        site.rabbitmq.eval("vm_memory_monitor:set_vm_memory_high_watermark(0.9)")
    w.wait_line("the broker accepts messages again")
    stats = json.loads(warren("inspect", "stats", "-d", OURS, "-t", "10s", "--json").stdout)[OURS]
    assert stats["warren"]["events_dropped"] >= 300
    again = json.loads(warren("events", "--json", "--limit", "1", "--for", "10s").stdout)
    assert again["hostname"] == OURS and again["processed"] == 301
    assert len(w.lines("events were dropped")) == 1, "a beat is no reason for a line"


# --- the live view ----------------------------------------------------------------------------------------------------

class Terminal:
    """`warren events --top` on a terminal of 80x24."""

    def __init__(self, env, *args):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.child = subprocess.Popen([WARREN, "events", "--top", *args], stdin=slave, stdout=slave, stderr=slave,
                                      env=dict(env, TERM="xterm"), start_new_session=True)
        self.seen = ""

    def wait(self, pattern, timeout_s=20):
        end = time.monotonic() + timeout_s * SLOW
        while not re.search(pattern, self.seen):
            assert time.monotonic() < end, "no %r in %r" % (pattern, self.seen[-3000:])
            if select.select([self.master], [], [], 0.1)[0]:
                self.seen += os.read(self.master, 65536).decode(errors="replace")

    def type(self, keys):
        os.write(self.master, keys)

    def ended(self):
        code = self.child.wait(10 * SLOW)
        self.wait(r"\x1b\[\?1049l")
        assert termios.tcgetattr(self.slave) == self.before
        return code

    def close(self):
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.mark.parametrize("end", ["q", signal.SIGTERM, signal.SIGHUP], ids=str)
def test_live_view_and_its_end(site, worker, end):
    worker("-A", "tasks", "-c", "1", "-n", OURS, "--heartbeat", "200ms")
    screen = Terminal(site.env())
    try:
        screen.wait(r"workers 1 of 1 alive")
        if end == "q":
            screen.wait(r"no events of tasks yet")
            screen.type(b"e")
            screen.wait(r"ended")
            task = site.app().send_task("add", (1, 1))
            wait_state(task, "SUCCESS")
            screen.wait(r"%s  add +SUCCESS" % task.id[:8])
            assert not termios.tcgetattr(screen.slave)[3] & termios.ECHO
            screen.type(b"cq")
        else:
            screen.child.send_signal(end)
        assert screen.ended() == 0
    finally:
        screen.close()
