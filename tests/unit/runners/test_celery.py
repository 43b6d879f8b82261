"""Tasks of Celery applications under the Python runner, driven over its channel as a worker drives it."""

import json
import os
import re
import signal

import pytest
from celery_child import PYTHON, celery_child, members
from worker import VECTORS, closing

pytestmark = pytest.mark.skipif(PYTHON is None, reason="Celery is not installed")


@pytest.fixture(scope="module")
def shared():
    """One child for the many tests that leave it as it was."""
    with closing(celery_child("jobs")) as child:
        child.frame()
        yield child


@pytest.fixture
def child():
    with closing(celery_child("jobs")) as child:
        child.frame()
        yield child


# --- arguments, results, the request ------------------------------------------------------------------------------------------------

def test_arguments_reach_the_task(shared):
    assert shared.run("jobs.add", 2, 3) == {"result": 5}
    assert shared.run("jobs.add", kwargs={"x": "a", "y": "ü"}) == {"result": "aü"}
    assert shared.run("jobs.echo", 1, [None], kwargs={"a": {}}) == {"result": [[1, [None]], {"a": {}}]}
    assert shared.run("jobs.by_class", 4) == {"result": 8}
    assert shared.run("jobs.shared", 4) == {"result": ["jobs", 4]}
    assert shared.run("celery.starmap", kwargs={"task": {"task": "jobs.add", "args": [], "kwargs": {}, "options": {},
                                                         "subtask_type": None, "immutable": False}, "it": [[1, 2], [3, 4]]}) == {
        "result": [3, 7]}


def test_results_are_written_as_this_celery_writes_them(shared):
    dates = ["2020-01-01T02:03:04.005678Z", "2020-01-02T00:00:00", "01:02:03", "1.50", "00000000-0000-0000-0000-000000000005"]
    result = shared.run("jobs.give", "kombu")["result"]
    if isinstance(result[0], dict):  # kombu 5.3 and later wrap them
        assert [value["__type__"] for value in result[:5]] == ["datetime", "date", "time", "decimal", "uuid"]
    else:
        assert result == [*dates, ["tuple"]]
    shared.send_run("jobs.give", "nan")
    assert shared.line().endswith(b'"result":NaN}}')
    shared.send_run("jobs.give", "umlaut")
    assert shared.line().endswith(b'"result":"\\u00fc"}}')
    assert shared.run("jobs.give", "result") == {"result": [["some-id", None], None]}


def test_a_result_that_is_no_json_is_an_encode_error(shared):
    error = shared.run("jobs.give", "set")["error"]
    assert (error["type"], error["module"]) == ("EncodeError", "kombu.exceptions")
    assert error["message"] == ["TypeError('Object of type set is not JSON serializable')"]
    assert "warren_runner" not in error["traceback"]


def test_an_ignored_result_is_told_but_not_kept(shared):
    assert shared.run("jobs.ignored") == {"result": "fine", "store": False}
    assert shared.run("jobs.ignored", "set") == {"result": None, "store": False}
    assert shared.run("jobs.add", 1, 2, ignore_result=True) == {"result": 3, "store": False}
    # The caller's word is about the result; whether an error is kept is the task's to say.
    assert shared.run("jobs.kept_failure", ignore_result=True)["store"] is True
    done = shared.run("jobs.ignored_failure")
    assert done["error"]["type"] == "ValueError" and done["store"] is False
    assert "store" not in shared.run("jobs.kept_failure")
    # The next step of a chain gets even what is not kept.
    following = {"task": "jobs.echo", "args": [], "kwargs": {}, "options": {}, "subtask_type": None, "immutable": False}
    assert shared.run("jobs.ignored", "set", chain=[following])["error"]["type"] == "EncodeError"


