"""warren dead: looking at dead letters, sending them again, throwing them away."""
import base64
import collections
import datetime
import json
import os
import pty
import subprocess
import time

import pytest

from harness import SLOW, WARREN, wait_final
from warren_servers import wait_until

DEAD = "warren.dead.celery"
CONFIG = """
tasks:
  "die_*": { max_lost: 1 }
  "fail_for_good": { dead_letter_failed: true }
"""


class Letters:
    """What is in the queues, as the broker says at this moment, and letters that nobody had to die for."""

    def __init__(self, site):
        self.connection = site.raw_connection()
        self.channel = self.connection.default_channel

    def declare(self, queue, **arguments):
        self.channel.queue_declare(queue, durable=True, auto_delete=False, arguments=arguments or None)

    def count(self, queue=DEAD):
        return self.channel.queue_declare(queue, passive=True).message_count

    def wait(self, n, queue=DEAD):
        def there():
            try:
                return self.count(queue) == n
            except Exception:
                # A queue that is not there yet ended the channel.
                self.channel = self.connection.channel()
                return False
        wait_until(there, 30 * SLOW, lambda: "%d messages in %s" % (n, queue))

    def publish(self, queue, body, headers=None, content_type="application/json", **properties):
        message = self.channel.prepare_message(body, content_type=content_type, content_encoding="utf-8", headers=headers,
                                               properties=dict({"delivery_mode": 2}, **properties))
        self.channel.basic_publish(message, "", queue)

    def put(self, task_id, task="add", args="[2, 3]", origin="celery", queue=None, reason="lost", error="killed", when=None, **headers):
        self.publish(queue or "warren.dead." + origin, "[%s, {}, {\"callbacks\": null}]" % args, dict({
            "task": task, "id": task_id, "retries": 0, "x-warren-reason": reason, "x-warren-error": error,
            "x-warren-queue": origin, "x-warren-exchange": origin, "x-warren-host": "w1@host", "x-warren-attempts": 1,
            "x-warren-time": when or "2026-11-21T04:10:30+00:00"}, **headers), correlation_id=task_id)

    def take(self, queue):
        found = []
        while True:
            message = self.channel.basic_get(queue, no_ack=True)
            if message is None:
                return found
            found.append(message)

    def ids(self, queue):
        return [m.headers["id"] for m in self.take(queue)]


@pytest.fixture
def letters(site):
    found = Letters(site)
    yield found
    found.connection.release()


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "dead.yaml"
    path.write_text(CONFIG)
    path.chmod(0o600)
    return str(path)


def listed(warren, *args):
    return json.loads(warren("dead", "list", "--json", *args).stdout)


# --- looking -------------------------------------------------------------------------------------------------------------

@pytest.fixture
def five(site, worker, letters, config, tmp_path):
    """One letter of each kind: their ids, in the order of the queue; the last has none."""
    app = site.app()
    started = worker("-A", "dead_tasks", "-c", "1", "--config", config)
    sent = []
    for n, send in enumerate((lambda: app.send_task("nope", [1]),
                              lambda: app.send_task("refuse"),
                              lambda: app.send_task("die_unless", [str(tmp_path / "gate")]),
                              lambda: app.send_task("fail_for_good"))):
        sent.append(send().id)
        letters.wait(n + 1)
    letters.publish("celery", b"\xff\xfe {\x1b[31m", {"lang": "py"}, content_type="application/json")
    letters.wait(5)
    assert started.stop() == 0
    return sent


