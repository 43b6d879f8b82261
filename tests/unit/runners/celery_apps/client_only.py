"""Tasks of warren's own in a module that uses Celery's client, but holds no application."""

import celery.result  # noqa: F401

from warren_runner import task


@task
def plain():
    return "plain"
