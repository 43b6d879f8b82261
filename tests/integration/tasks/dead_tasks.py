"""Tasks that end as dead letters, for test_dead.py."""
import os
import signal
import sys
import time

from warren_runner import Reject, task


@task(name="die_unless", bind=True)
def die_unless(self, path):
    """Takes its process along as long as the file is not there."""
    if os.path.exists(path):
        return {"retries": self.request.retries, "headers": sorted(self.request.headers or {})}
    print("looking for the file")
    print("it is not there \x1b[31m", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os.kill(os.getpid(), signal.SIGKILL)


@task(name="refuse")
def refuse():
    raise Reject("not today", requeue=False)


@task(name="add")
def add(x, y):
    return x + y


@task(name="fail_for_good")
def fail_for_good():
    raise ValueError("never")


@task(name="sleep_on")
def sleep_on():
    print("good night", flush=True)
    time.sleep(60)
