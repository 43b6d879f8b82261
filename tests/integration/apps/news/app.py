import json
import os

from celery import Celery, signals
from kombu import Exchange, Queue

app = Celery("news", include=["news.feeds", "news.readers"])
app.conf.update(
    broker_url=os.environ["NEWS_BROKER"],
    result_backend=os.environ["NEWS_BACKEND"],
    task_queues=[
        Queue("feeds", Exchange("news", type="topic"), routing_key="news.feed.#", max_priority=10),
        Queue("recommendations", Exchange("news", type="topic"), routing_key="news.reader.#"),
    ],
    task_default_queue="feeds", task_default_exchange="news", task_default_exchange_type="topic", task_default_routing_key="news.feed.any",
    task_routes=[{"news.feeds.*": {"queue": "feeds", "routing_key": "news.feed.fetch"},
                  "news.readers.*": {"queue": "recommendations", "routing_key": "news.reader.one"}}],
    task_acks_late=True, task_reject_on_worker_lost=True, worker_prefetch_multiplier=1, worker_concurrency=2,
    task_time_limit=60, result_extended=True, task_annotations={"news.feeds.fetch": {"max_retries": 4}},
    beat_schedule={"every-hour": {"task": "news.feeds.fetch", "schedule": 3600.0, "args": ("all",)}},
)


def journal(*what):
    with open(os.environ["NEWS_JOURNAL"], "a", encoding="utf-8") as out:
        out.write(json.dumps(what) + "\n")


# What a worker says of itself, once each; those of its processes come once for each of them.
for name in ("celeryd_init", "celeryd_after_setup", "worker_init", "worker_ready", "worker_shutting_down", "worker_shutdown"):
    getattr(signals, name).connect(lambda name=name, **more: journal("worker", name), weak=False)
for name in ("worker_process_init", "worker_process_shutdown"):
    getattr(signals, name).connect(lambda name=name, **more: journal("process", name), weak=False)


@signals.setup_logging.connect
def own_logging(**more):
    import logging
    logging.basicConfig(level=logging.INFO, format="news %(levelname)s %(message)s")
