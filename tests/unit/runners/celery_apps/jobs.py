"""Tasks for test_celery.py: one for each way a task of Celery's can behave."""

import datetime
import decimal
import logging
import os
import threading
import time
import uuid

from celery import Celery, Task, chain, current_task, group, shared_task
from celery.exceptions import Ignore, MaxRetriesExceededError, Reject, Retry, SoftTimeLimitExceeded
from celery.utils.log import get_task_logger

app = Celery("jobs", broker="memory://", backend="cache+memory://")
app.conf.update(task_always_eager=False, worker_hijack_root_logger=True)
logger = get_task_logger(__name__)
events = []  # what hooks have seen


@app.task
def add(x, y):
    return x + y


@app.task
def echo(*args, **kwargs):
    return [args, kwargs]


@app.task(bind=True)
def whoami(self):
    request = self.request
    return {
        "vars": {k: v for k, v in vars(request).items() if not k.startswith("_")},
        "called_directly": request.called_directly, "is_eager": request.is_eager, "children": request.children,
        "current": current_task.name, "name": self.name, "chain": request.chain, "chord": request.chord,
        "callbacks": request.callbacks, "errbacks": request.errbacks, "group_index": request.group_index,
        "ignore_result": request.ignore_result, "unset": request.get("nothing", "unset"),
        "worker_task": self.app.current_worker_task.name,
    }


@app.task
def give(kind):
    return {
        "kombu": [datetime.datetime(2020, 1, 1, 2, 3, 4, 5678, datetime.timezone.utc), datetime.date(2020, 1, 2),
                  datetime.time(1, 2, 3), decimal.Decimal("1.50"), uuid.UUID(int=5), ("tuple",)],
        "nan": float("nan"), "set": {1}, "result": app.AsyncResult("some-id"), "umlaut": "ü",
    }[kind]


class Outer:
    class Inner(Exception):
        pass


class Peculiar(Exception):
    """Takes two arguments and keeps none, so it cannot be pickled."""

    def __init__(self, code, text):
        self.code = code
        super().__init__()


@app.task
def fail(kind):
    if kind == "value":
        raise ValueError("bad input", 7)
    if kind == "inner":
        raise Outer.Inner("a", {1})
    if kind == "peculiar":
        raise Peculiar(5, "x")
    if kind == "exit":
        raise SystemExit(3)
    if kind == "memory":
        raise MemoryError()
    if kind == "chained":
        try:
            raise KeyError("first")
        except KeyError as exc:
            raise RuntimeError("second") from exc


@app.task(bind=True, max_retries=2, default_retry_delay=7)
def retry(self, *, cause=True, catch=False, **options):
    try:
        raise ConnectionRefusedError(111, "refused")
    except ConnectionRefusedError as exc:
        if options.get("eta"):
            options["eta"] = datetime.datetime.fromisoformat(options["eta"])
        try:
            answer = self.retry(exc=exc if cause else None, **options)
        except (MaxRetriesExceededError, Retry) as exc:
            if catch:
                return f"{type(exc).__name__}: {exc}"
            raise
        return f"went on after {answer!r}"


@app.task(bind=True)
def retry_with(self, n, *, text="x"):
    raise self.retry(args=(n + 1,), kwargs={"text": text * 2}, queue="slow", priority=7, countdown=1, throw=False,
                     headers={"attempt": n}, expires=60)


@app.task(bind=True)
def drain(self, items, *, seen=None):
    """Takes one away, and leaves the rest to the next run."""
    items.pop(0)
    if seen is not None:
        seen["n"] += 1
    raise self.retry(countdown=1)


@app.task(bind=True)
def count_calls(self, n, **options):
    self.request.kwargs["calls"] = options.get("calls", 0) + 1
    raise self.retry(countdown=1)


@app.task(bind=True)
def raise_retry(self):
    raise Retry("by hand", when=5)


@app.task(bind=True, autoretry_for=(OSError,), retry_backoff=2, retry_jitter=False, retry_kwargs={"max_retries": 4})
def auto(self, kind):
    raise {"os": ConnectionResetError("gone"), "value": ValueError("no"), "ignore": Ignore()}[kind]


@app.task(bind=True)
def own_state(self):
    self.update_state(state="UPLOADING", meta={"file": "ü", "at": datetime.date(2020, 1, 2)})
    self.update_state(state="FAILURE", meta=KeyError("as an exception"))
    self.backend.store_result(self.request.id, {"direct": True}, "PHASE_2", request=self.request)
    raise Ignore()


@app.task(bind=True)
def state_in_thread(self):
    task_id = self.request.id
    thread = threading.Thread(target=lambda: self.update_state(task_id, "PROGRESS", {"from": "thread"}))
    thread.start()
    thread.join()


@app.task(bind=True)
def state_of_another(self):
    self.update_state("another-id", "PROGRESS", {"n": 1})
    meta = app.backend.get_task_meta("another-id")
    return [meta["status"], meta["result"]]


@app.task(bind=True)
def bad_meta(self):
    self.update_state(state="PROGRESS", meta={1, 2})


@app.task
def reject(requeue):
    raise Reject("not ours", requeue=requeue)


