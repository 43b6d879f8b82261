"""What goes wrong around a worker, and what is wrong with messages: one clear line each, nothing crashes, no task is lost."""
import datetime
import json
import os
import re
import socket
import subprocess

import pytest

from harness import C_TASKS, SLOW, TOP, WARREN, wait_state
from warren_servers import wait_until

DEAD = "warren.dead.celery"


def one_line(text, *words):
    """Exactly one line with all the words; returns it."""
    lines = [line for line in text.splitlines() if all(word in line for word in words)]
    assert len(lines) == 1, "%d lines with %r in:\n%s" % (len(lines), words, text)
    return lines[0]


def closed_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_names_that_are_as_long_as_they_may_be(worker, warren, tmp_path):
    one_line(warren("worker", "-A", "tasks", "-n", "n" * 199 + "@h", code=None).stderr, "201 bytes is too long")
    config = tmp_path / "pools.yaml"
    config.write_text("pools:\n  %s: { app: tasks, queues: [celery], concurrency: 1 }\n" % ("p" * 250))
    config.chmod(0o600)
    worker("-n", "n" * 198 + "@h", "--config", str(config))
    assert warren("send", "add", "2", "3", "--wait", "--timeout", "20s").stdout == "5\n"


# --- servers -----------------------------------------------------------------------------------------------------------

def test_no_broker_for_a_client(warren):
    port = closed_port()
    done = warren("send", "add", "1", "2", code=3, env={"WARREN_BROKER": "amqp://u:secret@127.0.0.1:%d//" % port})
    one_line(done.stderr, "cannot reach", "127.0.0.1:%d" % port, "refused")
    assert done.stdout == "" and "secret" not in done.stderr


def test_no_broker_for_a_worker_that_goes_on_trying(worker):
    port = closed_port()
    w = worker("-A", "tasks", ready=False, env={"WARREN_BROKER": "amqp://u:secret@127.0.0.1:%d//" % port})
    line = w.wait_line("cannot reach")
    assert "127.0.0.1:%d" % port in line and "refused" in line and "trying again" in line
    assert "secret" not in w.output()
    assert w.alive()


def test_wrong_password(site, worker, warren):
    env = {"WARREN_BROKER": site.rabbitmq.url(site.vhost, password="wrong-secret")}
    done = warren("send", "add", "1", "2", code=3, env=env)
    one_line(done.stderr, "password")
    w = worker("-A", "tasks", ready=False, env=env)
    assert "password" in w.wait_line("cannot reach")
    assert "wrong-secret" not in w.output() + done.stderr


def test_wrong_virtual_host(site, worker, warren):
    env = {"WARREN_BROKER": site.rabbitmq.url("no-such-vhost")}
    done = warren("send", "add", "1", "2", code=3, env=env)
    one_line(done.stderr, "no-such-vhost")
    w = worker("-A", "tasks", ready=False, env=env)
    assert re.search("no-such-vhost.*not found|virtual host", w.wait_line("cannot reach"))


def test_a_queue_that_belongs_to_somebody_else(site, worker, warren):
    with site.raw_connection() as connection:
        connection.channel().queue_declare("taken", durable=False, exclusive=True, auto_delete=False)
        assert one_line(warren("send", "add", "--queue", "taken", code=1).stderr, "RESOURCE_LOCKED").count("queue 'taken':") == 1
        one_line(warren("purge", "taken", "--yes", code=1).stderr, "RESOURCE_LOCKED")
        done = warren("status", "taken", "celery", "-t", "0.2", code=1)
        assert re.search(r"broker +ok", done.stdout) and re.search("taken .*refuses", done.stdout)
        one_line(done.stderr, "RESOURCE_LOCKED")
        w = worker("-A", "tasks", "-c", "1", "-Q", "taken", ready=False)
        assert w.wait_line("RESOURCE_LOCKED.*trying again").count("taken':") == 1
    w.wait_line(r" ready\.$")


