"""
Entries at run time: `warren schedule add` and its like, the schedulers that take them up, and what they share in Redis: pauses, last runs, the token.
"""
import json
import re
import time

import pytest

from beats import check_costs, many, run_id, sent, wait_leader
from harness import SLOW
from warren_servers import wait_until


def key(name, group="warren.beat"):
    return "warren:beat:{%s}:%s" % (group, name)


def schedule(warren, *args, **more):
    return warren("schedule", *args, **more)


def listed(warren, *args):
    return {e["name"]: e for e in json.loads(schedule(warren, "list", "--json", *args).stdout)}


# --- the commands ------------------------------------------------------------------------------------------------------

def test_add_edit_pause_remove(warren, site):
    said = schedule(warren, "add", "nightly", "reports.daily", "pdf", "3", "--cron", "0 2 * * *", "--timezone", "Europe/Berlin", "--queue", "reports",
                    "--headers", "team=blue", "--expires", "1h", "--from", "2027-01-01T00:00Z", code=2)
    assert "does not take --from" in said.stderr
    said = schedule(warren, "add", "nightly", "reports.daily", "pdf", "3", "--cron", "0 2 * * *", "--timezone", "Europe/Berlin", "--queue", "reports",
                    "--headers", "team=blue", "--expires", "1h")
    assert said.stdout.startswith("nightly: added, next run ") and said.stdout.strip().endswith(("+01:00", "+02:00"))
    stored = site.redis.hget(key("entries"), "nightly").decode()
    since, text = stored.split(" ", 1)
    assert abs(int(since) / 1e6 - time.time()) < 60 * SLOW
    assert json.loads(text) == {"task": "reports.daily", "cron": "0 2 * * *", "timezone": "Europe/Berlin", "args": ["pdf", 3], "queue": "reports",
                                "headers": ["team=blue"], "expires": 3600.0}
    assert listed(warren)["nightly"]["from"] == "redis" and listed(warren)["nightly"]["args"] == ["pdf", 3]
    # What is not said stays.
    schedule(warren, "edit", "nightly", "--kwargs", '{"n": 1}')
    changed_since, text = site.redis.hget(key("entries"), "nightly").decode().split(" ", 1)
    assert changed_since == since and json.loads(text)["cron"] == "0 2 * * *" and json.loads(text)["kwargs"] == {"n": 1}
    # Another kind of schedule takes the place of the one before, and counts anew.
    schedule(warren, "edit", "nightly", "--every", "90s")
    changed_since, text = site.redis.hget(key("entries"), "nightly").decode().split(" ", 1)
    assert int(changed_since) > int(since) and json.loads(text)["every"] == 90.0 and "cron" not in json.loads(text)
    schedule(warren, "edit", "nightly", "--expires", "0")
    assert "expires" not in json.loads(site.redis.hget(key("entries"), "nightly").decode().split(" ", 1)[1])
    schedule(warren, "pause", "nightly")
    assert listed(warren)["nightly"]["paused"] and listed(warren)["nightly"]["next"] is None
    assert "paused" in schedule(warren, "list").stdout and schedule(warren, "next", "nightly").stdout == ""
    assert "was paused already" in schedule(warren, "pause", "nightly").stdout
    assert schedule(warren, "resume", "nightly").stdout.startswith("nightly: resumed, next run ")
    schedule(warren, "remove", "nightly")
    assert listed(warren) == {} and site.redis.hgetall(key("pauses")) == {}
    assert int(site.redis.get(key("revision"))) == 7


