"""Slots and queues of a running worker, changed with Celery's own control commands. The broker's counters judge that a pool never holds more
than it has slots, and the journal that no running task is disturbed."""
import time

import amqp
import pytest

from harness import SLOW, wait_final
from test_prefetch import Watch, client
from warren_servers import wait_until

KINDS = ["classic", "quorum"]


def declared(site, kind, queues):
    """The application, with its queues on the broker before a worker creates them."""
    app = client(site, kind, queues)
    with app.connection_for_write() as connection:
        for queue in app.amqp.queues.values():
            queue(connection.default_channel).declare()
    return app


class Panel:
    """Celery's control of one worker."""

    def __init__(self, app):
        self.app = app

    def tell(self, command, **arguments):
        replies = self.app.control.broadcast(command, arguments=arguments, reply=True, timeout=10, limit=1)
        assert len(replies) == 1, replies
        return next(iter(replies[0].values()))

    def wait_answers(self):
        """After a reconnect: its queue may still be that of the old connection."""
        wait_until(lambda: self.app.control.broadcast("ping", reply=True, timeout=1, limit=1), 20 * SLOW, "an answer")

    def stats(self):
        return self.tell("stats")

    def slots(self):
        return self.stats()["pool"]["max-concurrency"]

    def wait_children(self, n):
        wait_until(lambda: len(self.stats()["pool"]["processes"]) == n, 20 * SLOW, "%d children" % n)


class Held:
    """Tasks that hold their slot until their gate is opened."""

    def __init__(self, app, journal, folder):
        self.app, self.journal, self.folder, self.results = app, journal, folder, []

    def send(self, n, gate, queue):
        sent = [self.app.send_task("hold", (str(self.folder / gate), self.journal.path), queue=queue) for _ in range(n)]
        self.results += sent
        return sent

    def open(self, gate):
        (self.folder / gate).touch()

    def count(self):
        return len(self.journal.lines())

    def wait_running(self, n, watch):
        watch.until(lambda: self.count() == n, "%d to have begun, it is %d" % (n, self.count()))

    def close(self):
        wait_final(self.results)
        assert all(r.result == "held" for r in self.results)
        assert sorted(self.journal.lines()) == sorted(r.id for r in self.results), "not each ran once"


@pytest.fixture
def held(site, journal, tmp_path):
    return lambda app: Held(app, journal, tmp_path)


