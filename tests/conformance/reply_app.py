"""A Celery application with rpc:// as its backend, for a Celery worker and for `warren worker -A`."""
import os

from celery import Celery

app = Celery("reply_app", broker=os.environ.get("REPLY_BROKER"), backend="rpc://", set_as_current=False)
app.conf.update(task_track_started=True, task_default_queue="work", result_persistent=bool(os.environ.get("REPLY_PERSISTENT")))


class OutOfPaper(Exception):
    pass


@app.task(name="add")
def add(x, y):
    return x + y


@app.task(name="jam")
def jam(tray):
    raise OutOfPaper("tray %d" % tray)


@app.task(name="fail")
def fail(message):
    raise ValueError(message)


@app.task(name="states", bind=True)
def states(self, n):
    for i in range(n):
        self.update_state(state="PROGRESS", meta={"current": i + 1, "total": n})
        # One after the other: of states that come together a worker may leave some out.
        if os.environ.get("REPLY_SLOW"):
            import time
            time.sleep(0.1)
    return n


@app.task(name="again", bind=True)
def again(self):
    if self.request.retries == 0:
        raise self.retry(exc=OSError(111, "refused"), countdown=0)
    return self.request.retries


@app.task(name="parent", bind=True)
def parent(self):
    return add.delay(1, 2).id
