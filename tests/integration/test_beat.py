"""
`warren beat`: what it sends, to whom the lead goes, and what it remembers. A tick is checked by its id, which is uuid5 of group, entry and due time,
so each due time can be counted. Leaders in trouble for minutes: tests/chaos/test_schedulers.py.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from datetime import datetime, timezone

import pytest
from celery.exceptions import TaskRevokedError

import harness
from beats import TICK, check_costs, check_ticks, many, micros, run_id, sent, wait_leader
from harness import SLOW
from warren_servers import wait_until

# --- the commands ------------------------------------------------------------------------------------------------------

CONF = """
schedule:
  nightly: { task: reports.daily, cron: "30 2 * * *", timezone: Europe/Berlin, queue: reports }
  often:   { task: ping, every: 6h }
  past:    { task: ping, at: 2020-01-01T00:00 }
  asleep:  { task: ping, every: 1s, enabled: false }
"""


def test_schedule_shows_what_comes(warren, tmp_path):
    conf = tmp_path / "warren.yaml"
    conf.write_text(CONF)
    conf.chmod(0o644)
    listed = json.loads(warren("schedule", "list", "--config", str(conf), "--from", "2027-03-28T00:00Z", "--json").stdout)
    assert [(e["name"], e["next"]) for e in listed] == [
        ("nightly", "2027-03-28T03:30:00+02:00"), ("often", "2027-03-28T06:00:00+00:00"), ("past", None)]
    assert listed[0]["routing_key"] == "reports" and listed[1]["routing_key"] == "celery"
    text = warren("schedule", "list", "--config", str(conf)).stdout
    assert "cron 30 2 * * * Europe/Berlin" in text and "never" in text and "asleep" not in text
    lines = warren("schedule", "next", "-n", "3", "--from", "2027-03-28T00:00Z", "--config", str(conf)).stdout.splitlines()
    assert lines == ["Sun 2027-03-28 03:30:00+02:00  nightly  reports.daily", "Sun 2027-03-28 06:00:00+00:00  often  ping",
                     "Sun 2027-03-28 12:00:00+00:00  often  ping"]
    one = json.loads(warren("schedule", "next", "night*", "-n", "1", "--from", "2027-03-28T00:00Z", "--json", "--config", str(conf)).stdout)
    due = int(datetime.fromisoformat("2027-03-28T01:30:00+00:00").timestamp()) * 10 ** 6
    assert one["id"] == run_id("nightly", due) and one["due"] == "2027-03-28T03:30:00+02:00"
    assert "no entry has such a name" in warren("schedule", "next", "x", "--config", str(conf), code=1).stderr


@pytest.mark.parametrize("entry, word", [
    ('{ task: t }', "a.yaml:1: schedule 'e': when? give one of every, cron, crontab, at"),
    ('{ task: t, cron: "0 0 30 2 *" }', "cron: no month has such a day"),
    ('{ task: t, every: 1s, queue: q, exchange: x }', "queue and exchange are both given"),
    ('{ task: t, every: 1s, timezone: Mars }', "there is no time zone 'Mars'"),
    ('{ task: t, every: 1s, overlap: skip }', "overlap: skip needs a result backend")])
def test_beat_says_what_is_wrong(warren, tmp_path, entry, word):
    conf = tmp_path / "a.yaml"
    conf.write_text("schedule: { e: %s }" % entry)
    conf.chmod(0o644)
    done = warren("beat", "-q", "--config", str(conf), "--result-backend", "none", "--beat-state", str(tmp_path / "beat.json"), code=None)
    assert done.returncode in (1, 2) and word in done.stderr


def test_a_clock_that_was_far_ahead_is_not_handed_on(site, beat, inbox):
    """The baton of a leader whose clock was years ahead: its successor's says what is settled indeed, or no later one would send what it missed."""
    ahead = 4102444800 * 10 ** 6
    with site.raw_connection() as connection:
        channel = connection.channel()
        channel.queue_declare("warren.beat", durable=True, auto_delete=False, arguments={"x-single-active-consumer": True})
        baton = json.dumps({"until": ahead, "node": "gone"}).encode()
        channel.basic_publish(channel.prepare_message(baton, properties={"delivery_mode": 2}), "", "warren.beat")
    b = beat(TICK)
    inbox("ticks").wait(5)
    assert b.stop() == 0
    box = inbox("warren.beat")
    settled = [json.loads(m.body)["until"] for m in box.wait(1)]
    assert ahead not in settled and max(settled) <= time.time() * 10 ** 6


