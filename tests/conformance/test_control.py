"""Celery's own command line on a worker of ours: every command, and every member of what it answers (checks 54-57, 60-63)."""
import json
import re
import signal
import time

import pytest

import harness
from harness import SLOW, wait_state
from helpers import as_it_is
from warren_servers import wait_until

NODE = "ours@here"
INFO = {"id", "name", "args", "kwargs", "type", "hostname", "time_start", "acknowledged", "delivery_info", "worker_pid"}
QUEUE = {"name", "exchange", "routing_key", "queue_arguments", "binding_arguments", "consumer_arguments", "durable", "exclusive", "auto_delete",
         "no_ack", "alias", "bindings", "no_declare", "expires", "message_ttl", "max_length", "max_length_bytes", "max_priority"}
EXCHANGE = {"name", "type", "arguments", "durable", "passive", "auto_delete", "delivery_mode", "no_declare"}
STATS = {"total", "pid", "clock", "uptime", "pool", "broker", "prefetch_count", "rusage"}
POOL = {"implementation", "max-concurrency", "processes", "max-tasks-per-child", "put-guarded-by-semaphore", "timeouts", "writes"}
BROKER = {"hostname", "userid", "virtual_host", "port", "insist", "ssl", "transport", "connect_timeout", "transport_options", "login_method",
          "uri_prefix", "heartbeat", "failover_strategy", "alternates"}
RUSAGE = {"utime", "stime", "maxrss", "ixrss", "idrss", "isrss", "minflt", "majflt", "nswap", "inblock", "oublock", "msgsnd", "msgrcv",
          "nsignals", "nvcsw", "nivcsw"}


@pytest.fixture
def ask(app):
    """One command, over Celery's client; the answer of our node."""
    def ask(command, **arguments):
        answers = app.control.broadcast(command, arguments=arguments, destination=[NODE], reply=True, timeout=10 * SLOW, limit=1)
        assert len(answers) == 1 and list(answers[0]) == [NODE], answers
        return answers[0][NODE]
    return ask


def test_c54_status_and_ping_list_the_worker_at_once(ours, cli, app):
    ours()
    start = time.monotonic()
    done = cli("status", "-d", NODE)
    assert time.monotonic() - start < 1 * SLOW
    assert "->  %s: OK" % NODE in done.output and "1 node online." in done.output
    done = cli("inspect", "ping")
    assert "->  %s: OK" % NODE in done.output and "pong" in done.output and "1 node online." in done.output
    assert app.control.ping(timeout=1 * SLOW) == [{NODE: {"ok": "pong"}}]


def test_c55_inspect_prints_without_error_and_with_all_members(ours, cli, ask, app, queue, tmp_path):
    ours("-Q", queue)
    gate = tmp_path / "gate"
    held = app.send_task("hold", (str(gate),), {"journal": None}, queue=as_it_is(queue))
    wait_state(held, "STARTED")
    app.control.revoke("revoked-id", destination=[NODE], reply=True)
    commands = [["active"], ["active_queues"], ["clock"], ["conf"], ["memsample"], ["memdump"], ["ping"], ["query_task", held.id], ["registered"],
                ["report"], ["reserved"], ["revoked"], ["scheduled"], ["stats"]]
    said = {}
    for words in commands:
        done = cli("inspect", "-d", NODE, *words)
        assert "->  %s: OK" % NODE in done.output and "1 node online." in done.output, done.output
        said[words[0]] = done.output
        json.loads(re.search(r"\{.*\}", cli("inspect", "-d", NODE, "--json", *words).output, re.S).group(0))
    assert held.id in said["active"] and held.id in said["query_task"] and "revoked-id" in said["revoked"]
    assert "* hold" in said["registered"] and "- empty -" in said["reserved"] and "- empty -" in said["scheduled"]

    active, = ask("active")
    assert set(active) == INFO
    assert (active["id"], active["name"], active["type"], active["args"], active["kwargs"], active["hostname"], active["acknowledged"]) == (
        held.id, "hold", "hold", [str(gate)], {"journal": None}, NODE, False)
    assert abs(active["time_start"] - time.time()) < 60 and isinstance(active["worker_pid"], int)
    assert active["delivery_info"] == {"exchange": "", "routing_key": queue, "priority": 0, "redelivered": False}
    safe, = ask("active", safe=True)
    assert (safe["args"], safe["kwargs"]) == ("('%s',)" % gate, "{'journal': None}")
    assert ask("query_task", ids=[held.id, "unknown"]) == {held.id: ["active", active]}
    assert ask("reserved") == [] and ask("scheduled") == [] and "revoked-id" in ask("revoked")

    listed, = ask("active_queues")
    assert set(listed) == QUEUE and set(listed["exchange"]) == EXCHANGE
    assert (listed["name"], listed["routing_key"], listed["durable"], listed["exclusive"], listed["exchange"]["type"]) == (
        queue, queue, True, False, "direct")

    stats = ask("stats")
    assert STATS <= set(stats) and POOL <= set(stats["pool"]) and BROKER <= set(stats["broker"]) and RUSAGE == set(stats["rusage"])
    assert stats["total"] == {"hold": 1} and isinstance(stats["clock"], str) and isinstance(stats["pid"], int)
    assert stats["pool"]["max-concurrency"] == 2 and len(stats["pool"]["processes"]) == 2
    assert {"total", "avg", "all", "raw", "strategy", "inqueues"} == set(stats["pool"]["writes"])
    assert stats["pool"]["writes"]["avg"] == "0.50"  # of two slots; nothing of what they ran
    assert stats["prefetch_count"] == 2 and stats["broker"]["transport"] == "amqp"
    assert set(ask("clock")) == {"clock"} and set(ask("report")) == {"ok"}
    assert ask("nosuch") == {"error": "KeyError('nosuch')"}
    assert "broker_url" in ask("conf") and len(ask("conf", with_defaults=True)) > len(ask("conf"))
    gate.touch()


