from celery import Celery

from warren_runner import task

app = Celery("both")


@app.task
def of_celery():
    return "celery"


@task
def of_warren():
    return "warren"
