"""A Celery application with a schedule of every kind."""
from datetime import timedelta

from celery import Celery
from celery.schedules import crontab, solar

app = Celery("beat_app")
app.conf.timezone = "Europe/Berlin"
app.conf.task_routes = {"beat_app.routed": {"queue": "by_route"}}
app.conf.beat_schedule = {
    "plain": {"task": "beat_app.add", "schedule": 1.0, "args": (2, 3)},
    "optioned": {"task": "beat_app.add", "schedule": timedelta(seconds=1), "args": (1,), "kwargs": {"y": 4},
                 "options": {"queue": "special", "priority": 3, "expires": 120, "headers": {"team": "blue"}, "countdown": 5, "retry": True}},
    "routed": {"task": "beat_app.routed", "schedule": 1},
    "nights": {"task": "beat_app.add", "schedule": crontab(minute="0, 30", hour=2, day_of_week="mon-fri")},
    "sets": {"task": "beat_app.add", "schedule": crontab(minute={15, 45}, hour={1})},
    "first-monday": {"task": "beat_app.add", "schedule": crontab(minute=0, hour=0, day_of_month="1-7", day_of_week="monday")},
    "sunrise": {"task": "beat_app.add", "schedule": solar("sunrise", -37.8, 144.9)},
    "often": {"task": "beat_app.add", "schedule": 0.01},
}


@app.task
def add(x, y):
    return x + y


@app.task
def routed():
    return "routed"
