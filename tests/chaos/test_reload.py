"""F50: SIGHUP. Settings are read again, checked, and only then count; what runs goes on by the old ones."""
import signal
import time

import pytest

from harness import SLOW, is_sanitized
from test_stop import Manager
from warren_servers import wait_until

POOL = "pools:\n  p: {{ queues: [{queues}], app: chaos_tasks, {more} }}\n"


class Settings:
    """The configuration file of one worker."""

    def __init__(self, lab):
        self.lab, self.path, self.reloads, self.refusals = lab, None, 0, 0

    def write(self, text="", queues="work", more="concurrency: 1"):
        flag, self.path = self.lab.config(POOL.format(queues=queues, more=more) + text)
        return flag, self.path

    def reload(self, w):
        w.send_signal(signal.SIGHUP)
        self.reloads += 1
        w.wait_line("settings read again from ", count=self.reloads)

    def refused(self, w):
        w.send_signal(signal.SIGHUP)
        self.refusals += 1
        return w.wait_line("settings are not read again, the old ones stay: ", count=self.refusals)


@pytest.fixture
def settings(lab):
    lab.declare()
    return Settings(lab)


def test_f50_bad_settings_are_refused_with_their_line(lab, settings):
    w = lab.worker(*settings.write(), pool=False)
    lab.send_run(gated=True)
    lab.wait_starts(1)
    settings.write("tasks:\n  run: { time_limt: 1 }\n")
    assert "warren.yaml:4: " in settings.refused(w) and "time_limit" in w.lines("not read again")[0]
    settings.write("tasks: [\n")
    assert "warren.yaml:" in settings.refused(w)
    # Right in itself, but nothing to start a child with.
    settings.write(more="runner: [./missing]")
    assert "exactly one of app, module and runner" in settings.refused(w)
    lab.open_gate()
    lab.send_run(value=3)
    lab.close_books(starts=(1, 1))
    settings.write()
    settings.reload(w)


def test_f50_a_running_task_keeps_its_limits(lab, settings):
    w = lab.worker(*settings.write("tasks:\n  run: { time_limit: 60 }\n"), pool=False)
    lab.send_run(gated=True)
    lab.wait_starts(1)
    settings.write("tasks:\n  run: { time_limit: 500ms }\n")
    settings.reload(w)
    over = time.monotonic() + 1
    wait_until(lambda: time.monotonic() > over, 5, "the new limit to pass")
    lab.open_gate()
    lab.close_books(starts=(1, 1))
    # The next one has the new limit.
    late = lab.send("run", (lab.journal, 1, None, 20))
    lab.wait_state(late, "FAILURE", timeout_s=10)
    assert list(lab.meta(late)["result"]["exc_message"]) == [0.5]


def test_f50_slots_and_queues_follow(lab, settings):
    lab.declare(name="more")
    w = lab.worker(*settings.write(), pool=False)
    for value in range(6):
        lab.send_run(value=value, gated=True)
    lab.wait_starts(1)
    settings.write(more="concurrency: 3", queues="work, more")
    settings.reload(w)
    lab.wait_starts(3)
    assert w.lines(r"pool p: 1 -> 3 slots \(settings\)")
    settings.write(more="concurrency: 2", queues="more")
    settings.reload(w)
    lab.open_gate()
    wait_until(lambda: len(lab.lines("end")) == 3, 20 * SLOW, "what it has to end")
    lab.send_run(value=9, queue="more")
    wait_until(lambda: len(lab.lines("end")) == 4, 20 * SLOW, "the other queue to be served")
    wait_until(lambda: len(w.slots()) == 2, 20 * SLOW, "two slots to be left")
    assert (lab.starts(), lab.site.counter("messages_ready", "work")) == (4, 3)
    # By itself: from one to three slots.
    settings.write(more="autoscale: { min: 1, max: 3, idle: 1s }", queues="more, work")
    settings.reload(w)
    lab.close_books(starts=(1, 1))
    wait_until(lambda: len(w.slots()) == 1, 20 * SLOW, "the pool to shrink")


