"""How the Python runner finds a Celery application, and what it says of it before any task runs."""

import json
import os
import re
import subprocess

import pytest
from celery_child import PYTHON, SECRETS, celery_child, hello_of, members
from worker import CELERY_APPS, MODULES, PYTHON_RUNNER, VECTORS, Child, closing

pytestmark = pytest.mark.skipif(PYTHON is None, reason="Celery is not installed")


# --- finding the application ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["proj", "proj.celery", "proj.celery:app", "proj.celery.app", "proj.tasks"])
def test_an_application_is_found_as_celery_finds_it(name):
    hello = hello_of(name)
    assert {"proj.tasks.add", "proj.tasks.mul", "found.by.autodiscovery", "celery.starmap"} <= set(hello["tasks"])
    assert hello["app"]["name"] == "proj"


@pytest.mark.parametrize("name, task", [("web", "web.index"), ("web:worker", "web.index"), ("web.worker", "web.index"),
                                        ("web:second", "second.task")])
def test_the_attribute_may_be_named_and_others_called_app_are_passed_over(name, task):
    assert task in hello_of(name)["tasks"]


def test_modules_of_both_kinds_share_a_child():
    with closing(celery_child("both")) as child:
        assert {"both.of_celery", "both.of_warren"} <= set(child.frame()["hello"]["tasks"])
        assert child.run("both.of_celery") == {"result": "celery"}
        assert child.run("both.of_warren") == {"result": "warren"}
        assert child.run("both.of_celery") == {"result": "celery"}


def test_without_an_application_celery_stays_out():
    hello = hello_of("client_only")
    assert hello["tasks"] == ["client_only.plain"] and "app" not in hello
    code = "import sys; sys.path[:0] = [%r]; from warren_runner.__main__ import main; main(['-A', 'more', '--list']); " \
        "print(sorted(m for m in sys.modules if m.split('.')[0] in ('celery', 'kombu', 'socket')))" % str(PYTHON_RUNNER)
    done = subprocess.run([PYTHON, "-c", code], cwd=MODULES, capture_output=True, text=True, check=True)
    assert done.stdout == "more.mul\n[]\n"


@pytest.mark.parametrize("arguments, words", [
    (["-A", "proj:nothing"], "proj:nothing is no Celery application"),
    (["-A", "proj", "-A", "both"], "both is a second Celery application beside proj; give each a pool of its own"),
    (["-A", "no_such_project"], "cannot import no_such_project: ModuleNotFoundError"),
    (["-A", "proj", "--loglevel", "loud"], "'loud' is no log level"),
    (["-A", "proj", "--hostname"], "--hostname needs a value"),
])
def test_a_wrong_start_says_why_and_never_hello(arguments, words):
    with closing(celery_child(arguments=arguments)) as child:
        assert child.line() is None
        assert child.wait() == 2
        assert words in child.errors()


def test_a_module_that_the_application_wants_and_that_is_not_there_ends_the_start(tmp_path):
    (tmp_path / "lacking.py").write_text("from celery import Celery\napp = Celery('lacking', include=['not.there'])\n")
    with closing(celery_child("lacking", cwd=tmp_path)) as child:
        assert child.wait() == 2
        assert "cannot import lacking: ModuleNotFoundError: No module named 'not'" in child.errors()


def test_an_application_without_tasks_says_so(tmp_path):
    (tmp_path / "bare.py").write_text("from celery import Celery\napp = Celery('bare')\n")
    with closing(celery_child("bare", cwd=tmp_path)) as child:
        assert child.wait() == 2
        assert "no tasks in bare; the Celery application there has none" in child.errors()


def test_list_names_its_own_tasks():
    done = subprocess.run([PYTHON, "-m", "warren_runner", "-A", "proj", "--list"], cwd=CELERY_APPS, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(PYTHON_RUNNER)}, check=True)
    assert done.stdout == "found.by.autodiscovery\nproj.tasks.add\nproj.tasks.mul\n"


# --- asked once, before the worker connects --------------------------------------------------------------------------------------