@pytest.mark.parametrize("queues", [["q"], ["a", "b"]], ids=["one", "two"])
@pytest.mark.parametrize("kind", KINDS)
def test_grow_and_shrink(site, worker, held, kind, queues):
    app = client(site, kind, queues)
    tasks, panel, watch = held(app), Panel(app), Watch(site, queues)
    for q in queues:
        tasks.send(4 // len(queues), "first", q)
    w = worker("-A", "tasks", "-Q", ",".join(queues), "-c", "2")
    tasks.wait_running(2, watch)
    watch.a_while(0.3)
    assert watch.most == 2

    assert panel.tell("pool_grow", n=2) == {"ok": "pool will grow"}
    tasks.wait_running(4, watch)
    watch.a_while(0.3)
    assert (watch.most, panel.slots(), panel.stats()["prefetch_count"]) == (4, 4, 4)

    for q in queues:
        tasks.send(6 // len(queues), "second", q)
    # All slots are busy: nothing is taken from a running task, and nothing new begins.
    assert panel.tell("pool_shrink", n=3) == {"ok": "pool will shrink"}
    watch.a_while(0.3)
    assert (watch.look(), tasks.count(), panel.slots()) == (4, 4, 1)
    tasks.open("first")
    tasks.wait_running(5, watch)
    panel.wait_children(1)
    watch.until(lambda: watch.look() == 1, "the broker to count one")
    after = Watch(site, queues)
    after.a_while(0.5)
    assert (after.most, tasks.count()) == (1, 5)
    assert len(w.slots()) == 1

    assert panel.tell("pool_grow", n=3) == {"ok": "pool will grow"}
    tasks.wait_running(8, watch)
    # After a reconnect the window is the new one.
    site.rabbitmq.close_connections(site.vhost)
    w.wait_line(r"Connected to ", count=2)
    watch.a_while(0.5)
    assert (watch.look(), tasks.count()) == (4, 8)
    tasks.open("second")
    tasks.close()
    assert watch.most == 4


@pytest.mark.parametrize("queues", [["q"], ["a", "b"]], ids=["one", "two"])
@pytest.mark.parametrize("kind", KINDS)
def test_many_changes_before_the_first_is_carried_out(site, worker, held, kind, queues):
    """All in one go, so that each meets what the one before it has only asked the broker for."""
    app = declared(site, kind, queues + ["extra"])
    tasks, panel, watch = held(app), Panel(app), Watch(site, queues + ["extra"])
    w = worker("-A", "tasks", "-Q", ",".join(queues), "-c", "2")
    with app.connection_for_write() as connection:
        for _ in range(12):
            for command, arguments in (("pool_grow", {"n": 3}), ("add_consumer", {"queue": "extra"}), ("pool_shrink", {"n": 2}),
                                       ("cancel_consumer", {"queue": "extra"}), ("pool_shrink", {"n": 1}),
                                       ("cancel_consumer", {"queue": queues[0]}), ("add_consumer", {"queue": queues[0]})):
                app.control.broadcast(command, arguments=arguments, connection=connection)
    for q in queues:
        tasks.send(3, "gate", q)
    tasks.wait_running(2, watch)
    watch.a_while(0.5)
    assert (watch.most, tasks.count(), panel.slots()) == (2, 2, 2)
    assert sorted(q["name"] for q in panel.tell("active_queues")) == queues
    panel.wait_children(2)
    # With the connection the commands that were on their way would be lost.
    assert not w.lines("lost the connection")
    tasks.open("gate")
    tasks.close()


def test_shrinking_while_idle(site, worker, held):
    app = declared(site, "quorum", ["q"])
    tasks, panel, watch = held(app), Panel(app), Watch(site, ["q"])
    worker("-A", "tasks", "-Q", "q", "-c", "5")
    panel.tell("pool_shrink", n=3)
    panel.wait_children(2)
    tasks.send(6, "gate", "q")
    tasks.wait_running(2, watch)
    watch.a_while(0.3)
    tasks.open("gate")
    tasks.close()
    assert watch.most == 2


def test_answers_to_what_cannot_be(site, worker):
    panel = Panel(site.app())
    worker("-A", "tasks", "-c", "2")
    assert "keeps at least one" in panel.tell("pool_shrink", n=2)["error"]
    assert "from 1 to 4096" in panel.tell("pool_grow", n=0)["error"]
    assert "at most 4096 slots" in panel.tell("pool_grow", n=4096)["error"]
    assert panel.tell("autoscale", max=4, min=2) == {"error": "ValueError('Autoscale not enabled')"}
    assert "no pool 'gpu' here: this worker has default" in panel.tell("pool_grow", n=1, pool="gpu")["error"]
    assert "exchange_type" in panel.tell("add_consumer", queue="x", exchange_type="round")["error"]
    assert "needs argument 'queue'" in panel.tell("add_consumer")["error"]
    assert panel.slots() == 2


def test_autoscale(site, worker, held, tmp_path):
    app = client(site, "classic", ["q"])
    tasks, panel, watch = held(app), Panel(app), Watch(site, ["q"])
    config = tmp_path / "warren.yaml"
    config.write_text("pools:\n  p: { queues: [q], app: tasks, autoscale: { min: 1, max: 4, idle: 1s } }\n")
    w = worker("--config", str(config))
    assert panel.stats()["autoscaler"] == {"max": 4, "min": 1, "current": 1, "qty": 0}
    tasks.send(12, "gate", "q")
    tasks.wait_running(4, watch)
    watch.a_while(1)
    assert (watch.most, tasks.count(), panel.slots()) == (4, 4, 4)
    assert panel.tell("pool_grow")["error"] == "pool_grow is not supported with autoscale. Adjust autoscale range instead."
    assert panel.tell("autoscale", max=5, min=2) == {"ok": "autoscale now max=5 min=2"}
    tasks.wait_running(5, watch)
    tasks.open("gate")
    tasks.close()
    wait_until(lambda: panel.slots() == 2, 20 * SLOW, "the pool to shrink")
    panel.wait_children(2)
    assert len(w.slots()) == 2


def test_autoscale_over_two_queues(site, worker, held, tmp_path):
    """Quorum queues: the only consumer there is at first has to go from one to the other."""
    app = declared(site, "quorum", ["a", "b"])
    tasks, panel, watch = held(app), Panel(app), Watch(site, ["a", "b"])
    config = tmp_path / "warren.yaml"
    config.write_text("pools:\n  p: { queues: [a, b], app: tasks, autoscale: { min: 1, max: 4, idle: 1s } }\n")
    worker("--config", str(config))
    for begun in (4, 12):
        for q in "ab":
            tasks.send(4, "gate%d" % begun, q)
        tasks.wait_running(begun, watch)
        watch.until(lambda: watch.look() == 4, "the broker to count four")
        watch.a_while(0.3)
        assert (watch.most, panel.slots()) == (4, 4)
        tasks.open("gate%d" % begun)
        panel.wait_children(1)
    tasks.close()


def test_autoscale_flag(site, worker):
    panel = Panel(site.app())
    worker("-A", "tasks", "--autoscale", "3,2")
    assert panel.stats()["autoscaler"] == {"max": 3, "min": 2, "current": 2, "qty": 0}


@pytest.mark.parametrize("kind", KINDS)
def test_queues_come_and_go(site, worker, held, warren, kind):
    app = declared(site, kind, ["a", "b", "c"])
    tasks, panel = held(app), Panel(app)
    watch = Watch(site, ["a", "b", "c"])
    w = worker("-A", "tasks", "-Q", "a", "-c", "2")
    tasks.send(1, "gate", "a")
    tasks.wait_running(1, watch)
    for queue in ("b", "c"):
        assert panel.tell("add_consumer", queue=queue) == {"ok": "add consumer " + queue}
        assert app.send_task("add", (2, 3), queue=queue).get(timeout=20) == 5
    assert sorted(q["name"] for q in panel.tell("active_queues")) == ["a", "b", "c"]
    tasks.send(4, "gate", "b")
    tasks.wait_running(2, watch)
    watch.a_while(0.5)
    assert watch.most == 2

    assert panel.tell("cancel_consumer", queue="b") == {"ok": "no longer consuming from b"}
    assert [q["name"] for q in panel.tell("active_queues")] == ["a", "c"]
    tasks.open("gate")
    # What it has it finishes; what it has not it leaves alone, also after it has connected again.
    wait_until(lambda: site.unacked("b") == 0, 20 * SLOW, "the running task of b to end")
    left = site.counter("messages_ready", "b")
    assert left == 3
    site.rabbitmq.close_connections(site.vhost)
    w.wait_line(r"Connected to ", count=2)
    assert app.send_task("add", (2, 3), queue="a").get(timeout=20) == 5
    assert app.send_task("add", (2, 3), queue="c").get(timeout=20) == 5
    assert site.counter("messages_ready", "b") == left
    panel.wait_answers()
    panel.tell("add_consumer", queue="b")
    tasks.close()
    assert watch.most == 2


def test_queue_is_created_when_it_is_added(site, worker):
    app = site.app()
    worker("-A", "tasks", "-Q", "a")
    panel = Panel(app)
    panel.tell("add_consumer", queue="fresh", exchange="news", exchange_type="topic", routing_key="news.#")
    wait_until(lambda: "fresh" in site.queues(), 20 * SLOW, "the queue")
    result = None

    def bound():
        nonlocal result
        result = app.send_task("add", (2, 3), exchange="news", routing_key="news.today")
        try:
            return result.get(timeout=1) == 5
        except Exception:
            return False
    wait_until(bound, 20 * SLOW, "the task to come through the exchange")


def test_all_queues_cancelled(site, worker):
    app = site.app()
    worker("-A", "tasks", "-Q", "a", "-c", "2")
    panel = Panel(app)
    panel.tell("cancel_consumer", queue="a")
    result = app.send_task("add", (2, 3), queue="a")
    wait_until(lambda: site.counter("messages_ready", "a") == 1, 20 * SLOW, "the task to wait")
    time.sleep(0.3)
    assert not result.ready()
    panel.tell("add_consumer", queue="a")
    assert result.get(timeout=20) == 5


def test_queue_that_nobody_may_have(site, worker, held):
    """The worker says so, gives it up, and goes on with what it has."""
    app = client(site, "classic", ["a"])
    tasks, panel, watch = held(app), Panel(app), Watch(site, ["a"])
    w = worker("-A", "tasks", "-Q", "a", "-c", "2")
    tasks.send(1, "gate", "a")
    tasks.wait_running(1, watch)
    host, vhost = site.broker.rsplit("@", 1)[1].split("/", 1)
    with amqp.Connection(host, virtual_host=vhost) as other:
        other.channel().queue_declare("theirs", exclusive=True)
        panel.tell("add_consumer", queue="theirs")
        w.wait_line("cannot take tasks from queue theirs: .*")
        assert [q["name"] for q in panel.tell("active_queues")] == ["a"]
        assert app.send_task("add", (2, 3), queue="a").get(timeout=20) == 5
    tasks.open("gate")
    tasks.close()


def test_one_of_several_new_queues_refuses_consumers(site, worker):
    """Only that one is given up, though the others were asked for at the same time."""
    # Quorum queues answer late: their consumers are still starting when it refuses.
    app = declared(site, "quorum", ["a", "b", "c", "d"])
    declared(site, "classic", ["theirs"])
    panel = Panel(app)
    w = worker("-A", "tasks", "-Q", "a", "-c", "5")
    host, vhost = site.broker.rsplit("@", 1)[1].split("/", 1)
    with amqp.Connection(host, virtual_host=vhost) as other, app.connection_for_write() as connection:
        other.channel().basic_consume("theirs", exclusive=True)
        for queue in ("b", "theirs", "c", "d"):
            app.control.broadcast("add_consumer", arguments={"queue": queue}, connection=connection)
        w.wait_line("cannot take tasks from queue theirs: .*in exclusive use")
        for queue in "abcd":
            assert app.send_task("add", (2, 3), queue=queue).get(timeout=20) == 5
        assert sorted(q["name"] for q in panel.tell("active_queues")) == ["a", "b", "c", "d"]
        assert len(w.lines("cannot take tasks")) == 1


def test_pools_by_name(site, worker, warren, tmp_path, held):
    config = tmp_path / "warren.yaml"
    config.write_text("pools:\n"
                      "  one: { queues: [one], concurrency: 1, app: tasks }\n"
                      "  two: { queues: [two], concurrency: 1, app: tasks }\n")
    app = site.app()
    worker("--config", str(config))
    panel, tasks = Panel(app), held(app)

    def sizes():
        return {name: pool["concurrency"] for name, pool in panel.stats()["warren"]["pools"].items()}
    panel.tell("pool_grow", n=2, pool="two")
    assert sizes() == {"one": 1, "two": 3}
    panel.tell("pool_grow")
    assert sizes() == {"one": 2, "two": 3}
    warren("control", "pool_grow", "--pool", "two")
    warren("control", "pool_shrink", "--pool", "two")
    assert sizes() == {"one": 2, "two": 3}
    assert "no pool 'too' here" in warren("control", "pool_grow", "--pool", "too", code=1).stderr
    warren("control", "add_consumer", "three", "--pool", "two")
    watch = Watch(site, ["two", "three"])
    tasks.send(5, "gate", "three")
    tasks.wait_running(3, watch)
    watch.a_while(0.3)
    assert watch.most == 3
    tasks.open("gate")
    tasks.close()


def test_restarted_children(site, worker, held):
    app = client(site, "classic", ["q"])
    tasks, panel, watch = held(app), Panel(app), Watch(site, ["q"])
    w = worker("-A", "tasks", "-Q", "q", "-c", "3")
    tasks.send(1, "gate", "q")
    tasks.wait_running(1, watch)
    before = set(w.slots())
    assert panel.tell("pool_restart") == {"ok": "reload started"}
    wait_until(lambda: len(set(w.slots()) & before) == 1 and len(w.slots()) == 3, 20 * SLOW, "idle children to be replaced")
    tasks.open("gate")
    tasks.close()
    wait_until(lambda: not set(w.slots()) & before, 20 * SLOW, "the busy child to be replaced")