def test_c55_reserved_and_scheduled_show_what_waits(ours, ask, app, tmp_path):
    # One task runs, one waits for its slot to have a child, and one is due in less than a second.
    ours("-c", "2", "-Q", "work")
    soon = app.send_task("add", (1, 2), queue="work", countdown=0.9)
    shown = wait_until(lambda: ask("scheduled") or ([] if soon.state == "SUCCESS" else None), 10 * SLOW, "it to be listed or done")
    if shown:
        assert set(shown[0]) == {"eta", "priority", "request"} and set(shown[0]["request"]) == INFO
        assert shown[0]["request"]["id"] == soon.id and shown[0]["request"]["time_start"] is None
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00", shown[0]["eta"])
    assert soon.get(timeout=10 * SLOW) == 3


def test_c56_control_commands_are_carried_out(ours, cli, ask, app, tmp_path):
    w = ours("-Q", "work")

    def ok(*words, says=""):
        done = cli("control", "-d", NODE, *words)
        assert "->  %s: OK" % NODE in done.output and says in done.output, done.output

    ok("add_consumer", "more", says="add consumer more")
    assert [q["name"] for q in ask("active_queues")] == ["work", "more"]
    assert app.send_task("add", (2, 3), queue="more").get(timeout=10 * SLOW) == 5
    ok("cancel_consumer", "more", says="no longer consuming from more")
    assert [q["name"] for q in ask("active_queues")] == ["work"]
    ok("pool_grow", "2", says="pool will grow")
    wait_until(lambda: len(ask("stats")["pool"]["processes"]) == 4, 10, "four children")
    ok("pool_shrink", says="pool will shrink")
    wait_until(lambda: len(ask("stats")["pool"]["processes"]) == 3, 10, "three children")
    ok("pool_restart", says="reload started")
    assert ask("autoscale", max=4, min=2) == {"error": "ValueError('Autoscale not enabled')"}
    ok("rate_limit", "add", "10/m", says="new rate limit set successfully")
    assert "add [rate_limit=10/m]" in ask("registered")
    ok("rate_limit", "add", "0", says="rate limit disabled successfully")
    ok("time_limit", "hold", "1", "2", says="time limits set successfully")
    limited = app.send_task("hold", (str(tmp_path / "never"),), queue="work")
    with pytest.raises(Exception) as caught:
        limited.get(timeout=20 * SLOW)
    assert type(caught.value).__name__ == "SoftTimeLimitExceeded"
    ok("enable_events", says="task events enabled")
    assert ask("enable_events") == {"ok": "task events already enabled"}
    ok("disable_events", says="task events disabled")
    assert ask("disable_events") == {"ok": "task events already disabled"}
    ok("heartbeat")
    ok("revoke", "one", says="tasks one flagged as revoked")
    ok("terminate", "KILL", "unknown-id", says="terminate: tasks unknown")
    assert ask("revoke", task_id=["one", "two"])["ok"] == "tasks one, two flagged as revoked"
    assert ask("rate_limit", task_name="nosuch", rate_limit="1/s") == {"error": "unknown task"}
    assert ask("rate_limit", task_name="add", rate_limit="fast")["error"].startswith("Invalid rate limit string: ")
    assert ask("rate_limit", task_name="add", rate_limit="1/y") == {"error": "KeyError('y')"}
    assert ask("time_limit", task_name="nosuch", hard=1) == {"error": "unknown task"}
    assert ask("heartbeat") is None and ask("election", id="e", topic="task", action=None) is None
    assert app.control.broadcast("shutdown", destination=[NODE], reply=True, timeout=0.5) == []
    assert w.wait() == 0


