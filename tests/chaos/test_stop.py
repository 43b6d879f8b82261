"""How a worker stops (F49 and more): what has not begun goes back at once, what runs has its time, and nothing is lost or repeated."""
import collections
import os
import signal
import socket
import threading
import time

import pytest

from harness import SLOW, alive
from lab import KINDS, make_old_build
from warren_servers import wait_until

MANY = "pools:\n  p: { queues: [work], app: chaos_tasks, concurrency: 4, prefetch_multiplier: 3 }\n"


@pytest.mark.parametrize("kind", KINDS)
def test_f49_what_has_not_begun_is_back_within_a_second(lab, kind):
    lab.declare(kind)
    w = lab.worker(*lab.config(MANY), pool=False)
    for value in range(50):
        lab.send_run(value=value, gated=True)
    lab.wait_starts(4)
    wait_until(lambda: lab.unacked() == 12, 20 * SLOW, "all places to be taken")
    w.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    wait_until(lambda: lab.site.counter("messages_ready", "work") == 46, 10, "46 to be back", every_s=0.01)
    # A quarter of a second is how often the broker counts.
    assert time.monotonic() - asked < (1 + 0.25) * SLOW
    assert (lab.unacked(), lab.starts()) == (4, 4)
    lab.open_gate()
    assert w.wait() == 0
    assert (lab.starts(), len(lab.lines("end"))) == (4, 4)
    lab.worker(c=4)
    lab.close_books(starts=(1, 1))


# A connection that is not answered has so long to say goodbye; what has ended has 11 s more after the drain time-out to be told.
GOODBYE_S, TELL_S = 2, 11


class Mute:
    """A worker with something to do, whose servers do not answer one thing or anything from now on."""

    def __init__(self, lab, frame=None, broker=False, redis=False, task="run", ready=True, ends_s=GOODBYE_S):
        self.queue, self.ends_s = "work%d" % len(lab.workers), ends_s
        self.broker, self.redis = lab.broker_proxy(), lab.redis_proxy()
        self.silent = [proxy for proxy, mute in ((self.broker, broker), (self.redis, redis)) if mute]
        lab.declare("quorum", self.queue)
        rule = self.broker.on("down", frame, "drop", every=True)
        self.w = lab.worker("--drain-timeout", "300ms", queues=self.queue, broker=self.broker, redis=self.redis, ready=ready)
        if not ready:
            rule.wait()
        elif task == "flaky":
            lab.send("flaky", (lab.journal, 21, 1), queue=self.queue, gives=42)
            rule.wait()
        elif task == "run":
            lab.wait_starts(1, lab.send_run(gated=True, queue=self.queue))


def test_it_ends_whatever_is_not_answered(lab):
    mutes = [
        Mute(lab, "channel.open-ok", ready=False),
        Mute(lab, "basic.consume-ok", ready=False),
        Mute(lab, "basic.cancel-ok"),
        Mute(lab, "basic.cancel-ok", task=None),
        Mute(lab, broker=True),
        Mute(lab, broker=True, task=None),
        Mute(lab, redis=True),
        Mute(lab, "basic.ack", task="flaky", ends_s=TELL_S),
        Mute(lab, broker=True, redis=True, ends_s=TELL_S + GOODBYE_S),
    ]
    for mute in mutes:
        for proxy in mute.silent:
            proxy.blackhole()
    lab.open_gate()
    lab.wait_ends(len(lab.sent))
    began = time.monotonic()
    for mute in mutes:
        mute.w.send_signal(signal.SIGTERM)
    for mute in mutes:
        assert mute.w.wait() == 0
        assert time.monotonic() - began < (0.3 + mute.ends_s + 1) * SLOW, mute.w.output()
    for proxy in lab.proxies:
        proxy.heal()
    # A result that was handed over to the broker is for the backend at that address.
    for mute in mutes:
        if mute.redis in mute.silent:
            lab.worker(queues=mute.queue, redis=mute.redis)
    lab.worker(queues=",".join(mute.queue for mute in mutes))
    lab.close_books(starts=(1, 3))