def described(*arguments, env=None, cwd=CELERY_APPS):
    """The one frame of --describe; what it says must not be in its output."""
    argv = [PYTHON, "-m", "warren_runner", *arguments, "--describe"]
    child = Child(argv, cwd=cwd, env={"PYTHONPATH": str(PYTHON_RUNNER), **(env or {})})
    with closing(child):
        frame = child.frame()
        assert child.line() is None and child.wait() == 0
        said = child.output() + child.errors()
        assert not [secret for secret in SECRETS if secret in said], said
        return frame


def test_describe_says_what_hello_would_and_ends():
    hello = described("-A", "settings")["hello"]
    assert hello["app"] == hello_of("settings")["app"]
    assert hello["tasks"] == ["settings.usual", "settings.work"]


def test_describe_selects_queues_as_celery_would():
    app = described("-A", "settings", "-Q", "plain,other")["hello"]["app"]
    assert [(queue["name"], queue["exchange"]) for queue in app["queues"]] == [("plain", "main"), ("other", "other")]


def test_describe_adds_the_queue_of_the_worker(tmp_path):
    (tmp_path / "direct.py").write_text("from celery import Celery\napp = Celery('d')\napp.conf.worker_direct = True\n"
                                        "@app.task\ndef t(): pass\n")
    app = described("-A", "direct", "-Q", "a", cwd=tmp_path, env={"WARREN_NODE": "w1@h"})["hello"]["app"]
    assert [(queue["name"], queue["exchange"], queue["auto_delete"]) for queue in app["queues"]] == [
        ("a", "a", False), ("w1@h.dq2", "C.dq2", False)]


@pytest.mark.parametrize("source, expected", [
    ("import nothing_like_this", "cannot import app: ModuleNotFoundError: No module named 'nothing_like_this' (.*app.py, line 1)"),
    ("import os; os.environ['SHOP_URL']", "KeyError: 'SHOP_URL' (.*app.py, line 1); when the worker has it: let it pass"),
    ("from celery import Celery; app = Celery('a'); app.config_from_object('conf')\n@app.task\ndef f(): pass", "KeyError: 'CONF_URL'"),
    ("from celery import Celery; app = Celery('a')", "no tasks in app; the Celery application there has none"),
    ("raise RuntimeError('no database')", "cannot import app: RuntimeError: no database (.*app.py, line 1)"),
    ("from celery import Celery; app = Celery('a'); app.conf.task_create_missing_queues = False\n@app.task\ndef f(): pass",
     "a has no queue 'other' in task_queues"),
])
def test_describe_says_why_not_in_one_line(tmp_path, source, expected):
    (tmp_path / "app.py").write_text(source + "\n")
    (tmp_path / "conf.py").write_text("import os\nbroker_url = os.environ['CONF_URL']\n")
    error = described("-A", "app", "-Q", "other", cwd=tmp_path)["failed"]["error"]
    assert re.search(re.escape(expected).replace(r"\.\*", ".*"), error) and "\n" not in error


def test_routes_by_expressions_are_handed_on_as_posix(tmp_path):
    (tmp_path / "app.py").write_text(r"""if True:
        import re
        from celery import Celery
        app = Celery("a")
        app.conf.task_routes = ([(re.compile(r"v\d+\.x"), "one"), (re.compile("(?:a|b)"), "two"), (re.compile("c", re.I), "three")],)
        @app.task
        def f(): pass
        """)
    app = described("-A", "app", cwd=tmp_path)["hello"]["app"]
    assert app["routes"] == [{"regex": r"^(v[0-9]+\.x)", "queue": "one"}]
    assert app["notes"] == []


# --- what hello says ------------------------------------------------------------------------------------------------------------

def test_hello_has_the_urls():
    app = hello_of("proj")["app"]
    assert (app["framework"], app["broker"], app["result_backend"]) == (
        "celery", "amqp://user:broker-secret@broker.example:5673/vhost", "redis://:backend-secret@redis.example:6380/2")
    app = hello_of("web")["app"]
    assert (app["broker"], app["result_backend"]) == (None, None)
    app = hello_of("web", env={"CELERY_BROKER_URL": "amqp://from-env//", "CELERY_RESULT_BACKEND": "redis://from-env/1"})["app"]
    assert (app["broker"], app["result_backend"]) == ("amqp://from-env//", "redis://from-env/1")