def test_mistakes_are_named(warren, site, tmp_path):
    conf = tmp_path / "warren.yaml"
    conf.write_text("schedule: { mine: { task: t, every: 1h } }")
    conf.chmod(0o644)
    schedule(warren, "add", "there", "t", "--every", "1h")

    def wrong(*args, code=1):
        return schedule(warren, *args, "--config", str(conf), code=code).stderr
    assert "there: there is one of that name already" in wrong("add", "there", "t", "--every", "1h")
    assert "mine: %s has an entry of that name" % conf in wrong("add", "mine", "t", "--every", "1h")
    assert "'mine' stands in %s: change it there" % conf in wrong("edit", "mine", "--every", "2h")
    assert "'mine' stands in %s" % conf in wrong("remove", "mine")
    assert "there is no entry 'ther': did you mean 'there'?" in wrong("edit", "ther", "--every", "2h")
    assert "there is no entry 'x'" in wrong("run", "x")
    assert "when? give one of every" in wrong("add", "new", "t", code=2)
    assert "exclude each other" in wrong("add", "new", "t", "--every", "1s", "--at", "2030-01-01", code=2)
    assert "cron: minute: 60 is not within 0-59" in wrong("edit", "there", "--cron", "60 * * * *", code=2)
    assert "which task?" in wrong("add", "new", "--every", "1s", code=2)
    assert "none of them a blank" in wrong("add", "a b", "t", "--every", "1s", code=2)
    assert "say what is to be changed" in wrong("edit", "there", code=2)
    assert "unknown flag --enabled" in wrong("edit", "there", "--enabled", code=2)
    assert "does not take --priority" not in wrong("edit", "there", "--jitter", "2h", code=2)
    assert "there is no 'lst': did you mean 'list'?" in wrong("lst", code=2)
    assert "overlap: skip needs a result backend" in wrong("add", "new", "t", "--every", "1s", "--overlap", "skip", "--beat-store", site.backend,
                                                           "--result-backend", "none", code=2)
    assert "give --beat-store" in wrong("pause", "mine", "--beat-store", "none", code=2)
    away = wrong("list", "--beat-store", "redis://127.0.0.1:1/0", code=3)
    assert "cannot be read (--beat-store none leaves them out)" in away and "cannot reach redis://127.0.0.1:1/0" in away
    assert "mine" in schedule(warren, "list", "--config", str(conf), "--beat-store", "none").stdout
    # One of the configuration is paused all the same.
    schedule(warren, "pause", "mine", "--config", str(conf))
    assert listed(warren, "--config", str(conf))["mine"]["paused"]
    past = schedule(warren, "add", "past", "t", "--at", "2020-01-01T00:00").stdout
    assert past == "past: added, but it is never due\n"
    assert json.loads(schedule(warren, "edit", "past", "--at", "2020-01-02T00:00", "--json").stdout)["next"] is None
    schedule(warren, "remove", "past")
    schedule(warren, "remove", "there")
    conf.unlink()
    assert "there are no entries, neither in" in schedule(warren, "next", code=1).stderr


def test_an_edit_while_a_run_is_on_its_way_does_not_send_it_again(warren, beat, inbox, site):
    """The broker in alarm takes a message and confirms nothing; the run belongs to the entry as it was."""
    schedule(warren, "add", "tick", "ping", "old", "--every", "1s", "--queue", "ticks", "--expires", "1h")
    b = beat({})
    box = inbox("ticks")
    box.wait(2)
    site.rabbitmq.eval("vm_memory_monitor:set_vm_memory_high_watermark(0.000001)")
    try:
        before = len(sent(b, "tick"))
        b.wait_line("Sending due task tick", count=before + 1)
        schedule(warren, "edit", "tick", "--args", '["new"]')

        def looks():
            return site.redis.info("commandstats")["cmdstat_eval"]["calls"]
        edited = looks()
        wait_until(lambda: looks() >= edited + 2, 10 * SLOW, "the scheduler to look into Redis")
    finally:
        site.rabbitmq.eval("vm_memory_monitor:set_vm_memory_high_watermark(0.9)")
    b.wait_line("0 added, 1 changed")
    box.wait(len(box.take()) + 3)
    assert len(box.ids()) == len(set(box.ids())) and len(sent(b, "tick")) == len(set(sent(b, "tick")))
    args = [json.loads(m.body)[0] for m in box.messages]
    assert args == sorted(args, reverse=True) and args[-1] == ["new"] and args[0] == ["old"]


