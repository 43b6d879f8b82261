"""F31-F53: workers and children that are killed, stopped, starved, and that misbehave."""
import os
import resource
import signal
import time

import pytest

import harness
from harness import SLOW, alive
from lab import KINDS
from warren_servers import wait_until


def kill_at(lab, point):
    """A worker that is killed when its one task is at this point of its life (reliability: P0 to P8)."""
    broker = lab.broker_proxy() if point in ("P0", "P7") else None
    redis = lab.redis_proxy() if point == "P5" else None
    in_code = point in ("P1", "P2", "P3", "P4", "P6")
    w = lab.worker(broker=broker, redis=redis, fail=point + ":kill9" if in_code else None)
    rule = None
    if point == "P0":
        rule = broker.on("down", "body", "part")
    elif point == "P5":
        rule = redis.on("up", "EVALSHA", lambda frame: redis.stall("down"), where=lambda frame: b"SUCCESS" in frame.data)
    elif point == "P7":
        rule = broker.on("up", "basic.ack", "drop")
    lab.send_run(gated=point in ("P2", "P3"))
    if in_code:
        assert w.wait() == -signal.SIGKILL
        assert w.lines("failpoint " + point)
        return
    if rule is not None:
        rule.wait()
    else:
        lab.wait_final()
        lab.wait_quiet()
    w.kill()


