"""warren inspect, control, status and report, on a cluster of a Celery worker and one of ours."""
import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import termios

import pytest

from harness import SLOW, WARREN, wait_state
from warren_servers import wait_until

PLAIN = ["ping", "active", "reserved", "scheduled", "revoked", "registered", "stats", "active_queues", "conf", "report", "clock", "memsample"]
OURS, THEIRS = "ours@here", "theirs@here"


@pytest.fixture
def cluster(worker, celery_worker):
    """Both kinds of worker, on queues of their own so that each task has one place to go."""
    theirs = celery_worker("-n", THEIRS, "-Q", "theirs", "-P", "prefork", "-c", "2", bare=False)
    ours = worker("-A", "tasks", "-c", "2", "-n", OURS, "-Q", "ours")
    return ours, theirs


@pytest.fixture
def ask(warren):
    """The answers of both, as node -> answer; ends as soon as they are there."""
    def ask(verb, *words, code=0, nodes=(OURS, THEIRS)):
        return json.loads(warren(verb, *words, "-d", ",".join(nodes), "-t", "20s", "--json", code=code).stdout)
    return ask


def test_inspect_asks_both_kinds_of_worker(site, cluster, warren, ask, tmp_path):
    app = site.app()
    held = app.send_task("hold", (str(tmp_path / "gate"),), queue="ours")
    wait_state(held, "STARTED")
    said = {what: ask("inspect", what) for what in PLAIN}
    for what, answers in said.items():
        assert sorted(answers) == [OURS, THEIRS], what
    assert said["ping"] == {OURS: {"ok": "pong"}, THEIRS: {"ok": "pong"}}
    assert [t["id"] for t in said["active"][OURS]] == [held.id] and said["active"][THEIRS] == []
    assert "hold" in said["registered"][OURS] and "add" in said["registered"][THEIRS]
    assert {n: a["pool"]["max-concurrency"] for n, a in said["stats"].items()} == {OURS: 2, THEIRS: 2}
    assert [q["name"] for n in (OURS, THEIRS) for q in said["active_queues"][n]] == ["ours", "theirs"]
    for what in PLAIN:
        shown = warren("inspect", what, "-d", OURS + "," + THEIRS, "-t", "20s")
        assert shown.stdout != "" or "none on 2 nodes" in shown.stderr, what
        assert max(len(line) for line in shown.stdout.splitlines() or [""]) < 1000
    shown = warren("inspect", "active", "-d", OURS).stdout.splitlines()
    assert shown[0].split() == ["ID", "TASK", "ARGS", "KWARGS", "RUNNING", "NODE"]
    assert shown[1].startswith(held.id) and "hold" in shown[1] and shown[1].endswith(OURS) and len(shown) == 2
    assert ask("inspect", "query_task", held.id)[OURS][held.id][0] == "active"
    assert held.id in warren("inspect", "query_task", held.id, "no-such", "-d", OURS).stdout
    (tmp_path / "gate").touch()
    here = warren("report", "-d", OURS).stdout.splitlines()
    assert "configuration -" in [" ".join(line.split()) for line in here]


def test_everybody_is_asked_without_a_destination(cluster, warren):
    done = warren("status", "-t", "2s")
    assert "->  %s: OK" % OURS in done.stdout and "->  %s: OK" % THEIRS in done.stdout and "2 nodes online." in done.stdout
    assert sorted(json.loads(warren("status", "--json", "-d", OURS + "," + THEIRS, "-t", "5s").stdout)["nodes"]) == [OURS, THEIRS]


def test_who_does_not_answer_is_named(site, worker, warren):
    assert "no worker answered" in warren("inspect", "ping", "-t", "200ms", code=1).stderr
    assert "0 nodes online" in warren("status", "-t", "200ms", code=1).stdout
    worker("-A", "tasks", "-c", "1", "-n", OURS)
    done = warren("inspect", "ping", "-d", OURS + ",gone@there", "-t", "300ms", code=4)
    assert "gone@there did not answer" in done.stderr and OURS in done.stdout
    assert "gone@there did not answer" in warren("status", "-d", "gone@there", "-t", "300ms", code=1).stdout + warren(
        "status", "-d", OURS + ",gone@there", "-t", "300ms", code=4).stderr
    warren("inspect", "ping", code=3, env={"WARREN_BROKER": "amqp://127.0.0.1:1//"})


@pytest.mark.parametrize("words", [["inspect"], ["inspect", "pong"], ["inspect", "revoke", "x"], ["inspect", "query_task"],
                                   ["inspect", "ping", "x"], ["control", "ping"], ["control", "rate_limit", "add"],
                                   ["control", "pool_grow", "none"], ["control", "terminate", "$", "id"], ["control", "revoke"],
                                   ["control", "time_limit", "add", "soon"], ["control", "revoke_by_stamped_headers", "novalue"],
                                   ["control", "pool_grow", "1", "--terminate"], ["control", "revoke", "x", "--signal", "?"],
                                   ["control", "shutdown", "--wait"]], ids=" ".join)