def test_the_request_is_complete(shared):
    signature = {"task": "jobs.echo", "args": [], "kwargs": {}, "options": {"task_id": "next"}, "subtask_type": None,
                 "immutable": False}
    request = {"root_id": "the-root", "parent_id": "the-parent", "group": "the-group", "group_index": 3, "retries": 2,
               "eta": "2030-01-01T00:00:00+00:00", "expires": None, "timelimit": [30, 20], "correlation_id": "the-id",
               "reply_to": "someone", "origin": "gen1@web", "shadow": None, "hostname": "w1@host",
               "delivery_info": {"exchange": "", "routing_key": "celery", "priority": 5, "redelivered": False},
               "headers": {"tenant": "t1"}, "chain": [signature], "chord": None, "callbacks": [signature], "errbacks": None}
    result = shared.run("jobs.whoami", id="the-id", **request)["result"]
    seen = result.pop("vars")
    assert {key: seen[key] for key in request} == request
    assert (seen["id"], seen["task"], seen["args"], seen["kwargs"], seen["tenant"]) == ("the-id", "jobs.whoami", [], {}, "t1")
    assert seen["properties"] == {"correlation_id": "the-id", "reply_to": "someone", "priority": 5}
    assert result == {
        "called_directly": False, "is_eager": False, "children": [], "current": "jobs.whoami", "name": "jobs.whoami",
        "chain": [signature], "chord": None, "callbacks": [signature], "errbacks": None, "group_index": 3, "ignore_result": False,
        "unset": "unset", "worker_task": "jobs.whoami"}
    # What follows is the worker's business: nothing was sent.
    assert shared.run("jobs.sent") == {"result": []}


def test_an_async_task_runs(shared):
    assert shared.run("jobs.later", "soon") == {"result": "soon"}


# --- states ----------------------------------------------------------------------------------------------------------------------------

def test_states_go_to_the_worker_not_to_the_backend(shared):
    states, done = shared.run_states("jobs.own_state")
    assert [state[0] for state in states] == ["UPLOADING", "FAILURE", "PHASE_2"]
    assert states[0][1]["file"] == "ü"
    assert states[1][1] == {"exc_type": "KeyError", "exc_message": ["as an exception"], "exc_module": "builtins"}
    assert done == {"ignore": True}
    assert shared.run_states("jobs.state_in_thread") == ([("PROGRESS", {"from": "thread"})], {"result": None})


def test_the_state_of_another_task_is_written_to_the_backend(shared):
    assert shared.run_states("jobs.state_of_another") == ([], {"result": ["PROGRESS", {"n": 1}]})


def test_a_state_that_is_no_json_is_an_error_in_the_task(shared):
    assert shared.run("jobs.bad_meta")["error"]["type"] == "EncodeError"


# --- errors ----------------------------------------------------------------------------------------------------------------------------

def test_exceptions_are_told_as_celery_stores_them(shared):
    error = shared.run("jobs.fail", "value")["error"]
    assert (error["type"], error["module"], error["message"]) == ("ValueError", "builtins", ["bad input", 7])
    assert error["traceback"].startswith("Traceback (most recent call last):\n") and "warren_runner" not in error["traceback"]
    assert error["traceback"].endswith("ValueError: ('bad input', 7)\n") and "in fail\n" in error["traceback"]
    error = shared.run("jobs.fail", "inner")["error"]
    assert (error["type"], error["module"], error["message"]) == ("Outer.Inner", "jobs", ["a", "{1}"])
    error = shared.run("jobs.fail", "peculiar")["error"]
    assert (error["type"], error["module"], error["message"]) == ("Peculiar", "jobs", [])
    assert "direct cause" in shared.run("jobs.fail", "chained")["error"]["traceback"]
    assert shared.run("jobs.add", 1)["error"]["type"] == "TypeError"


def test_exit_is_a_failure_and_harmless_to_clients(shared):
    pid = shared.run("jobs.process")["result"]["pid"]
    error = shared.run("jobs.fail", "exit")["error"]
    assert (error["type"], error["module"], error["message"]) == ("SystemExit", "warren_runner", [3])
    assert shared.run("jobs.fail", "memory")["error"]["type"] == "MemoryError"
    assert shared.run("jobs.process")["result"] == {"pid": pid, "join_blocks": True, "current_app": "jobs"}


def test_unknown_names_and_unreadable_frames_are_errors_of_their_tasks(shared):
    error = shared.run("jobs.nope")["error"]
    assert (error["type"], error["module"], error["message"]) == ("NotRegistered", "celery.exceptions", ["jobs.nope"])
    shared.socket.sendall(b'{"run":{"id":"big","name":"jobs.echo","args":[' + b"9" * 5000 + b'],"kwargs":{},"request":{}}}\n')
    assert "error" in shared.finish("big")[1]


def test_ignore_and_reject(shared):
    assert shared.run("jobs.reject", True) == {"reject": {"requeue": True, "reason": "not ours"}}
    assert shared.run("jobs.reject", False) == {"reject": {"requeue": False, "reason": "not ours"}}


