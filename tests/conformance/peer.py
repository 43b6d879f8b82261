"""Tasks of the Celery worker that the conformance tests compare with."""
import os
import time

from celery import Celery

app = Celery("peer", broker=os.environ.get("WARREN_BROKER"), backend=os.environ.get("WARREN_RESULT_BACKEND"), set_as_current=False)
app.conf.update(task_serializer="json", result_serializer="json", accept_content=["json"], task_track_started=True,
                worker_prefetch_multiplier=1, redis_socket_timeout=10,
                task_queue_max_priority=int(os.environ.get("PEER_MAX_PRIORITY", "0")) or None)


@app.task(name="add")
def add(x, y):
    return x + y


@app.task(name="stamp")
def stamp(*args, **kwargs):
    return time.time()


@app.task(name="sleep")
def sleep(seconds):
    time.sleep(seconds)
    return "slept"


@app.task(name="length")
def length(text):
    return len(text)


@app.task(name="request", bind=True)
def request(self, *args, **kwargs):
    """What it sees of its message."""
    r = self.request
    names = ["id", "task", "root_id", "parent_id", "group", "origin", "retries", "eta", "expires", "timelimit", "argsrepr", "kwargsrepr", "lang",
             "shadow", "ignore_result", "hostname", "args", "kwargs", "reply_to", "correlation_id", "delivery_info"]
    return {name: getattr(r, name, "absent") for name in names}
