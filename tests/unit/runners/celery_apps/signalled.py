"""Notes every signal that a worker sends, in a file or for a task to tell."""

import json
import os

from celery import Celery, signals

app = Celery("signalled", broker="memory://", backend="cache+memory://")
seen = []
NAMES = ("import_modules", "celeryd_init", "worker_init", "after_setup_logger", "after_setup_task_logger",
         "celeryd_after_setup", "worker_process_init", "worker_ready", "task_prerun", "task_postrun", "task_success",
         "task_failure", "task_retry", "worker_shutting_down", "worker_shutdown", "worker_process_shutdown")


def note(name, sender, **more):
    what = {"pid": os.getpid(), "signal": name, "sender": getattr(sender, "name", None) or str(sender)}
    for key in ("task_id", "state", "result", "exitcode"):
        if key in more:
            what[key] = more[key]
    if "reason" in more:
        what["reason"] = str(more["reason"])
    if "exception" in more:
        what["exception"] = repr(more["exception"])
    if name in ("worker_init", "worker_ready"):
        what["hostname"] = sender.hostname
        what["app"] = sender.app.main
    if name == "celeryd_init":
        what["conf"] = more["conf"].task_default_queue
    seen.append(what)
    path = os.environ.get("SIGNALS_TO")
    if path:
        with open(path, "a", encoding="utf-8") as out:
            out.write(json.dumps(what) + "\n")


for _name in NAMES:
    getattr(signals, _name).connect(lambda sender=None, signal=None, _name=_name, **more: note(_name, sender, **more),
                                    weak=False)


@signals.celeryd_after_setup.connect
def add_queue(sender, instance, **more):
    instance.app.amqp.queues.select_add(f"{sender}.direct")


@app.task(bind=True)
def work(self, kind="fine"):
    if kind == "fail":
        raise ValueError("failed")
    if kind == "retry":
        self.retry(countdown=1)
    return kind


@app.task
def tell():
    found = list(seen)
    seen.clear()
    return found