def test_run_sends_at_once(warren, site, inbox, tmp_path):
    schedule(warren, "add", "yearly", "greet", "hi", "--cron", "@yearly", "--queue", "greetings")
    schedule(warren, "pause", "yearly")
    said = json.loads(schedule(warren, "run", "yearly", "--json").stdout)
    m = inbox("greetings").wait(1)[0]
    assert m.headers["id"] == said["id"] and m.headers["task"] == "greet" and json.loads(m.body)[0] == ["hi"]
    assert len(site.redis.hgetall(key("runs"))) == 0


# --- the schedulers ----------------------------------------------------------------------------------------------------

def test_running_schedulers_take_them_up(warren, beat, inbox):
    a = beat({}, name="a")
    b = beat({}, name="b")
    leader = wait_leader([a, b])
    schedule(warren, "add", "tick", "ping", "--every", "0.5s", "--queue", "ticks", "--expires", "1h")
    leader.wait_line("entries in Redis: 1 added, 0 changed, 0 removed; 1 in all")
    box = inbox("ticks")
    box.wait(3)
    assert box.messages[0].headers["id"] in {run_id("tick", (int(time.time()) * 2 - n) * 500000) for n in range(-2, 60)}
    # Due at other times.
    schedule(warren, "edit", "tick", "--every", "0.35s")
    leader.wait_line("0 added, 1 changed")
    before = len(box.take())
    box.wait(len(box.take()) + 2)
    # The next leader knows it, and how far the first one came: no due time twice, none left out.
    assert leader.stop() == 0
    other = b if leader is a else a
    wait_leader([other])
    box.wait(len(box.take()) + 4)
    step = 350000
    now = int(time.time() * 10 ** 6) // step * step
    known = {run_id("tick", due): due for due in range(now - 200 * step, now + 2 * step, step)}
    dues = [known[i] for i in box.ids()[before:]]
    assert len(dues) == len(set(dues)) >= 6 and max(dues) - min(dues) == (len(dues) - 1) * step, dues
    schedule(warren, "pause", "tick")
    other.wait_line("entry tick is paused")
    count = len(box.take())
    time.sleep(0.8)  # two due times and more
    assert len(box.take()) == count
    schedule(warren, "resume", "tick")
    other.wait_line("entry tick is resumed")
    box.wait(count + 2)
    assert not other.lines("missed")
    schedule(warren, "remove", "tick")
    other.wait_line("0 added, 0 changed, 1 removed; 0 in all")


def test_last_runs_survive_in_redis(beat, inbox, warren):
    """On another machine, without a file and without the baton, the missed run is still known to be one; and an entry never seen begins now."""
    every = {"task": "add", "every": "1s", "queue": "ones", "expires": "1h"}
    b = beat({"tick": every}, name="a")
    box = inbox("ones")
    box.wait(2)
    assert b.stop() == 0
    last = max(e["last"] for e in listed(warren, "--config", str(b.argv[b.argv.index("--config") + 1])).values())
    box.channel.queue_delete("warren.beat")
    time.sleep(2.2)  # the absence itself is what is tried
    b = beat({"tick": every, "new": dict(every, queue="news")}, name="elsewhere")
    line = b.wait_line("entry tick: due times from .* were missed and are given up")
    assert line and not b.lines("entry new: due times")
    first = line.split("due times from ")[1].split(" ")[0]
    assert first > last


def test_overlap_is_known_to_the_next_leader(beat, inbox, site):
    long = {"long": {"task": "add", "every": "0.5s", "queue": "long", "overlap": "skip", "expires": "1h"}}
    a, b = beat(long, name="a"), beat(long, name="b")
    leader = wait_leader([a, b])
    box = inbox("long")
    first = box.wait(1)[0].headers["id"]
    leader.wait_line("long .* does not run: its last run has not ended")
    leader.kill()
    other = b if leader is a else a
    other.wait_line("long .* does not run: its last run has not ended", count=2)
    assert len(box.take()) == 1
    site.redis.set("celery-task-meta-" + first, json.dumps(
        {"status": "SUCCESS", "result": 1, "traceback": None, "children": [], "date_done": "2026-11-21T00:00:00", "task_id": first}))
    box.wait(2)