MANY_APP = """
from celery import Celery
from celery.schedules import crontab

app = Celery("many_app")
app.conf.timezone = "Europe/Berlin"
app.conf.beat_schedule = {"entry-%05d" % i: {
    "task": "many_app.entry", "args": (i,), "options": {"queue": "reports"},
    "schedule": crontab(minute=i % 60, hour=i % 24, day_of_month=i % 28 + 1, month_of_year=6)} for i in range(10000)}


@app.task
def entry(i):
    pass
"""


# --- what is sent ------------------------------------------------------------------------------------------------------

def test_c64_celery_worker_runs_what_beat_sends(site, beat, celery_worker):
    """And each run expires, as the worker reads it, when the next one is due, or so long after its own due time as the entry says."""
    steps = {"sum": 2, "other": 3, "brief": 2}
    expires = {"sum": 2, "other": 3, "brief": 90}
    b = beat({"sum": {"task": "add", "every": "2s", "args": [2, 3]},
              "other": {"task": "add", "every": "3s", "kwargs": {"x": 1, "y": 1}, "queue": "special"},
              "brief": {"task": "add", "every": "2s", "args": [1, 1], "expires": "90s"}})
    received = {}
    app = site.app()
    with app.connection_for_read() as connection:
        def on_event(event):
            if event["type"] == "task-received":
                received[event["uuid"]] = event
        receiver = app.events.Receiver(connection, handlers={"*": on_event})
        listener = threading.Thread(target=receiver.capture, kwargs={"limit": None, "timeout": None, "wakeup": False})
        listener.start()
        try:
            celery_worker("-E", "-Q", "celery,special")
            wait_until(lambda: any(name.startswith("celeryev.") for name in site.queues()), 10 * SLOW, "the listener")
            ids = {}
            for entry, value in (("sum", 5), ("other", 2), ("brief", 2)):
                b.wait_line(r"Sending due task %s \(add\)" % entry, count=len(sent(b, entry)) + 1)
                ids[entry] = sent(b, entry)[-1]
                assert app.AsyncResult(ids[entry]).get(timeout=20 * SLOW) == value
            wait_until(lambda: all(i in received for i in ids.values()), 10 * SLOW, "task-received of all")
        finally:
            receiver.should_stop = True
            listener.join()
    for entry, run in ids.items():
        seen = received[run]
        until = datetime.fromisoformat(seen["expires"])
        due = until.timestamp() - expires[entry]
        assert seen["name"] == "add" and until.tzinfo is not None
        assert due % steps[entry] == 0 and run == run_id(entry, round(due * 10 ** 6)), seen
    assert b.stop() == 0


def test_c64_an_expired_run_is_not_run(site, beat, celery_worker, tmp_path):
    """What a worker has got already is revoked by it, and what waits in the queue is dropped by the broker."""
    b = beat({"late": {"task": "add", "every": "1s", "args": [1, 1], "queue": "late"},
              "lost": {"task": "add", "every": "1s", "args": [1, 1], "queue": "lost", "expires": "0.5s"}})
    b.wait_line("Sending due task late")
    app = site.app()
    gate = tmp_path / "gate"
    # One task at a time, four messages in advance.
    celery_worker("-Q", "celery,late")
    held = app.send_task("hold", args=[str(gate), str(tmp_path / "started")])
    wait_until((tmp_path / "started").exists, 10 * SLOW, "the task that holds the worker up")
    before = len(sent(b, "late"))
    b.wait_line("Sending due task late", count=before + 3)
    late = sent(b, "late")[before:before + 2]
    wait_until(lambda: site.queues()["late"]["messages_unacknowledged"] >= 2, 10 * SLOW, "runs in the worker's hands")
    time.sleep(1.1)  # the expiry of the second
    assert b.stop() == 0
    gate.touch()
    held.get(timeout=20 * SLOW)
    for run in late:
        with pytest.raises(TaskRevokedError, match="expired"):
            app.AsyncResult(run).get(timeout=20 * SLOW)
    wait_until(lambda: site.queues()["lost"]["messages"] == 0, 10 * SLOW, "the broker to drop what nobody took")
    assert len(sent(b, "lost")) > 2