def test_every_kind_is_listed_with_its_reason(warren, letters, five):
    found = listed(warren)
    assert [f["reason"] for f in found] == ["unknown-task", "rejected", "lost", "failed", "malformed"]
    assert [f["id"] for f in found[:4]] == five
    assert [f["task"] for f in found] == ["nope", "refuse", "die_unless", "fail_for_good", None]
    assert all(f["queue"] == "celery" and "@" in f["host"] and f["attempts"] == 1 for f in found)
    assert found[4]["id"].startswith("@") and len(found[4]["id"]) == 17
    assert "SIGKILL" in found[2]["error"] and "ValueError: never" in found[3]["error"]
    assert "not today" in found[1]["error"]

    text = warren("dead", "list").stdout
    assert [line.split()[0] for line in text.splitlines()] == ["ID"] + [f["id"] for f in found]
    # Looking took nothing away, and everything is in its old place.
    letters.wait(5)
    assert [f["id"] for f in listed(warren, DEAD)] == [f["id"] for f in found]


def test_show_has_everything_and_nothing_for_the_terminal_to_obey(warren, five):
    found = listed(warren)
    shown = warren("dead", "show", five[2][:8]).stdout
    assert "\x1b" not in shown
    for part in ("id        " + five[2], "reason    lost", "looking for the file\n", "it is not there \\x1b[31m", "SIGKILL",
                 "letter in warren.dead.celery", '"x-warren-lost": 1', '"content_type": "application/json"', '\n  [\n    [\n      "/'):
        assert part in shown, shown
    shown = warren("dead", "show", found[4]["id"]).stdout
    assert "\\xff\\xfe {\\x1b[31m" in shown and "\x1b" not in shown
    shown = json.loads(warren("dead", "show", five[0], "--json").stdout)
    assert json.loads(shown["body"])[0] == [1] and shown["headers"]["task"] == "nope" and shown["output"] is None
    assert "no dead letter 'abcdef'" in warren("dead", "show", "abcdef", code=1).stderr


def test_export_is_one_line_of_json_each(warren, five):
    lines = [json.loads(line) for line in warren("dead", "export").stdout.splitlines()]
    assert [line["id"] for line in lines[:4]] == five
    assert base64.b64decode(lines[4]["body_base64"]) == b"\xff\xfe {\x1b[31m"
    assert json.loads(lines[0]["body"])[:2] == [[1], {}]
    assert lines[2]["headers"]["x-warren-lost"] == 1 and lines[2]["properties"]["correlation_id"] == five[2]
    assert "it is not there" in lines[2]["output"]
    assert [json.loads(line)["id"] for line in warren("dead", "export", five[1]).stdout.splitlines()] == [five[1]]


def test_filters_choose(warren, letters):
    letters.declare(DEAD)
    letters.put("a", task="scrape.page", reason="lost", error="was killed by signal 9", when="2026-11-20T00:00:00+00:00")
    letters.put("b", task="scrape.site", reason="rejected", error="not today", when="2026-11-21T00:00:00+00:00")
    letters.put("c", task="mail", reason="lost", error="exited with code 3", when="2026-11-21T06:00:00+02:00")

    def chosen(*args):
        return "".join(f["id"] for f in listed(warren, *args))
    assert chosen() == "abc"
    assert chosen("--task", "scrape.*") == "ab"
    assert chosen("--reason", "lost") == "ac"
    assert chosen("--error", "signal 9") == "a"
    assert chosen("--since", "2026-11-20T12:00:00") == "bc"
    assert chosen("--until", "2026-11-21T05:00:00") == "abc"
    assert chosen("--until", "2026-11-21T03:00:00") == "ab"
    assert chosen("--since", "2026-11-20T12:00:00", "--task", "scrape*") == "b"
    assert chosen("--limit", "2") == "ab"
    assert chosen("--task", "x") == ""
    assert "neither a duration" in warren("dead", "list", "--since", "soon", code=2).stderr


def in_order(kind, ids):
    """What a quorum queue gets back it puts anywhere."""
    return sorted(ids) if kind == "quorum" else ids


@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_looking_leaves_all_in_place(warren, letters, kind):
    letters.declare(DEAD, **{"x-queue-type": kind})
    ids = ["id-%d" % i for i in range(300)]
    for task_id in ids:
        letters.put(task_id)
    letters.wait(300)
    for _ in range(3):
        assert in_order(kind, [f["id"] for f in listed(warren)]) == in_order(kind, ids)
        letters.wait(300)
    assert len(listed(warren, "--limit", "10")) == 10
    letters.wait(300)
    assert in_order(kind, letters.ids(DEAD)) == in_order(kind, ids)