def test_what_makes_no_sense_is_refused_before_anything_is_sent(warren, words):
    done = warren(*words, code=2, env={"WARREN_BROKER": "amqp://127.0.0.1:1//"})
    assert done.stdout == "" and len(done.stderr.splitlines()) == 1


def test_control_of_both_kinds_of_worker(site, cluster, warren, ask):
    assert ask("control", "enable_events") == {n: {"ok": "task events enabled"} for n in (OURS, THEIRS)}
    assert ask("control", "disable_events") == {n: {"ok": "task events disabled"} for n in (OURS, THEIRS)}
    assert ask("control", "time_limit", "add", "1min", "2min") == {n: {"ok": "time limits set successfully"} for n in (OURS, THEIRS)}
    assert ask("control", "heartbeat") == {OURS: None, THEIRS: None}
    assert ask("control", "add_consumer", "more", nodes=[THEIRS]) == {THEIRS: {"ok": "add consumer more"}}
    # Celery answers first and then does it.
    wait_until(lambda: [q["name"] for q in ask("inspect", "active_queues")[THEIRS]] == ["theirs", "more"], 10, "the queue to be taken")
    assert ask("control", "cancel_consumer", "more", nodes=[THEIRS]) == {THEIRS: {"ok": "no longer consuming from more"}}
    assert ask("control", "pool_grow", nodes=[THEIRS]) == {THEIRS: {"ok": "pool will grow"}}
    assert ask("control", "rate_limit", "add", "10/m", nodes=[THEIRS]) == {THEIRS: {"ok": "new rate limit set successfully"}}
    assert ask("inspect", "registered", "rate_limit")[THEIRS][0] == "add [rate_limit=10/m]"
    done = warren("control", "time_limit", "unknown", "1", "-d", OURS, code=1)
    assert done.stdout == "" and "%s: unknown task" % OURS in done.stderr


def test_revoke_and_its_end(site, cluster, warren, ask, tmp_path):
    app = site.app()
    held = [app.send_task("hold", (str(tmp_path / "never"),), queue="ours") for _ in range(2)]
    for result in held:
        wait_state(result, "STARTED")
    done = warren("control", "revoke", held[0].id, "--terminate", "--signal", "kill", "-d", OURS, "--wait")
    assert "terminate: %s" % held[0].id in done.stdout and "REVOKED" in done.stderr
    assert "terminate: %s" % held[1].id in warren("control", "terminate", "SIGTERM", held[1].id, "-d", OURS).stdout
    wait_state(held[1], "REVOKED")
    warren("control", "revoke", "one", "two", "-d", OURS + "," + THEIRS, "-t", "20s")
    revoked = ask("inspect", "revoked")
    assert {"one", "two"} <= set(revoked[OURS]) and {"one", "two"} == set(revoked[THEIRS])
    assert "flagged as revoked" in warren("control", "revoke_by_stamped_headers", "tenant=a", "tenant=b", "-d", OURS).stdout


def read_all(terminal):
    """What is there to be read now."""
    said = b""
    while select.select([terminal], [], [], 0.1)[0]:
        said += os.read(terminal, 4096)
    return said.decode()


def test_shutdown_asks_first(cluster, warren, site):
    ours, theirs = cluster
    assert "--yes" in warren("control", "shutdown", "-d", OURS, code=2).stderr
    assert "gone@there" in warren("control", "shutdown", "-d", OURS + ",gone@there", "--yes", "-t", "300ms", code=4).stderr
    assert ours.alive()
    assert json.loads(warren("control", "shutdown", "-d", OURS, "--yes", "--json").stdout) == [OURS]
    assert ours.wait() == 0
    # At a terminal it asks, and "n" means no.
    for answer, code in ((b"n\n", 1), (b"y\n", 0)):
        master, slave = pty.openpty()
        done = subprocess.Popen([WARREN, "control", "shutdown", "-d", THEIRS, "-t", "5s"], stdin=slave, stderr=slave, stdout=subprocess.PIPE, env=site.env())
        os.write(master, answer)
        out, _ = done.communicate(timeout=20 * SLOW)
        assert (done.returncode, theirs.alive() or code == 0) == (code, True)
        assert "End 1 worker: %s?" % THEIRS in read_all(master)
        os.close(master)
        os.close(slave)
    assert out == b"theirs@here was told to end\n"
    assert theirs.wait() == 0


