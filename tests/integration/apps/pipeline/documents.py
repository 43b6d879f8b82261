import datetime
import decimal
import time
import uuid

from celery import Task, group, shared_task
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded
from celery.utils.log import get_task_logger

from . import celery_app
from .celery_app import app, journal

logger = get_task_logger(__name__)


class ExtractionError(Exception):
    def __init__(self, page, reason):
        super().__init__(page, reason)
        self.page = page


class DocumentTask(Task):
    """Notes in the journal how each call went."""

    def before_start(self, task_id, args, kwargs):
        journal("before_start", task_id, list(args))

    def on_success(self, retval, task_id, args, kwargs):
        journal("on_success", task_id, retval)

    def on_failure(self, exc, task_id, args, kwargs, einfo):
        journal("on_failure", task_id, repr(exc))

    def on_retry(self, exc, task_id, args, kwargs, einfo):
        journal("on_retry", task_id, repr(exc))

    def after_return(self, status, retval, task_id, args, kwargs, einfo):
        journal("after_return", task_id, status)


@app.task(bind=True, base=DocumentTask)
def process(self, name, text):
    """Extract, embed, store; with progress for the page that waits for it."""
    words = text.split()
    for i, word in enumerate(words, 1):
        self.update_state(state="PROGRESS", meta={"current": i, "total": len(words), "step": "embed"})
        if word == "unreadable":
            raise ExtractionError(i, {"name": name})
    return {"name": name, "words": len(words)}


@app.task(bind=True, base=DocumentTask, max_retries=3, default_retry_delay=1)
def download(self, url, failures):
    """Fails so many times before it works."""
    if self.request.retries < failures:
        try:
            raise ConnectionRefusedError(111, f"refused: {url}")
        except ConnectionRefusedError as exc:
            raise self.retry(exc=exc, countdown=0.2)
    return {"url": url, "retries": self.request.retries}


@app.task(autoretry_for=(TimeoutError,), retry_backoff=True, retry_backoff_max=1, retry_jitter=False, max_retries=1)
def always_late():
    raise TimeoutError("no answer")


@app.task(bind=True, soft_time_limit=1)
def render(self, catches):
    try:
        time.sleep(30)
    except SoftTimeLimitExceeded:
        if not catches:
            raise
        return "partial"


@app.task(bind=True)
def describe(self):
    """What the request says of itself, without what differs from call to call."""
    request = self.request
    return {
        "task": request.task, "args": request.args, "kwargs": request.kwargs, "retries": request.retries, "eta": request.eta,
        "is_eager": request.is_eager, "called_directly": request.called_directly, "group": request.group,
        "queue": request.delivery_info["routing_key"], "exchange": request.delivery_info["exchange"],
        "redelivered": request.delivery_info["redelivered"], "parent": request.parent_id, "root": request.root_id == request.id,
        "correlation": request.correlation_id == request.id, "tenant": request.get("tenant"), "timelimit": request.timelimit,
        "storage": celery_app.storage, "children": request.children,
    }


@app.task(bind=True)
def fan_out(self, names):
    """Starts one task for each document and says which."""
    started = group(process.s(name, "one two").set(ignore_result=False) for name in names).apply_async()
    started_alone = process.delay("alone", "one")
    return [member.id for member in started] + [started_alone.id]


@app.task(bind=True)
def known_already(self):
    self.update_state(state="DUPLICATE", meta={"of": "another"})
    raise Ignore()


@shared_task
def typed():
    return [datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc), datetime.date(2026, 1, 2),
            decimal.Decimal("1.50"), uuid.UUID(int=7), float("inf"), ("a", None)]


@shared_task
def unstorable():
    return {1, 2}


@app.task(bind=True)
def handed_on(self, text):
    """Another task takes its place and its id."""
    raise self.replace(process.s("replaced", text))


@app.task(bind=True, max_retries=2)
def resume(self, page, text=""):
    """Goes on with other arguments."""
    if self.request.retries < 2:
        raise self.retry(args=[page + 1], kwargs={"text": text + "x"}, countdown=0.3)
    return [page, text, self.request.retries]


@app.task(bind=True)
def slow_lane(self):
    """Finds out that it belongs elsewhere."""
    if self.request.retries == 0:
        raise self.retry(queue="reports", priority=3, headers={"moved": "yes"}, time_limit=40, countdown=0.3)
    return [self.request.delivery_info["routing_key"], self.request.get("moved"), list(self.request.timelimit)]


@app.task(bind=True)
def start_parts(self, names):
    """Its children are known by its result."""
    for name in names:
        process.delay(name, "one")
    self.update_state(state="STARTED_PARTS", meta=len(names))
    return len(names)


@app.task(ignore_result=True)
def quiet(fails):
    if fails:
        raise ValueError("nobody hears")
    return "nobody asks"


@app.task(ignore_result=True, store_errors_even_if_ignored=True)
def loud():
    raise ValueError("somebody hears")


@app.task(throws=(KeyError,))
def not_found(key):
    raise KeyError(key)


@app.task(bind=True, acks_late=True)
def refuse(self):
    journal("refuses", self.request.id)
    raise Reject("not ours", requeue=False)


@app.task
def explain(request, exc, traceback):
    """An error callback that is called in the process of the task that failed."""
    journal("explained", request.id, repr(exc), bool(traceback))


@app.task(bind=True)
def complain(self, task_id):
    """One that gets its id, as a message."""
    journal("complained", task_id)


@app.task
def count(document):
    return document["words"]


@app.task(bind=True)
def at_once(self, text):
    """Another task as a function, and eagerly."""
    result = process.apply(args=["eager", text])
    return [result.get(), result.state, process.name]