def test_no_letters_is_no_failure_and_says_where_it_looked(warren, letters):
    done = warren("dead", "list", "media", "celery")
    assert done.stdout == "" and "no dead letter of media, celery" in done.stderr
    assert "name others with -Q" in warren("dead", "list").stderr
    assert listed(warren) == []
    assert warren("dead", "export", code=1).stdout == ""


def test_queues_of_the_configuration_are_looked_at(warren, letters, tmp_path):
    path = tmp_path / "warren.yaml"
    path.write_text("pools:\n  p: { queues: [media, celery], app: x }\nroutes:\n  'scrape.*': scraping\n")
    path.chmod(0o600)
    for name in ("media", "scraping", "celery", "elsewhere"):
        letters.declare("warren.dead." + name)
        letters.put(name, origin=name)
    assert sorted(f["id"] for f in listed(warren, "--config", str(path))) == ["celery", "media", "scraping"]
    assert [f["id"] for f in listed(warren, "elsewhere", "--config", str(path))] == ["elsewhere"]
    assert [f["id"] for f in listed(warren, "-Q", "media,warren.dead.elsewhere")] == ["media", "elsewhere"]


# --- replay --------------------------------------------------------------------------------------------------------------

def test_a_replayed_task_begins_anew(site, warren, worker, letters, config, tmp_path):
    worker("-A", "dead_tasks", "-c", "1", "--config", config)
    gate = tmp_path / "gate"
    result = site.app().send_task("die_unless", [str(gate)])
    letters.wait(1)
    assert json.loads(site.meta(result.id))["status"] == "FAILURE"
    gate.touch()
    done = warren("dead", "replay", result.id)
    assert done.stdout == "replayed 1 of 1 letters\n"
    # Another client than the one that was told of the failure.
    assert site.app().AsyncResult(result.id).get(timeout=20) == {"retries": 0, "headers": []}
    letters.wait(0)
    site.wait_empty()


def test_an_old_failure_does_not_stand_for_the_replay(site, warren, letters):
    """Delivered twice, a task with a final result is not run again: what is stored of its first life has to go."""
    letters.declare("celery")
    letters.declare(DEAD)
    letters.put("old")
    letters.put("kept")
    for task_id in ("old", "kept"):
        site.redis.set("celery-task-meta-" + task_id, json.dumps({"status": "FAILURE", "result": None, "task_id": task_id}))
    warren("dead", "replay", "old")
    assert site.meta("old") is None
    warren("dead", "replay", "kept", "--keep-results")
    assert site.meta("kept") is not None
    assert letters.ids("celery") == ["old", "kept"]


def test_arguments_and_queue_can_be_changed(site, warren, worker, letters):
    letters.declare(DEAD)
    worker("-A", "dead_tasks", "-c", "1", "-Q", "other")
    letters.put("edited", args='["two", 3]')
    done = warren("dead", "replay", "edited", "--edit-args", "[20, 3]", "--edit-kwargs", "{}", "--queue", "other", "--json")
    assert json.loads(done.stdout) == {"letters": 1, "replayed": 1, "failed": 0, "skipped": 0, "expiries_dropped": 0}
    assert site.app().AsyncResult("edited").get(timeout=20) == 23
    assert "the new args are an object, not an array" in warren("dead", "replay", "x", "--edit-args", "{}", code=2).stderr


