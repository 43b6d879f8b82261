"""`app` is of a web framework; Celery's has another name."""

from celery import Celery


class WebFramework:
    pass


app = WebFramework()
worker = Celery("web")


@worker.task
def index():
    return "indexed"


second = Celery("second", set_as_current=False)


@second.task(name="second.task")
def task():
    return "second"