def test_a_stream_does_not_keep_the_other_queues_waiting(site, worker, warren):
    with site.raw_connection() as connection:
        connection.channel().queue_declare("stream", durable=True, auto_delete=False, arguments={"x-queue-type": "stream"})
    worker("-A", "tasks", "-c", "2", "-Q", "stream,other")
    for queue in ("other", "stream"):
        assert warren("send", "add", "2", "3", "--queue", queue, "--wait", "--timeout", "10s").stdout == "5\n"


def test_the_permissions_that_the_documentation_names_are_enough(site, worker, warren, post):
    with open(os.path.join(TOP, "docs", "workers.md")) as f:
        pattern = re.search(r"^\^\(.*\)\$$", f.read(), re.M).group(0)
    user = "weak-" + site.vhost
    site.rabbitmq.ctl("add_user", user, "pw")
    site.rabbitmq.ctl("set_permissions", "-p", site.vhost, user, pattern, pattern[:-2] + r"|amq\.default)$", pattern)
    env = {"WARREN_BROKER": site.rabbitmq.url(site.vhost, user=user, password="pw")}
    w = worker("-A", "tasks", "-c", "1", "-E", env=env)
    assert warren("send", "add", "2", "3", "--countdown", "1s", "--wait", "--timeout", "20s", env=env).stdout == "5\n"
    warren("send", "no.such", env=env)
    post.dead()
    assert "pong" in warren("inspect", "ping", "-t", "0.5", env=env).stdout
    warren("events", "--limit", "1", env=env)
    assert w.lines("ACCESS_REFUSED") == []


def test_a_broker_in_alarm_is_named(own_site, worker):
    site = own_site()
    w = worker("-A", "tasks", "-c", "1", site=site)
    site.rabbitmq.ctl("set_vm_memory_high_watermark", "0")
    w.wait_line("accepts no messages now")
    for args in (["inspect", "ping", "-t", "0.5"], ["status", "-t", "0.5"]):
        done = subprocess.run([WARREN, *args], env=site.env(), capture_output=True, text=True, timeout=20 * SLOW)
        assert done.returncode == 1 and "memory or disk alarm" in done.stderr, done


def test_dead_letters_that_cannot_be_kept_stay_and_are_not_cried_about(site, worker, post):
    with site.raw_connection() as connection:
        channel = connection.channel()
        channel.exchange_declare("warren.dead", "fanout", durable=True, auto_delete=False)
        w = worker("-A", "tasks", "-c", "2", "--drain-timeout", "1s", "--log-format", "json", ready=False)
        w.wait_line('"worker_ready"')
        post.task("stuck", "no.such.task", b"[[], {}, {}]")
        w.wait_line("PRECONDITION_FAILED.*stays unacknowledged", count=3)
        times = [datetime.datetime.fromisoformat(json.loads(line)["ts"]) for line in w.lines("PRECONDITION_FAILED")]
        assert (times[2] - times[1]) > (times[1] - times[0]) * 1.5
        assert post.app.tasks["add"].delay(1, 2).get(timeout=20 * SLOW) == 3
        assert site.unacked("celery") == 1
        channel.exchange_delete("warren.dead")
    assert len(post.dead()) == 1
    site.wait_empty()


def test_what_speaks_no_amqp(servers, worker):
    w = worker("-A", "tasks", ready=False, env={"WARREN_BROKER": "amqp://127.0.0.1:%d//" % servers.about["redis"]["port"]})
    assert "trying again" in w.wait_line("cannot reach")


def test_redis_down_at_start(own_site, worker, journal):
    site = own_site(rabbitmq=True)
    app = site.app()
    site.servers.stop("redis")
    w = worker("-A", "tasks", "-c", "1", ready=False, site=site)
    assert "trying again" in w.wait_line("cannot reach the result backend")
    with app.producer_or_acquire() as producer:
        message = app.amqp.as_task_v2("early-one", "journal", [journal.path, 3], {})
        producer.publish(message.body, routing_key="celery", exchange="", headers=message.headers, serializer="json",
                         declare=[app.amqp.queues["celery"]], **message.properties)
    site.servers.start("redis")
    w.wait_line(r" ready\.$")
    assert app.AsyncResult("early-one").get(timeout=20 * SLOW) == 9
    assert journal.lines() == ["3"]


