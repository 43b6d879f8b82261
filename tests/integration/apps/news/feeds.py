import datetime

from celery import chord, group
from celery.exceptions import Retry

from .app import app


@app.task(bind=True, rate_limit="100/s")
def fetch(self, feed):
    """Fails a few times, for as long as the name of the feed says."""
    wanted = int(feed.rpartition("-")[2]) if "-" in feed else 0
    if self.request.retries < wanted:
        raise self.retry(eta=datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=0.1),
                         exc=ConnectionError(f"{feed}: try {self.request.retries}"))
    return {"feed": feed, "retries": self.request.retries, "queue": self.request.delivery_info["routing_key"],
            "exchange": self.request.delivery_info["exchange"], "hostname": self.request.hostname}


@app.task(bind=True, max_retries=1)
def told_not_raised(self):
    """retry(throw=False): the task goes on, and its result is that of the next run."""
    if self.request.retries == 0:
        answer = self.retry(countdown=0.1, throw=False)
        return isinstance(answer, Retry)
    return "second"


@app.task
def score(feed, weight):
    return feed["retries"] * weight


@app.task
def merge(scores):
    return sorted(scores)


@app.task(bind=True)
def refresh(self, feeds):
    """Its place is taken by a whole canvas."""
    raise self.replace(chord([fetch.s(feed) | score.s(10) for feed in feeds], merge.s()))


@app.task(bind=True)
def spread(self, feeds):
    """A group of them, each known as a child."""
    result = group(fetch.si(feed) for feed in feeds).delay()
    return len(result)


@app.task(bind=True)
def limits(self):
    return [list(self.request.timelimit), self.time_limit, self.app.conf.task_time_limit, self.acks_late, self.max_retries,
            fetch.max_retries, self.rate_limit, self.app.conf.task_always_eager]