def test_error_callbacks_with_three_arguments_are_called_here(shared):
    def signature(name):
        return {"task": name, "args": [], "kwargs": {}, "options": {}, "subtask_type": None, "immutable": False}

    shared.run("jobs.seen")
    errbacks = [signature(f"jobs.{name}") for name in ("errback_old", "errback_new", "not_here", "errback_broken")]
    done = shared.run("jobs.fail", "value", id="failing", errbacks=errbacks)
    assert done["errbacks_called"] == [1, 3] and done["error"]["type"] == "ValueError"
    assert shared.run("jobs.seen")["result"] == [
        ["errback_new", "failing", "ValueError('bad input', 7)", "ValueError: ('bad input', 7)"]]
    assert "errbacks_called" not in shared.run("jobs.fail", "value", errbacks=errbacks[:1])
    assert shared.run("jobs.sent") == {"result": []}


# --- retry -----------------------------------------------------------------------------------------------------------------------------

def test_retry_asks_the_worker(shared):
    done = shared.run("jobs.retry", kwargs={"countdown": 60}, id="again")
    retry = done.pop("retry")
    error = retry.pop("error")
    assert retry == {"countdown": 60, "eta": None, "max_retries": 2**31 - 1}
    assert (error["type"], error["module"], error["message"]) == ("ConnectionRefusedError", "builtins", [111, "refused"])
    assert error["traceback"].endswith("celery.exceptions.Retry: Retry in 60s: ConnectionRefusedError(111, 'refused')\n")
    assert "warren_runner" not in error["traceback"]
    assert done == {"children": [[["again", None], None]]}
    assert shared.run("jobs.sent") == {"result": []}


def test_retry_at_a_time_or_after_the_default_delay(shared):
    assert shared.run("jobs.retry")["retry"]["countdown"] == 7
    retry = shared.run("jobs.retry", kwargs={"eta": "2030-01-02T03:04:05"})["retry"]
    assert (retry["countdown"], retry["eta"]) == (None, "2030-01-02T03:04:05+00:00")
    retry = shared.run("jobs.retry", kwargs={"cause": False, "countdown": 0})["retry"]
    assert retry["error"] is None and retry["countdown"] in (None, 0)
    assert "Retry in" in retry["traceback"]


def test_spent_retries_raise_in_the_task(shared):
    assert shared.run("jobs.retry", retries=2)["error"]["type"] == "ConnectionRefusedError"
    error = shared.run("jobs.retry", kwargs={"cause": False}, retries=2, id="U5")["error"]
    assert (error["type"], error["module"]) == ("MaxRetriesExceededError", "celery.exceptions")
    assert error["message"] == ["Can't retry jobs.retry[U5] args:() kwargs:{'cause': False}"]
    assert shared.run("jobs.retry", kwargs={"max_retries": 9, "countdown": 1}, retries=8)["retry"]["countdown"] == 1
    assert shared.run("jobs.retry", kwargs={"cause": False, "catch": True}, retries=2)["result"].startswith("MaxRetriesExceeded")


def test_retry_with_other_arguments_and_options(shared):
    done = shared.run("jobs.retry_with", 1, kwargs={"text": "ab"})
    retry = done["retry"]
    assert (retry["countdown"], retry["args"], retry["kwargs"]) == (1, [2], {"text": "abab"})
    assert retry["options"] == {"queue": "slow", "priority": 7, "expires": 60, "headers": {"attempt": 1}}
    assert "options" not in shared.run("jobs.retry")["retry"]


def test_retry_has_the_arguments_as_the_task_left_them(shared):
    retry = shared.run("jobs.drain", [1, 2, 3], kwargs={"seen": {"n": 0}})["retry"]
    assert (retry["args"], retry["kwargs"]) == ([[2, 3]], {"seen": {"n": 1}})
    retry = shared.run("jobs.count_calls", 5)["retry"]
    assert (retry["args"], retry["kwargs"]) == ([5], {"calls": 1})
    assert "args" not in shared.run("jobs.retry")["retry"]


def test_retry_raised_by_hand(shared):
    retry = shared.run("jobs.raise_retry")["retry"]
    assert (retry["countdown"], retry["error"]) == (5, None)


def test_autoretry_is_celerys(shared):
    retry = shared.run("jobs.auto", "os", retries=3)["retry"]
    assert (retry["countdown"], retry["error"]["type"]) == (16, "ConnectionResetError")
    assert shared.run("jobs.auto", "os", retries=4)["error"]["type"] == "ConnectionResetError"
    assert shared.run("jobs.auto", "value")["error"]["type"] == "ValueError"
    assert shared.run("jobs.auto", "ignore") == {"ignore": True}


