"""
What Flower asks of a worker (celery-wire.md 8 and 11), replayed: Debian has no Flower. The calls are Flower's own, made with Celery's
client as Flower makes them; what must be in the answers is what its pages and its metrics read.
"""
import signal

import pytest

from harness import SLOW, wait_state
from helpers import Events
from warren_servers import wait_until

NODE = "ours@here"


@pytest.fixture
def flower(app):
    """Flower's Inspector: one question to everybody. It waits for a second; here there is one to answer."""
    def ask(method, **arguments):
        answers = app.control.inspect(timeout=5 * SLOW, limit=1)._request(method, **arguments)
        assert list(answers) == [NODE], answers
        return answers[NODE]
    return ask


@pytest.fixture
def order(app):
    """A command of Flower's API to one node; good when the answer has `ok`."""
    def order(command, **arguments):
        answer, = app.control.broadcast(command, arguments=arguments, destination=[NODE], reply=True, timeout=10 * SLOW, limit=1)
        return answer[NODE]
    return order


def test_c58_what_flower_asks_when_it_starts_and_its_worker_page_reads(ours, app, flower, tmp_path):
    ours("-Q", "work")
    held = app.send_task("hold", (str(tmp_path / "gate"),), queue="work")
    wait_state(held, "STARTED")
    assert app.control.broadcast("heartbeat", reply=False) is None
    for _ in range(2):  # every five seconds, without wanting an answer
        app.control.enable_events()
    stats = flower("stats")
    # /worker/NODE: its tables of pool and broker, and its charts.
    for key in ("max-concurrency", "processes", "timeouts", "put-guarded-by-semaphore", "max-tasks-per-child", "writes", "implementation"):
        assert key in stats["pool"]
    assert {"hostname", "port", "userid", "virtual_host", "transport", "ssl", "login_method", "heartbeat", "connect_timeout"} <= set(stats["broker"])
    assert stats["total"] == {"hold": 1} and stats["prefetch_count"] == 2 and stats["rusage"]["maxrss"] > 0
    queue, = flower("active_queues")
    for key in ("name", "exclusive", "durable", "routing_key", "no_ack", "alias", "queue_arguments", "binding_arguments", "auto_delete"):
        assert key in queue
    assert "hold" in flower("registered", taskinfoitems=[])
    assert flower("scheduled") == [] and flower("reserved") == [] and flower("revoked") == []
    active, = flower("active", safe=True)
    assert (active["id"], active["name"], active["hostname"]) == (held.id, "hold", NODE)
    assert all(key in active for key in ("args", "kwargs", "time_start", "acknowledged", "worker_pid", "delivery_info"))
    conf = flower("conf", with_defaults=False)
    assert "guest:guest" not in str(conf) and conf["broker_url"]
    (tmp_path / "gate").touch()


def test_c58_orders_of_the_api(ours, app, order, site, tmp_path):
    w = ours("-Q", "work")
    # Flower sends 1 for true, and null for what was not given.
    held = app.send_task("hold", (str(tmp_path / "never"),), queue="work")
    wait_state(held, "STARTED")
    assert "ok" in order("revoke", task_id=held.id, terminate=1, signal="SIGTERM")
    wait_state(held, "REVOKED")
    assert order("time_limit", task_name="hold", soft=5, hard=None) == {"ok": "time limits set successfully"}
    assert order("rate_limit", task_name="add", rate_limit="10/s") == {"ok": "new rate limit set successfully"}
    assert "ok" in order("pool_restart", reload=False)
    # A node that is not addressed says nothing, and shutdown is not answered.
    assert app.control.broadcast("shutdown", destination=["nobody@here"], reply=True, timeout=0.3) == []
    assert w.alive()
    app.control.broadcast("shutdown", destination=[NODE])
    assert w.wait() == 0


def test_c58_the_task_page_and_lists_have_what_they_show(ours, app):
    ours("-Q", "work", "--heartbeat", "200ms")
    with Events(app) as events:
        app.control.enable_events(destination=[NODE], reply=True)
        good = app.send_task("add", (2, 3), queue="work")
        bad = app.send_task("fail", ("boom",), queue="work")
        events.wait(lambda: events.of(good.id)[-1:] == ["task-succeeded"] and events.of(bad.id)[-1:] == ["task-failed"], "both to end")
        task = events.state.tasks[good.id]
        assert (task.name, task.args, task.kwargs, task.state, task.result, task.worker.hostname) == (
            "add", task.args, "{}", "SUCCESS", "5", NODE)
        assert "2" in task.args and "3" in task.args
        assert task.received <= task.started <= task.succeeded and task.runtime > 0 and task.retries == 0
        assert task.root_id == good.id and task.parent_id is None and task.clock > 0
        failed = events.state.tasks[bad.id]
        assert failed.state == "FAILURE" and failed.exception == "ValueError('boom')" and "Traceback" in failed.traceback
        worker = events.state.workers[NODE]
        # The list of workers.
        events.wait(lambda: worker.processed == 2, "a heartbeat of after the tasks")
        assert worker.active == 0 and len(worker.loadavg) == 3 and worker.pid > 0 and worker.freq == 0.2
        assert (worker.sw_ident, worker.sw_sys) == ("warren", "Linux")


def test_c59_the_metrics_move(ours, app, tmp_path):
    """flower_events_total, _task_runtime_seconds, _task_prefetch_time_seconds, _worker_online, _number_of_currently_executing_tasks."""
    ours("-Q", "work", "-E", "--heartbeat", "200ms")
    with Events(app) as events:
        held = app.send_task("hold", (str(tmp_path / "gate"),), queue="work")
        events.wait(lambda: any(e["type"] == "worker-heartbeat" and e["active"] == 1 for e in events.all), "the task to be counted as running")
        (tmp_path / "gate").touch()
        events.wait(lambda: events.of(held.id)[-1:] == ["task-succeeded"], "its end")
        events.wait(lambda: events.all[-1]["type"] == "worker-heartbeat" and events.all[-1]["active"] == 0, "nothing to run any more")
    by_type = {e["type"]: e for e in events.all if e.get("uuid") == held.id}
    # Flower counts by worker, type and task; the name is that of task-received.
    assert [e["hostname"] for e in by_type.values()] == [NODE] * 3 and by_type["task-received"]["name"] == "hold"
    assert by_type["task-succeeded"]["runtime"] > 0 and by_type["task-received"]["eta"] is None
    assert by_type["task-started"]["timestamp"] >= by_type["task-received"]["timestamp"]


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_c58_a_node_is_on_and_off_line_within_two_heartbeats(ours, app, end):
    w = ours("-Q", "work", "--heartbeat", "500ms")
    with Events(app) as events:
        events.wait(lambda: NODE in events.state.workers and events.state.workers[NODE].alive, "the node to be there")
        worker = events.state.workers[NODE]
        if end == signal.SIGTERM:
            assert w.stop() == 0
            events.wait(lambda: events.all[-1]["type"] == "worker-offline", "its goodbye")
            assert not worker.alive
        else:
            w.kill()
            wait_until(lambda: not worker.alive, 2 * 0.5 + 0.3, "the node to be taken for dead")