def test_c66_one_catch_up_after_days_none_at_first(beat, clock):
    """Missed runs collapse into one; the first start runs nothing."""
    schedule = {"hourly": {"task": "add", "cron": "0 * * * *"}, "daily": {"task": "add", "crontab": "0 4 * * *"}}
    clock.set_to("2026-03-10T10:30:00+00:00")
    b = beat(schedule, "--beat-store", "none", env=clock.env)
    wait_leader([b])
    assert b.stop() == 0
    assert not b.lines("Sending") and not b.lines("missed")
    clock.set_to("2026-03-13T10:30:00+00:00")
    b = beat(schedule, "--beat-store", "none", env=clock.env)
    b.wait_line("Sending due task", count=2)
    clock.set_to("2026-03-13T11:00:00+00:00")
    b.wait_line("Sending due task hourly", count=2)
    assert sent(b, "hourly") == [run_id("hourly", micros("2026-03-13T%d:00:00+00:00" % h)) for h in (10, 11)]
    assert sent(b, "daily") == [run_id("daily", micros("2026-03-13T04:00:00+00:00"))]
    b.wait_line("entry daily: due times from 2026-03-11T04:00:00.* were missed and are given up; the one of 2026-03-13T04:00:00.* runs now")


def test_f84_the_clock_jumps_an_hour(beat, clock):
    schedule = {"hourly": {"task": "add", "cron": "0 * * * *"}, "tick": {"task": "add", "every": "0.5s"},
                "all": {"task": "add", "every": "10min", "missed": "all", "missed_max": 3},
                "fresh": {"task": "add", "every": "20min", "missed": "skip"}}
    clock.set_to("2026-03-10T10:31:00+00:00")
    b = beat(schedule, env=clock.env)
    b.wait_line("Sending due task tick", count=2)
    assert not sent(b, "hourly") and not sent(b, "all")
    # An hour ahead: what was due meanwhile goes by the missed rules, at once, and that is all.
    clock.jump(3600)
    before = len(sent(b, "tick"))
    b.wait_line("Sending due task all", count=3)
    b.wait_line("entry fresh: due times from .*10:40:00.* to .*11:20:00.* were missed and are skipped")
    b.wait_line("Sending due task tick", count=before + 4)
    assert sent(b, "hourly") == [run_id("hourly", micros("2026-03-10T11:00:00+00:00"))]
    assert sent(b, "all") == [run_id("all", micros("2026-03-10T11:%d:00+00:00" % m)) for m in (10, 20, 30)]
    assert not sent(b, "fresh")
    # And back: nothing comes up again, and it goes on when the clock has passed what is settled.
    clock.jump(-3600)
    b.wait_line(r"the clock is 3(59\d|600) s behind what is settled .*: nothing is sent until it has passed 2026-03-10T11:31:")
    time.sleep(0.2)  # what was due just before the jump may still be on its way into the log
    before = len(sent(b, "tick"))
    time.sleep(1.3)
    assert len(sent(b, "tick")) == before
    clock.jump(3600)
    b.wait_line("Sending due task tick", count=before + 3)
    assert len(b.lines("the clock is ")) == 1
    ids = sent(b, "tick") + sent(b, "hourly") + sent(b, "all")
    assert len(ids) == len(set(ids)) and len(sent(b, "hourly")) == 1


@pytest.mark.parametrize("source", ["file", "app"])
def test_ten_thousand_entries_cost_nothing(beat, site, tmp_path, source):
    """Also once there are last runs, in Redis and in the file: those are read beside the entries."""
    args = []
    if source == "app":
        (tmp_path / "many_app.py").write_text(MANY_APP)
        args = ["-A", "many_app"]
    for run in ("first", "again"):
        began = time.monotonic()
        b = beat(many() if source == "file" else {}, "-q", *args, ready=" leads: 10000 entries",
                 env={"PYTHONPATH": str(tmp_path) + os.pathsep + site.env()["PYTHONPATH"]})
        # Celery alone takes half a second to be imported.
        check_costs(b, began, 1 if source == "file" else 3, "%s, %s" % (source, run))
        assert b.stop() == 0