def test_a_newer_token_ends_a_lead(site, beat, servers):
    """Two that know nothing of each other's broker but share a Redis."""
    a = beat({"tick": {"task": "add", "every": "1s"}}, name="a")
    wait_leader([a])
    other = site.vhost + "b"
    site.rabbitmq.vhost_add(other)
    try:
        b = beat({"tick": {"task": "add", "every": "1s"}}, "--broker", servers.broker_url(other), name="b")
        wait_leader([b])
        a.wait_line("beat-a@host leads no more: beat-b@host has a newer token in Redis", timeout_s=5)
        a.wait_line("leads no more: it yields")
        sent = len(a.lines("Sending"))
        b.wait_line("Sending", count=len(b.lines("Sending")) + 2)
        assert len(a.lines("Sending")) == sent
        row = json.loads(site.redis.hget(key("runs"), "tick"))
        # What the former leader would still write does not count.
        assert site.redis.hget(key("leader"), "node") == b"beat-b@host" and row["runs"] >= 1
        assert b.stop() == 0
    finally:
        site.rabbitmq.vhost_delete(other)


def test_schedulers_with_other_entries_are_told(beat):
    """Only those of the leader are sent, so one that stands by with others says so."""
    a = beat({"tick": {"task": "add", "every": "1s"}}, name="a")
    wait_leader([a])
    same = beat({"tick": {"task": "add", "every": "1s"}}, name="same")
    b = beat({"other": {"task": "add", "every": "1s"}}, name="b")
    b.wait_line("beat-b@host has other entries than beat-a@host, and only those of the leader are sent: .*beat_group of its own")
    own = beat({"other": {"task": "add", "every": "1s"}}, "--beat-group", "another", name="own")
    own.wait_line("Sending due task other")
    assert not same.lines("has other entries") and not own.lines("has other entries")


def test_the_next_leader_sees_that_it_has_other_entries(beat):
    """Also without Redis, by what the one before it has left."""
    a = beat({"tick": {"task": "add", "every": "0.5s"}}, "--beat-store", "none", name="a")
    a.wait_line("Sending", count=2)
    b = beat({"other": {"task": "add", "every": "0.5s"}}, "--beat-store", "none", name="b")
    assert a.stop() == 0
    b.wait_line("beat-b@host has other entries than beat-a@host")
    b.wait_line("Sending due task other", count=2)


def test_an_older_copy_of_redis_is_taken_anew(site, beat):
    """A replica that took over has lost what was written last: the leader takes a token that is newer than all it finds."""
    site.redis.set(key("token"), 100)
    b = beat({"tick": {"task": "add", "every": "0.3s"}})
    wait_until(lambda: site.redis.hget(key("runs"), "tick"), 10 * SLOW, "its row")
    assert int(site.redis.get(key("token"))) == 101
    site.redis.set(key("token"), 50)
    site.redis.delete(key("runs"))
    wait_until(lambda: int(site.redis.get(key("token"))) == 51 and site.redis.hget(key("runs"), "tick"), 10 * SLOW, "the next token and its row")
    b.wait_line("Sending", count=len(b.lines("Sending")) + 2)
    assert not b.lines("leads no more")


@pytest.mark.slow
def test_one_that_was_outrun_takes_part_again(site, beat):
    b = beat({"tick": {"task": "add", "every": "0.3s"}})
    wait_leader([b])
    site.redis.incr(key("token"))
    b.wait_line("has a newer token in Redis")
    b.wait_line(" leads: ", count=2, timeout_s=30)
    assert int(site.redis.get(key("token"))) == 3
    b.wait_line("Sending", count=len(b.lines("Sending")) + 2)