# The runs that are allowed in all; P5's result is stored, only the answer is lost.
RUNS = {"P0": (1, 1), "P1": (1, 1), "P2": (1, 2), "P3": (2, 2), "P4": (2, 2), "P5": (1, 1), "P6": (1, 1), "P7": (1, 1), "P8": (1, 1)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("point", RUNS)
def test_f31_sigkill_at_each_point(lab, point, kind):
    lab.declare(kind)
    lab.count_finals()
    kill_at(lab, point)
    lab.open_gate()
    lab.worker()
    lab.close_books(starts=RUNS[point])
    assert list(lab.drain_finals().values()) == [1]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("point", RUNS)
def test_f31_sigkill_at_each_point_twenty_times(lab, point, kind):
    lab.declare(kind)
    for _ in range(20):
        lab.sent.clear()
        open(lab.journal, "w").close()
        if os.path.exists(lab.gate):
            os.unlink(lab.gate)
        kill_at(lab, point)
        lab.open_gate()
        last = lab.worker()
        lab.close_books(starts=RUNS[point])
        assert last.stop() == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("point", ["R1", "R2"])
@pytest.mark.parametrize("countdown", [0, 1])
def test_f32_sigkill_while_a_retry_is_on_its_way(lab, point, kind, countdown):
    lab.declare(kind)
    broker = lab.broker_proxy()
    w = lab.worker(broker=broker, fail="R2:kill9" if point == "R2" else None)
    confirm = broker.on("down", "basic.ack", "hold") if point == "R1" else None
    lab.send("flaky", (lab.journal, 4, 1, countdown), gives=8)
    if confirm:
        confirm.wait()
        w.kill()
    else:
        assert w.wait() == -signal.SIGKILL
    assert lab.starts() == 1
    lab.worker()
    # The first run and its retry, and no more: what the first came to was noted before the copy was sent.
    lab.close_books(starts=(2, 2))


def test_f06_lease_holds_off_what_runs_elsewhere(lab):
    """The worker has lost the broker and goes on; who gets its message waits, and then finds the result."""
    lab.declare()
    broker = lab.broker_proxy()
    lab.worker("--broker-heartbeat", "1s", broker=broker)
    lab.send_run(gated=True)
    lab.wait_starts(1)
    broker.refuse()
    other = lab.worker()
    other.wait_line("still runs on w1@")
    lab.open_gate()
    other.wait_line("was finished before")
    broker.heal()
    lab.close_books(starts=(1, 1))


def outbox(lab):
    return {n: q["messages"] for n, q in lab.site.queues().items() if n.startswith("warren.outbox.")}


def test_f73_result_is_parked_while_redis_is_away(lab):
    """Nothing waits unacknowledged for longer than it may, nothing is lost, nothing runs again."""
    lab.declare()
    redis = lab.redis_proxy()
    w = lab.worker("--outbox-after", "1s", redis=redis, c=2)
    lab.send_run(gated=True)
    lab.wait_starts(1)
    redis.refuse()
    lab.send_many(4)
    lab.open_gate()
    w.wait_line("the result waits in queue warren.outbox", count=5)
    wait_until(lambda: lab.unacked() == 0 and list(outbox(lab).values()) == [5], 20 * SLOW, lambda: "5 parked results: %r" % outbox(lab))
    assert all(lab.state(i) in ("PENDING", "STARTED") for i in lab.sent)
    redis.heal()
    lab.close_books(starts=(1, 1))


def test_f33_children_of_a_killed_worker_end(lab):
    lab.declare()
    w = lab.worker(c=2)
    lab.send_run(gated=True)
    lab.wait_starts(1)
    children = w.slots()
    assert len(children) == 2
    w.kill()
    wait_until(lambda: not [p for p in children if alive(p)], 5 * SLOW, "the children to end")
    lab.open_gate()
    lab.worker()
    lab.close_books(starts=(2, 2))


@pytest.mark.parametrize("how, words", [("SIGSEGV", "SIGSEGV"), ("SIGABRT", "SIGABRT"), ("SIGKILL", "SIGKILL"), (1, "1"), (255, "255")])
def test_f34_child_that_dies_is_a_failure_with_cause_and_last_words(lab, how, words):
    lab.declare()
    w = lab.worker(*lab.config("tasks:\n  die: { max_lost: 0 }\n"))
    task_id = lab.send("die", (lab.journal, how))
    lab.wait_state(task_id, "FAILURE")
    result = lab.meta(task_id)["result"]
    assert result["exc_type"] == "WorkerLostError"
    assert words in str(result["exc_message"]) and "famous last words" in str(result["exc_message"])
    lab.wait_quiet()
    [(body, headers, _)] = lab.dead()
    assert headers["id"] == task_id and headers["x-warren-reason"] == "lost"
    assert headers.get("x-warren-signal") == (None if isinstance(how, int) else getattr(signal, how))
    assert headers.get("x-warren-exit-code") == (how if isinstance(how, int) else None)
    del lab.sent[task_id]
    lab.send_run()
    lab.wait_final()
    assert w.alive()
    assert lab.starts(task_id) == 1


def test_f34_letter_tells_the_peak_of_memory(lab):
    """The kernel tells it to the parent of a process, so not of a child that a template process forked."""
    lab.declare()
    lab.worker("--runner", "python3 -m warren_runner -A chaos_tasks", "-Q", lab.queue, "-c", "1",
               *lab.config("tasks:\n  die: { max_lost: 0 }\n"), pool=False)
    lab.wait_state(lab.send("die", (lab.journal, "SIGKILL")), "FAILURE")
    lab.wait_quiet()
    [(_, headers, _)] = lab.dead()
    assert 1 << 20 < headers["x-warren-peak-memory"] < 1 << 30


def test_f35_child_out_of_memory(lab):
    lab.declare()
    lab.worker(*lab.config("pools:\n  small: { queues: [work], concurrency: 1, app: chaos_tasks, memory_limit: 300M }\n"), pool=False)
    task_id = lab.send("hoard", (1 << 30,))
    lab.wait_state(task_id, "FAILURE")
    assert lab.meta(task_id)["result"]["exc_type"] == "MemoryError"
    assert lab.wait_state(lab.send("hoard", (1000,), gives=1000), "SUCCESS")


@pytest.mark.parametrize("name", ["deaf", "halt"])
def test_f36_f37_child_that_hangs_or_is_stopped_ends_at_its_hard_limit(lab, name):
    lab.declare()
    lab.worker()
    task_id = lab.send(name, (lab.journal,), timelimit=[1.0, 0.5])
    lab.wait_starts(1)
    began, pid = time.monotonic(), int(lab.lines("start")[0][2])
    lab.wait_state(task_id, "FAILURE")
    assert time.monotonic() - began < 2 * SLOW
    result = lab.meta(task_id)["result"]
    assert (result["exc_type"], list(result["exc_message"])) == ("TimeLimitExceeded", [1])
    wait_until(lambda: not alive(pid), 2 * SLOW, "the child to end")
    del lab.sent[task_id]
    lab.send_run()
    lab.close_books()


@pytest.mark.parametrize("how", ["same", "own", "double"])
def test_f39_what_a_killed_task_leaves_behind_is_killed(lab, how):
    lab.declare()
    lab.worker()
    task_id = lab.send("litter", (lab.journal, how, True), timelimit=[1.0, None])
    lab.wait_starts(1)
    pid = int(lab.lines("left")[0][1])
    assert alive(pid)
    lab.wait_state(task_id, "FAILURE")
    wait_until(lambda: not alive(pid), 5 * SLOW, "what it left behind to end")
    wait_until(lambda: not processes_with(lab.journal), 5 * SLOW, "all of it to end")


def processes_with(journal):
    """Pids that were started with this test's journal in their environment or arguments."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % name, "rb") as f:
                line = f.read()
            if line.startswith((b"sleep\0300", b"sh\0-c\0setsid setsid sleep 300")) and alive(int(name)):
                with open("/proc/%s/environ" % name, "rb") as f:
                    if os.path.dirname(journal).encode() in f.read():
                        found.append(int(name))
        except OSError:
            continue
    return found


def test_f40_grandchild_that_keeps_stdout_open_delays_nothing(lab):
    lab.declare()
    w = lab.worker()
    lab.send("litter", (lab.journal, "same"), gives="done")
    lab.wait_final(timeout_s=5)
    lab.send_run()
    lab.close_books()
    pid = int(lab.lines("left")[0][1])
    assert w.stop() == 0
    wait_until(lambda: not alive(pid), 2 * SLOW, "it to go with the worker")


@pytest.mark.parametrize("to", ["stdout", "stderr"])
def test_f41_flood_of_output_is_cut_and_costs_no_memory(lab, to):
    lab.declare()
    w = lab.worker(c=2)
    size = 100 << 20
    lab.send("flood", (size, to), gives=size)
    lab.wait_final()
    with open("/proc/%d/status" % w.pid) as f:
        peak = next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))
    assert peak < 40000, "%d KiB" % peak
    assert len(w.output()) < 400000
    assert w.lines("more than 65536 bytes of output")


def test_f42_child_that_does_not_read(lab):
    lab.declare()
    runner = lab.folder / "mute"
    runner.write_text("#!/bin/sh\necho '{\"hello\":{\"protocol\":1,\"language\":\"sh\",\"pid\":1,\"tasks\":[\"length\"]}}' >&3\n"
                      "exec sleep 300\n")
    runner.chmod(0o755)
    w = lab.worker("--runner", str(runner), "-Q", lab.queue, "-c", "1", *lab.config("tasks:\n  length: { max_lost: 0 }\n"), pool=False)
    task_id = lab.send("length", ("x" * (20 << 20),), timelimit=[1.0, None])
    lab.wait_state(task_id, "FAILURE")
    assert lab.meta(task_id)["result"]["exc_type"] == "TimeLimitExceeded"
    assert w.alive()


def test_f42_child_that_closes_its_channel(lab):
    lab.declare()
    runner = lab.folder / "rude"
    runner.write_text("#!/bin/sh\necho '{\"hello\":{\"protocol\":1,\"language\":\"sh\",\"pid\":1,\"tasks\":[\"length\"]}}' >&3\n"
                      "read -r line <&3\nexec 3<&- 3>&-\nexec sleep 300\n")
    runner.chmod(0o755)
    w = lab.worker("--runner", str(runner), "-Q", lab.queue, "-c", "1", *lab.config("tasks:\n  length: { max_lost: 0 }\n"), pool=False)
    task_id = lab.send("length", ("x",))
    lab.wait_state(task_id, "FAILURE")
    assert lab.meta(task_id)["result"]["exc_type"] == "WorkerLostError"
    assert w.alive()


def zombies_of(pid):
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % name) as f:
                state, parent = f.read().rsplit(")", 1)[1].split()[:2]
        except OSError:
            continue
        if state == "Z" and int(parent) == pid:
            found.append(int(name))
    return found


def test_f43_no_zombies_after_many_children(lab):
    lab.declare()
    w = lab.worker(*lab.config("pools:\n  brief: { queues: [work], concurrency: 4, app: chaos_tasks, max_tasks_per_child: 1 }\n"), pool=False)
    lab.send_many(40)
    lab.close_books(starts=(1, 1))
    wait_until(lambda: not zombies_of(w.pid), 5 * SLOW, "zombies to be reaped")
    # All at once: one signal may stand for many.
    for pid in w.slots():
        os.kill(pid, signal.SIGKILL)
    lab.send_run()
    lab.close_books()
    wait_until(lambda: not zombies_of(w.pid), 5 * SLOW, "zombies to be reaped")


@pytest.mark.parametrize("first, says_so", [(1, False), (2, True)], ids=["probe", "child"])
def test_f45_fork_fails_at_the_start(lab, first, says_so):
    """The first process is the one that is asked for the application's settings."""
    lab.declare()
    w = lab.worker(fail="fork:errno=EAGAIN:%d" % first)
    assert w.lines("failpoint fork")
    assert bool(w.lines("could not start")) is says_so
    lab.send_run()
    lab.close_books(starts=(1, 1))


@pytest.mark.parametrize("error", ["EAGAIN", "ENOMEM", "EMFILE"])
def test_f45_fork_fails(lab, error):
    lab.declare()
    w = lab.worker(fail="fork:errno=%s:2,fork:errno=%s:3" % (error, error))
    lab.send("die", (lab.journal, "SIGKILL"), task_id="once")
    lab.wait_starts(1)
    ran = lab.send_run()
    w.wait_line("failpoint fork", count=2)
    lab.wait_final([ran])
    assert len(w.lines("could not start")) == 2


def test_f46_too_few_descriptors(lab):
    lab.declare()
    w = lab.worker(c=16, prefix=("prlimit", "--nofile=64:4096"))
    assert resource.prlimit(w.pid, resource.RLIMIT_NOFILE)[0] == 104
    # Nothing more can be opened now: what runs goes on, what ends cannot be replaced before there is room again.
    resource.prlimit(w.pid, resource.RLIMIT_NOFILE, (8, 4096))
    os.kill(w.slots()[0], signal.SIGKILL)
    w.wait_line("could not start.*Too many open files")
    lab.send_many(50)
    lab.close_books(starts=(1, 1))
    resource.prlimit(w.pid, resource.RLIMIT_NOFILE, (104, 4096))
    wait_until(lambda: len(w.slots()) == 16, 30 * SLOW, "the child to be replaced")


def test_f46_limit_of_descriptors_that_cannot_do(lab):
    w = lab.worker(c=16, prefix=("prlimit", "--nofile=64:64"), ready=False)
    assert w.wait() == 1
    assert w.lines("16 slots need about 104 file descriptors and the limit is 64")


def test_f47_log_on_a_full_disk(lab):
    lab.declare()
    lab.worker(prefix=("sh", "-c", 'exec "$@" >/dev/full 2>&1', "sh"), ready=False)
    lab.send_many(50)
    lab.close_books(starts=(1, 1))


def test_f48_runner_that_does_not_exist(lab):
    w = lab.worker("--runner", str(lab.folder / "missing"), ready=False, pool=False)
    assert w.wait() == 1
    assert w.lines("missing.*No such file")
    w = lab.worker("--runner", "/etc/passwd", ready=False, pool=False)
    assert w.wait() == 1
    assert w.lines("Permission denied")


def test_f48_runner_that_goes_away_for_a_while(lab):
    lab.declare()
    runner = lab.folder / "runner"
    runner.write_text("#!/bin/sh\nPYTHONPATH=%s:$PYTHONPATH exec python3 -m warren_runner -A chaos_tasks\n"
                      % os.path.join(harness.TOP, "src", "runners", "python"))
    runner.chmod(0o755)
    w = lab.worker("--runner", str(runner), "-Q", lab.queue, "-c", "1", pool=False)
    runner.rename(lab.folder / "away")
    os.kill(w.slots()[0], signal.SIGKILL)
    lab.send_run()
    w.wait_line("could not start.*No such file", count=2)
    (lab.folder / "away").rename(runner)
    lab.close_books(starts=(1, 1))


def stopped(pid):
    with open("/proc/%d/stat" % pid) as f:
        return f.read().rsplit(")", 1)[1].split()[0] == "T"


def go_on_with(w, sig):
    """The worker has stopped itself at a failpoint; the signal is there when it goes on."""
    wait_until(lambda: stopped(w.pid), 20 * SLOW, "the worker to stop at its failpoint")
    w.send_signal(sig)
    w.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("point", ["P1", "P2", "P3", "P4", "P5", "P6"])
def test_f49_sigterm_at_each_point(lab, point, kind):
    lab.declare(kind)
    w = lab.worker(fail=point + ":stop")
    # One runs, one waits in the queue: it must stay there.
    first = lab.send_run(gated=point in ("P2", "P3"))
    lab.send_run(value=4)
    go_on_with(w, signal.SIGTERM)
    lab.open_gate()
    assert w.wait() == 0
    # At P1 it has not begun: it goes back, unless a child got it in the same turn.
    went_back = point == "P1" and lab.state(first) == "PENDING"
    assert went_back or lab.state(first) == "SUCCESS"
    lab.wait_ready_messages(2 if went_back else 1)
    lab.worker()
    lab.close_books(starts=(1, 1))


@pytest.mark.parametrize("sig", [signal.SIGQUIT, signal.SIGTERM])
def test_f49_cold_stop_gives_running_tasks_back(lab, sig):
    lab.declare()
    w = lab.worker(c=2)
    for i in range(3):
        lab.send_run(value=i, gated=True)
    lab.wait_starts(2)
    children = w.slots()
    if sig == signal.SIGTERM:
        w.send_signal(sig)
        w.wait_line("2 tasks may finish")
    w.send_signal(sig)
    assert w.wait() == 0
    assert not [p for p in children if alive(p)]
    lab.wait_ready_messages(3)
    lab.open_gate()
    lab.worker()
    lab.close_books(starts=(1, 2))
    assert lab.starts() == 5


@pytest.mark.parametrize("frame", ["connection.start", "connection.open-ok", "channel.open-ok", "queue.declare-ok", "basic.consume-ok"])
@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGQUIT])
def test_f49_signal_while_the_connection_is_made(lab, frame, sig):
    lab.declare()
    broker = lab.broker_proxy()
    held = broker.on("down", frame, "hold")
    w = lab.worker(broker=broker, ready=False)
    held.wait()
    w.send_signal(sig)
    assert w.wait(15) == 0