def test_message_is_an_ordinary_task(site, beat, inbox):
    b = beat({"report": {"task": "reports.daily", "every": "2s", "args": ["pdf", 1], "kwargs": {"n": 2.5}, "queue": "reports", "priority": 4,
                         "time_limit": "30s", "soft_time_limit": "20s", "headers": {"team": "blue"}, "expires": "1h", "ignore_result": True},
              "plain": {"task": "ping", "every": "2s", "queue": "plain"}})
    m = inbox("reports").wait(1)[0]
    h, p = m.headers, m.properties
    assert json.loads(m.body) == [["pdf", 1], {"n": 2.5}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]
    assert h["task"] == "reports.daily" and h["root_id"] == h["id"] and h["parent_id"] is None and h["retries"] == 0 and h["eta"] is None
    assert h["timelimit"] == [30, 20] and h["argsrepr"] == "('pdf', 1)" and h["kwargsrepr"] == "{'n': 2.5}"
    assert h["ignore_result"] is True and h["team"] == "blue"
    assert re.fullmatch(r"gen%d@.+" % b.pid, h["origin"])
    assert p["correlation_id"] == h["id"] and p["delivery_mode"] == 2 and p["priority"] == 4 and p["content_type"] == "application/json"
    assert 3590000 < int(p["expiration"]) <= 3600000
    due = datetime.fromisoformat(h["expires"]).timestamp() - 3600
    assert due % 2 == 0 and h["id"] == run_id("report", int(due) * 10 ** 6)
    # Without a word about it a run expires when the next one is due.
    m = inbox("plain").wait(1)[0]
    expires = int(datetime.fromisoformat(m.headers["expires"]).timestamp())
    assert expires % 2 == 0 and m.headers["id"] == run_id("plain", (expires - 2) * 10 ** 6)
    assert "priority" not in m.properties or m.properties["priority"] == 0


def test_how_the_broker_keeps_a_run_is_of_task_and_setting(beat, inbox):
    beat({"kept": {"task": "kept", "every": "1s", "queue": "kept"}, "lost": {"task": "lost", "every": "1s", "queue": "lost"}},
         more={"delivery_mode": "transient", "tasks": {"kept": {"delivery_mode": "persistent"}}})
    assert [inbox(queue).wait(1)[0].properties["delivery_mode"] for queue in ("kept", "lost")] == [2, 1]


def test_nothing_runs_at_the_first_start(beat):
    b = beat({"daily": {"task": "add", "cron": "0 0 * * *"}, "past": {"task": "add", "at": "2020-01-01T00:00"}})
    wait_leader([b])
    assert b.stop() == 0
    assert not b.lines("Sending due task") and not b.lines("missed")


def test_once_is_once(beat, site, inbox):
    at = datetime.fromtimestamp(time.time() + 2, timezone.utc).replace(microsecond=0)
    schedule = {"party": {"task": "add", "at": at.isoformat(), "queue": "party"}}
    b = beat(schedule)
    b.wait_line("Sending due task party")
    assert b.stop() == 0
    b = beat(schedule)
    wait_leader([b])
    assert b.stop() == 0
    assert len(b.lines("Sending")) == 0
    assert inbox("party").wait(1)[0].headers["id"] == run_id("party", int(at.timestamp()) * 10 ** 6)


def test_overlap_skip_waits_for_the_last_run(site, beat, inbox):
    b = beat({"long": {"task": "add", "every": "1s", "queue": "long", "overlap": "skip", "expires": "1h"}})
    box = inbox("long")
    first = box.wait(1)[0].headers["id"]
    b.wait_line("long .* does not run: its last run has not ended", count=2)
    assert len(box.take()) == 1
    site.redis.set("celery-task-meta-" + first, json.dumps(
        {"status": "SUCCESS", "result": 1, "traceback": None, "children": [], "date_done": "2026-11-21T00:00:00", "task_id": first}))
    # The entry asks about the run that was due last; skipped ones were never sent, so the next one goes out at the latest when that is seen.
    box.wait(2)


# --- a Celery application's schedule, and the scheduler inside a worker ---------------------------------------------------

def test_schedule_of_a_celery_application(beat, inbox, warren):
    b = beat({"plain": {"task": "mine", "every": "1h"}}, "-A", "beat_app")
    said = b.output()
    assert "entry sunrise of beat_app is left out: solar schedules are not supported" in said
    assert "entry often of beat_app is left out: every: at least 100 ms" in said
    assert "entry optioned of beat_app: its option countdown has no effect here" in said
    assert re.search(r"^nights +crontab 0,30 2 \* \* mon-fri Europe/Berlin +beat_app.add +celery ", said, re.M)
    assert re.search(r"^sets +crontab 15,45 1 \* \* \* Europe/Berlin ", said, re.M)
    m = inbox("special").wait(1)[0]
    assert json.loads(m.body)[:2] == [[1], {"y": 4}] and m.headers["task"] == "beat_app.add" and m.properties["priority"] == 3
    assert m.headers["team"] == "blue" and 100000 < int(m.properties["expiration"]) <= 120000
    due = round(datetime.fromisoformat(m.headers["expires"]).timestamp()) - 120
    assert m.headers["id"] == run_id("optioned", due * 10 ** 6)
    assert inbox("by_route").wait(1)[0].headers["task"] == "beat_app.routed"
    # The configuration goes before.
    assert not b.lines("Sending due task plain")
    listed = {e["name"]: e for e in json.loads(warren("schedule", "list", "-A", "beat_app", "--json").stdout)}
    assert listed["first-monday"]["from"] == "app" and "sunrise" not in listed
    assert "stands in the Celery application: change it there" in warren("schedule", "edit", "nights", "--every", "1h", "-A", "beat_app", code=1).stderr
    assert "-A tasks: there is no Celery application in it" in warren("beat", "-A", "tasks", code=2).stderr