def test_a_retry_that_was_not_raised_is_sent_as_celery_had_sent_it(shared):
    done = shared.run("jobs.retry", kwargs={"throw": False, "countdown": 0}, id="both")
    assert done["result"].startswith("went on after Retry(")
    (task, id, root_id, parent_id, retries, args, chain, _), = shared.run("jobs.sent")["result"]
    assert (task, id, root_id, parent_id, retries, args) == ("jobs.retry", "both", "both", "both", 1, [])
    # One that was caught too.
    assert shared.run("jobs.retry", kwargs={"catch": True, "countdown": 0})["result"].startswith("Retry: Retry")
    assert len(shared.run("jobs.sent")["result"]) == 1


# --- tasks that send tasks ---------------------------------------------------------------------------------------------------------------

def test_children_are_told_and_know_their_parents(shared):
    id = shared.send_run("jobs.parent", id="middle", root_id="top", parent_id="above")
    state = shared.frame()["state"]
    done = shared.frame()["done"]
    one, two, members = done["result"]
    assert state["children"] == [[[one, None], None]]
    assert done["children"] == [[[one, None], None], [[two, None], [[[m, None], None] for m in members]]]
    sent = shared.run("jobs.sent")["result"]
    assert [(message[1], message[2], message[3]) for message in sent] == [(x, "top", id) for x in (one, *members)]


def test_children_without_trail_and_direct_calls_are_nobodys(shared):
    assert shared.run("jobs.parent_without_trail") == {"result": None}
    assert len(shared.run("jobs.sent")["result"]) == 1
    assert shared.run("jobs.calls_others") == {"result": [3, 7, True, "SUCCESS"]}
    assert shared.run("jobs.sent") == {"result": []}


def test_waiting_for_a_task_inside_of_a_task_is_refused(shared):
    error = shared.run("jobs.waits")["error"]
    assert error["type"] == "RuntimeError" and "Never call result.get() within a task" in error["message"][0]
    shared.run("jobs.sent")


def test_replace_sends_its_stand_in_with_what_follows(shared):
    following = {"task": "jobs.echo", "args": [], "kwargs": {}, "options": {"task_id": "next"}, "subtask_type": None,
                 "immutable": False}
    for kind, steps in (("task", 1), ("chain", 2)):
        done = shared.run("jobs.replaced", kind, id="old", root_id="top", chain=[following])
        assert done.pop("ignore") is True
        (task, id, root_id, _, retries, args, chain, _), = shared.run("jobs.sent")["result"]
        assert (task, root_id, retries, args, len(chain)) == ("jobs.add", "top", 0, [1, 2], steps)
        assert chain[0]["options"]["task_id"] == "next"
        assert "old" in (id, chain[-1]["options"]["task_id"])


# --- hooks and signals ---------------------------------------------------------------------------------------------------------------------

def test_hooks_of_a_task_class_are_called(shared):
    shared.run("jobs.seen")
    assert shared.run("jobs.hooked", "fine", id="A") == {"result": "fine"}
    assert shared.run("jobs.seen")["result"] == [["before_start", "A", ["fine"]], ["on_success", "fine", "A"],
                                                ["after_return", "SUCCESS", "A"]]
    assert shared.run("jobs.hooked", "fail", id="B")["error"]["type"] == "ValueError"
    assert shared.run("jobs.seen")["result"] == [["before_start", "B", ["fail"]], ["on_failure", "ValueError('hooked')", "B", False],
                                                ["after_return", "FAILURE", "B"]]
    assert shared.run("jobs.hooked", "retry", id="C")["retry"]["countdown"] == 1
    assert shared.run("jobs.seen")["result"] == [["before_start", "C", ["retry"]], ["on_retry", "None", "C"]]
    assert shared.run("jobs.hooked", "ignore", id="D") == {"ignore": True}
    assert shared.run("jobs.seen")["result"] == [["before_start", "D", ["ignore"]]]


def test_a_hook_that_breaks_does_not_undo_the_result(shared):
    assert shared.run("jobs.hooked", "break") == {"result": "break"}
    shared.run("jobs.seen")


def test_a_class_of_its_own_may_wrap_the_call_and_the_sending(shared):
    shared.run("jobs.seen")
    assert shared.run("jobs.counting", id="A") == {"result": 1}
    assert shared.run("jobs.counting", id="B") == {"result": 2}
    assert shared.run("jobs.seen")["result"] == [["__call__", "A"], ["__call__", "B"]]
    retry = shared.run("jobs.counting", kwargs={"again": True})["retry"]
    assert (retry["countdown"], retry["options"]) == (2, {"headers": {"tenant": "t1"}})
    shared.run("jobs.seen")


