"""A pool of N slots never holds more than N unacknowledged deliveries: the broker's own counters are the judge."""
import time

import kombu
import pytest

from harness import SLOW, wait_final
from warren_servers import wait_until

SLOTS = 3
PER_QUEUE = 12


def client(site, kind, queues):
    """A client application that declares its queues so; the worker has to take them as they are."""
    return site.app(task_queues=[kombu.Queue(q, kombu.Exchange(q), q, queue_arguments={"x-queue-type": kind}) for q in queues])


class Watch:
    """The highest sum of unacknowledged deliveries that was seen."""

    def __init__(self, site, queues):
        self.site, self.queues, self.most, self.looks = site, queues, 0, 0

    def look(self):
        now = self.site.unacked(*self.queues)
        self.most = max(self.most, now)
        self.looks += 1
        return now

    def until(self, condition, what, timeout_s=30):
        def looked():
            self.look()
            return condition()
        wait_until(looked, timeout_s * SLOW, what, every_s=0.005)

    def a_while(self, seconds):
        """Long enough for a delivery too many to arrive and, with quorum queues, to be counted."""
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end, "the time to pass")


@pytest.mark.parametrize("queues", [["q"], ["a", "b"]], ids=["one", "two"])
@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_never_more_than_slots(site, worker, journal, tmp_path, kind, queues):
    app = client(site, kind, queues)
    gate = tmp_path / "gate"
    results = [app.send_task("hold", (str(gate), journal.path), queue=q)
               for _ in range(PER_QUEUE) for q in queues]
    wait_until(lambda: site.counter("messages", *queues) == len(results), 10, "the tasks to be queued")
    watch = Watch(site, queues)

    running = worker("-A", "tasks", "-Q", ",".join(queues), "-c", str(SLOTS))
    watch.until(lambda: len(journal.lines()) == SLOTS, "all slots to be busy")
    watch.a_while(1)
    assert watch.look() == SLOTS
    # rabbitmqctl says the same.
    listed = site.rabbitmq.ctl("list_queues", "-p", site.vhost, "--no-table-headers", "messages_unacknowledged")
    assert sum(int(n) for n in listed.split()) == SLOTS
    assert len(journal.lines()) == SLOTS

    # The broker drops the connection: the same tasks are delivered again, to the same children.
    site.rabbitmq.close_connections(site.vhost)
    running.wait_line(r"Connected to ", count=2)
    watch.a_while(1)
    assert len(journal.lines()) == SLOTS, "a running task was started a second time"

    gate.touch()
    watch.until(lambda: site.counter("messages", *queues) == 0, "the queues to be empty")
    wait_final(results)
    assert all(r.result == "held" for r in results)
    assert sorted(journal.lines()) == sorted(r.id for r in results)
    assert watch.most == SLOTS
    assert watch.looks > 100


def test_each_pool_has_its_own(site, worker, journal, tmp_path):
    gate = tmp_path / "gate"
    config = tmp_path / "warren.yaml"
    config.write_text("pools:\n"
                      "  one: { queues: [one], concurrency: 1, app: tasks }\n"
                      "  two: { queues: [two], concurrency: 2, app: tasks }\n")
    app = site.app()
    results = [app.send_task("hold", (str(gate), journal.path), queue=q) for q in ("one", "two") for _ in range(5)]
    worker("--config", str(config))
    wait_until(lambda: len(journal.lines()) == 3, 20 * SLOW, "both pools to be busy")
    one, two = Watch(site, ["one"]), Watch(site, ["two"])
    for watch in (one, two):
        watch.a_while(0.5)
    assert (one.most, two.most) == (1, 2)
    gate.touch()
    wait_final(results)


def test_a_free_worker_gets_what_a_busy_one_does_not_hold(site, worker, journal, tmp_path):
    """The point of it all: no task waits behind a long one while somebody has nothing to do."""
    gate = tmp_path / "gate"
    app = site.app()
    worker("-A", "tasks", "-c", "1", "-n", "busy@%h")
    held = app.send_task("hold", (str(gate), journal.path))
    wait_until(lambda: len(journal.lines()) == 1, 20 * SLOW, "the first worker to be busy")
    quick = [app.send_task("add", (i, i)) for i in range(20)]
    worker("-A", "tasks", "-c", "1", "-n", "free@%h")
    wait_final(quick)
    assert held.state == "STARTED"
    gate.touch()
    wait_final([held])