def test_what_is_no_task_is_replayed_but_not_edited(warren, letters):
    letters.declare("celery")
    letters.declare(DEAD)
    letters.publish(DEAD, b"\x80\x02]", {"x-warren-queue": "celery", "x-warren-reason": "content-type"}, content_type="application/x-pickle")
    name = listed(warren)[0]["id"]
    done = warren("dead", "replay", name, "--edit-args", "[]", code=1)
    assert "cannot be edited" in done.stderr and done.stdout == "replayed 0 of 1 letters\n"
    letters.wait(1)
    warren("dead", "replay", name)
    (message,) = letters.take("celery")
    assert message.body == b"\x80\x02]" and message.properties["content_type"] == "application/x-pickle" and message.headers == {}


def test_an_expiry_that_has_passed_goes_unless_kept(warren, letters):
    letters.declare("celery")
    letters.declare(DEAD)
    for task_id, expires in (("a", "2020-01-01T00:00:00+00:00"), ("b", "2020-01-01T00:00:00+00:00"), ("c", "2999-01-01T00:00:00+00:00")):
        letters.put(task_id, expires=expires)
    assert "1 had expired" in warren("dead", "replay", "a").stderr
    assert "expired" not in warren("dead", "replay", "b", "c", "--keep-expires").stderr
    found = {m.headers["id"]: m.headers["expires"] for m in letters.take("celery")}
    assert found == {"a": None, "b": "2020-01-01T00:00:00+00:00", "c": "2999-01-01T00:00:00+00:00"}


def test_names_of_strangers_do_not_reach_the_terminal(warren, letters):
    letters.declare(DEAD)
    letters.put("evil\x1b]0;x\x07\nwarren: all is well", origin="gone", queue=DEAD)
    letters.wait(1)
    done = warren("dead", "replay", "--all", "--yes", code=1)
    assert "\x1b" not in done.stderr and "evil\\x1b]0;x\\x07\\nwarren: all is well: there is no queue 'gone'" in done.stderr


def test_marks_are_stripped_and_own_headers_kept(warren, letters):
    letters.declare("celery")
    letters.declare(DEAD)
    letters.put("a", **{"x-warren-lost": 3, "x-warren-output": "x", "x-own": "kept", "x-first-death-queue": "q", "retries": 3})
    warren("dead", "replay", "a")
    (message,) = letters.take("celery")
    assert {k for k in message.headers if k.startswith("x-")} == {"x-own"}
    assert message.headers["retries"] == 0 and message.properties["correlation_id"] == "a"
    assert message.properties["delivery_mode"] == 2


def test_a_task_that_succeeded_meanwhile_is_left_alone(site, warren, letters):
    letters.declare("celery")
    letters.declare(DEAD)
    letters.put("done")
    site.redis.set("celery-task-meta-done", json.dumps({"status": "SUCCESS", "result": 5, "task_id": "done"}))
    assert "has succeeded meanwhile" in warren("dead", "replay", "done", code=1).stderr
    letters.wait(1)
    assert letters.count("celery") == 0
    warren("dead", "replay", "done", "--force")
    assert letters.ids("celery") == ["done"]


def test_a_missing_queue_keeps_the_letter_and_the_result(site, warren, letters):
    letters.declare("warren.dead.gone")
    letters.put("a", origin="gone")
    site.redis.set("celery-task-meta-a", json.dumps({"status": "FAILURE", "result": None, "task_id": "a"}))
    assert "there is no queue 'gone'" in warren("dead", "replay", "a", "-Q", "gone", code=1).stderr
    letters.wait(1, "warren.dead.gone")
    assert site.meta("a") is not None


def test_what_dies_again_at_once_does_not_make_it_endless(site, warren, worker, letters, config):
    worker("-A", "dead_tasks", "-c", "2", "--config", config)
    app = site.app()
    for _ in range(20):
        app.send_task("nope")
    letters.wait(20)
    assert warren("dead", "replay", "--all", "--yes").stdout == "replayed 20 of 20 letters\n"
    letters.wait(20)