def test_hello_has_what_the_application_has_set():
    app = hello_of("settings")["app"]
    assert app["broker"] == ["amqps://u:first-secret@one//?cacertfile=secret-file.pem",
                             "amqps://u:second-secret@two//?cacertfile=secret-file.pem"]
    assert app["result_backend"] == "redis://:pass-word@cache:6390/4"
    assert app["default_queue"] == "main"
    assert app["settings"] == {
        "accept_content": ["json", "pickle"], "broker_use_ssl": True, "result_expires": 7200.0, "result_extended": True, "task_acks_late": False,
        "task_default_delivery_mode": "transient", "task_default_queue": "main", "task_default_rate_limit": "100/m", "task_ignore_result": True,
        "task_soft_time_limit": 270.5, "task_time_limit": 300, "task_track_started": True, "timezone": "Europe/Berlin",
        "worker_max_tasks_per_child": 50, "worker_prefetch_multiplier": 1}
    assert app["queues"] == [
        {"name": "main", "routing_key": "work.#", "durable": True, "auto_delete": False, "exclusive": False, "exchange": "work",
         "exchange_type": "topic", "arguments": {"x-max-priority": 10}},
        {"name": "plain", "routing_key": "main", "durable": True, "auto_delete": False, "exclusive": False, "exchange": "main",
         "exchange_type": "direct", "arguments": {"x-queue-type": "quorum"}}]
    assert app["routes"] == [
        {"pattern": "exact", "queue": "main", "exchange": "work", "routing_key": "work.#"},
        {"pattern": "feed.tasks.*", "queue": "plain", "routing_key": "feed.import"},
        {"regex": r"^((video|image)\..*)", "queue": "media"}]


def test_hello_has_the_schedule():
    schedule = {entry.pop("name"): entry for entry in hello_of("settings")["app"]["schedule"]}
    usual = {"task": "settings.work", "args": [], "kwargs": {}, "options": {}, "relative": False}
    assert schedule == {
        "every": {**usual, "args": [1], "options": {"expires": 10}, "every": 30.0},
        "delta": {**usual, "relative": True, "every": 300.0},
        "cron": {**usual, "crontab": {"minute": "*/15", "hour": "7", "day_of_week": "mon-fri", "day_of_month": "*",
                                      "month_of_year": "*"}},
        "sun": {**usual, "solar": {"event": "sunset", "lat": -37.81, "lon": 144.96}},
        "added": {**usual, "task": "settings.usual", "crontab": {"minute": "0", "hour": "*", "day_of_week": "*",
                                                                 "day_of_month": "*", "month_of_year": "*"}}}


def test_hello_has_the_options_of_tasks():
    tasks = hello_of("settings")["app"]["tasks"]
    assert tasks["settings.work"] == {
        "rate_limit": "10/s", "max_retries": None, "default_retry_delay": 1, "time_limit": 5, "soft_time_limit": 4,
        "acks_late": True, "ignore_result": False, "priority": 3, "queue": "plain"}
    assert "settings.usual" not in tasks


def test_hello_names_what_has_no_meaning_and_what_is_not_known():
    notes = {note["setting"]: note["note"] for note in hello_of("settings")["app"]["notes"]}
    assert set(notes) == {"worker_pool", "worker_redirect_stdouts", "result_serializer", "accept_content", "task_no_such_setting", "my_own_setting",
                          "beat_schedule: odd", "broker_connection_max_retries", "event_serializer"}
    assert "for ever" in notes["broker_connection_max_retries"] and "JSON" in notes["event_serializer"]
    assert "broker_login_method" not in notes
    assert "pickle" in notes["accept_content"]
    assert notes["task_no_such_setting"] == "not a setting of this version of Celery"