def test_an_application_may_have_a_schedule_and_no_tasks(beat, tmp_path, site):
    """Its tasks are another application's, who runs them."""
    (tmp_path / "only_schedule.py").write_text('''
from celery import Celery

app = Celery("only_schedule")
app.conf.beat_schedule = {"ping": {"task": "elsewhere.ping", "schedule": 0.5}}
''')
    b = beat({}, "-A", "only_schedule", env={"PYTHONPATH": str(tmp_path) + os.pathsep + site.env()["PYTHONPATH"]})
    b.wait_line(r"Sending due task ping \(elsewhere.ping\)")


def test_broker_of_a_celery_application(beat, inbox, site, tmp_path):
    (tmp_path / "own_broker.py").write_text(
        "from celery import Celery\napp = Celery('own', broker=%r, backend=%r)\n"
        "app.conf.beat_schedule = {'tick': {'task': 'own.t', 'schedule': 1, 'options': {'queue': 'own'}}}\n"
        "@app.task\ndef t(): pass\n" % (site.broker, site.backend))
    env = {"WARREN_BROKER": "", "WARREN_RESULT_BACKEND": "", "PYTHONPATH": str(tmp_path)}
    b = beat({}, "-A", "own_broker", env=env)
    assert inbox("own").wait(1)[0].headers["task"] == "own.t"
    # Its backend is the Redis that schedulers share.
    wait_until(lambda: site.redis.hget("warren:beat:{warren.beat}:runs", "tick"), 10 * SLOW, "the last run in Redis")
    assert b.lines("Sending due task tick")


def test_scheduler_inside_a_worker(beat, site, worker, tmp_path):
    schedule = {"sum": {"task": "add", "every": "1s", "args": [2, 3], "expires": "1h"}}
    conf = tmp_path / "warren.yaml"
    conf.write_text(json.dumps({"schedule": schedule}))
    conf.chmod(0o644)
    w = worker("--module", harness.C_TASKS, "-c", "1", "-B", "-n", "w7@%h", "--config", str(conf),
               env={"HOME": str(tmp_path), "XDG_STATE_HOME": "", "STATE_DIRECTORY": ""})
    w.wait_line(r"w7@\S+ leads: 1 entries")
    w.wait_line(r"Sending due task sum \(add\)")
    app = site.app()
    assert app.AsyncResult(sent(w, "sum")[-1]).get(timeout=20 * SLOW) == 5
    other = beat(schedule)
    assert other.lines("stands by") and not other.lines(" leads: ")
    # While its tasks end, another one leads already.
    go = tmp_path / "go"
    held = app.send_task("hold", (str(go),))
    wait_until(lambda: held.state == "STARTED", 10 * SLOW, "the task to start")
    w.send_signal(signal.SIGTERM)
    other.wait_line(" leads: ")
    assert w.alive()
    w.wait_line(r"w7@\S+ stopped")
    go.write_text("")
    assert w.wait() == 0
    held.get(timeout=5 * SLOW)
    done = len(sent(other, "sum"))
    other.wait_line("Sending due task sum", count=done + 2)
    ids = sent(w, "sum") + sent(other, "sum")
    assert len(ids) == len(set(ids))
    # Redis remembers.
    assert not (tmp_path / ".local").exists() and site.redis.hget("warren:beat:{warren.beat}:runs", "sum")


def test_worker_does_not_start_with_a_wrong_schedule(worker, tmp_path):
    conf = tmp_path / "warren.yaml"
    conf.write_text('schedule: { e: { task: t, cron: "61 * * * *" } }')
    conf.chmod(0o644)
    w = worker("--module", harness.C_TASKS, "-B", "--config", str(conf), ready=False)
    assert w.wait() == 2 and "worker: %s:1: schedule 'e': cron: minute: 61 is not within 0-59" % conf in w.output()
    conf.write_text('schedule: { e: { task: t, every: 1s, overlap: skip } }')
    w = worker("--module", harness.C_TASKS, "-B", "--config", str(conf), "--result-backend", "none", ready=False)
    assert w.wait() == 2 and "overlap: skip needs a result backend" in w.output()


