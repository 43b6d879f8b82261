"""The worker as its owner and its tasks see it: banner, log lines, and what a child gets."""
import json
import os
import re
import signal

from harness import C_TASKS, SLOW, wait_state
from warren_servers import wait_until


def test_banner_and_log_lines_as_people_know_them(site, worker):
    w = worker("-A", "tasks", "-Q", "a,b", "-c", "2", "-n", "w1@%h", "-l", "info")
    app = site.app()
    ok = app.send_task("add", (2, 3), queue="a")
    bad = app.send_task("fail", ("boom",), queue="b")
    wait_state(ok, "SUCCESS")
    wait_state(bad, "FAILURE")
    host = os.uname().nodename
    stamp = r"^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}: %s/[^\]]+\] "
    w.wait_line(stamp % "INFO" + re.escape("w1@%s ready." % host))
    w.wait_line(stamp % "INFO" + r"Connected to amqp://guest:\*\*@127\.0\.0\.1")
    w.wait_line(stamp % "INFO" + re.escape("Task add[%s] received" % ok.id))
    w.wait_line(stamp % "INFO" + re.escape("Task add[%s] succeeded in " % ok.id) + r"[\d.e-]+s: 5$")
    w.wait_line(stamp % "ERROR" + re.escape("Task fail[%s] raised unexpected: ValueError('boom')" % bad.id))
    w.wait_line(r"^ValueError: boom$")
    assert re.search(r"^  \. add$", w.output(), re.MULTILINE)
    assert re.search(r"queues +a, b$", w.output(), re.MULTILINE)


def test_log_level_and_json(site, worker):
    w = worker("-A", "tasks", "-c", "1", "-q", "--json-logs")
    app = site.app()
    result = app.send_task("fail", ("boom",))
    wait_state(result, "FAILURE")
    w.wait_line("TASK_FAILED|raised")
    for line in w.output().splitlines():
        json.loads(line)
    quiet = worker("-A", "tasks", "-c", "1", "-q", "-l", "error", "-n", "quiet@%h", ready=False)
    wait_until(lambda: site.counter("consumers", "celery") == 2, 20 * SLOW, "the second worker to consume")
    assert quiet.output() == ""


def test_output_of_a_task_is_logged_with_its_id(site, worker):
    for runner in (["-A", "tasks"], ["--module", C_TASKS]):
        w = worker(*runner, "-c", "1", "-n", "say@%h")
        result = site.app().send_task("say", ("hello from inside",))
        result.get(timeout=20 * SLOW)
        w.wait_line(r"INFO.*say\[%s\]: hello from inside" % result.id)
        w.wait_line(r"WARNING.*say\[%s\]: hello from inside" % result.id)
        assert w.stop() == 0


def test_output_cannot_forge_log_lines(site, worker):
    w = worker("-A", "tasks", "-c", "1")
    site.app().send_task("say", ("\x1b[2Jgone\rOVERWRITTEN",)).get(timeout=20 * SLOW)
    w.wait_line("OVERWRITTEN", count=2)
    assert "\x1b" not in w.output() and "\r" not in w.output()


def test_what_a_child_gets(site, worker):
    w = worker("-A", "tasks", "-c", "1", "-n", "parent@here", "--pass-env", "NOTHING", env={"MY_SECRET": "s3cret", "AWS_REGION": "x"})
    about = site.app().send_task("about", (1, "two"), task_id="about-1").get(timeout=20 * SLOW)
    assert (about["id"], about["args"], about["retries"], about["hostname"], about["routing_key"]) == (
        "about-1", [1, "two"], 0, "parent@here", "celery")
    # Nothing of the worker's: no secrets, no descriptors, no signals.
    environment = about["environment"]
    assert not [k for k in environment if k.startswith(("WARREN_BROKER", "WARREN_RESULT", "CELERY_")) or k in ("MY_SECRET", "AWS_REGION")]
    assert {"PATH", "HOME"} <= set(environment)
    assert sorted(int(fd) for fd in about["descriptors"]) == [0, 1, 2, 3]
    assert about["descriptors"]["0"] == "/dev/null"
    assert about["umask"] == "0077"
    assert about["session"] is True
    assert int(about["blocked"], 16) == 0
    # Python itself ignores SIGPIPE and SIGXFSZ.
    assert int(about["ignored"], 16) & ~(1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1)) == 0
    assert about["core"] == 0
    assert about["no_new_privs"] == "1"
    assert about["pid"] in w.descendants()


def test_pool_settings_reach_the_child(site, worker, tmp_path):
    config = tmp_path / "warren.yaml"
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    config.write_text("pools:\n  one: { queues: [celery], concurrency: 1, app: tasks, cwd: %s, env: { GREETING: hello }, "
                      "pass_env: ['AWS_*'] }\n" % folder)
    worker("--config", str(config), env={"AWS_REGION": "x", "MY_SECRET": "s"})
    environment = site.app().send_task("about").get(timeout=20 * SLOW)["environment"]
    assert environment["GREETING"] == "hello" and environment["AWS_REGION"] == "x" and "MY_SECRET" not in environment


def test_queue_is_created_as_celery_would(site, worker, celery_worker):
    worker("-A", "tasks", "-c", "1", "-Q", "fresh")
    theirs = celery_worker("-Q", "fresh,other")
    assert not theirs.lines("PRECONDITION_FAILED")
    assert site.app().send_task("add", (1, 2), queue="fresh").get(timeout=20 * SLOW) == 3
    queues = site.queues()
    assert queues["fresh"]["durable"] is True and queues["fresh"]["type"] == queues["other"]["type"]


def test_runner_in_shell(site, worker, tmp_path):
    """Any language can do it."""
    script = tmp_path / "runner"
    script.write_text("""#!/bin/sh
echo '{"hello": {"protocol": 1, "language": "sh", "pid": '$$', "tasks": ["sh.twice"]}}' >&3
while read -r line <&3; do
	case $line in
	*'"stop"'*) exit 0 ;;
	esac
	id=${line#*'"id":"'}; id=${id%%'"'*}
	n=${line#*'"args":['}; n=${n%%']'*}
	echo '{"done": {"id": "'$id'", "result": '$((n * 2))'}}' >&3
done
""")
    script.chmod(0o755)
    worker("--runner", str(script), "-c", "2")
    app = site.app()
    results = [app.send_task("sh.twice", (i,)) for i in range(20)]
    assert [r.get(timeout=20 * SLOW) for r in results] == [2 * i for i in range(20)]


def test_ready_within_a_moment(worker):
    from harness import Took
    with Took() as t:
        worker("--module", C_TASKS, "-c", "2")
    assert t.s < 2 * SLOW