def test_dry_run_does_nothing(site, warren, letters):
    letters.declare("celery")
    letters.declare(DEAD)
    letters.put("a", expires="2020-01-01T00:00:00+00:00")
    letters.put("b")
    site.redis.set("celery-task-meta-a", json.dumps({"status": "FAILURE", "result": None, "task_id": "a"}))
    done = warren("dead", "replay", "--all", "--dry-run")
    assert [line.split()[:3] for line in done.stdout.splitlines()] == [["ID", "TASK", "TO"], ["a", "add", "celery"], ["b", "add", "celery"]]
    assert json.loads(warren("dead", "replay", "a", "--dry-run", "--json").stdout) == [
        {"id": "a", "task": "add", "to": "celery", "drops_expires": True}]
    letters.wait(2)
    assert letters.count("celery") == 0 and site.meta("a") is not None


def test_mistakes_on_the_command_line(warren, letters):
    letters.declare(DEAD)
    letters.put("a")
    for args, says in ((("replay",), "name IDs"), (("purge",), "name IDs"), (("replay", "--all"), "say --yes"),
                       (("purge", "a"), "say --yes"), (("show",), "name an ID"), (("lst",), "did you mean 'list'"),
                       (("list", "--edit-args", "[]"), "does not take --edit-args"), (("purge", "-q", "x"), "does not take --queue"),
                       (("replay", "--all", "a"), "choose one"), (("list", "-Q", "a", "b"), "choose one"), ((), "usage")):
        done = warren("dead", *args, code=2)
        assert says in done.stderr, (args, done.stderr)
    assert letters.count() == 1
    assert "no dead letter 'zzz'" in warren("dead", "replay", "zzz", code=1).stderr
    assert warren("dead", "list", "--broker", "amqp://127.0.0.1:1//", code=3).stdout == ""


def on_terminal(site, answer, *args):
    """Runs warren with a terminal for its questions; (exit code, stdout, what the terminal showed)."""
    master, slave = pty.openpty()
    child = subprocess.Popen([WARREN, "dead", *args], stdin=slave, stdout=subprocess.PIPE, stderr=slave, env=site.env(), text=True,
                             cwd=site.folder)
    os.close(slave)
    shown = b""
    while b"[y/N]" not in shown:
        shown += os.read(master, 4096)
    os.write(master, answer)
    out, _ = child.communicate(timeout=30 * SLOW)
    os.close(master)
    return child.returncode, out, shown.decode()


@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_it_asks_and_works_through_all_after_yes(site, built, letters, kind):
    letters.declare("celery")
    letters.declare(DEAD, **{"x-queue-type": kind})
    ids = ["id-%d" % i for i in range(200)]
    for task_id in ids:
        letters.put(task_id)
    letters.wait(200)
    code, out, shown = on_terminal(site, b"n\n", "replay", "--all")
    assert code == 1 and out == "" and "Replay 200 dead letters" in shown
    letters.wait(200)
    code, out, shown = on_terminal(site, b"y\n", "replay", "--all")
    assert code == 0 and out == "replayed 200 of 200 letters\n"
    letters.wait(0)
    assert in_order(kind, letters.ids("celery")) == in_order(kind, ids)
    letters.put("one")
    letters.put("two")
    letters.wait(2)
    code, out, shown = on_terminal(site, b"y\n", "purge", "one")
    assert code == 0 and "Throw away 1 dead letters" in shown
    letters.wait(1)
    code, out, shown = on_terminal(site, b"y\n", "purge", "--all")
    assert code == 0 and "Throw away 1 dead letters" in shown
    letters.wait(0)