@pytest.fixture
def own_redis(programs, tmp_path):
    """A Redis that the test may stop: start(), its URL."""
    path = tmp_path / "own-redis.sock"

    def start():
        program = programs("redis", ["redis-server", "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(tmp_path)], None)
        wait_until(path.exists, 10 * SLOW, "redis-server")
        return program
    start.url = "unix://%s" % path
    return start


def test_without_redis_it_goes_on(beat, own_redis, warren):
    redis = own_redis()
    store = ("--beat-store", own_redis.url)
    b = beat({"tick": {"task": "add", "every": "0.3s"}}, *store)
    schedule(warren, "add", "later", "add", "--every", "0.3s", *store)
    b.wait_line("Sending due task later")
    assert redis.stop() == 0
    b.wait_line("which the schedulers share, does not answer: .*; going on with what is known")
    count = len(b.lines("Sending due task later"))
    b.wait_line("Sending due task later", count=count + 4)
    b.wait_line("Sending due task tick", count=len(b.lines("Sending due task tick")) + 4)
    # It comes back empty: that is what there is.
    own_redis()
    b.wait_line("answers again")
    b.wait_line("0 added, 0 changed, 1 removed; 1 in all")
    b.wait_line("Sending due task tick", count=len(b.lines("Sending due task tick")) + 2)
    wait_until(lambda: json.loads(warren("schedule", "list", "--json", "--config", b.argv[3], *store).stdout)[0]["runs"] > 0, 10 * SLOW,
               "the last run to be told again")


def test_it_waits_for_redis_when_told_so(beat, own_redis):
    b = beat({"tick": {"task": "add", "every": "0.3s"}}, "--beat-store", own_redis.url, "--beat-without-store", "wait")
    b.wait_line("does not answer: .*; nothing is sent meanwhile")
    assert not b.lines(" leads: ") and not b.lines("Sending")
    redis = own_redis()
    b.wait_line("Sending due task tick")
    assert redis.stop() == 0
    # For as long as an answer is worth something.
    wait_until(lambda: time.time() - _last_sent(b) > 1.5, 15 * SLOW, "the sending to end")
    count = len(b.lines("Sending"))
    own_redis()
    b.wait_line("Sending due task tick", count=count + 2)


def _last_sent(b):
    stamp = b.lines("Sending")[-1][1:24]
    return time.mktime(time.strptime(stamp[:19], "%Y-%m-%d %H:%M:%S")) + int(stamp[20:]) / 1000


def test_what_cannot_be_used_is_left_out(beat, site, warren):
    for name, text in (("bad", "1 {"), ("worse", "nothing"), ("key", '1 {"task": "t", "evry": 1}'), ("zone", '1 {"task": "t", "cron": "* * * * *", "timezone": "Mars"}'),
                       ("tick", '1 {"task": "t", "every": 900}'), ("fine", '1 {"task": "t", "every": 0.5}')):
        site.redis.hset(key("entries"), name, text)
    b = beat({"tick": {"task": "add", "every": "0.5s"}})
    b.wait_line("entry bad in Redis is left out: this is not JSON")
    b.wait_line("entry worse in Redis is left out: ")
    b.wait_line("entry key in Redis is left out: unknown key 'evry': did you mean 'every'?")
    b.wait_line("entry zone in Redis is left out: timezone: there is no time zone 'Mars'")
    b.wait_line("entry tick in Redis is left out: the configuration has one of that name")
    b.wait_line("Sending due task tick", count=2)
    b.wait_line("Sending due task fine", count=2)
    assert re.search(r"^fine +every 500ms +t ", b.output(), re.M), "the table at the start"
    assert "entry bad in Redis is left out" in warren("schedule", "list", "--config", b.argv[3]).stderr


def test_ten_thousand_entries_in_redis(beat, site, warren):
    pipe = site.redis.pipeline()
    for name, entry in many().items():
        pipe.hset(key("entries"), name, "%d %s" % (time.time() * 10 ** 6, json.dumps(entry)))
    pipe.incr(key("revision"))
    pipe.execute()
    for run in ("first", "again"):
        began = time.monotonic()
        b = beat({}, "-q", ready=" leads: 10000 entries")
        check_costs(b, began, 1, "Redis, " + run)
        if run == "first":
            assert b.stop() == 0
    schedule(warren, "edit", "entry-00007", "--every", "0.5s")
    b.wait_line("Sending due task entry-00007")
