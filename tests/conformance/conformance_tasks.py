"""Tasks of our workers in the conformance tests, beside those of tests/integration/tasks."""
import time

from warren_runner import task


@task(name="flaky", bind=True)
def flaky(self, fails, countdown=0.0, max_retries=3):
    """Asks to be run again so often; then what it saw of its message each time."""
    if self.request.retries < fails:
        raise self.retry(exc=ValueError("again %d" % self.request.retries), countdown=countdown, max_retries=max_retries)
    return {"id": self.request.id, "retries": self.request.retries}


@task(name="endless", bind=True)
def endless(self):
    raise self.retry(countdown=0, max_retries=1)


@task(name="seen", bind=True)
def seen(self, retry):
    if retry and self.request.retries == 0:
        raise self.retry(countdown=retry - 0.5)
    r = self.request
    return {"headers": dict(r.headers or {}), "key": r.delivery_info.get("routing_key"), "retries": r.retries}


@task(name="stamp")
def stamp(*args, **kwargs):
    return time.time()


@task(name="add")
def add(x, y):
    return x + y


@task(name="sleep")
def sleep(seconds):
    time.sleep(seconds)
    return "slept"