# --- settings that are read again ------------------------------------------------------------------------------------------

def rewrite(b, schedule):
    with open(b.argv[b.argv.index("--config") + 1], "w") as f:
        f.write(schedule if isinstance(schedule, str) else json.dumps({"schedule": schedule}))


def hup(b, line, count=1):
    b.send_signal(signal.SIGHUP)
    b.wait_line(line, count=count)


@pytest.mark.parametrize("store", ["redis", "file"])
def test_a_reload_takes_over_entries_and_loses_none(beat, inbox, store):
    """Every due time of the entry that stays is sent once, whatever comes, goes and is wrong beside it."""
    args = [] if store == "redis" else ["--beat-store", "none"]
    goes = {"task": "add", "every": "0.3s", "queue": "goes"}
    rare = {"task": "add", "cron": "0 0 1 1 *"}
    b = beat(dict(TICK, goes=goes, rare=rare), *args)
    box = inbox("ticks")
    box.wait(3)
    pid, before = b.pid, len(os.listdir("/proc/%d/fd" % b.pid))
    comes = dict(TICK, rare=rare, comes={"task": "add", "every": "0.3s", "queue": "comes"})
    rewrite(b, comes)
    hup(b, "beginning anew with them")
    b.wait_line(" leads: 3 entries", count=2)
    gone = len(sent(b, "goes"))
    b.wait_line("Sending due task comes", count=2)
    assert b.pid == pid and len(os.listdir("/proc/%d/fd" % pid)) <= before
    with open("/proc/%d/comm" % pid) as f:
        assert f.read() == "warren\n"
    assert len(sent(b, "goes")) == gone
    # Wrong ones: a line, and it goes on.
    rewrite(b, dict(comes, bad={"task": "add", "cron": "61 * * * *"}))
    hup(b, "settings are not read again, the old ones stay: .*schedule 'bad': cron: minute: 61 is not within 0-59")
    rewrite(b, "schedule: { a: [")
    hup(b, "settings are not read again, the old ones stay: .*beat-a.yaml:2: did not find")
    assert not b.lines("has other entries")
    assert len(b.lines(" leads: ")) == 2
    # Changed: it begins now.
    rewrite(b, dict(comes, comes={"task": "add", "every": "0.4s", "queue": "comes", "args": [7]}))
    # Two at once are as good as one.
    b.send_signal(signal.SIGHUP)
    hup(b, " leads: 3 entries", count=3)
    n = len(sent(b, "comes"))
    b.wait_line("Sending due task comes", count=n + 2)
    box.wait(len(box.messages) + 5)
    assert b.stop() == 0
    total, twice = check_ticks(box)
    box.take()
    assert total >= 8 and twice == 0
    assert set(json.dumps(json.loads(m.body)[0]) for m in inbox("comes").take()) <= {"[]", "[7]"}


def test_a_reload_of_one_that_stands_by(beat, inbox):
    a = beat(TICK, name="a")
    wait_leader([a])
    b = beat(TICK, name="b", ready="stands by")
    rewrite(b, dict(TICK, more={"task": "add", "every": "0.3s"}))
    hup(b, "beginning anew with them")
    b.wait_line("stands by", count=2)
    # The leader's goes over to the other one meanwhile.
    rewrite(a, dict(TICK, more={"task": "add", "every": "0.3s"}))
    hup(a, "beginning anew with them")
    b.wait_line(" leads: 2 entries")
    b.wait_line("Sending due task more")
    a.wait_line("stands by")
    a.send_signal(signal.SIGHUP)
    a.send_signal(signal.SIGTERM)
    assert a.stop() == 0 and b.stop() == 0


def test_beat_checks_and_ends(warren, tmp_path):
    conf = tmp_path / "a.yaml"
    conf.write_text('schedule: { e: { task: t, every: 1s } }')
    conf.chmod(0o644)
    assert "are right" in warren("beat", "--check", "--config", str(conf)).stdout
    conf.write_text('schedule: { e: { task: t, every: 1s, overlap: skip } }')
    done = warren("beat", "--check", "--config", str(conf), "--result-backend", "none", code=2)
    assert "schedule 'e': overlap: skip needs a result backend" in done.stderr


