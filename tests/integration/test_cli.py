"""The commands, as somebody at a shell or a script uses them. Results go to stdout, all else to stderr."""
import json
import os
import subprocess

import pytest

from harness import C_TASKS, SLOW, WARREN, wait_final
from warren_servers import wait_until

COMMANDS = ["worker", "beat", "schedule", "send", "result", "run", "status", "inspect", "control", "events", "report", "purge", "config", "help", "version"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command(warren, command):
    done = warren(command, "--help")
    assert done.stderr == ""
    assert "usage: warren " + command in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 110


# --- command lines of Celery's ------------------------------------------------------------------------------------------

def celery_flags(command):
    """Each way to write each flag of Celery's command, with a value that fits."""
    values = {"autoscale": "3,1", "loglevel": "INFO", "pool_cls": "prefork", "optimization": "fair", "queues": "a", "exclude_queues": "b",
              "include": "json", "hostname": "x@%h"}
    for option in command.params:
        for flag in option.opts:
            yield [flag] if option.is_flag else [flag, values.get(option.name, "1")]


@pytest.mark.parametrize("name", ["worker", "beat"])
def test_each_flag_of_celery_is_taken_or_told_what_to_do_instead(name):
    from celery.bin import beat, worker
    flags = list(celery_flags({"worker": worker.worker, "beat": beat.beat}[name]))
    assert len(flags) > 10
    for words in flags:
        # With --help at the end nothing begins.
        done = subprocess.run([WARREN, name, *words, "--help"], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            continue
        assert done.returncode == 2 and "there is no %s here: " % words[0] in done.stderr, (words, done.stderr)
        assert len(done.stderr.splitlines()) == 1


# --- send -------------------------------------------------------------------------------------------------------------

def test_send_prints_the_id_of_what_the_broker_has(site, warren):
    done = warren("send", "add", "2", "3")
    assert len(done.stdout.split()) == 1
    assert site.counter("messages", "celery") == 1


def test_send_waits_for_the_result(warren, worker):
    worker("-A", "tasks", "-c", "1")
    assert warren("send", "add", "2", "3", "--wait", "--timeout", "10s").stdout == "5\n"
    assert warren("send", "echo", "text", "true", "[1]", "--kwargs", '{"k": null}', "--wait").stdout == '[["text", true, [1]], {"k": null}]\n'
    assert json.loads(warren("send", "echo", "--args", '["2"]', "--wait", "--json").stdout)["result"] == [["2"], {}]
    failed = warren("send", "fail", "boom", "--wait", code=1)
    assert failed.stdout == "" and "ValueError: boom" in failed.stderr


def test_send_gives_up_waiting(warren):
    done = warren("send", "add", "2", "3", "--wait", "--timeout", "200ms", code=4)
    assert "200" in done.stderr or "0.2" in done.stderr


def test_send_what_no_queue_takes(site, warren):
    with site.raw_connection() as connection:
        connection.channel().exchange_declare("nowhere", "direct", durable=True, auto_delete=False)
    done = warren("send", "add", "2", "3", "--exchange", "nowhere", "--routing-key", "lost", code=1)
    assert done.stdout == ""
    assert "nowhere" in done.stderr and "lost" in done.stderr and len(done.stderr.splitlines()) == 1


def test_send_to_an_exchange_that_is_missing(warren):
    done = warren("send", "add", "2", "3", "--exchange", "no-such", "--routing-key", "k", code=1)
    assert done.stdout == "" and "no-such" in done.stderr


@pytest.mark.parametrize("args", [["--args", "[1"], ["--kwargs", "[]"], ["--countdown", "soon"], ["--eta", "tomorrow"]],
                         ids=["args", "kwargs", "countdown", "eta"])
def test_send_refuses_what_it_does_not_understand(site, warren, args):
    done = warren("send", "add", *args, code=2)
    assert done.stdout == "" and len(done.stderr.splitlines()) == 1
    assert site.counter("messages") == 0


def test_routes_choose_the_queue(site, warren, tmp_path):
    config = tmp_path / "warren.yaml"
    config.write_text('routes:\n  "documents.*": processing\n  "/^scrape_[0-9]+$/": { queue: scraping }\n')
    for name in ("documents.process", "scrape_12", "other"):
        warren("send", name, "--config", str(config))
    assert {name: q["messages"] for name, q in site.queues().items()} == {"processing": 1, "scraping": 1, "celery": 1}


@pytest.mark.parametrize("default, other", [("persistent", "transient"), ("transient", "persistent")])
def test_how_the_broker_keeps_it_is_of_task_route_and_setting(site, warren, tmp_path, default, other):
    config = tmp_path / "warren.yaml"
    config.write_text("delivery_mode: %s\ntasks:\n  named.task: { delivery_mode: %s }\nroutes:\n  routed.*: { queue: celery, delivery_mode: %s }\n"
                      "  named.*: { queue: celery, delivery_mode: %s }\n" % (default, other, other, default))
    modes = {"persistent": 2, "transient": 1}
    with site.raw_connection() as connection:
        channel = connection.channel()
        for name, mode in ("plain", default), ("routed.task", other), ("named.task", other):
            warren("send", name, "--config", str(config))
            assert channel.basic_get("celery", no_ack=True).properties["delivery_mode"] == modes[mode], name


def test_bulk_from_a_pipe(site, warren, worker):
    lines = "".join(json.dumps({"task": "add", "args": [i, 1], "id": "bulk-%d" % i}) + "\n" for i in range(500))
    done = warren("send", "--file", "-", input=lines)
    assert sorted(done.stdout.split()) == sorted("bulk-%d" % i for i in range(500))
    assert site.counter("messages", "celery") == 500
    worker("-A", "tasks", "-c", "2")
    results = [site.app().AsyncResult("bulk-%d" % i) for i in range(500)]
    wait_final(results)
    assert [r.result for r in results] == [i + 1 for i in range(500)]


def test_bulk_names_the_lines_that_are_wrong(site, warren):
    lines = '{"task": "add", "args": [1, 2]}\nnot json\n{"task": "add", "arg": []}\n{"task": "add"}\n'
    done = warren("send", "--file", "-", input=lines, code=1)
    assert len(done.stdout.split()) == 2
    assert ":2: " in done.stderr and ":3: " in done.stderr and "arg" in done.stderr
    assert site.counter("messages", "celery") == 2


def test_bulk_passes_over_a_line_that_is_too_long(site, warren):
    lines = "\ufeff" + '{"task": "add"}\n{"task": "add", "args": ["' + "x" * (2 << 20) + '"]}\n{"task": "add"}\r\n'
    done = warren("send", "--file", "-", "--json", input=lines, code=1, env={"WARREN_MESSAGE_MAX": "1M"})
    assert [line["line"] for line in map(json.loads, done.stdout.splitlines()) if "id" in line] == [1, 3]
    assert ":2: the line is longer than" in done.stderr
    assert site.counter("messages", "celery") == 2


@pytest.mark.parametrize("args", [["add", "a\udcff"], ["add", "--queue", "q\udcff"], ["add", "--queue", "q\n"],
                                  ["add", "--exchange", "e\udcff"], ["add\udcff"]],
                         ids=["argument", "queue", "control", "exchange", "task"])
def test_send_refuses_names_and_arguments_that_are_no_text(site, warren, args):
    done = warren("send", *args, code=2, timeout_s=10)
    assert done.stdout == "" and "UTF-8" in done.stderr and len(done.stderr.splitlines()) == 1
    assert site.queues() == {}


def test_bulk_is_confirmed_also_when_the_broker_drops_the_connection(site, warren, tmp_path):
    """Whatever is reported as sent is in the queue."""
    path = tmp_path / "tasks.ndjson"
    path.write_text("".join('{"task": "add", "args": [1, 2], "id": "t-%d"}\n' % i for i in range(20000)))
    child = subprocess.Popen([WARREN, "send", "--file", str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                             env=site.env())
    first = child.stdout.readline()
    site.rabbitmq.close_connections(site.vhost)
    reported = {line.strip() for line in child.stdout} | {first.strip()}
    child.wait(60)
    child.stdout.close()
    queued = set()
    with site.raw_connection() as connection:
        channel = connection.channel()
        while True:
            message = channel.basic_get("celery", no_ack=True)
            if message is None:
                break
            queued.add(message.headers["id"])
    assert reported <= queued


# --- result, run --------------------------------------------------------------------------------------------------------

def test_result_of_what_celery_stored(site, warren, celery_worker):
    celery_worker()
    app = site.app()
    ok, bad = app.tasks["add"].delay(2, 3), app.tasks["fail"].delay("boom")
    wait_final([ok, bad])
    assert warren("result", ok.id).stdout == "5\n"
    failed = warren("result", bad.id, code=1)
    assert failed.stdout == "" and "ValueError: boom" in failed.stderr and "Traceback" in failed.stderr
    assert json.loads(warren("result", ok.id, "--json").stdout)["state"] == "SUCCESS"


def test_result_that_is_not_there(warren):
    done = warren("result", "no-such-id", code=1)
    assert done.stdout == "" and "PENDING" in done.stderr
    warren("result", "no-such-id", "--wait", "--timeout", "100ms", code=4)


def test_result_is_waited_for_and_forgotten(site, warren, worker, tmp_path):
    gate = tmp_path / "gate"
    worker("-A", "tasks", "-c", "1")
    held = site.app().send_task("hold", (str(gate),))
    waiting = subprocess.Popen([WARREN, "result", held.id, "--wait", "--timeout", "20s"], stdout=subprocess.PIPE, text=True, env=site.env())
    key = "celery-task-meta-" + held.id
    # This process' client and warren's.
    wait_until(lambda: dict(site.redis.pubsub_numsub(key))[key.encode()] == 2, 10 * SLOW, "warren to wait")
    gate.touch()
    assert waiting.communicate(timeout=20)[0] == '"held"\n'
    assert warren("result", held.id, "--forget").stdout == '"held"\n'
    assert site.meta(held.id) is None


@pytest.mark.parametrize("runner", [["-A", "tasks"], ["--module", C_TASKS]], ids=["python", "c"])
def test_run_needs_no_servers(warren, runner):
    nowhere = {"WARREN_BROKER": "amqp://127.0.0.1:1//", "WARREN_RESULT_BACKEND": "redis://127.0.0.1:1/0"}
    assert warren("run", *runner, "add", "2", "3", env=nowhere).stdout == "5\n"
    failed = warren("run", *runner, "fail", "boom", code=1, env=nowhere)
    assert failed.stdout == "" and "ValueError: boom" in failed.stderr
    said = warren("run", *runner, "say", "hello", env=nowhere)
    assert said.stdout == "null\n" and said.stderr.count("hello") == 2
    missing = warren("run", *runner, "ad", "1", code=1, env=nowhere)
    assert "add" in missing.stderr


def test_run_lists_the_tasks(warren, tmp_path):
    module = tmp_path / "shop.py"
    module.write_text("from warren_runner import task\n@task\ndef buy(): pass\n@task\ndef sell(): pass\n")
    assert warren("run", "-A", "shop", "--list", cwd=str(tmp_path)).stdout == "shop.buy\nshop.sell\n"
    assert json.loads(warren("run", "-A", "shop", "--list", "--json", cwd=str(tmp_path)).stdout) == ["shop.buy", "shop.sell"]
    assert "add" in warren("run", "--module", C_TASKS, "--list").stdout.split()
    for args in (["--list", "add"], []):
        assert "--list" in warren("run", "--module", C_TASKS, *args, code=2).stderr


def test_run_of_what_dies_or_never_ends(warren, tmp_path):
    assert "SIGKILL" in warren("run", "-A", "tasks", "die", "SIGKILL", code=1).stderr
    warren("run", "-A", "tasks", "hold", str(tmp_path / "never"), "--timeout", "300ms", code=4)


# --- status, purge, config ----------------------------------------------------------------------------------------------

def test_status(site, warren, worker):
    app = site.app()
    worker("-A", "tasks", "-c", "1", "-Q", "busy")
    app.send_task("add", (1, 2), queue="idle")
    wait_until(lambda: site.counter("messages", "idle") == 1, 10, "the task to be queued")
    done = warren("status", "busy", "idle")
    assert "RabbitMQ" in done.stdout and "1 node online." in done.stdout
    said = json.loads(warren("status", "busy", "idle", "--json").stdout)
    queues = {q["name"]: q for q in said["queues"]}
    assert (queues["idle"]["messages"], queues["idle"]["consumers"], queues["busy"]["consumers"]) == (1, 0, 1)
    warren("status", env={"WARREN_BROKER": "amqp://127.0.0.1:1//"}, code=3)


def test_purge(site, warren):
    for _ in range(3):
        warren("send", "add", "1", "2", "--queue", "q")
    assert site.counter("messages", "q") == 3
    warren("purge", "q", code=2)
    assert "3" in warren("purge", "q", "--dry-run").stdout
    assert site.counter("messages", "q") == 3
    assert "3" in warren("purge", "q", "--yes").stdout
    assert site.counter("messages", "q") == 0
    assert "no-such" in warren("purge", "no-such", "--yes", code=1).stdout


@pytest.mark.parametrize("args", [[""], ["-Q", ""], ["q", ""]], ids=["word", "flag", "second"])
def test_purge_of_a_queue_without_a_name_is_not_all_queues(site, warren, args):
    warren("send", "add", "1", "2")
    assert "empty" in warren("purge", *args, "--yes", code=2).stderr
    assert site.counter("messages", "celery") == 1


def test_config_tells_where_each_value_came_from(site, warren, tmp_path):
    config = tmp_path / "warren.yaml"
    config.write_text("concurrency: 7\n")
    settings = json.loads(warren("config", "--json", "--config", str(config), "-l", "debug").stdout)["settings"]
    assert settings["concurrency"]["value"] == 7 and str(config) in settings["concurrency"]["from"]
    assert "WARREN_BROKER" in settings["broker"]["from"]
    assert settings["log_level"]["value"] == "debug"
    assert "guest:guest" not in warren("config").stdout


def test_output_that_cannot_be_written(built, site):
    def code_and_error(stdout):
        done = subprocess.run([WARREN, "config", "--sample"], stdout=stdout, stderr=subprocess.PIPE, text=True, env=site.env())
        return done.stderr, done.returncode
    with open("/dev/full", "w") as full:
        assert code_and_error(full) == ("warren: cannot write the output: No space left on device\n", 1)
    # Like `warren ... | head`: who reads has seen enough.
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as pipe:
        assert code_and_error(pipe) == ("", 1)


def test_secrets_may_come_through_a_pipe(site, built):
    script = '"%s" config --broker-file <(sleep 0.2; echo amqp://u:hidden@vault//) --result-backend-file /dev/stdin' % WARREN
    done = subprocess.run(["bash", "-c", script], input="redis://:hidden@store/1\n", capture_output=True, text=True, check=False,
                          env={k: v for k, v in site.env().items() if not k.startswith("WARREN_")}, cwd=site.folder)
    assert done.returncode == 0, done.stderr
    assert "amqp://u:**@vault//" in done.stdout and "redis://:**@store/1" in done.stdout and "hidden" not in done.stdout


def test_flags_of_every_command_may_stand_before_it(warren):
    assert json.loads(warren("--json", "config").stdout) == json.loads(warren("config", "--json").stdout)
    assert json.loads(warren("--json", "-b", "amqp://h//", "config").stdout)["settings"]["broker"]["value"] == ["amqp://h//"]


def test_config_hides_what_is_secret_in_its_entries(warren, tmp_path):
    config = tmp_path / "warren.yaml"
    config.write_text('pools:\n  a:\n    runner: [run, "--url=http://u:hidden@h/"]\n    queues: [q]\n'
                      '    env: { DB: "postgres://u:hidden@h/db", API_TOKEN: hidden, TZ: UTC }\n'
                      'schedule:\n  s: { task: t, every: 1s, headers: { token: hidden, tenant: a } }\n')
    plain = warren("config", "--config", str(config)).stdout
    assert "hidden" not in plain and "DB=postgres://u:**@h/db" in plain and "API_TOKEN=**" in plain
    pools = json.loads(warren("config", "--json", "--config", str(config)).stdout)["pools"]
    assert pools["a"]["env"] == ["DB=postgres://u:**@h/db", "API_TOKEN=**", "TZ=UTC"]
    assert pools["a"]["runner"] == ["run", "--url=http://u:**@h/"] and pools["a"]["queues"] == ["q"]


def test_sample_configuration_is_right(warren, tmp_path):
    path = tmp_path / "sample.yaml"
    path.write_text(warren("config", "--sample").stdout)
    warren("config", "--check", str(path))


def test_a_file_is_checked_as_a_worker_would_read_it(site, warren, tmp_path):
    """What it needs may stand in the environment: URLs with passwords do."""
    path = tmp_path / "warren.yaml"
    path.write_text('tasks: { "mail.*": { cluster_rate_limit: 100/s } }\n')
    assert warren("config", "--check", str(path)).stdout == "%s: no mistakes\n" % path
    assert "needs a result_backend" in warren("config", "--check", str(path), code=2, env={"WARREN_RESULT_BACKEND": "none"}).stderr


def test_celery_variables_are_read(site, warren):
    env = {"CELERY_BROKER_URL": site.broker, "CELERY_RESULT_BACKEND": site.backend}
    without = {k: v for k, v in site.env(**env).items() if not k.startswith("WARREN_")}
    done = subprocess.run([WARREN, "send", "add", "1", "2"], env=without, capture_output=True, text=True, cwd=site.folder)
    assert done.returncode == 0, done.stderr
    assert site.counter("messages", "celery") == 1
