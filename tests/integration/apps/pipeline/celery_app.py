import json
import os

from celery import Celery, signals

app = Celery("pipeline")
app.config_from_object("pipeline.settings")


def journal(what, task_id, *more):
    """One line a happening, so that a test can compare what hooks and signals have seen."""
    with open(os.environ["PIPELINE_JOURNAL"], "a", encoding="utf-8") as out:
        out.write(json.dumps([task_id, what, *more]) + "\n")


@signals.worker_process_init.connect
def connect_storage(**more):
    global storage
    storage = {"connected": True}


@signals.task_prerun.connect
def on_prerun(task_id=None, task=None, **more):
    journal("prerun", task_id, task.name)


@signals.task_postrun.connect
def on_postrun(task_id=None, state=None, **more):
    journal("postrun", task_id, state)


@signals.task_failure.connect
def on_failure(task_id=None, exception=None, **more):
    journal("failure", task_id, repr(exception))


@signals.task_retry.connect
def on_retry(request=None, reason=None, **more):
    journal("retry", request.id, str(reason))


@signals.task_success.connect
def on_success(sender=None, result=None, **more):
    journal("success", sender.request.id)