# --- what is remembered ------------------------------------------------------------------------------------------------

def test_missed_runs_by_their_rules(beat, inbox, site):
    schedule = {"once": {"task": "add", "every": "1s", "queue": "once", "expires": "1h"},
                "skip": {"task": "add", "every": "1s", "queue": "skip", "missed": "skip", "expires": "1h"},
                "all": {"task": "add", "every": "1s", "queue": "all", "missed": "all", "missed_max": 1000, "expires": "1h"},
                "last": {"task": "add", "every": "1s", "queue": "last", "missed": "all", "missed_max": 3, "expires": "1h"}}
    b = beat(schedule)
    boxes = {name: inbox(name) for name in schedule}
    for box in boxes.values():
        box.wait(2)
    assert b.stop() == 0
    down = time.time()
    time.sleep(6)  # the absence itself is what is tried
    b = beat(schedule, "--beat-grace", "0.7s")
    wait_leader([b])
    up = time.time()
    for name, box in boxes.items():
        wait_until(lambda: run_id(name, (int(up) + 2) * 10 ** 6) in (box.take() and box.ids()), 20 * SLOW, "ticks of " + name)
    counts = {}
    for name, box in boxes.items():
        ids = box.ids()
        assert len(set(ids)) == len(ids)
        missed = [run_id(name, s * 10 ** 6) for s in range(int(down) + 1, int(up))]
        counts[name] = sum(i in ids for i in missed)
    n = len(range(int(down) + 1, int(up)))
    assert n >= 5
    assert counts["all"] >= n - 1 and counts["once"] <= 1 and counts["skip"] <= 1 and 1 <= counts["last"] <= 3, (n, counts)


def test_corrupt_state_is_put_aside(beat, tmp_path):
    state = tmp_path / "state-a" / "beat.json"
    state.parent.mkdir()
    state.write_text('{"version": 1, "entries": {"tick": {"sch')
    b = beat({"tick": {"task": "add", "every": "1s"}})
    b.wait_line("beat.json cannot be understood; it is now .*beat.json.corrupt, and all entries begin anew")
    b.wait_line("Sending due task tick")
    assert b.stop() == 0
    assert json.loads(state.read_text())["entries"]["tick"]["runs"] >= 1
    assert (tmp_path / "state-a" / "beat.json.corrupt").read_text().endswith('"sch')


def test_state_that_cannot_be_kept_does_not_stop_it(beat, tmp_path):
    (tmp_path / "state-a").write_text("a file where a folder should be")
    b = beat({"tick": {"task": "add", "every": "1s"}})
    b.wait_line("last runs are not kept: ")
    b.wait_line("Sending due task tick", count=2)


TRACED = {"ASAN_OPTIONS": "detect_leaks=0"}  # who is traced cannot be looked through


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_s38_killed_at_each_system_call_of_a_save(beat, tmp_path):
    """The file is the old one or the new one, whole, and a next scheduler reads it. It is written before the broker is even tried."""
    old = {"old": {"task": "add", "cron": "@yearly"}}
    new = {"new-%d" % i: {"task": "add", "cron": "@yearly"} for i in range(50)}
    away = ("-q", "--broker", "amqp://127.0.0.1:1//", "--beat-store", "none")
    state = tmp_path / "state-a" / "beat.json"
    seen = set()
    for call in ("unlinkat", "openat", "write", "fsync", "renameat"):
        # Those of the file are among the last of their kind before the broker is tried, so from behind, until the kill comes too early.
        total = count_calls(beat, new, away, tmp_path, call)
        for nth in range(total, max(total - 3, 0), -1):
            assert beat(old, *away, ready="cannot reach").stop() == 0
            before = json.loads(state.read_text())["entries"]
            b = beat(new, *away, ready=None, env=TRACED, prefix=["strace", "-f", "-qq", "-o", str(tmp_path / "trace"), "-e", "trace=" + call,
                                                      "-e", "inject=%s:signal=KILL:when=%d" % (call, nth)])
            b.wait()
            after = json.loads(state.read_text())["entries"]
            assert after == before or set(after) == set(new), (call, nth)
            seen.add(set(after) == set(new))
    assert seen == {False, True}


