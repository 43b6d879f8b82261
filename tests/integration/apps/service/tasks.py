import os
import pathlib
import time

from celery import Celery, chord

app = Celery("service", broker=os.environ["SERVICE_BROKER"], backend=os.environ["SERVICE_BACKEND"])
app.conf.update(task_track_started=True, task_default_queue="uploads", result_expires=600,
                task_routes={"service.tasks.summarise": {"queue": "summaries"}})
FOLDER = pathlib.Path(os.environ["SERVICE_FOLDER"])


@app.task(bind=True)
def process(self, name):
    """Line by line; a line "wait FILE" waits until that file is there, a line "fail" fails."""
    lines = (FOLDER / name).read_text().splitlines()
    for i, line in enumerate(lines, 1):
        self.update_state(state="PROGRESS", meta={"current": i, "total": len(lines)})
        if line == "fail":
            raise ValueError(f"{name}: line {i} cannot be read")
        while line.startswith("wait ") and not (FOLDER / line[5:]).exists():
            time.sleep(0.01)
    return {"name": name, "lines": len(lines), "words": sum(len(line.split()) for line in lines)}


@app.task
def summarise(documents):
    return {"documents": sorted(document["name"] for document in documents), "words": sum(document["words"] for document in documents)}


def process_all(names):
    return chord([process.s(name) for name in names], summarise.s()).delay()
