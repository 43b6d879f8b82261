from celery import Task, shared_task

from .app import app


class ReaderTask(Task):
    """Keeps a model for all calls of a process."""

    _model = None
    abstract = True

    @property
    def model(self):
        if self._model is None:
            self._model = {"loaded_by": self.name}
        return self._model

    def __call__(self, *args, **kwargs):
        return {"called": self.run(*args, **kwargs)}


@app.task(bind=True, base=ReaderTask)
def recommend(self, reader, scores=(), top=3):
    return {"reader": reader, "top": sorted(scores, reverse=True)[:top], "model": self.model,
            "queue": self.request.delivery_info["routing_key"], "priority": self.request.delivery_info["priority"] or 0}


@shared_task(bind=True, ignore_result=False, expires=60)
def notify(self, reader, text="news"):
    return f"{reader}: {text} ({self.request.expires is not None})"
