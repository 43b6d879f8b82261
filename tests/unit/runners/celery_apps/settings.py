"""An application with many settings, for what hello says of it."""

import datetime
import re

from celery import Celery
from celery.schedules import crontab, solar
from kombu import Exchange, Queue


class Router:
    def route_for_task(self, task, args=None, kwargs=None):
        return None


app = Celery("settings")
app.conf.update(
    broker_url="amqp://u:first-secret@one//;amqp://u:second-secret@two//",
    result_backend="redis", redis_host="cache", redis_port=6390, redis_db=4, redis_password="pass-word",
    task_default_queue="main", task_time_limit=300, task_soft_time_limit=270.5, task_acks_late=False,
    worker_prefetch_multiplier=1, result_expires=datetime.timedelta(hours=2), result_extended=True, task_track_started=True,
    task_ignore_result=True, task_default_rate_limit="100/m", worker_max_tasks_per_child=50, timezone="Europe/Berlin",
    task_queues=[
        Queue("main", Exchange("work", type="topic"), routing_key="work.#", max_priority=10),
        Queue("plain", queue_arguments={"x-queue-type": "quorum"}),
    ],
    task_routes=[
        {"feed.tasks.*": {"queue": "plain", "routing_key": "feed.import"}, "exact": "main"},
        [(re.compile(r"(video|image)\..*"), {"queue": Queue("media")})],
        "settings.Router",
    ],
    beat_schedule={
        "every": {"task": "settings.work", "schedule": 30.0, "args": (1,), "options": {"expires": 10}},
        "delta": {"task": "settings.work", "schedule": datetime.timedelta(minutes=5), "relative": True},
        "cron": {"task": "settings.work", "schedule": crontab(minute="*/15", hour=7, day_of_week="mon-fri")},
        "sun": {"task": "settings.work", "schedule": solar("sunset", -37.81, 144.96)},
        "odd": {"task": "settings.work", "schedule": object()},
    },
    broker_connection_max_retries=5, broker_login_method="PLAIN", event_serializer="yaml", task_default_delivery_mode=1,
    worker_pool="gevent", worker_redirect_stdouts=False, result_serializer="pickle", accept_content=["json", "pickle"],
    task_serializer="json", task_no_such_setting=1, my_own_setting=2, broker_use_ssl={"ca_certs": "secret-file.pem"},
)


@app.task(rate_limit="10/s", time_limit=5, soft_time_limit=4, max_retries=None, acks_late=True, queue="plain", priority=3,
          ignore_result=False, default_retry_delay=1)
def work(n=0):
    return n


@app.task
def usual():
    return None


@app.on_after_finalize.connect
def set_up(sender, **more):
    sender.add_periodic_task(crontab(minute=0), usual.s(), name="added")
