"""Tasks for test_runner.py: one for each way a task can behave."""

import datetime
import decimal
import os
import subprocess
import sys
import threading
import time
import uuid

from warren_runner import Ignore, Reject, Retry, SoftTimeLimitExceeded, current_task, progress, task


@task
def add(x, y):
    return x + y


@task(name="echo")
def echo(*args, **kwargs):
    return [args, kwargs]


@task(bind=True)
def whoami(self):
    request = self.request
    return {
        "id": request.id, "name": self.name, "current": current_task.name if current_task else None,
        "args": request.args, "retries": request.retries, "headers": request.headers,
        "hostname": request.hostname, "routing_key": request.delivery_info.get("routing_key"),
        "group": request.group, "called_directly": request.called_directly, "unset": request.get("nothing", "unset"),
    }


@task
def walk(n):
    for i in range(n):
        progress(i + 1, n, "walking", left=n - i - 1)
    return "there"


@task(bind=True)
def own_state(self):
    self.update_state(state="UPLOADING", meta={"file": "ü"})
    self.update_state(state="PHASE_2")
    raise Ignore()


@task(bind=True)
def bad_meta(self):
    self.update_state(state="PROGRESS", meta={1, 2})


@task(bind=True)
def state_of_another(self):
    self.update_state("other-task", "PROGRESS", {})


class Outer:
    class Inner(Exception):
        pass


@task
def fail(kind):
    if kind == "value":
        raise ValueError("bad input")
    if kind == "inner":
        raise Outer.Inner("a", 3, {"b": [1]}, {1})
    if kind == "chained":
        try:
            raise KeyError("first")
        except KeyError:
            raise RuntimeError("second")
    if kind == "exit":
        sys.exit(3)
    if kind == "interrupt":
        raise KeyboardInterrupt()
    if kind == "deep":
        return fail(kind)


class NoRepr:
    def __repr__(self):
        raise RuntimeError("no")


@task
def fail_without_repr():
    raise ValueError(NoRepr())


@task(bind=True)
def retry(self, countdown=None, eta=None, max_retries=None, cause=True):
    if eta is not None:
        eta = datetime.datetime.fromisoformat(eta)
    try:
        raise OSError(111, "refused")
    except OSError as exc:
        self.retry(exc=exc if cause else None, countdown=countdown, eta=eta, max_retries=max_retries)


@task(bind=True, max_retries=2, default_retry_delay=7)
def retry_declared(self):
    self.retry()


@task(bind=True, max_retries=None)
def retry_for_ever(self):
    raise self.retry(countdown=1)


@task(bind=True, max_retries=0)
def retry_fallback(self):
    try:
        self.retry()
    except self.MaxRetriesExceededError as exc:
        return str(exc)


@task(autoretry_for=(OSError, KeyError), max_retries=4, default_retry_delay=0.5)
def auto(kind):
    raise {"os": ConnectionResetError("gone"), "value": ValueError("no"), "ignore": Ignore()}[kind]


class Mute:
    def __str__(self):
        raise KeyError("mute")


class Unarmed(Exception):
    args = None


class Exits:
    def __json__(self):
        raise SystemExit(5)

    __repr__ = __json__


ODD = {
    "delta": lambda self: self.retry(countdown=datetime.timedelta(seconds=3)),
    "infinite": lambda self: self.retry(countdown=float("inf")),
    "huge": lambda self: self.retry(countdown=10**400),
    "day": lambda self: self.retry(eta=datetime.date(2030, 1, 2)),
    "reject": lambda self: Reject(Mute()),
    "args": lambda self: Unarmed("x"),
    "exits": lambda self: ValueError(Exits()),
    "half": lambda self: self.retry(max_retries=2.5),
    "negative": lambda self: Retry(max_retries=-3),
    "class": lambda self: self.retry(exc=KeyError),
    "text": lambda self: self.retry(exc="what"),
}


@task(bind=True)
def odd_end(self, kind):
    raise ODD[kind](self)


@task
def odd_value():
    return Exits()


@task
def reject(requeue):
    raise Reject("not ours", requeue=requeue)


@task
def give(kind):
    if kind == "set":
        return {1, 2}
    if kind == "circular":
        value = []
        value.append(value)
        return value
    if kind == "nan":
        return [float("nan"), float("inf"), float("-inf")]
    if kind == "kombu":
        utc = datetime.timezone.utc
        return [datetime.datetime(2020, 1, 1, 2, 3, 4, 5678, utc), datetime.datetime(2020, 1, 1), datetime.date(2020, 1, 2),
                datetime.time(1, 2, 3), decimal.Decimal("1.50"), uuid.UUID(int=5), ("tuple",)]
    if kind == "surrogate":
        return "\ud800"
    return None


@task
def kinds(*args):
    return [type(arg).__name__ for arg in args] + [str(arg) for arg in args]


@task
async def later(value, seconds=0):
    import asyncio
    await asyncio.sleep(seconds)
    return [value, id(asyncio.get_running_loop())]


@task
async def later_caught():
    import asyncio
    try:
        progress(0, 1)
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        return "cleaned up"


@task
def sleep(seconds):
    progress(0, 1, "sleeping")
    time.sleep(seconds)


@task
def sleep_caught():
    try:
        progress(0, 1)
        time.sleep(60)
    except SoftTimeLimitExceeded:
        return "cleaned up"


@task
def progress_until_told(padding):
    n = 0
    try:
        while True:
            n += 1
            progress(n, 0, "x" * padding)
    except SoftTimeLimitExceeded:
        return n


@task
def shout(n):
    for i in range(n):
        print("line", i)
    sys.stdout.write("no newline, \ud800")
    print("to stderr", file=sys.stderr)


@task
def close_stdout():
    sys.stdout = None
    return "ok"


class Unflushable:
    def write(self, text):
        pass

    def flush(self):
        raise RuntimeError("the window has gone")


@task
def replace_stdout():
    sys.stdout = Unflushable()
    return "ok"


@task
def close_asyncio_loop():
    """As people do who ran a coroutine before there was asyncio.run()."""
    import asyncio
    loop = asyncio.get_event_loop()
    value = loop.run_until_complete(asyncio.sleep(0, "ran"))
    loop.close()
    return value


@task
def sockets_of_child():
    # In the shell, because a listing made by Python would hold a descriptor of its own.
    code = "for i in 0 1 2 3 4 5 6 7 8 9; do if [ -S /proc/self/fd/$i ]; then echo $i; fi; done"
    return subprocess.run(["sh", "-c", code], close_fds=False, capture_output=True, text=True, check=True).stdout


@task
def fork_and_return():
    return "parent" if os.fork() else "child"


@task
def from_threads(n):
    threads = [threading.Thread(target=progress, args=(i, n), kwargs={"pad": "p" * 3000}) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Waits:
    """Takes until open_gate to be written."""
    began, gate = threading.Event(), threading.Event()
    thread = None

    def __json__(self):
        self.began.set()
        self.gate.wait(20)
        return "late"


@task(bind=True)
def leave_thread(self):
    Waits.thread = threading.Thread(target=self.update_state, kwargs={"state": "LATE", "meta": Waits()})
    Waits.thread.start()
    Waits.began.wait(20)


@task
def open_gate():
    Waits.gate.set()
    Waits.thread.join(20)


@task(name="sample.ünï \"x\"")
def odd_name():
    return "ok"


@task
def environment(name):
    return os.environ.get(name)


@task
def take_memory(size):
    return len(bytearray(size))