def test_f49_sigterm_while_waiting_to_connect_again(lab):
    broker = lab.broker_proxy()
    broker.refuse()
    w = lab.worker(broker=broker, ready=False)
    w.wait_line("cannot reach .*trying again", count=2)
    assert w.stop() == 0


def test_f51_unknown_headers_are_passed_over(lab):
    lab.declare()
    lab.worker()
    lab.send_run(tomorrows_header={"a": [1, 2, {"b": None}]}, another=True)
    lab.close_books(starts=(1, 1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("point", ["P3", "P6"])
def test_f52_worker_stopped_until_the_broker_gave_it_up(lab, point, kind):
    lab.declare(kind)
    w = lab.worker("--broker-heartbeat", "1s", fail=point + ":stop")
    lab.send_run(gated=point == "P3")
    wait_until(lambda: stopped(w.pid), 20 * SLOW, "the worker to stop at its failpoint")
    lab.wait_ready_messages(1)
    w.send_signal(signal.SIGCONT)
    w.wait_line("Connected to", count=2)
    lab.open_gate()
    # It still runs, or its result is stored: neither way is it run again.
    lab.close_books(starts=(1, 1))


@pytest.mark.parametrize("outbox_after", ["25min", "0"])
def test_f49_sigterm_while_redis_is_away(lab, outbox_after):
    """When the drain time-out is over a result that waits for Redis goes to the outbox; without one its task runs again."""
    lab.declare()
    redis = lab.redis_proxy()
    w = lab.worker("--drain-timeout", "500ms", "--outbox-after", outbox_after, redis=redis)
    lab.send_run(gated=True)
    lab.wait_starts(1)
    redis.refuse()
    lab.open_gate()
    lab.wait_ends(1)
    w.send_signal(signal.SIGTERM)
    assert w.wait(20) == 0
    redis.heal()
    lab.worker(redis=redis)
    lab.close_books(starts=(1, 1) if outbox_after != "0" else (2, 2))
