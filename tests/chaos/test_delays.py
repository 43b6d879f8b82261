"""
Tasks for later, in numbers: none is kept by the worker before it is due, and each runs at its time or soon after.

The long form sends 10,000 with countdowns of 1 to 30 s, 400 a second (who sends faster than a worker can take makes a backlog, which
is late whatever it holds); the one of every check sends 300 within 3 s, with 1 to 5 s.
"""
import random
import threading
import time

import amqp
import pytest

from harness import SLOW
from lab import encode
from warren_servers import wait_until

SLOTS = 8
LATE_MAX = 1.5


def utc(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + ("%.6f" % (seconds % 1))[1:] + "+00:00"


class Counter(threading.Thread):
    """Looks at the queue's unacknowledged deliveries all the while."""

    def __init__(self, lab):
        super().__init__(daemon=True)
        self.lab, self.most, self.looks, self.over = lab, 0, 0, threading.Event()

    def run(self):
        while not self.over.is_set():
            self.most = max(self.most, self.lab.unacked())
            self.looks += 1
            self.over.wait(0.02)

    def stop(self):
        self.over.set()
        self.join()
        return self.most


def send_plainly(lab, delays, pace):
    """Without results: these tests' Redis writes each to the disk at once, and would set the pace. As a producer in any language: an eta in the header, straight to the queue."""
    with lab.connect(confirm=False) as connection:
        channel = connection.channel()
        begun = time.monotonic()
        for i, delay in enumerate(delays):
            while pace and i > pace * (time.monotonic() - begun):
                time.sleep(0.002)
            due = time.time() + delay
            body, headers = encode("punctual", (lab.journal, due), eta=utc(due), ignore_result=True)
            channel.basic_publish(amqp.Message(body, application_headers=headers, content_type="application/json",
                                               content_encoding="utf-8", delivery_mode=2), "", lab.queue)


def send_by_celery(lab, delays, pace):
    app = lab.site.app(task_default_queue=lab.queue)
    begun = time.monotonic()
    with app.producer_pool.acquire(block=True) as producer:
        for i, delay in enumerate(delays):
            while pace and i > pace * (time.monotonic() - begun):
                time.sleep(0.002)
            app.send_task("punctual", (lab.journal, time.time() + delay), countdown=delay, ignore_result=True, producer=producer)


def in_time(lab, send, n, longest, pace, strays=0):
    """strays: so many may be late by more, because a check shares its machine with much else."""
    lab.declare()
    lab.worker(c=SLOTS)
    chance = random.Random(n)
    delays = [chance.uniform(1, longest) for _ in range(n)]
    counter = Counter(lab)
    counter.start()
    send(lab, delays, pace)
    wait_until(lambda: len(lab.lines("start")) >= n, (longest + 30) * SLOW, lambda: "%d runs, there are %d" % (n, len(lab.lines("start"))))
    most = counter.stop()
    lab.wait_quiet()
    late = sorted(float(line[2]) for line in lab.lines("start"))
    said = "%d runs, %.3f to %.3f s late, half of them less than %.3f; at most %d unacknowledged in %d looks" % (
        len(late), late[0], late[-1], late[len(late) // 2], most, counter.looks)
    print(said)
    assert len(late) == n, said
    assert len({line[1] for line in lab.lines("start")}) == n, said
    assert late[0] >= 0 and late[-1 - strays] < LATE_MAX * SLOW and late[-1] < 3 * LATE_MAX * SLOW, said
    assert 0 < most <= SLOTS, said
    assert counter.looks > 50, said


@pytest.mark.parametrize("send", [send_plainly, send_by_celery], ids=["plain", "celery"])
def test_f70_300_delays(lab, send):
    in_time(lab, send, 300, 5, pace=100, strays=15)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("send", [send_plainly, send_by_celery], ids=["plain", "celery"])
def test_f70_10000_delays(lab, send):
    in_time(lab, send, 10000, 30, pace=400)