def test_a_killed_replay_loses_nothing(site, built, warren, letters):
    """SIGKILL in the middle, again and again: every id is in one of the queues, and in both only what was under way."""
    letters.declare("celery")
    letters.declare(DEAD)
    ids = ["id-%d" % i for i in range(400)]
    in_the_middle = both = 0
    for turn in range(20):
        for task_id in ids:
            letters.put(task_id)
        letters.wait(400)
        child = subprocess.Popen([WARREN, "dead", "replay", "--all", "--yes", *(["--keep-results"] if turn % 2 else [])],
                                 stdout=subprocess.DEVNULL, env=site.env(), cwd=site.folder)
        # A little later each time, in the broker's own measure of progress.
        deadline = time.monotonic() + 30 * SLOW
        while letters.count("celery") <= turn * 15 and child.poll() is None:
            assert time.monotonic() < deadline
        child.kill()
        child.wait()
        wait_until(lambda: letters.count() + letters.count("celery") >= 400, 20 * SLOW,
                   lambda: "400 messages, there are %d + %d" % (letters.count(), letters.count("celery")))
        # What the broker has not given back yet is not seen: until nothing more comes.
        wait_until(lambda: site.unacked() == 0, 20 * SLOW, lambda: "no unacknowledged letters")
        found = collections.Counter(letters.ids(DEAD) + letters.ids("celery"))
        assert set(found) == set(ids), "lost: %r" % (set(ids) - set(found))
        assert max(found.values()) <= 2
        in_the_middle += child.returncode != 0
        both += sum(n > 1 for n in found.values())
    assert in_the_middle >= 10, "the replay was always done before it could be killed"
    assert both > 0, "nothing was ever under way: the kills were not in the middle"


def test_a_lost_connection_ends_a_replay_without_loss(site, built, warren, letters):
    """The broker throws the replay out in the middle: it says so, and nothing is missing."""
    letters.declare("celery")
    letters.declare(DEAD)
    ids = ["id-%d" % i for i in range(3000)]
    for task_id in ids:
        letters.put(task_id)
    letters.wait(3000)
    child = subprocess.Popen([WARREN, "dead", "replay", "--all", "--yes"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             env=site.env(), cwd=site.folder, text=True)
    wait_until(lambda: letters.count("celery") > 100, 20 * SLOW, lambda: "the replay to begin")
    site.rabbitmq.eval('[rabbit_networking:close_connection(rabbit_misc:pget(pid, C), "thrown out by a test") || '
                       'C <- rabbit_networking:connection_info_all([pid, vhost, client_properties]), '
                       'rabbit_misc:pget(vhost, C) =:= <<"%s">>, '
                       'lists:keyfind(<<"connection_name">>, 1, rabbit_misc:pget(client_properties, C)) =/= false].' % site.vhost)
    out, err = child.communicate(timeout=30 * SLOW)
    assert child.returncode == 3, (out, err)
    assert "thrown out by a test" in err and "replayed" in err
    wait_until(lambda: site.unacked() == 0, 20 * SLOW, lambda: "no unacknowledged letters")
    found = collections.Counter(letters.ids(DEAD) + letters.ids("celery"))
    assert set(found) == set(ids)
    assert max(found.values()) <= 2


# --- purge ---------------------------------------------------------------------------------------------------------------

def test_purge_throws_away_what_was_chosen(warren, letters):
    letters.declare(DEAD)
    for task_id, reason in (("a", "lost"), ("b", "rejected"), ("c", "lost"), ("d", "failed")):
        letters.put(task_id, reason=reason)
    done = warren("dead", "purge", "--reason", "lost", "--dry-run")
    assert done.stdout.split() == ["QUEUE", "WOULD", "PURGE", DEAD, "2"]
    letters.wait(4)
    assert json.loads(warren("dead", "purge", "--reason", "lost", "--yes", "--json").stdout) == [{"queue": DEAD, "purged": 2}]
    assert [f["id"] for f in listed(warren)] == ["b", "d"]
    warren("dead", "purge", "d", "--yes")
    assert json.loads(warren("dead", "purge", "--all", "--dry-run", "--json").stdout) == [{"queue": DEAD, "letters": 1}]
    letters.wait(1)
    assert warren("dead", "purge", "--all", "--yes").stdout.split() == ["QUEUE", "PURGED", DEAD, "1"]
    letters.wait(0)
    assert "no dead letter" in warren("dead", "purge", "--all", "--yes", code=1).stderr


# --- many ----------------------------------------------------------------------------------------------------------------

def test_many_letters_are_replayed_to_a_worker(site, warren, worker, letters):
    letters.declare(DEAD)
    worker("-A", "dead_tasks", "-c", "2")
    ids = ["id-%d" % i for i in range(1000)]
    for i, task_id in enumerate(ids):
        letters.put(task_id, args="[%d, 1]" % i)
    letters.wait(1000)
    warren("dead", "replay", "--task", "add", "--yes")
    app = site.app()
    results = [app.AsyncResult(task_id) for task_id in ids]
    wait_final(results)
    assert [r.result for r in results] == [i + 1 for i in range(1000)]
    letters.wait(0)


# --- queues with other keys than their names -----------------------------------------------------------------------------

def test_letters_of_a_topic_queue_go_by_its_name(site, warren, worker, letters, tmp_path):
    """Whatever keys a queue takes, its letters are in one place, and both a task for later and a replay find back to it."""
    config = tmp_path / "topic.yaml"
    config.write_text("queues:\n  video: { exchange: media, exchange_type: topic, routing_key: 'media.#' }\n")
    config.chmod(0o600)
    worker("-A", "dead_tasks", "-c", "1", "-Q", "video", "--config", str(config))
    for key in ("media.a", "media.b.c"):
        letters.channel.basic_publish(letters.channel.prepare_message(
            "[[2, 3], {}, {}]", content_type="application/json", content_encoding="utf-8",
            headers={"task": "nope", "id": key, "retries": 0}), "media", key)
    letters.wait(2, "warren.dead.video")
    assert sorted(f["id"] for f in listed(warren, "--config", str(config))) == ["media.a", "media.b.c"]
    warren("dead", "replay", "media.a", "--config", str(config))
    letters.wait(2, "warren.dead.video")
    eta = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)
    letters.channel.basic_publish(letters.channel.prepare_message(
        "[[2, 3], {}, {}]", content_type="application/json", content_encoding="utf-8",
        headers={"task": "add", "id": "later", "retries": 0, "eta": eta.isoformat()}), "media", "media.later")
    assert site.app().AsyncResult("later").get(timeout=20 * SLOW) == 5