def count_calls(beat, schedule, args, tmp_path, call):
    """How often it is made until the state has been written."""
    trace = tmp_path / "count"
    b = beat(schedule, *args, ready="cannot reach", env=TRACED, prefix=["strace", "-f", "-qq", "-o", str(trace), "-e", "trace=%s,renameat" % call])
    os.kill(b.descendants()[0], signal.SIGTERM)
    assert b.wait() == 0
    calls = []
    for line in trace.read_text().splitlines():
        name = re.match(r"\d+ +(\w+)\(", line)
        if name:
            calls.append(name.group(1))
            if name.group(1) == "renameat":
                break
    rest = 1 if call == "fsync" else 0  # that of the folder
    return calls.count(call) + rest


def test_full_disk_does_not_stop_it(beat, tmp_path):
    """A file system of one page, for this scheduler alone; then there is room again."""
    folder = tmp_path / "state-a"
    folder.mkdir()
    as_root = os.geteuid() == 0
    apart = ["unshare", "--mount"] if as_root else ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*apart, "mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(folder)], capture_output=True).returncode != 0:
        pytest.skip("no mount namespace here")
    schedule = {"entry-%03d" % i: {"task": "add", "cron": "@yearly"} for i in range(100)}
    schedule["tick"] = {"task": "add", "every": "0.5s"}
    b = beat(schedule, "-q", prefix=[*apart, "sh", "-c", 'mount -t tmpfs -o size=4k tmpfs "$0" && exec "$@"', str(folder)])
    b.wait_line("cannot write .*beat.json.tmp: No space left on device; the schedule goes on without, trying again")
    b.wait_line("Sending due task tick", count=3)
    inside = ["nsenter", "-t", str(b.pid), "-m"] if as_root else ["nsenter", "-t", str(b.pid), "-U", "-m", "--preserve-credentials"]
    subprocess.run([*inside, "mount", "-o", "remount,size=1m", str(folder)], check=True)
    assert b.stop() == 0
    assert b.lines("beat.json is written again")


# --- who leads ---------------------------------------------------------------------------------------------------------

def test_another_takes_over_when_the_leader_is_killed(beat, inbox):
    beats = [beat(TICK, name=n) for n in "abc"]
    leader = wait_leader(beats)
    box = inbox("ticks")
    box.wait(5)
    leader.kill()
    rest = [b for b in beats if b is not leader]
    with harness.Took() as took:
        wait_leader(rest)
    assert took.s < 10
    box.wait(len(box.take()) + 10)
    count, twice = check_ticks(box)
    assert count >= 15 and twice <= 1  # the one that was on its way when the leader died


def test_a_stopped_leader_does_nothing_when_it_wakes(beat, inbox):
    beats = [beat(TICK, name=n) for n in "ab"]
    leader = wait_leader(beats)
    other = next(b for b in beats if b is not leader)
    box = inbox("ticks")
    box.wait(5)
    leader.send_signal(signal.SIGSTOP)
    with harness.Took() as took:
        wait_leader([other])
    assert took.s < 10 * SLOW
    other.wait_line("Sending", count=10)
    sent, stood_by = len(leader.lines("Sending")), len(leader.lines("stands by"))
    leader.send_signal(signal.SIGCONT)
    leader.wait_line("leads no more")
    leader.wait_line("stands by", count=stood_by + 1)
    assert len(leader.lines(r"was stopped for \d+ s")) == 1
    assert len(leader.lines("Sending")) == sent
    box.wait(len(box.take()) + 10)
    count, twice = check_ticks(box)
    assert count >= 20 and twice <= 1


def test_lost_connections_and_deleted_queues(site, beat, inbox):
    b = beat(TICK)
    box = inbox("ticks")
    box.wait(3)
    site.rabbitmq.close_connections(site.vhost)
    b.wait_line(" leads: ", count=2)
    box.connect()
    box.wait(len(box.messages) + 5)
    check_ticks(box)
    # Both of its queues: that of the tasks comes back with the next task, that of the schedulers at once.
    with site.raw_connection() as c:
        c.default_channel.queue_delete("ticks")
        c.default_channel.queue_delete("warren.beat")
    b.wait_line(" leads: ", count=3)
    box = inbox("ticks")
    box.wait(5)


def test_leading_is_told_to_the_next_even_without_files(beat, inbox, tmp_path):
    """A new scheduler on another machine, whose entries it has never seen run, neither repeats nor leaves out."""
    a = beat(TICK, name="a")
    b = beat(TICK, name="b")
    box = inbox("ticks")
    leader, other = (a, b) if wait_leader([a, b]) is a else (b, a)
    box.wait(5)
    assert leader.stop() == 0
    wait_leader([other], timeout_s=3)
    box.wait(len(box.take()) + 5)
    assert check_ticks(box)[1] == 0
