"""An application whose settings the test chooses. Celery's worker and warren's run it, and what they publish to queue `out` is looked at."""
import json
import os

from celery import Celery

app = Celery("published", broker=os.environ.get("WARREN_BROKER"), backend=os.environ.get("WARREN_RESULT_BACKEND"), set_as_current=False)
app.conf.update(task_serializer="json", result_serializer="json", accept_content=["json"], broker_connection_retry=False,
                task_routes={"out.routed": {"queue": "out", "delivery_mode": 1}, "out.*": {"queue": "out"}})
app.conf.update(json.loads(os.environ.get("PUBLISHED", "{}")))


@app.task(name="ok")
def ok(*args):
    return "ok"


@app.task(name="fails")
def fails():
    raise ValueError("no")


@app.task(name="again", bind=True, default_retry_delay=0)
def again(self, **how):
    raise self.retry(queue="out", **how)


@app.task(name="again.here", bind=True)
def again_here(self):
    """Its retry goes to where it came from."""
    if self.request.retries == 0:
        raise self.retry(countdown=1)


@app.task(name="again.own", bind=True, default_retry_delay=0, delivery_mode=1)
def again_own(self):
    raise self.retry(queue="out")


@app.task(name="out.plain")
def plain(*args):
    """Nobody takes it, nor the ones below."""


@app.task(name="out.routed")
def routed(*args):
    """Its route says how."""


@app.task(name="out.own", delivery_mode="transient")
def own(*args):
    """It says so itself."""


@app.task(name="out.error")
def error(task_id):
    """It is sent for a failure."""