def test_wrong_redis_password(own_site, worker):
    site = own_site(rabbitmq=True, redis_args=["--requirepass", "right"])
    url = site.backend.replace("redis://", "redis://:wrong-secret@")
    w = worker("-A", "tasks", ready=False, site=site, env={"WARREN_RESULT_BACKEND": url})
    w.wait_line("cannot reach the result backend.*(password|WRONGPASS)")
    assert "wrong-secret" not in w.output()
    right = site.backend.replace("redis://", "redis://:right@")
    worker("-A", "tasks", site=site, env={"WARREN_RESULT_BACKEND": right})


# --- messages ------------------------------------------------------------------------------------------------------------

class Post:
    """Publishes what no client would, and looks at what became of it."""

    def __init__(self, site, app):
        self.site, self.app = site, app

    def __call__(self, body, content_type="application/json", content_encoding="utf-8", headers=None, **properties):
        with self.app.producer_or_acquire() as producer:
            producer.publish(body, routing_key="celery", exchange="", content_type=content_type, content_encoding=content_encoding,
                             headers=headers, serializer=None, declare=[self.app.amqp.queues["celery"]], **properties)

    def task(self, task_id, name, body, **more):
        self(body, headers={"lang": "py", "task": name, "id": task_id, "root_id": task_id, "parent_id": None, "group": None,
                            "retries": 0, "eta": None, "expires": None, **more},
             correlation_id=task_id, reply_to="")

    def dead(self, count=1):
        """The dead letters, once there are so many."""
        wait_until(lambda: self.site.queues().get(DEAD, {}).get("messages_ready") == count, 20 * SLOW,
                   lambda: "%d dead letters: %r" % (count, self.site.queues()))
        found = []
        with self.site.raw_connection() as connection:
            channel = connection.channel()
            for _ in range(count):
                found.append(channel.basic_get(DEAD, no_ack=True))
        return found


@pytest.fixture
def post(site):
    return Post(site, site.app())


def test_whatever_came_can_be_put_aside(site, worker, post):
    user = "other-" + site.vhost
    site.rabbitmq.ctl("add_user", user, "pw")
    site.rabbitmq.ctl("set_permissions", "-p", site.vhost, user, ".*", ".*", ".*")
    w = worker("-A", "tasks", "-c", "1")
    theirs = Post(site, site.app(broker_url=site.rabbitmq.url(site.vhost, user=user, password="pw")))
    theirs("[[], {}, {}]", headers={"task": "no.such", "id": "theirs"}, user_id=user)
    post(b"x" * (65 << 20), headers={"task": "add", "id": "long"})
    post("[[], {}, {}]", headers={"task": "no.such", "id": "wide", "pad": "x" * (131072 - 150), "mine": 1})
    found = {m.headers["id"]: m for m in post.dead(3)}
    assert "user_id" not in found["theirs"].properties
    assert len(found["long"].body) == 65 << 20 and found["long"].headers["x-warren-reason"] == "too-big"
    assert found["wide"].headers["x-warren-reason"] == "too-big" and found["wide"].headers["mine"] == 1
    assert found["wide"].headers["x-warren-left-out"] == "pad" and "pad" not in found["wide"].headers
    assert w.lines("cannot be sent") == []


def deep(n):
    return "[[" + "[" * n + "]" * n + "], {}, {}]"


BODIES = {
    "empty": b"",
    "no-json": b"{not json",
    "cut": b'[[1, 2], {}, {"callbacks": nul',
    "text": b'"hello"',
    "two-parts": b"[[], {}]",
    "args-no-array": b'[{"a": 1}, {}, {}]',
    "kwargs-no-object": b"[[], [], {}]",
    "no-utf8": b'[["\xff\xfe"], {}, {}]',
    "nul": b'[["a\x00b"], {}, {}]',
    "deep": deep(100000).encode(),
}


