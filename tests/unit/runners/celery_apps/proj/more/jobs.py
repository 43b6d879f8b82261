from proj.celery import app


@app.task(name="found.by.autodiscovery")
def found():
    return "found"