@app.task(bind=True)
def sleep(self, catches=False):
    try:
        self.update_state(state="SLEEPING")
        time.sleep(60)
    except SoftTimeLimitExceeded as exc:
        if not catches:
            raise
        return f"cleaned up after {type(exc).__module__}.{type(exc).__qualname__}"


@app.task
async def later(text):
    return text


@app.task(ignore_result=True)
def ignored(kind="fine"):
    return {1} if kind == "set" else kind


@app.task(ignore_result=True)
def ignored_failure():
    raise ValueError("not kept")


@app.task(ignore_result=True, store_errors_even_if_ignored=True)
def kept_failure():
    raise ValueError("kept")


@app.task(bind=True)
def forgets(self):
    """Whether a result of its own that it lets go of has made the application's backend."""
    result = self.AsyncResult("another")
    del result
    return hasattr(app._local, "backend")


# --- tasks that send tasks ----------------------------------------------------------------------------------------------------

@app.task(bind=True)
def parent(self):
    one = add.delay(1, 2)
    self.update_state(state="SENT_ONE")
    two = group(add.s(3, 4), add.s(5, 6)).apply_async()
    return [one.id, two.id, [r.id for r in two]]


@app.task(bind=True, trail=False)
def parent_without_trail(self):
    add.delay(1, 2)


@app.task
def calls_others():
    # Directly and eagerly: these run here, as functions, and are nobody's messages.
    return [add(1, 2), add.apply((3, 4)).result, whoami.apply().result["is_eager"], nested.apply().state]


@app.task(bind=True)
def nested(self):
    return self.request.called_directly


@app.task(bind=True)
def replaced(self, kind):
    raise self.replace(add.s(1, 2) if kind == "task" else chain(add.s(1, 2), add.s(3)))


@app.task
def waits():
    return add.delay(1, 1).get(timeout=1)


@app.task
def sent(queue="celery"):
    """What the tasks before this one have sent: [task, id, root_id, parent_id, retries, args] of each message."""
    found = []
    with app.connection_for_read() as connection:
        simple = connection.SimpleQueue(queue)
        while True:
            try:
                message = simple.get_nowait()
            except simple.Empty:
                return found
            message.ack()
            headers = message.headers
            found.append([headers["task"], headers["id"], headers["root_id"], headers["parent_id"], headers["retries"],
                          message.payload[0], message.payload[2]["chain"], headers.get("tenant")])


# --- errbacks -------------------------------------------------------------------------------------------------------------------

@app.task
def errback_new(request, exc, traceback):
    events.append(["errback_new", request.id, repr(exc), traceback.splitlines()[-1]])


@app.task
def errback_old(task_id):
    events.append(["errback_old", task_id])


@app.task
def errback_broken(request, exc, traceback):
    raise RuntimeError("errback broke")


# --- hooks ------------------------------------------------------------------------------------------------------------------------

class Hooked(Task):
    def before_start(self, task_id, args, kwargs):
        events.append(["before_start", task_id, list(args)])

    def on_success(self, retval, task_id, args, kwargs):
        events.append(["on_success", retval, task_id])
        if retval == "break":
            raise RuntimeError("on_success broke")

    def on_failure(self, exc, task_id, args, kwargs, einfo):
        events.append(["on_failure", repr(exc), task_id, "warren_runner" in einfo.traceback])

    def on_retry(self, exc, task_id, args, kwargs, einfo):
        events.append(["on_retry", repr(exc), task_id])

    def after_return(self, status, retval, task_id, args, kwargs, einfo):
        events.append(["after_return", status, task_id])


@app.task(base=Hooked, bind=True)
def hooked(self, kind):
    if kind == "fail":
        raise ValueError("hooked")
    if kind == "retry":
        self.retry(countdown=1)
    if kind == "ignore":
        raise Ignore()
    return kind


class Counting(Task):
    calls = 0

    def __call__(self, *args, **kwargs):
        type(self).calls += 1
        events.append(["__call__", self.request.id])
        return super().__call__(*args, **kwargs)

    def apply_async(self, args=None, kwargs=None, **options):
        options["headers"] = {**(options.get("headers") or {}), "tenant": "t1"}
        return super().apply_async(args, kwargs, **options)


@app.task(base=Counting, bind=True)
def counting(self, again=False):
    if again:
        self.retry(countdown=2)
    return self.calls


class ByClass(Task):
    name = "jobs.by_class"

    def run(self, x):
        return x * 2


app.register_task(ByClass())


@app.task
def seen():
    """Which hooks have run, and forgets them."""
    found = list(events)
    events.clear()
    return found


@app.task(bind=True)
def log(self, text):
    logger.info("task logger: %s", text)
    logging.getLogger("somewhere").info("root logger: %s", text)
    logging.getLogger("somewhere").debug("not shown")
    print("plain:", text)


@app.task
def process():
    from celery import _state
    return {"pid": os.getpid(), "join_blocks": _state.task_join_will_block(), "current_app": _state.get_current_app().main}


@shared_task(name="jobs.shared", bind=True)
def shared(self, x):
    return [self.app.main, x]