def said_of_tls(kind, *calls):
    """What URLs become, and what was noted meanwhile."""
    code = """if True:
        import json, ssl, sys
        from warren_runner import _celery_tls
        notes = {}
        urls = [getattr(_celery_tls, sys.argv[1])(url, eval(setting), notes) for url, setting in json.loads(sys.argv[2])]
        print(json.dumps([urls, sorted(notes)]))
    """
    done = subprocess.run([PYTHON, "-c", code, kind, json.dumps(calls)], capture_output=True, text=True, check=True,
                          env={**os.environ, "PYTHONPATH": PYTHON_RUNNER})
    return json.loads(done.stdout)


def test_tls_of_the_broker_becomes_part_of_its_url():
    urls, notes = said_of_tls(
        "broker", ("amqp://u:p@h//", "None"), ("amqp://u:p@h:5671//", "True"), ("pyamqp://h/v?heartbeat=5", "{'ca_certs': '/a b&c.pem'}"),
        ("amqps://h//?verify=verify_peer", "{'cert_reqs': ssl.CERT_NONE, 'certfile': 'c', 'keyfile': 'k', 'server_hostname': None}"),
        ("amqp://h//", "{'cert_reqs': ssl.CERT_REQUIRED, 'ca_certs': None}"), ("sqs://h", "True"), ("amqp://h//", "{'context': {}}"))
    assert urls == ["amqp://u:p@h//", "amqps://u:p@h:5671//", "amqps://h/v?heartbeat=5&cacertfile=/a%20b%26c.pem",
                    "amqps://h//?verify=verify_peer&certfile=c&keyfile=k", "amqps://h//?verify=verify_peer", "sqs://h", "amqps://h//"]
    assert notes == ["broker_use_ssl: context"]


def test_tls_of_the_backend_becomes_part_of_its_url():
    urls, notes = said_of_tls(
        "redis", ("redis://:p@h/1", "{'ssl_cert_reqs': ssl.CERT_NONE}"), ("redis://h/1", "{'ssl_cert_reqs': 'required', 'ssl_ca_certs': 'ca'}"),
        ("rediss://h/1?ssl_cert_reqs=required", "{'ssl_cert_reqs': 'CERT_NONE'}"), ("redis://h/1", "False"))
    assert urls == ["rediss://:p@h/1?ssl_cert_reqs=none", "rediss://h/1?ssl_cert_reqs=required&ssl_ca_certs=ca",
                    "rediss://h/1?ssl_cert_reqs=required", "redis://h/1"]
    assert notes == []


def test_settings_in_capitals_behind_a_namespace_are_found():
    app = hello_of("oldstyle")["app"]
    assert app["settings"] == {"task_time_limit": 60, "task_acks_late": True}
    assert [note["setting"] for note in app["notes"]] == ["worker_state_db"]
    assert "django-secret" not in json.dumps(app)


def test_every_setting_of_this_celery_is_spoken_for():
    code = """if True:
        from celery.app.defaults import DEFAULTS
        from warren_runner._celery_settings import CHILD_SETTINGS, NO_MEANING, WORKER_SETTINGS
        print([n for n in sorted(DEFAULTS) if n != "result_serializer" and n not in WORKER_SETTINGS and n not in NO_MEANING
               and not CHILD_SETTINGS(n)])"""
    done = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=True,
                          env={**os.environ, "PYTHONPATH": str(PYTHON_RUNNER)})
    assert done.stdout == "[]\n"


def test_hello_has_the_members_of_the_golden_one():
    golden = json.loads((VECTORS / "extended.jsonl").read_text().splitlines()[1])["hello"]
    hello = hello_of("settings")
    theirs, ours = golden["app"], hello["app"]
    assert hello.keys() == golden.keys() and ours.keys() == theirs.keys()
    cron, = [entry for entry in ours["schedule"] if entry["name"] == "cron"]
    assert [members(found) for found in (ours["queues"][0], cron, ours["notes"][0], ours["routes"][0], ours["routes"][2])] == [
        members(wanted) for wanted in (theirs["queues"][0], theirs["schedule"][0], theirs["notes"][0], *theirs["routes"])]