@pytest.mark.parametrize("what", sorted(BODIES))
def test_malformed_body_becomes_a_dead_letter(site, worker, post, what):
    w = worker("-A", "tasks", "-c", "1")
    post.task("bad-one", "add", BODIES[what])
    (dead,) = post.dead()
    body = dead.body if isinstance(dead.body, bytes) else dead.body.encode("utf-8", "surrogateescape")
    assert body == BODIES[what], "the dead letter is not what was sent"
    assert len(w.lines("dead letters|warren.dead|that is no task")) >= 1
    assert post.app.tasks["add"].delay(1, 2).get(timeout=20 * SLOW) == 3
    site.wait_empty()


def test_binary_garbage_becomes_a_dead_letter(site, worker, post):
    w = worker("-A", "tasks", "-c", "1")
    garbage = bytes(range(256)) * 40
    post(garbage, content_type="application/octet-stream", content_encoding="binary")
    post(garbage, content_type="application/json", content_encoding="utf-8")
    post(b"\x80\x04\x95junk", content_type="application/x-python-serialize", content_encoding="binary",
         headers={"task": "add", "id": "pickled"})
    post(b"x\x9cnot zlib at all", headers={"task": "add", "id": "squeezed", "compression": "application/x-gzip"})
    assert len(post.dead(4)) == 4
    assert len(w.lines("that is no task")) == 4
    assert post.app.tasks["add"].delay(1, 2).get(timeout=20 * SLOW) == 3
    site.wait_empty()


def test_a_bomb_is_not_unpacked(site, worker, post):
    import zlib
    w = worker("-A", "tasks", "-c", "1", "--message-max", "1M")
    body = zlib.compress(b'[["' + b"x" * (200 << 20) + b'"], {}, {}]')
    post.task("bomb", "length", body, compression="application/x-gzip")
    post.dead()
    assert peak_memory(w.pid) < 64 << 20
    assert post.app.tasks["add"].delay(1, 2).get(timeout=20 * SLOW) == 3


def peak_memory(pid):
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(r"VmHWM:\s+(\d+) kB", f.read()).group(1)) << 10


def test_message_says_why_it_is_dead(worker, post):
    worker("-A", "tasks", "-c", "1", "-n", "judge@here")
    post.task("bad-one", "add", b"{}")
    (dead,) = post.dead()
    headers = dead.headers
    assert headers["task"] == "add" and headers["id"] == "bad-one"
    assert any("reason" in key for key in headers), headers


def test_unknown_task_fails_and_is_kept(site, worker, post):
    w = worker("-A", "tasks", "-c", "1")
    result = post.app.send_task("no.such.task", (1,))
    wait_state(result, "FAILURE")
    assert type(result.info).__name__ == "NotRegistered"
    assert "no.such.task" in str(result.info)
    w.wait_line("unregistered task no.such.task")
    (dead,) = post.dead()
    assert json.loads(dead.body)[0] == [1]


@pytest.mark.parametrize("runner", [["-A", "tasks"], ["--module", C_TASKS]], ids=["python", "c"])
def test_argument_of_20_mib(worker, post, runner):
    worker(*runner, "-c", "1")
    text = "x" * (20 << 20)
    assert post.app.send_task("length", (text,)).get(timeout=60 * SLOW) == len(text)


@pytest.mark.parametrize("runner", [["-A", "tasks"], ["--module", C_TASKS]], ids=["python", "c"])
def test_result_of_20_mib(worker, post, runner):
    worker(*runner, "-c", "1")
    assert post.app.send_task("big", (20 << 20,)).get(timeout=60 * SLOW) == "x" * (20 << 20)


def test_argument_beyond_the_limit_is_refused_not_run(worker, post):
    worker("-A", "tasks", "-c", "1", "--message-max", "1M")
    post.app.send_task("length", ("x" * (2 << 20),), task_id="too-big")
    post.dead()
    assert post.app.tasks["add"].delay(1, 2).get(timeout=20 * SLOW) == 3


