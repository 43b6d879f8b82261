"""Nothing is lost and nothing is stored twice when workers, children or servers go away."""
import collections
import json
import os
import signal

from harness import SLOW, alive, wait_final, wait_state
from warren_servers import wait_until

TASKS, SLOTS = 200, 4


def send_numbers(app, journal, gate=None):
    """The second half waits for the gate, if there is one: so what happens before it opens happens in the middle."""
    return [app.send_task("journal", (journal.path, i, 0.01, gate and i >= TASKS // 2 and str(gate))) for i in range(TASKS)]


def check_each_once(site, results, journal, again_max):
    """Each has one result, the right one; at most `again_max` ran more than once, none not at all."""
    wait_final(results)
    assert [r.state for r in results] == ["SUCCESS"] * len(results)
    assert [r.result for r in results] == [i * i for i in range(len(results))]
    runs = collections.Counter(journal.lines())
    assert set(runs) == {str(i) for i in range(len(results))}
    again = {number: n for number, n in runs.items() if n > 1}
    assert len(again) <= again_max, "ran more than once: %r" % again
    site.wait_empty()


def count_stores(site):
    """Subscribes to all results: {id: how often a final one was stored}, once it is called."""
    listener = site.redis.pubsub()
    listener.psubscribe("celery-task-meta-*")
    # The subscription counts from the moment it is confirmed.
    assert listener.get_message(timeout=10)["type"] == "psubscribe"
    finals = collections.Counter()

    def so_far():
        while True:
            message = listener.get_message(timeout=0.2)
            if message is None:
                return finals
            if message["type"] == "pmessage":
                meta = json.loads(message["data"])
                if meta["status"] in ("SUCCESS", "FAILURE"):
                    finals[meta["task_id"]] += 1
    return so_far


def test_worker_killed_in_the_middle(site, worker, journal, tmp_path):
    app = site.app()
    finals = count_stores(site)
    first = worker("-A", "tasks", "-c", str(SLOTS), "-n", "first@%h")
    children = first.descendants()
    gate = tmp_path / "gate"
    results = send_numbers(app, journal, gate)
    journal.wait_count(60)
    first.kill()
    assert len(journal.lines()) <= TASKS // 2 + SLOTS
    gate.touch()
    # Children do not work on for nobody.
    wait_until(lambda: not [pid for pid in children if alive(pid)], 10 * SLOW, "the children to end")
    worker("-A", "tasks", "-c", str(SLOTS), "-n", "second@%h")
    check_each_once(site, results, journal, again_max=SLOTS)
    stored = finals()
    assert set(stored) == {r.id for r in results}
    assert max(stored.values()) == 1, "stored twice: %r" % {i: n for i, n in stored.items() if n > 1}


def test_worker_killed_again_and_again(site, worker, journal):
    app = site.app()
    results = send_numbers(app, journal)
    kills = 4
    for i in range(kills):
        w = worker("-A", "tasks", "-c", str(SLOTS), "-n", "w%d@%%h" % i)
        journal.wait_count(30 * (i + 1))
        w.kill()
    worker("-A", "tasks", "-c", str(SLOTS), "-n", "last@%h")
    check_each_once(site, results, journal, again_max=kills * SLOTS)


def test_two_workers_one_killed(site, worker, journal):
    app = site.app()
    results = send_numbers(app, journal)
    worker("-A", "tasks", "-c", "2", "-n", "stays@%h")
    goes = worker("-A", "tasks", "-c", "2", "-n", "goes@%h")
    journal.wait_count(80)
    goes.kill()
    check_each_once(site, results, journal, again_max=2)


def test_sigterm_lets_running_tasks_end_and_leaves_the_rest(site, worker, journal, tmp_path):
    app = site.app()
    gate = tmp_path / "gate"
    results = [app.send_task("hold", (str(gate), journal.path)) for _ in range(5)]
    w = worker("-A", "tasks", "-c", "2")
    journal.wait_count(2)
    w.send_signal(signal.SIGTERM)
    w.wait_line("2 tasks may finish")
    gate.touch()
    assert w.wait() == 0
    assert sorted(r.state for r in results) == ["PENDING"] * 3 + ["SUCCESS"] * 2
    wait_until(lambda: site.counter("messages_ready") == 3, 10, "three tasks to wait")
    worker("-A", "tasks", "-c", "2")
    wait_final(results)
    assert len(journal.lines()) == 5


def test_drain_timeout_gives_running_tasks_back(site, worker, journal, tmp_path):
    app = site.app()
    gate = tmp_path / "gate"
    result = app.send_task("hold", (str(gate), journal.path))
    w = worker("-A", "tasks", "-c", "1", "--drain-timeout", "200ms")
    journal.wait_count(1)
    assert w.stop() == 0
    wait_until(lambda: site.counter("messages_ready") == 1, 10, "the task to be back")
    gate.touch()
    worker("-A", "tasks", "-c", "1")
    assert result.get(timeout=20 * SLOW) == "held"


def test_child_that_dies_is_a_failure_that_says_how_and_is_replaced(site, worker):
    app = site.app()
    w = worker("-A", "tasks", "-c", "1")
    for how, words in (("SIGKILL", "SIGKILL"), ("SIGSEGV", "SIGSEGV"), (3, "3")):
        result = app.send_task("die", (how,))
        wait_state(result, "FAILURE")
        assert type(result.info).__name__ == "WorkerLostError"
        assert words in str(result.info)
        assert app.send_task("add", (1, 2)).get(timeout=20 * SLOW) == 3
    assert w.alive()


def test_idle_child_that_dies_is_replaced(site, worker):
    app = site.app()
    w = worker("-A", "tasks", "-c", "1")
    before = app.send_task("about").get(timeout=20 * SLOW)["pid"]
    os.kill(before, signal.SIGKILL)
    w.wait_line("SIGKILL.*starting another")
    after = app.send_task("about").get(timeout=20 * SLOW)["pid"]
    assert after != before


def test_connections_closed_by_an_operator(site, worker, journal):
    app = site.app()
    results = send_numbers(app, journal)
    w = worker("-A", "tasks", "-c", str(SLOTS))
    for i in range(3):
        journal.wait_count(40 * (i + 1))
        site.rabbitmq.close_connections(site.vhost)
        w.wait_line("Connected to", count=i + 2)
    check_each_once(site, results, journal, again_max=0)


def test_broker_killed_and_started_again(own_site, worker, journal):
    site = own_site()
    results = send_numbers(site.app(), journal)
    w = worker("-A", "tasks", "-c", str(SLOTS), site=site)
    journal.wait_count(60)
    site.servers.stop("rabbitmq", signal.SIGKILL)
    w.wait_line("cannot reach|lost the connection")
    site.servers.start("rabbitmq")
    w.wait_line("Connected to", count=2, timeout_s=60)
    # A task whose acknowledgement was lost is delivered again, but its result is there: it does not run again.
    check_each_once(site, results, journal, again_max=0)


def test_redis_killed_and_started_again(own_site, worker, journal, tmp_path):
    site = own_site(redis_args=["--appendonly", "yes", "--appendfsync", "always"])
    gate = tmp_path / "gate"
    results = send_numbers(site.app(), journal, gate)
    w = worker("-A", "tasks", "-c", str(SLOTS), site=site)
    journal.wait_count(60)
    site.servers.stop("redis", signal.SIGKILL)
    w.wait_line("lost the result backend")
    gate.touch()
    # Finished tasks wait with their results; nothing is acknowledged meanwhile.
    wait_until(lambda: site.unacked() == SLOTS, 10 * SLOW, "the slots to wait")
    assert site.counter("messages") >= TASKS - len(journal.lines())
    site.servers.start("redis")
    check_each_once(site, results, journal, again_max=0)
