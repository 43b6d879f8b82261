"""The Python runner, driven over its channel as a worker drives it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest
from worker import MODULES, PYTHON_RUNNER, VECTORS, closing, python_child

sys.path.insert(0, str(PYTHON_RUNNER))
sys.path.insert(0, str(MODULES))

import warren_runner  # noqa: E402
from warren_runner._channel import ProtocolError, parse  # noqa: E402


@pytest.fixture(scope="module")
def shared():
    """One child for the many tests that leave it as it was."""
    with closing(python_child("sample")) as child:
        assert child.frame()["hello"]["language"] == "python"
        yield child


@pytest.fixture
def child():
    with closing(python_child("sample")) as child:
        child.frame()
        yield child


def lines(name):
    return (VECTORS / name).read_bytes().splitlines()


# --- starting -------------------------------------------------------------------------------------------------------

def test_hello_lists_the_tasks_of_all_modules():
    with closing(python_child("sample,more")) as child:
        hello = child.frame()["hello"]
        assert hello["protocol"] == 1
        assert hello["pid"] == child.process.pid
        assert {"sample.add", "echo", "more.mul", 'sample.ünï "x"'} <= set(hello["tasks"])
        assert child.run("more.mul", 6, 7) == {"result": 42}


def test_modules_are_given_in_every_usual_form():
    for arguments in (["-Amore"], ["--app=more"], ["--app", "more"], ["-A", "empty,more"], ["-A", "empty", "-A", "more"]):
        with closing(python_child(arguments=arguments)) as child:
            assert child.frame()["hello"]["tasks"] == ["more.mul"]


@pytest.mark.parametrize("arguments, words", [
    ([], "no module given"),
    (["-A"], "-A needs the name of a module"),
    (["-A", ","], "-A needs the name of a module"),
    (["--wrong"], "unknown argument '--wrong'"),
    (["-A", "broken"], "cannot import broken: ModuleNotFoundError: No module named 'no_such_module_here'"),
    (["-A", "not_there"], "cannot import not_there: ModuleNotFoundError: No module named 'not_there'; looked in"),
    (["-A", "more.py"], "-A takes the name of a module: -A more"),
    (["-A", "empty"], "no tasks in empty; put @task"),
    (["-A", "twice"], "two tasks are named 'same': twice.one and twice.two"),
])
def test_a_wrong_start_says_why_and_never_hello(arguments, words):
    with closing(python_child(arguments=arguments)) as child:
        assert child.line() is None
        assert child.wait() == 2
        assert words in child.errors()


def test_an_import_error_shows_its_traceback():
    with closing(python_child("broken")) as child:
        assert child.wait() == 2
        text = child.errors()
        assert "Traceback (most recent call last):" in text and "broken.py" in text


def test_without_a_worker_it_says_so():
    environment = {**os.environ, "PYTHONPATH": str(PYTHON_RUNNER)}
    command = [sys.executable, "-m", "warren_runner", "-A", "more"]
    done = subprocess.run(["sh", "-c", 'exec "$@" 3<&-', "sh", *command], cwd=MODULES, env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and "no worker on file descriptor 3" in done.stderr
    done = subprocess.run(["sh", "-c", 'exec "$@" 3</dev/null', "sh", *command], cwd=MODULES, env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and "not a socket" in done.stderr
    done = subprocess.run([*command, "--list"], cwd=MODULES, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "more.mul\n")


def test_stop_and_the_end_of_the_worker_end_it_in_good_order(child):
    child.send({"stop": {}})
    assert child.wait() == 0
    with closing(python_child("more")) as other:
        other.frame()
        other.socket.close()
        assert other.wait() == 0


# --- results --------------------------------------------------------------------------------------------------------

def test_arguments_reach_the_function(shared):
    assert shared.run("sample.add", 2, 3) == {"result": 5}
    assert shared.run("sample.add", kwargs={"x": "a", "y": "ü"}) == {"result": "aü"}
    big = 123456789012345678901234567890
    assert shared.run("echo", big, 1e22, -0.0, None, True, "\0\u2028", kwargs={"ä": {}}) == {
        "result": [[big, 1e22, -0.0, None, True, "\0\u2028"], {"ä": {}}]}


def test_results_are_written_as_celery_writes_them(shared):
    shared.send_run("echo", 1, [2], kwargs={"a": None, "b": "ü"})
    assert shared.line().endswith(b'"result":[[1, [2]], {"a": null, "b": "\\u00fc"}]}}')
    shared.send_run("sample.give", "nan")
    assert shared.line().endswith(b'"result":[NaN, Infinity, -Infinity]}}')
    assert shared.run("sample.give", "kombu") == {"result": [
        "2020-01-01T02:03:04.005678Z", "2020-01-01T00:00:00", "2020-01-02T00:00:00", "01:02:03", "1.50",
        "00000000-0000-0000-0000-000000000005", ["tuple"]]}
    shared.send_run("sample.give", "surrogate")
    assert shared.line().endswith(b'"result":"\\ud800"}}')


def test_wrapped_values_of_newer_kombu_are_unwrapped(shared):
    wrapped = [
        {"__type__": "datetime", "__value__": "2020-01-01T02:03:04.005678Z"}, {"__type__": "date", "__value__": "2020-01-02"},
        {"__type__": "time", "__value__": "01:02:03"}, {"__type__": "decimal", "__value__": "1.50"},
        {"__type__": "uuid", "__value__": {"hex": "0" * 31 + "5"}}, {"__type__": "bytes", "__value__": "abc"},
        {"__type__": "base64", "__value__": "/wA="}, {"__type__": "x", "__value__": 1, "more": 2}]
    assert shared.run("sample.kinds", *wrapped)["result"] == [
        "datetime", "date", "time", "Decimal", "UUID", "bytes", "bytes", "dict",
        "2020-01-01 02:03:04.005678+00:00", "2020-01-02", "01:02:03", "1.50", "00000000-0000-0000-0000-000000000005",
        "b'abc'", "b'\\xff\\x00'", "{'__type__': 'x', '__value__': 1, 'more': 2}"]


def test_unreadable_arguments_fail_their_task_only(shared):
    error = shared.run("echo", {"__type__": "pickle", "__value__": "x"})["error"]
    assert error["type"] == "ValueError" and "pickle" in error["message"][0]
    if sys.version_info >= (3, 11):
        shared.socket.sendall(b'{"run":{"id":"big\\u0041","name":"echo","args":[' + b"9" * 5000 + b'],"kwargs":{},"request":{}}}\n')
        states, done = shared.finish("bigA")
        assert done["error"]["type"] == "ValueError"
    assert shared.run("sample.add", 1, 1) == {"result": 2}


def test_lines_longer_than_any_buffer_pass_both_ways(shared):
    text = "ü" * 3_000_000
    assert shared.run("sample.add", text, "!") == {"result": text + "!"}


def test_frames_may_arrive_in_any_pieces(child):
    frame = b'{"run":{"id":"a","name":"echo","args":["x"],"kwargs":{},"request":{}}}\n'
    for i in range(len(frame)):
        child.socket.sendall(frame[i:i + 1])
    assert child.finish("a")[1] == {"result": [["x"], {}]}
    child.socket.sendall(frame * 3 + b'{"stop":{}}\n')
    for _ in range(3):
        assert child.finish("a")[1] == {"result": [["x"], {}]}
    assert child.wait() == 0


@pytest.mark.parametrize("kind, cause", [("set", "TypeError('Object of type set is not JSON serializable')"),
                                         ("circular", "ValueError('Circular reference detected')")])
def test_a_result_that_is_no_json_is_an_encode_error(shared, kind, cause):
    error = shared.run("sample.give", kind)["error"]
    assert (error["type"], error["module"], error["message"]) == ("EncodeError", "kombu.exceptions", [cause])


def test_async_tasks_share_one_loop(shared):
    first = shared.run("sample.later", "a", 0.01)["result"]
    second = shared.run("sample.later", "b")["result"]
    assert (first[0], second[0]) == ("a", "b") and first[1] == second[1]


def test_a_task_may_close_the_loop_of_async_tasks(child):
    assert child.run("sample.later", "a")["result"][0] == "a"
    assert child.run("sample.close_asyncio_loop") == {"result": "ran"}
    assert child.run("sample.later", "b")["result"][0] == "b"


def test_names_need_not_be_ascii(shared):
    assert shared.run('sample.ünï "x"') == {"result": "ok"}


# --- what a task knows and says ---------------------------------------------------------------------------------------

def test_a_bound_task_sees_its_request(shared):
    done = shared.run("sample.whoami", id="id \"1\"", retries=2, headers={"tenant": "t1"})
    assert done["result"] == {
        "id": 'id "1"', "name": "sample.whoami", "current": "sample.whoami", "args": [], "retries": 2, "hostname": "w1@host",
        "routing_key": "celery", "headers": {"tenant": "t1"}, "group": None, "called_directly": False, "unset": "unset"}


def test_progress_and_states_come_before_the_end(shared):
    states, done = shared.run_states("sample.walk", 2)
    assert states == [("PROGRESS", {"current": 1, "total": 2, "step": "walking", "left": 1}),
                      ("PROGRESS", {"current": 2, "total": 2, "step": "walking", "left": 0})]
    assert done == {"result": "there"}
    states, done = shared.run_states("sample.own_state")
    assert states == [("UPLOADING", {"file": "ü"}), ("PHASE_2", None)]
    assert done == {"ignore": True}


def test_a_state_that_cannot_be_sent_is_an_error_in_the_task(shared):
    assert shared.run("sample.bad_meta")["error"]["type"] == "EncodeError"
    assert shared.run("sample.state_of_another")["error"]["type"] == "ValueError"


def test_threads_do_not_mix_their_frames(shared):
    states, done = shared.run_states("sample.from_threads", 20)
    assert sorted(meta["current"] for _, meta in states) == list(range(20))
    assert done == {"result": None}


def test_a_thread_that_is_left_behind_does_not_speak_for_a_task_that_is_over(child):
    child.run("sample.leave_thread")
    assert child.run_states("sample.open_gate") == ([], {"result": None})


def test_output_is_there_before_the_end(shared):
    shared.output()
    assert shared.run("sample.shout", 3) == {"result": None}
    assert shared.output() == "line 0\nline 1\nline 2\nno newline, \\ud800"


# --- errors ---------------------------------------------------------------------------------------------------------------

def test_an_exception_is_told_as_celery_tells_it(shared):
    error = shared.run("sample.fail", "value")["error"]
    assert (error["type"], error["module"], error["message"]) == ("ValueError", "builtins", ["bad input"])
    assert error["traceback"].startswith(f'Traceback (most recent call last):\n  File "{MODULES}/sample.py", line ')
    assert error["traceback"].endswith("ValueError: bad input\n")
    assert "warren_runner" not in error["traceback"]


def test_arguments_of_exceptions_that_are_no_json_become_their_repr(shared):
    error = shared.run("sample.fail", "inner")["error"]
    assert (error["type"], error["module"], error["message"]) == ("Outer.Inner", "sample", ["a", 3, {"b": [1]}, "{1}"])
    message, = shared.run("sample.fail_without_repr")["error"]["message"]
    assert message.startswith("<Unrepresentable")


def test_the_cause_of_an_exception_is_in_its_traceback(shared):
    text = shared.run("sample.fail", "chained")["error"]["traceback"]
    assert "KeyError: 'first'" in text and "During handling of the above exception" in text
    assert shared.run("sample.fail", "deep")["error"]["type"] == "RecursionError"


def test_exit_and_interrupt_are_failures_and_harmless_to_clients(shared):
    pid = shared.process.pid
    error = shared.run("sample.fail", "exit")["error"]
    assert (error["type"], error["module"], error["message"]) == ("SystemExit", "warren_runner", [3])
    error = shared.run("sample.fail", "interrupt")["error"]
    assert (error["type"], error["module"], error["message"]) == ("KeyboardInterrupt", "warren_runner", [])
    assert shared.process.poll() is None and shared.process.pid == pid


def test_unknown_names_and_wrong_arguments_are_errors(shared):
    error = shared.run("nope")["error"]
    assert (error["type"], error["module"], error["message"]) == ("NotRegistered", "celery.exceptions", ["nope"])
    error = shared.run("sample.add", 1)["error"]
    assert error["type"] == "TypeError" and "missing 1 required positional argument: 'y'" in error["message"][0]


# --- retry, ignore, reject ------------------------------------------------------------------------------------------------

def test_retry_tells_when_and_why(shared):
    retry = shared.run("sample.retry", 60)["retry"]
    error = retry.pop("error")
    assert retry == {"countdown": 60, "eta": None, "max_retries": None}
    assert (error["type"], error["module"], error["message"]) == ("ConnectionRefusedError", "builtins", [111, "refused"])
    assert error["traceback"].endswith("celery.exceptions.Retry: Retry in 60s: ConnectionRefusedError(111, 'refused')\n")


def test_retry_leaves_to_the_worker_what_it_does_not_say(shared):
    assert shared.run("sample.retry", kwargs={"cause": False})["retry"] == {
        "countdown": None, "eta": None, "max_retries": None, "error": None}
    eta = "2030-01-02T03:04:05"
    retry = shared.run("sample.retry", kwargs={"eta": eta, "cause": False, "max_retries": 5})["retry"]
    assert retry == {"countdown": None, "eta": eta + "+00:00", "max_retries": 5, "error": None}


def test_declared_retry_options_travel_along(shared):
    assert shared.run("sample.retry_declared", retries=1)["retry"] == {
        "countdown": 7, "eta": None, "max_retries": 2, "error": None}
    assert shared.run("sample.retry_for_ever", retries=10**6)["retry"]["max_retries"] == 2**31 - 1


def test_spent_retries_raise_in_the_task(shared):
    error = shared.run("sample.retry_declared", retries=2, id="U5")["error"]
    assert (error["type"], error["module"]) == ("MaxRetriesExceededError", "celery.exceptions")
    assert error["message"] == ["Can't retry sample.retry_declared[U5] args:() kwargs:{}"]
    assert shared.run("sample.retry", kwargs={"max_retries": 3}, retries=3)["error"]["type"] == "ConnectionRefusedError"
    assert shared.run("sample.retry_fallback")["result"].startswith("Can't retry")


def test_autoretry_makes_a_retry_of_the_listed_errors(shared):
    retry = shared.run("sample.auto", "os", retries=3)["retry"]
    assert retry["error"]["type"] == "ConnectionResetError"
    assert (retry["countdown"], retry["max_retries"]) == (0.5, 4)
    assert shared.run("sample.auto", "value")["error"]["type"] == "ValueError"
    assert shared.run("sample.auto", "ignore") == {"ignore": True}


def test_reject_says_where_the_message_goes(shared):
    assert shared.run("sample.reject", True) == {"reject": {"requeue": True, "reason": "not ours"}}
    assert shared.run("sample.reject", False) == {"reject": {"requeue": False, "reason": "not ours"}}


@pytest.mark.parametrize("kind, error", [
    ("delta", "TypeError"), ("infinite", "OverflowError"), ("huge", "OverflowError"), ("day", "AttributeError"), ("reject", "KeyError"),
    ("args", "Unarmed"), ("exits", "ValueError")])
def test_an_end_that_cannot_be_told_is_an_error_of_the_task(child, kind, error):
    assert child.run("sample.odd_end", kind)["error"]["type"] == error
    assert child.run("sample.odd_value")["error"]["type"] == "EncodeError"
    assert child.run("sample.add", 1, 1) == {"result": 2}


def test_odd_words_of_a_retry_are_taken_as_they_are_meant(shared):
    assert shared.run("sample.odd_end", "half")["retry"]["max_retries"] == 2
    assert shared.run("sample.odd_end", "negative")["retry"]["max_retries"] == 0
    assert shared.run("sample.odd_end", "class")["retry"]["error"]["type"] == "KeyError"
    assert shared.run("sample.odd_end", "text")["retry"]["error"] is None


# --- soft time limit --------------------------------------------------------------------------------------------------------

def begin(child, name, *args):
    """Starts a task that reports progress first and waits for that; returns its id."""
    id = child.send_run(name, *args)
    assert "state" in child.frame()
    return id


@pytest.mark.parametrize("name", ["sample.sleep", "sample.later_caught", "sample.sleep_caught"])
def test_the_signal_interrupts_a_task(child, name):
    id = begin(child, name, *([60] if name == "sample.sleep" else []))
    child.process.send_signal(signal.SIGUSR1)
    _, done = child.finish(id)
    if name == "sample.sleep":
        error = done["error"]
        assert (error["type"], error["module"], error["message"]) == ("SoftTimeLimitExceeded", "billiard.exceptions", [])
    else:
        assert done == {"result": "cleaned up"}
    assert child.run("sample.add", 1, 1) == {"result": 2}


def test_an_interrupted_coroutine_is_a_soft_time_limit(child):
    id = child.send_run("sample.later", "x", 60)
    child.send({"cancel": {"id": id, "reason": "soft_time_limit"}})
    child.process.send_signal(signal.SIGUSR1)  # before, during or after the start: it must count
    error = child.finish(id)[1]["error"]
    assert (error["type"], error["module"], error["message"]) == ("SoftTimeLimitExceeded", "billiard.exceptions", [])


def test_a_signal_never_tears_a_frame(child):
    for padding in (10, 300_000):
        id = begin(child, "sample.progress_until_told", padding)
        child.process.send_signal(signal.SIGUSR1)
        states, done = child.finish(id)
        assert done["result"] >= len(states) + 1
        assert all(meta["step"] == "x" * padding for _, meta in states)


def test_a_signal_between_tasks_hits_none(child):
    child.process.send_signal(signal.SIGUSR1)
    child.send({"cancel": {"id": "an earlier task", "reason": "soft_time_limit"}})
    assert child.run("sample.add", 1, 1) == {"result": 2}


def test_a_signal_that_outran_its_task_still_counts(child):
    child.process.send_signal(signal.SIGUSR1)
    # Both frames in one write: the task starts with its cancel already waiting.
    run = {"run": {"id": "a", "name": "sample.sleep", "args": [60], "kwargs": {}, "request": {}}}
    cancel = {"cancel": {"id": "a", "reason": "soft_time_limit"}}
    child.socket.sendall("".join(json.dumps(frame) + "\n" for frame in (run, cancel)).encode())
    assert child.finish("a")[1]["error"]["type"] == "SoftTimeLimitExceeded"
    assert child.run("sample.add", 1, 1) == {"result": 2}


# --- the channel is the runner's own ------------------------------------------------------------------------------------------

def test_children_of_a_task_do_not_get_the_channel(shared):
    assert shared.run("sample.sockets_of_child") == {"result": ""}


def test_a_forked_process_does_not_answer_for_the_task(child):
    assert child.run("sample.fork_and_return") == {"result": "parent"}
    assert child.run("sample.add", 1, 1) == {"result": 2}
    assert child.is_silent()


def test_a_task_may_close_its_output(child):
    assert child.run("sample.close_stdout") == {"result": "ok"}
    assert child.run("sample.add", 1, 1) == {"result": 2}


def test_a_task_may_put_anything_in_place_of_its_output(child):
    assert child.run("sample.replace_stdout") == {"result": "ok"}
    assert child.run("sample.add", 1, 1) == {"result": 2}


def test_what_is_no_frame_ends_it_with_a_word(child):
    child.socket.sendall(b"nonsense\n")
    assert child.wait() == 1
    assert "the worker sent a line that is no JSON" in child.errors()


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_task_costs_one_read_and_one_write(tmp_path):
    trace = tmp_path / "trace"
    # Not -f: only this process; an interrupted exec of sh is before the hello.
    with closing(python_child("sample", wrap=["strace", "-o", str(trace)])) as child:
        if child.line() is None:
            pytest.skip("strace may not trace here")
        for _ in range(10):
            assert child.run("sample.add", 1, 1) == {"result": 2}
        child.send({"stop": {}})
        child.wait()
    calls = re.findall(r"^(\w+)\(", trace.read_text().partition('write(3, "{\\"hello')[2], re.M)
    # The first 21 after the hello: ten tasks and the read of the stop frame belong to us. The interpreter may want a new arena in between, once.
    assert calls[:22].count("mmap") <= 1
    assert [call for call in calls if call != "mmap"][:21] == ["read", "write"] * 10 + ["read"]


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="needs /proc/PID/smaps_rollup")
def test_an_idle_child_is_small():
    with closing(python_child("more")) as child:
        child.frame()
        text = open(f"/proc/{child.process.pid}/smaps_rollup", encoding="ascii").read()
        pss = int(re.search(r"^Pss:\s+(\d+) kB", text, re.M)[1])
        assert pss < 14 * 1024


# --- golden frames ---------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["run", "cancel", "stop", "route"])
def test_golden_frames_of_a_worker_are_read(name):
    for line in lines(f"{name}.jsonl"):
        kind, fields = parse(line)
        assert kind == name
        assert fields == json.loads(line)[name] or "NaN" in line.decode()


def test_golden_frames_with_blanks_and_more_keys_are_read():
    for line in lines("tolerant.jsonl"):
        if re.match(rb'\s*{\s*"(run|cancel|stop)"', line):
            parse(line)


def test_golden_invalid_frames_are_refused():
    ours = [line for line in lines("invalid.jsonl") if not re.match(rb'{"(hello|state|done|routed)"', line)]
    assert len(ours) > 20
    for line in ours:
        try:
            parse(line)
        except (ProtocolError, warren_runner._channel.TaskInputError):
            continue
        pytest.fail(f"accepted {line!r}")


# --- the same functions without a worker -------------------------------------------------------------------------------------------

def test_tasks_stay_plain_functions():
    import sample
    assert sample.add(2, 3) == 5
    assert not hasattr(sample.add, "delay")
    assert sample.walk(2) == "there"
    assert sample.whoami()["called_directly"] is True
    assert not warren_runner.current_task
    with pytest.raises(RuntimeError, match="no task is running"):
        warren_runner.current_task.request
    with pytest.raises(OSError):
        sample.retry()
    with pytest.raises(warren_runner.Retry):
        sample.retry_declared()


@pytest.mark.parametrize("options, words", [
    ({"rate_limit": "1/s"}, "does not know rate_limit"),
    ({"name": ""}, "name of a task"),
    ({"max_retries": -1}, "max_retries"),
    ({"max_retries": 1.5}, "max_retries"),
    ({"default_retry_delay": "1"}, "default_retry_delay"),
    ({"default_retry_delay": float("nan")}, "default_retry_delay"),
])
def test_wrong_options_are_named(options, words):
    with pytest.raises(TypeError, match=words):
        warren_runner.task(**options)(lambda: None)


def test_a_text_in_place_of_the_function_is_explained():
    with pytest.raises(TypeError, match=r"@task\(name=...\)"):
        warren_runner.task("add")


def test_billiards_own_class_is_raised_when_it_is_loaded(monkeypatch):
    import types
    from warren_runner import _errors
    theirs = type("SoftTimeLimitExceeded", (Exception,), {"__module__": "billiard.exceptions"})
    monkeypatch.setitem(sys.modules, "billiard.exceptions", types.SimpleNamespace(SoftTimeLimitExceeded=theirs))
    exc = _errors.soft_time_limit_exceeded()
    assert isinstance(exc, theirs) and isinstance(exc, warren_runner.SoftTimeLimitExceeded)
    assert (type(exc).__qualname__, type(exc).__module__) == ("SoftTimeLimitExceeded", "billiard.exceptions")


def test_celerys_own_classes_count_as_ours():
    from warren_runner import _errors
    theirs = type("Ignore", (Exception,), {"__module__": "celery.exceptions"})
    assert _errors.outcome_kind(type("Mine", (theirs,), {})()) == "Ignore"
    assert _errors.outcome_kind(type("Ignore", (Exception,), {"__module__": "mine"})()) == ""
