"""Settings in capitals from a module, as with config_from_object and a namespace."""

from celery import Celery


class Configuration:
    SHOP_TASK_TIME_LIMIT = 60
    SHOP_TASK_ACKS_LATE = True
    SHOP_WORKER_STATE_DB = "/tmp/state"
    DATABASES = {"default": {"PASSWORD": "django-secret"}}
    DEBUG = True


app = Celery("oldstyle")
app.config_from_object(Configuration, namespace="SHOP")


@app.task
def work():
    return None