def test_worker_signals_are_sent_in_celerys_order(tmp_path):
    log = tmp_path / "signals"
    with closing(celery_child(arguments=["-A", "signalled", "--hostname", "w1@host"], env={"SIGNALS_TO": str(log)})) as child:
        hello = child.frame()["hello"]
        assert {"celery", "w1@host.direct"} == {queue["name"] for queue in hello["app"]["queues"]}
        assert child.run("signalled.work") == {"result": "fine"}
        child.send({"stop": {}})
        assert child.wait() == 0
    noted = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["signal"] for line in noted] == [
        "import_modules", "celeryd_init", "worker_init", "after_setup_logger", "after_setup_task_logger", "celeryd_after_setup",
        "worker_process_init", "worker_ready", "task_prerun", "task_success", "task_postrun", "worker_process_shutdown",
        "worker_shutting_down", "worker_shutdown"]
    by_name = {line["signal"]: line for line in noted}
    assert (by_name["worker_init"]["hostname"], by_name["worker_init"]["app"]) == ("w1@host", "signalled")
    assert by_name["celeryd_init"]["sender"] == "w1@host" and by_name["celeryd_init"]["conf"] == "celery"


def test_task_signals_carry_what_celery_gives_them():
    with closing(celery_child("signalled")) as child:
        child.frame()
        child.run("signalled.tell")
        for kind in ("fine", "fail", "retry"):
            child.run("signalled.work", kind, id=f"id-{kind}")
        noted = [line for line in child.run("signalled.tell")["result"] if line["sender"] == "signalled.work"]
    assert [(line["signal"], line.get("task_id"), line.get("state")) for line in noted] == [
        ("task_prerun", "id-fine", None), ("task_success", None, None), ("task_postrun", "id-fine", "SUCCESS"),
        ("task_prerun", "id-fail", None), ("task_failure", "id-fail", None), ("task_postrun", "id-fail", "FAILURE"),
        ("task_prerun", "id-retry", None), ("task_retry", None, None), ("task_postrun", "id-retry", "RETRY")]
    assert noted[1]["result"] == "fine" and noted[4]["exception"] == "ValueError('failed')"
    assert noted[7]["reason"] == "Retry in 1s"


def test_loggers_of_tasks_are_set_up(child):
    child.run("jobs.log", "hello")
    child.send({"stop": {}})
    child.wait()
    assert child.output() == "plain: hello\n"
    assert child.errors().splitlines() == ["[INFO] task logger: hello", "[INFO] root logger: hello"]


def test_the_log_level_is_the_workers():
    for arguments, env in ((["--loglevel=warning"], {}), ([], {"WARREN_LOGLEVEL": "error"})):
        with closing(celery_child(arguments=["-A", "jobs", *arguments], env=env)) as child:
            child.frame()
            child.run("jobs.log", "hello")
            child.send({"stop": {}})
            child.wait()
            assert "hello" not in child.errors()


def test_how_a_task_ended_is_the_workers_to_log(child):
    child.run("jobs.fail", "value")
    child.run("jobs.auto", "ignore")
    child.run("jobs.retry")
    child.send({"stop": {}})
    child.wait()
    assert child.errors() == ""


def test_handlers_of_the_application_hear_of_failures(tmp_path):
    (tmp_path / "listening.py").write_text("""
import logging
from celery import Celery, signals
app = Celery("listening")
heard = []

class Handler(logging.Handler):
    def emit(self, record):
        heard.append([record.levelname, record.exc_info is not None])

@signals.after_setup_logger.connect
def add(logger, **more):
    logger.addHandler(Handler())

@app.task
def fail():
    raise ValueError("x")

@app.task
def tell():
    return heard
""")
    with closing(celery_child("listening", cwd=tmp_path)) as child:
        child.frame()
        child.run("listening.fail")
        assert child.run("listening.tell") == {"result": [["ERROR", True]]}