def test_result_beyond_the_limit_is_a_failure(worker, post):
    w = worker("-A", "tasks", "-c", "1", "--result-max", "1M")
    result = post.app.send_task("big", (2 << 20,))
    wait_state(result, "FAILURE")
    assert post.app.tasks["add"].delay(1, 2).get(timeout=20 * SLOW) == 3
    assert w.alive()


def nested(depth):
    value = []
    for _ in range(depth - 1):
        value = [value]
    return value


def test_values_may_be_nested_as_deep_as_celerys(worker, post):
    worker("-A", "tasks", "-c", "1")
    for depth in (63, 200, 900):
        assert post.app.send_task("nested", (depth,)).get(timeout=20 * SLOW) == nested(depth)
    assert post.app.send_task("echo", (nested(200),)).get(timeout=20 * SLOW) == [[nested(200)], {}]


def test_a_result_that_is_nested_too_deep_is_a_failure(worker, post, tmp_path):
    script = tmp_path / "runner"
    script.write_text("""#!/bin/sh
echo '{"hello":{"protocol":1,"language":"sh","pid":'$$',"tasks":["deep"]}}' >&3
while read -r line <&3; do
	id=${line#*'"id":"'}; id=${id%%'"'*}
	case $line in
	'{"run":'*) echo '{"done":{"id":"'$id'","result":'$(printf '%2000s' | tr ' ' '[')'}}' >&3 ;;
	'{"stop":'*) exit 0 ;;
	esac
done
""")
    script.chmod(0o755)
    w = worker("--runner", str(script), "-c", "1")
    result = post.app.send_task("deep")
    wait_state(result, "FAILURE")
    assert "nested deeper than 1024 levels" in str(result.result)
    assert w.alive()


# --- runners ---------------------------------------------------------------------------------------------------------------

def test_missing_runner_program(worker):
    w = worker("--runner", "/no/such/runner --flag", "-c", "2", ready=False)
    assert w.wait() not in (0, None)
    one_line(w.output(), "/no/such/runner", "No such file")


def test_missing_python_module(worker):
    w = worker("-A", "no_such_module", "-c", "2", ready=False)
    assert w.wait() not in (0, None)
    assert "no_such_module" in w.output()


def test_what_is_no_c_module(warren, tmp_path):
    path = tmp_path / "tasks.so"
    path.write_text("no library")
    done = warren("run", "--module", str(path), "--list", code=1)
    line = one_line(done.stderr, "warren runner", "shared library")
    assert line.count(str(path)) == 1


def test_missing_c_module(worker):
    w = worker("--module", "/no/such/module.so", "-c", "2", ready=False)
    assert w.wait() not in (0, None)
    assert "/no/such/module.so" in w.output()


# What it does, and a word of what is said about it.
NONSENSE = {
    "no-json": ("echo hello >&3; sleep 60", "not JSON"),
    "no-hello": ("""echo '{"done": {"id": "x", "result": 1}}' >&3; sleep 60""", "out of place"),
    "other-protocol": ("""echo '{"hello": {"protocol": 99, "language": "sh", "pid": 1, "tasks": ["add"]}}' >&3; sleep 60""", "99"),
    "closed": ("exec 3>&-; sleep 60", "closed"),
    "silent-end": ("exit 0", "exited with code 0"),
    "endless": ("exec cat /dev/zero >&3", "more than"),
}


@pytest.mark.parametrize("what", sorted(NONSENSE))
def test_runner_that_talks_nonsense_at_its_start(worker, tmp_path, what):
    script = tmp_path / "runner"
    script.write_text("#!/bin/sh\n" + NONSENSE[what][0] + "\n")
    script.chmod(0o755)
    w = worker("--runner", str(script), "-c", "1", ready=False)
    assert w.wait() == 1
    assert NONSENSE[what][1] in one_line(w.output(), "warren: worker", str(script))