def headers_of_ready(lab):
    """Of the message at the head of the queue; it stays there."""
    with lab.connect() as connection:
        message = connection.channel().basic_get(lab.queue)
        return dict(message.headers)


@pytest.mark.parametrize("name", ["run", "deaf"])
def test_task_that_runs_longer_than_the_drain_time_out_goes_back_with_a_mark(lab, name):
    lab.declare()
    w = lab.worker("--drain-timeout", "300ms")
    if name == "run":
        task_id = lab.send_run(gated=True)
    else:
        task_id = lab.send("deaf", (lab.journal,))
    lab.wait_starts(1)
    [child] = w.slots()
    began = time.monotonic()
    w.send_signal(signal.SIGTERM)
    assert w.wait() == 0
    # Who hears SIGTERM ends at once, who does not is killed after 3 s.
    assert time.monotonic() - began < (2 if name == "run" else 5) * SLOW
    assert not alive(child)
    lab.wait_ready_messages(1)
    headers = headers_of_ready(lab)
    assert headers["x-warren-interrupted"] == 1 and headers["id"] == task_id
    # It was the worker that ended: no run of the task was lost.
    assert "x-warren-lost" not in headers
    assert w.lines(r"was ended after .*s because this worker stops")
    if name == "run":
        lab.open_gate()
        lab.worker()
        lab.close_books(starts=(2, 2))


def test_task_that_is_interrupted_again_and_again_still_runs(lab):
    lab.declare()
    lab.send_run(gated=True)
    for i in range(3):
        w = lab.worker("--drain-timeout", "100ms")
        lab.wait_starts(i + 1)
        assert w.stop() == 0
        lab.wait_ready_messages(1)
    assert headers_of_ready(lab)["x-warren-interrupted"] == 3
    lab.open_gate()
    lab.worker()
    lab.close_books(starts=(4, 4))


def test_task_that_ends_when_it_is_asked_to_keeps_its_result(lab):
    lab.declare()
    w = lab.worker("--drain-timeout", "300ms")
    task_id = lab.send("tidy", (lab.journal,), gives="tidied up")
    lab.wait_starts(1)
    w.send_signal(signal.SIGTERM)
    assert w.wait() == 0
    assert lab.state(task_id) == "SUCCESS"
    lab.close_books(starts=(1, 1))


def test_heartbeats_go_on_while_it_drains(lab):
    lab.declare()
    w = lab.worker("--broker-heartbeat", "1s")
    lab.send_run(gated=True)
    lab.wait_starts(1)
    w.send_signal(signal.SIGTERM)
    w.wait_line("1 tasks may finish")
    # The broker drops who is silent for two of them.
    over = time.monotonic() + 3.5
    wait_until(lambda: time.monotonic() > over, 10, "some heartbeats")
    assert lab.unacked() == 1
    lab.open_gate()
    assert w.wait() == 0
    assert not w.lines("lost the connection")
    lab.close_books(starts=(1, 1))


class Stream(threading.Thread):
    """Sends tasks all the while."""

    def __init__(self, lab):
        super().__init__(daemon=True)
        self.lab, self.over, self.error = lab, threading.Event(), None

    def run(self):
        try:
            while not self.over.is_set():
                self.lab.send_many(20, seconds=0.02)
                self.over.wait(0.1)
        except Exception as error:  # told by the test
            self.error = error

    def stop(self):
        self.over.set()
        self.join()
        if self.error:
            raise self.error


def rolling_restarts(lab, rounds):
    """Each worker in turn is followed by a new one, as for a new version: start the new one, then stop the old."""
    stream = Stream(lab)
    workers = [lab.worker(c=2), lab.worker(c=2)]
    stream.start()
    for i in range(rounds):
        lab.wait_ends(20 * (i + 1))
        workers.append(lab.worker(c=2))
        assert workers.pop(0).stop() == 0
    stream.stop()
    lab.close_books(starts=(1, 1))
    # Had the last ones done nothing, the first would not have been needed.
    assert len(lab.sent) >= 20 * rounds