def test_c56_autoscale(ours, cli, ask):
    ours("--autoscale", "3,1")
    assert ask("stats")["autoscaler"] == {"max": 3, "min": 1, "current": 1, "qty": 0}
    done = cli("control", "-d", NODE, "autoscale", "4", "2")
    assert "->  %s: OK" % NODE in done.output and "autoscale now max=4 min=2" in done.output
    assert ask("pool_grow", n=1) == {"error": "pool_grow is not supported with autoscale. Adjust autoscale range instead."}


def test_c57_only_those_addressed_answer(ours, worker, app):
    ours()
    worker("-A", "tasks", "-c", "1", "-n", "other@here", "-Q", "other")

    def who(**where):
        return sorted(node for answer in app.control.broadcast("ping", reply=True, timeout=0.5 * SLOW, **where) for node in answer)
    assert who() == ["other@here", NODE]
    assert who(destination=[NODE]) == [NODE]
    assert who(destination=["nobody@here"]) == []
    assert who(pattern="oth*", matcher="glob") == ["other@here"]
    assert who(pattern="o.*rs@", matcher="pcre") == [NODE]
    assert who(pattern="urs@", matcher="pcre") == []


def test_events_dump_purge_result_call_and_report(ours, cli, app, site, programs, tmp_path):
    ours("-Q", "celery", "-E", "--heartbeat", "200ms")
    dump = programs("dump", [harness.PYTHON, "-m", "celery", "-b", site.broker, "events", "--dump"], site.env())
    dump.wait_line("worker heartbeat|worker-heartbeat|heartbeat")
    task_id = cli("call", "add", "-a", "[2, 3]").output.split()[-1]
    assert app.AsyncResult(task_id).get(timeout=10 * SLOW) == 5
    assert cli("result", task_id).output.strip() == "5"
    dump.wait_line("task succeeded.*%s" % task_id)
    assert not re.search("Traceback|Error", dump.output()), dump.output()
    # An interrupt that comes while it handles an event can be lost on it.
    wait_until(lambda: not dump.alive() or dump.send_signal(signal.SIGINT), 20 * SLOW, "celery events to end", every_s=0.5)
    failed = app.send_task("fail", ("boom",))
    wait_state(failed, "FAILURE")
    assert "boom" in cli("result", "--traceback", failed.id).output
    app.send_task("add", (1, 1), queue="idle")
    wait_until(lambda: site.counter("messages", "idle") == 1, 10, "the task to wait")
    assert "Purged 1 message" in cli("purge", "-f", "-Q", "idle").output
    assert site.counter("messages", "idle") == 0
    assert "software" in cli("report").output


def test_c60_no_drift_between_time_zones(ours, app, site):
    """A worker in Kiritimati, a monitor here: Celery's own monitor warns of clocks that are apart, unless nothing says that they are."""
    from celery.events import state
    ours("-E", "--heartbeat", "200ms", env={"TZ": "Pacific/Kiritimati"})
    drift = []
    cluster = app.events.State()
    seen = []

    def on_event(event):
        seen.append(event)
        cluster.event(event)
    original = state._warn_drift
    state._warn_drift = lambda *args: drift.append(args)
    try:
        with app.connection() as connection:
            receiver = app.events.Receiver(connection, handlers={"*": on_event})
            app.send_task("add", (1, 1)).get(timeout=10 * SLOW)
            while len(seen) < 5:
                receiver.capture(limit=1, timeout=10 * SLOW)
    finally:
        state._warn_drift = original
    assert not drift
    assert all(abs(e["timestamp"] - e["local_received"]) < 5 and "utcoffset" not in e for e in seen)
    assert cluster.workers[NODE].alive


def test_c62_a_celery_worker_syncs_with_ours(ours, theirs):
    w = ours()
    started = theirs(bare=False)
    started.wait_line("mingle: sync with 1 nodes")
    started.wait_line("mingle: sync complete")
    w.wait_line("sync with theirs@here")


def test_c63_two_nodes_of_one_name(ours, app):
    ours()
    second = ours("-c", "1", "-Q", "other")
    second.wait_line("another worker named %s is connected to this broker" % NODE)
    for _ in range(4):
        answer, = app.control.ping(timeout=0.2 * SLOW)
        assert list(answer) == [NODE]