# --- a dead-letter exchange of the queue's own ---------------------------------------------------------------------------

def test_dead_letter_exchange_of_a_queue_gets_what_is_rejected(site, worker, letters, tmp_path):
    """As under Celery: Reject(requeue=False), and a failure or time limit with acks_on_failure_or_timeout off."""
    config = tmp_path / "own.yaml"
    config.write_text("tasks:\n  fail_for_good: { acks_on_failure_or_timeout: false }\n"
                      "  sleep_on: { acks_on_failure_or_timeout: false, time_limit: 300ms }\n")
    config.chmod(0o600)
    letters.declare("own.dead")
    letters.declare("celery", **{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "own.dead"})
    worker("-A", "dead_tasks", "-c", "1", "--config", str(config))
    app = site.app()
    for name in ("refuse", "fail_for_good", "sleep_on", "add"):
        letters.publish("celery", "[[2, 3], {}, {}]" if name == "add" else "[[], {}, {}]", {"task": name, "id": name, "retries": 0})
    sent = [app.AsyncResult(name) for name in ("refuse", "fail_for_good", "sleep_on", "add")]
    wait_final(sent[1:])
    assert [r.state for r in sent[1:]] == ["FAILURE", "FAILURE", "SUCCESS"]
    letters.wait(3, "own.dead")
    assert letters.ids("own.dead") == [r.id for r in sent[:3]]
    found = letters.take(DEAD)
    assert [(m.headers["x-warren-reason"], m.headers["id"]) for m in found] == [
        ("rejected", sent[0].id), ("failed", sent[1].id), ("failed", sent[2].id)]
    assert "TimeLimitExceeded" in repr(sent[2].result) and "time limit (0.3 s)" in found[2].headers["x-warren-error"]