def test_runner_that_ends_again_and_again_is_not_started_in_a_storm(worker, tmp_path):
    script = tmp_path / "runner"
    script.write_text("#!/bin/sh\n"
                      """echo '{"hello": {"protocol": 1, "language": "sh", "pid": 1, "tasks": ["add"]}}' >&3\n"""
                      "exit 3\n")
    script.chmod(0o755)
    w = worker("--runner", str(script), "-c", "1", "--log-format", "json", ready=False)
    pattern = "the child in slot 0 exited with code 3"
    w.wait_line(pattern, count=6)
    times = [datetime.datetime.fromisoformat(json.loads(line)["ts"]) for line in w.lines(pattern)]
    # Each pause is a random part of twice as much as the one before, from 200 ms on.
    assert (times[5] - times[0]).total_seconds() > 0.1
    assert w.alive()


def test_runner_that_talks_nonsense_during_a_task(site, worker, tmp_path):
    script = tmp_path / "runner"
    script.write_text("#!/bin/sh\n"
                      """echo '{"hello": {"protocol": 1, "language": "sh", "pid": 1, "tasks": ["add"]}}' >&3\n"""
                      "read -r line <&3\n"
                      "echo '{\"nonsense\"' >&3\n"
                      "sleep 60\n")
    script.chmod(0o755)
    w = worker("--runner", str(script), "-c", "1")
    result = site.app().send_task("add", (1, 2))
    wait_state(result, "FAILURE")
    assert w.alive()
    site.wait_empty()


def test_runner_that_answers_for_another_task(site, worker, tmp_path):
    script = tmp_path / "runner"
    script.write_text("#!/bin/sh\n"
                      """echo '{"hello": {"protocol": 1, "language": "sh", "pid": 1, "tasks": ["add"]}}' >&3\n"""
                      "read -r line <&3\n"
                      """echo '{"done": {"id": "somebody-elses", "result": 1}}' >&3\n"""
                      "sleep 60\n")
    script.chmod(0o755)
    worker("--runner", str(script), "-c", "1")
    result = site.app().send_task("add", (1, 2))
    wait_state(result, "FAILURE")
    assert site.meta("somebody-elses") is None


# --- settings --------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("text, line, words", [
    ("brokr: amqp://localhost//\n", 1, ["brokr", "broker"]),
    ("\npools:\n  a: { queue: [x], app: tasks }\n", 3, ["queue"]),
    ("concurrency: many\n", 1, ["concurrency", "many"]),
    ("concurrency: [\n", 2, []),
    ("pools:\n  a: { queues: [x] }\n", 2, ["exactly one of app, module and runner"]),
], ids=["key", "pool-key", "value", "syntax", "no-runner"])
def test_wrong_configuration(warren, tmp_path, text, line, words):
    path = tmp_path / "warren.yaml"
    path.write_text(text)
    for args in (["worker", "--config", str(path)], ["config", "--check", str(path)]):
        done = warren(*args, code=2)
        first = done.stderr.splitlines()[0]
        assert "%s:%d" % (path, line) in first or "pool" in first, done.stderr
        for word in words:
            assert word in done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr


def test_wrong_schedule_is_a_mistake_of_the_configuration(warren, tmp_path):
    path = tmp_path / "warren.yaml"
    path.write_text("schedule:\n  b: { task: x, cron: '61 * * * *' }\n")
    one_line(warren("config", "--check", str(path), code=2).stderr, "%s:2" % path, "minute", "61")


@pytest.mark.parametrize("args", [["worker", "--no-such-flag"], ["no-such-command"], ["worker", "-c"], ["worker", "-c", "-1", "-A", "tasks"],
                                  ["worker", "-A", "tasks", "-Q", ""], ["worker", "-A", "tasks", "-Q", "a,b\udcff"]],
                         ids=["flag", "command", "value", "range", "no-queue", "queue-no-text"])
def test_wrong_command_line(warren, args):
    done = warren(*args, code=2)
    assert done.stdout == "" and 1 <= len(done.stderr.splitlines()) <= 2


def test_missing_configuration_file(warren):
    done = warren("worker", "--config", "/no/such/file.yaml", code=2)
    one_line(done.stderr, "/no/such/file.yaml", "no such file")