def test_a_django_project_is_set_up(tmp_path):
    """A Django of a few lines, since what counts is that Celery's own set-up for it is reached."""
    files = {
        "django/__init__.py": "VERSION = (4, 2)\ncalls = []\ndef setup(): calls.append('setup')\n",
        "django/conf.py": "class settings: DEBUG = False\n",
        "django/apps.py": "class Config: name = 'shop'\nclass apps:\n  @staticmethod\n  def get_app_configs(): return [Config]\n",
        "django/core/__init__.py": "",
        "django/core/checks.py": "import django\ndef run_checks(): django.calls.append('checks')\n",
        "django/core/cache.py": "import django\ndef close_caches(): django.calls.append('close_caches')\n",
        "django/db/__init__.py": "from .utils import *\nclass connections:\n  @staticmethod\n  def all(): return []\n",
        "django/db/utils.py": "class InterfaceError(Exception): pass\nclass DatabaseError(Exception): pass\n",
        "django/utils/__init__.py": "", "django/utils/functional.py": "class Promise: pass\n",
        "django/utils/timezone.py": "def now(): pass\n",
        "shop/__init__.py": "from .celery import app\n",
        "shop/celery.py": "from celery import Celery\napp = Celery('shop')\napp.autodiscover_tasks()\n",
        "shop/tasks.py": "import django\nfrom celery import shared_task\n@shared_task\ndef calls(): return django.calls\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with closing(celery_child("shop", cwd=tmp_path, env={"DJANGO_SETTINGS_MODULE": "shop.settings"})) as child:
        assert "shop.tasks.calls" in child.frame()["hello"]["tasks"]
        calls = child.run("shop.tasks.calls")["result"]
    assert calls[:2] == ["setup", "checks"] and "close_caches" in calls


# --- golden frames ------------------------------------------------------------------------------------------------------------------------

def test_a_forgotten_result_does_not_make_a_backend():
    """Results are collected at any time, also while a backend is being imported."""
    with closing(celery_child("jobs")) as child:
        child.frame()
        assert child.run("jobs.forgets") == {"result": False}


def test_frames_have_the_members_of_the_golden_ones(shared):
    golden = [json.loads(line) for line in (VECTORS / "extended.jsonl").read_text().splitlines()]
    state, done = golden[3], golden[5]
    id = shared.send_run("jobs.parent")
    assert members(shared.frame()) == members(state)
    assert members(shared.frame()) == members(done)
    shared.run("jobs.sent")
    for line, name, more in ((golden[6], "jobs.ignored", {}), (golden[8], "jobs.retry_with", {"args": [1]}),
                             (golden[7], "jobs.fail", {"args": ["value"], "errbacks": [
                                 {"task": "jobs.errback_new", "args": [], "kwargs": {}, "options": {}, "subtask_type": None,
                                  "immutable": False}]})):
        id = shared.send_run(name, *more.pop("args", []), **more)
        frame = shared.frame()
        assert members(frame) == members(line) and frame["done"]["id"] == id
    shared.run("jobs.seen")


# --- the soft time limit ------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("catches", [False, True])
def test_the_signal_interrupts_a_task(child, catches):
    id = child.send_run("jobs.sleep", catches)
    assert child.frame()["state"]["state"] == "SLEEPING"
    child.send({"cancel": {"id": id, "reason": "soft_time_limit"}})
    child.process.send_signal(signal.SIGUSR1)
    done = child.finish(id)[1]
    if catches:
        assert done == {"result": "cleaned up after billiard.exceptions.SoftTimeLimitExceeded"}
    else:
        error = done["error"]
        assert (error["type"], error["module"], error["message"]) == ("SoftTimeLimitExceeded", "billiard.exceptions", [])
    assert child.run("jobs.add", 1, 1) == {"result": 2}


def test_a_signal_that_is_early_or_late(child):
    run = {"run": {"id": "a", "name": "jobs.sleep", "args": [], "kwargs": {}, "request": {}}}
    cancel = {"cancel": {"id": "a", "reason": "soft_time_limit"}}
    child.process.send_signal(signal.SIGUSR1)
    child.socket.sendall("".join(json.dumps(frame) + "\n" for frame in (run, cancel)).encode())
    states, done = child.finish("a")
    assert done["error"]["type"] == "SoftTimeLimitExceeded"
    child.process.send_signal(signal.SIGUSR1)
    assert child.run("jobs.add", 1, 1) == {"result": 2}


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="needs /proc/PID/smaps_rollup")
def test_an_idle_child_needs_no_backend_and_stays_small(child):
    child.run("jobs.add", 1, 1)
    with open(f"/proc/{child.process.pid}/smaps_rollup", encoding="ascii") as file:
        pss = int(re.search(r"^Pss:\s+(\d+) kB", file.read(), re.M)[1])
    assert pss < 60 * 1024
