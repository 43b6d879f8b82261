from celery import shared_task

from proj.celery import app


@app.task
def add(x, y):
    return x + y


@shared_task
def mul(x, y):
    return x * y
