"""Schedulers, clocks to set, and queues to look into: what the tests of `warren beat` and `warren schedule` share."""
import json
import os
import re
import signal
import struct
import time
import uuid
from datetime import datetime, timezone

import pytest

from harness import BUILD, SLOW, WARREN, is_sanitized
from warren_servers import wait_until

SPACE = uuid.UUID("5a0c6b3e-6b7e-4c58-9d0e-7c1f62d0b8a4")


def iso(us):
    t = datetime.fromtimestamp(us // 10 ** 6, timezone.utc)
    return t.replace(microsecond=us % 10 ** 6).isoformat()


def run_id(entry, due_us, group="warren.beat"):
    return str(uuid.uuid5(SPACE, "%s/%s@%s" % (group, entry, iso(due_us))))


@pytest.fixture
def beat(site, built, programs, tmp_path):
    running = []

    def start(schedule, *args, name="a", ready=r"(stands by|leads: )", env=None, warren=WARREN, prefix=(), more=None):
        """A scheduler with these entries (JSON is YAML), and `more` in its file; each name has a state file of its own."""
        conf = tmp_path / ("beat-%s.yaml" % name)
        conf.write_text(json.dumps({"schedule": schedule, **(more or {})}))
        conf.chmod(0o644)
        argv = [*prefix, warren, "beat", "--config", str(conf), "--beat-name", "beat-%s@host" % name,
                "--beat-state", str(tmp_path / ("state-%s" % name) / "beat.json"), *args]
        started = programs("beat-" + name, argv, site.env(**(env or {})))
        started.name = name
        running.append(started)
        if ready:
            started.wait_line(ready)
        return started
    yield start
    for b in running:
        if b.alive():
            b.send_signal(signal.SIGCONT)
            assert b.stop() == 0, b.output()


class Inbox:
    """Takes every message of a queue as it is."""

    def __init__(self, site, queue):
        self.site, self.queue = site, queue
        self.messages = []
        self.connect()

    def connect(self):
        self.connection = self.site.raw_connection()
        self.channel = self.connection.default_channel

    def take(self):
        while True:
            m = self.channel.basic_get(self.queue, no_ack=True)
            if m is None:
                return self.messages
            self.messages.append(m)

    def wait(self, n, timeout_s=20):
        wait_until(lambda: len(self.take()) >= n, timeout_s * SLOW, lambda: "%d messages in %s, there are %d" % (
            n, self.queue, len(self.messages)), every_s=0.05)
        return self.messages

    def ids(self):
        return [m.headers["id"] for m in self.messages]

    def close(self):
        self.connection.release()


@pytest.fixture
def inbox(site):
    opened = []

    def open_inbox(queue):
        wait_until(lambda: queue in site.queues(), 20 * SLOW, "queue " + queue)
        opened.append(Inbox(site, queue))
        return opened[-1]
    yield open_inbox
    for box in opened:
        box.close()


def wait_leader(beats, timeout_s=15):
    """The one that leads now, by its own words."""
    def leads():
        for b in beats:
            # By the last of them: one that is deposed says twice that it leads no more.
            said = b.lines(r" leads(:| no more)") if b.alive() else []
            if said and " leads: " in said[-1]:
                return b
        return None
    return wait_until(leads, timeout_s * SLOW, "a leader", every_s=0.01)


def sent(b, entry):
    """Ids of the runs it sent, by its log."""
    return [re.search(r"\[([0-9a-f-]{36})\]$", line).group(1) for line in b.lines(r"Sending due task %s \(" % re.escape(entry))]


def micros(text):
    return round(datetime.fromisoformat(text).timestamp() * 10 ** 6)


TICK = {"tick": {"task": "add", "every": "0.2s", "queue": "ticks", "missed": "all", "missed_max": 1000, "expires": "1h"}}


def check_ticks(box, step_us=200000):
    """Every due time between the first and the last was sent, whoever did it; returns how many, and how often one came twice."""
    ids = box.ids()
    known = {}
    now = int(time.time() * 10 ** 6) // step_us * step_us
    for due in range(now - 3600 * 10 ** 6, now + step_us, step_us):
        known[run_id("tick", due)] = due
    dues = [known[i] for i in ids]
    distinct = sorted(set(dues))
    gaps = [b - a for a, b in zip(distinct, distinct[1:]) if b - a != step_us]
    assert not gaps, gaps
    return len(distinct), len(dues) - len(distinct)


def cpu_ns(pid):
    with open("/proc/%d/schedstat" % pid) as f:
        return int(f.read().split()[0])


def memory_kib(pid, key):
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(key + r":\s+(\d+) kB", f.read()).group(1))


MEMORY_MAX_KIB = 20 * 1024


def many(n=10000):
    """Entries that are never due while a test runs."""
    return {"entry-%05d" % i: {"task": "reports.entry", "cron": "%d %d %d 6 *" % (i % 60, i % 24, i % 28 + 1), "timezone": "Europe/Berlin",
                               "args": [i], "queue": "reports"} for i in range(n)}


def check_costs(b, began, start_max_s, what=""):
    """Of one that leads by now: its start, what it does when nothing is due, and its memory, at any time."""
    took = time.monotonic() - began
    time.sleep(2)  # its beginnings: rows go to Redis, the file is written
    cpu = cpu_ns(b.pid)
    time.sleep(3)
    cpu = (cpu_ns(b.pid) - cpu) / 3e9
    memory, peak = memory_kib(b.pid, "VmRSS"), memory_kib(b.pid, "VmHWM")
    print("%s: started in %.2f s, idle %.3f %% CPU, %.1f MiB, at most %.1f MiB" % (what, took, cpu * 100, memory / 1024, peak / 1024))
    if SLOW > 1:
        return
    assert took < start_max_s and cpu < 0.005, (took, cpu)
    if not is_sanitized():
        assert memory < MEMORY_MAX_KIB and peak < MEMORY_MAX_KIB, (memory, peak)


class Clock:
    """The clock on the wall of programs that get its env."""

    def __init__(self, path):
        self.path = str(path)
        self.set(0)
        self.env = {"LD_PRELOAD": os.path.join(BUILD, "tests", "integration", "clockshift.so"), "CLOCKSHIFT": self.path,
                    "ASAN_OPTIONS": "verify_asan_link_order=0:" + os.environ.get("ASAN_OPTIONS", "")}

    def set(self, shift_us):
        self.shift = shift_us
        with open(self.path, "r+b" if os.path.exists(self.path) else "wb") as f:
            f.write(struct.pack("=q", shift_us))

    def jump(self, seconds):
        self.set(self.shift + int(seconds * 10 ** 6))

    def set_to(self, text):
        """To this moment, from which it goes on."""
        self.set(micros(text) - time.time_ns() // 1000)

    def now(self):
        return time.time_ns() // 1000 + self.shift


@pytest.fixture
def clock(tmp_path):
    return Clock(tmp_path / "clockshift")