def test_report_and_conf_show_no_password(site, servers, worker, warren, tmp_path):
    """Broker and backend with passwords that are easy to find; nobody tells them."""
    site.rabbitmq.ctl("add_user", "teller", "s3cret-broker")
    site.rabbitmq.ctl("set_permissions", "-p", site.vhost, "teller", ".*", ".*", ".*")
    env = {"WARREN_BROKER": site.broker.replace("guest:guest", "teller:s3cret-broker"),
           "WARREN_RESULT_BACKEND": site.backend.replace("redis://", "redis://:s3cret-backend@")}
    assert "s3cret-broker" in env["WARREN_BROKER"]
    config = tmp_path / "warren.yaml"
    config.write_text("result_key_prefix: shown-\n")
    site.redis.config_set("requirepass", "s3cret-backend")
    try:
        w = worker("-A", "tasks", "-c", "1", "-n", OURS, "--config", str(config), env=env)
        said = [warren(*words, "-t", "5s", "--config", str(config), *more, env=env) for words in
                (["inspect", "conf", "-d", OURS], ["inspect", "conf", "all", "-d", OURS], ["inspect", "report", "-d", OURS], ["report", "-d", OURS],
                 ["inspect", "stats", "-d", OURS], ["status", "-d", OURS]) for more in ([], ["--json"])]
        told = "".join(s.stdout + s.stderr for s in said) + w.output()
        assert "teller" in told and "shown-" in told and "redis://" in told
        assert "s3cret" not in told
    finally:
        site.redis.execute_command("AUTH", "s3cret-backend")
        site.redis.config_set("requirepass", "")


def test_two_workers_of_one_name_do_not_share_the_orders(site, worker, warren):
    worker("-A", "tasks", "-c", "1", "-n", OURS)
    second = worker("-A", "tasks", "-c", "1", "-n", OURS)
    second.wait_line("another worker named %s" % OURS)
    for _ in range(5):
        assert warren("inspect", "ping", "-d", OURS).stdout.count(OURS) == 1


def test_what_a_stranger_answers_is_harmless(site, warren):
    """Whoever may use the broker may answer: with names and texts that would write to the terminal."""
    import threading
    said = []

    def answer():
        with site.raw_connection() as connection:
            channel = connection.channel()
            channel.exchange_declare("celery.pidbox", "fanout", durable=False, auto_delete=False)
            channel.queue_declare("stranger", exclusive=True)
            channel.queue_bind("stranger", "celery.pidbox")
            ready.set()
            message = wait_until(lambda: channel.basic_get("stranger", no_ack=True), 20 * SLOW, "the question")
            request = json.loads(message.body)
            for node, reply in (("evil\x1b]0;x\x07@h", {"ok": "po\x1b[2Jng\nmore"}), ("twice@h", {"error": "E\x1b[31m"}), ("twice@h", 5)):
                connection.Producer().publish(json.dumps({node: reply}), exchange="reply.celery.pidbox",
                                              routing_key=request["reply_to"]["routing_key"], headers={"ticket": request["ticket"], "clock": 1},
                                              content_type="application/json", content_encoding="utf-8", serializer=None)
            # Not for this question, and no answer at all.
            for body, ticket in (("{}", "other"), ("[1]", request["ticket"]), ("{", request["ticket"])):
                connection.Producer().publish(body, exchange="reply.celery.pidbox", routing_key=request["reply_to"]["routing_key"],
                                              headers={"ticket": ticket}, content_type="application/json", content_encoding="utf-8", serializer=None)
            said.append(request["method"])
    ready = threading.Event()
    thread = threading.Thread(target=answer)
    thread.start()
    ready.wait(20)
    done = warren("inspect", "ping", "-t", "2s", code=1)
    thread.join(30)
    assert said == ["ping"]
    assert "\x1b" not in done.stdout + done.stderr and "\x07" not in done.stdout + done.stderr
    assert "evil\\x1b]0;x\\x07@h" in done.stdout and "po\\x1b[2Jng\\nmore" in done.stdout
    assert "two workers are named twice@h" in done.stderr


def test_a_table_fits_the_terminal_and_ids_stay_whole(site, worker, tmp_path):
    worker("-A", "tasks", "-c", "1", "-n", OURS)
    held = site.app().send_task("hold", (str(tmp_path / ("g" * 200)),), {"journal": str(tmp_path / ("j" * 200))})
    wait_state(held, "STARTED")
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    done = subprocess.run([WARREN, "inspect", "active", "-d", OURS], stdin=slave, stdout=slave, stderr=slave, env=dict(site.env(), NO_COLOR="1"),
                          timeout=20 * SLOW)
    lines = read_all(master).splitlines()
    os.close(slave)
    os.close(master)
    assert done.returncode == 0 and len(lines) == 2 and max(len(line) for line in lines) <= 100, lines
    assert lines[1].startswith(held.id + "  hold ") and lines[1].endswith(OURS)
    site.app().control.revoke(held.id, terminate=True)