@pytest.mark.parametrize("kind", KINDS)
def test_f51_rolling_restart_under_load(lab, kind):
    lab.declare(kind)
    rolling_restarts(lab, 4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_f51_rolling_restarts_under_load(lab, kind):
    lab.declare(kind)
    rolling_restarts(lab, 30)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS)
def test_f51_two_builds_share_a_queue(lab, kind):
    """An old build and this one, stopped and followed by one another under load; retries and what comes back go through both."""
    old = make_old_build()
    if old is None:
        pytest.skip("no history of the sources to build an older commit from")
    lab.declare(kind)
    stream = Stream(lab)
    workers = [lab.worker(c=2, warren=old), lab.worker(c=2)]
    stream.start()
    for i in range(20):
        # Each attempt is taken by whoever is there.
        lab.send("flaky", (lab.journal, i, 2, 1), gives=2 * i)
        lab.wait_ends(20 * (i + 1))
        workers.append(lab.worker("--drain-timeout", "20s", c=2, warren=old if i % 2 == 0 else None))
        assert workers.pop(0).stop() == 0
    stream.stop()
    lab.close_books(timeout_s=120)
    runs = collections.Counter(line[1] for line in lab.lines("start"))
    assert sorted(set(runs[i] for i in lab.sent)) == [1, 3]
    assert sum(n == 3 for n in runs.values()) == 20
    for w in lab.workers:
        assert not w.lines("is not run|that is no task|unregistered"), w.output()


class Manager:
    """What systemd is to a service: a socket for its news."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.settimeout(0.05)
        self.heard = []

    def listen(self):
        try:
            while True:
                self.heard.append((time.monotonic(), self.socket.recv(4096).decode()))
        except TimeoutError:
            return [text for _, text in self.heard]

    def times(self, text):
        return [at for at, heard in self.heard if heard == text]

    def env(self, **more):
        return dict(more, NOTIFY_SOCKET=self.path)


def test_watchdog_of_systemd_hears_from_the_loop(lab):
    lab.declare()
    manager = Manager(str(lab.folder / "notify"))
    w = lab.worker("--drain-timeout", "10m", env=manager.env(WATCHDOG_USEC="400000"))
    wait_until(lambda: "READY=1\nSTATUS=consuming" in manager.listen(), 10, "news of readiness")
    wait_until(lambda: manager.listen().count("WATCHDOG=1") > 3, 10, "signs of life")
    # A loop that hangs gives none.
    os.kill(w.pid, signal.SIGSTOP)
    manager.listen()
    n = len(manager.times("WATCHDOG=1"))
    time.sleep(0.6)
    assert manager.listen().count("WATCHDOG=1") == n
    os.kill(w.pid, signal.SIGCONT)
    wait_until(lambda: manager.listen().count("WATCHDOG=1") > n, 10, "signs of life again")
    # While it drains too.
    lab.send_run(gated=True)
    lab.wait_starts(1)
    w.send_signal(signal.SIGTERM)
    wait_until(lambda: any(text.startswith("STOPPING=1") for text in manager.listen()), 10, "news of the end")
    # What the unit says for all workers is too short for this one's tasks.
    stopping, = (text for _, text in manager.heard if text.startswith("STOPPING=1"))
    patience = dict(line.split("=", 1) for line in stopping.splitlines()).get("EXTEND_TIMEOUT_USEC", "0")
    assert 610e6 < int(patience) < 640e6
    n = manager.listen().count("WATCHDOG=1")
    wait_until(lambda: manager.listen().count("WATCHDOG=1") > n, 10, "signs of life while it drains")
    lab.open_gate()
    assert w.wait() == 0
    lab.close_books(starts=(1, 1))
