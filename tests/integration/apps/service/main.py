import uuid

from celery.result import AsyncResult
from fastapi import FastAPI, File, HTTPException, UploadFile

from .tasks import FOLDER, app as celery, process, process_all

app = FastAPI()


async def keep(file):
    name = f"{uuid.uuid4().hex}-{file.filename}"
    (FOLDER / name).write_bytes(await file.read())
    return name


@app.post("/documents", status_code=202)
async def upload(file: UploadFile = File(...)):
    return {"task": process.delay(await keep(file)).id}


@app.post("/batches", status_code=202)
async def upload_batch(files: list[UploadFile] = File(...)):
    return {"task": process_all([await keep(file) for file in files]).id}


@app.get("/tasks/{task}")
def status(task: str):
    result = AsyncResult(task, app=celery)
    found = {"state": result.state}
    if result.state == "PROGRESS":
        found["progress"] = result.info
    elif result.successful():
        found["result"] = result.result
    elif result.failed():
        found["error"] = str(result.result)
    return found


@app.delete("/tasks/{task}")
def cancel(task: str):
    result = AsyncResult(task, app=celery)
    if result.ready():
        raise HTTPException(409, "it is over")
    result.revoke(terminate=True)
    return {"cancelled": task}


@app.get("/workers")
def workers():
    return {"workers": sorted(celery.control.inspect(timeout=2).ping() or {})}