def test_f50_children_are_replaced_when_their_environment_changes(lab, settings):
    w = lab.worker(*settings.write(more="concurrency: 2"), pool=False)
    before = set(w.slots())
    settings.write(more="concurrency: 2, max_tasks_per_child: 100")
    settings.reload(w)
    assert set(w.slots()) == before
    settings.write(more="concurrency: 2, env: { COLOUR: blue }")
    settings.reload(w)
    wait_until(lambda: len(w.slots()) == 2 and not set(w.slots()) & before, 20 * SLOW, "new children")
    with open("/proc/%d/environ" % w.slots()[0], "rb") as f:
        assert b"COLOUR=blue" in f.read().split(b"\0")
    lab.send_run()
    lab.close_books(starts=(1, 1))


def test_f50_log_level_and_drain_time_out(lab, settings):
    w = lab.worker(*settings.write("log_level: warning\n"), pool=False, ready=False)
    lab.send_run()
    lab.close_books()
    assert not w.lines("succeeded in")
    settings.write("log_level: info\ndrain_timeout: 300ms\n")
    settings.reload(w)
    lab.send_run(gated=True)
    w.wait_line("Task run.*received")
    lab.wait_starts(2)
    began = time.monotonic()
    assert w.stop() == 0
    assert time.monotonic() - began < 5 * SLOW
    assert w.lines("0s$|within 0s") and w.lines("was ended after")


def test_f50_what_needs_a_restart_is_named_and_stays(lab, settings):
    w = lab.worker(*settings.write("heartbeat: 3s\n"), "--node-name", "named@%h", pool=False)
    settings.write("heartbeat: 4s\nnode_name: other@%h\nbroker: amqp://guest:secret@nowhere:5672//\nresult_expires: 1h\n"
                   "drain_timeout: 9s\n")
    with open(settings.path, "a") as f:
        f.write("tasks:\n  run: { max_lost: 1 }\n")
    text = open(settings.path).read().replace("pools:\n", "pools:\n  fresh: { queues: [fresh], app: chaos_tasks }\n")
    open(settings.path, "w").write(text)
    settings.reload(w)
    named = " ".join(w.lines("needs a restart"))
    for name in ("heartbeat has changed (", "result_expires has changed (", "pools: fresh has changed (new)"):
        assert name in named, named
    # The flag and the environment are stronger than the file; what may change is not named; no password is.
    assert not any(name in named for name in ("node_name", "broker", "drain_timeout", "max_lost", "secret")), named
    lab.send_run()
    lab.close_books()
    assert "fresh" not in lab.site.queues()


def resident_kb(pid):
    with open("/proc/%d/status" % pid) as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def test_f50_again_and_again_under_load(lab, settings):
    """Nothing is lost, nothing runs twice, and old settings are given up."""
    texts = [dict(text="tasks:\n  run: { time_limit: 50 }\n" + "".join("  \"t%d.*\": { time_limit: 9 }\n" % i for i in range(300)),
                  more="concurrency: 2"),
             dict(text="tasks:\n  run: { time_limit: 60, retry_backoff: true, autoretry_for: [Nothing] }\n", more="concurrency: 4",
                  queues="work, more")]
    lab.declare(name="more")
    w = lab.worker(*settings.write(**texts[0]), pool=False)
    lab.send_many(1500, seconds=0.002)
    half = 0
    for i in range(120):
        settings.write(**texts[i % 2])
        settings.reload(w)
        if i == 60:
            half = resident_kb(w.pid)
    grown = resident_kb(w.pid) - half
    lab.close_books(starts=(1, 1))
    # One reading of the first text takes more than 100 KiB. A sanitizer keeps what was freed for a while, and finds leaks by itself.
    assert grown < 1500 or is_sanitized(), "%d KiB" % grown


def test_f50_systemd_is_told(lab, settings):
    manager = Manager(str(lab.folder / "notify"))
    w = lab.worker(*settings.write(), pool=False, env=manager.env())
    settings.reload(w)
    wait_until(lambda: any(text.startswith("RELOADING=1\nMONOTONIC_USEC=") for text in manager.listen()), 10, "news of the reload")
    wait_until(lambda: manager.listen()[-1] == "READY=1", 10, "news that it is done")
