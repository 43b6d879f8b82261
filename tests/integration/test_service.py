"""A FastAPI service with Celery's client in it, as it is, before Celery's worker and before ours: uploads, progress, cancelling."""
import http.client
import json
import os
import socket

import pytest

from harness import HERE, PYTHON
from warren_servers import wait_until

APPS = os.path.join(HERE, "apps")


class Web:
    def __init__(self, port):
        self.port = port

    def call(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, json.loads(text)

    def upload(self, path, field, **files):
        parts = "".join('--b\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\nContent-Type: text/plain\r\n\r\n%s\r\n' % (
            field, name, text) for name, text in files.items())
        code, answer = self.call("POST", path, parts + "--b--\r\n", {"Content-Type": "multipart/form-data; boundary=b"})
        assert code == 202, answer
        return answer["task"]

    def status(self, task):
        return self.call("GET", "/tasks/" + task)[1]

    def wait(self, task, *states):
        return wait_until(lambda: (found := self.status(task))["state"] in states and found, 30, lambda: "%s of %s" % (states, self.status(task)))


@pytest.fixture
def start_web(site, programs, tmp_path):
    pytest.importorskip("fastapi")
    env = {"SERVICE_BROKER": site.broker, "SERVICE_BACKEND": site.backend, "SERVICE_FOLDER": str(tmp_path / "documents"), "PYTHONPATH": APPS}
    (tmp_path / "documents").mkdir()
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    web = programs("web", [PYTHON, "-m", "uvicorn", "service.main:app", "--host", "127.0.0.1", "--port", str(port)], site.env(**env))
    web.wait_line("Uvicorn running")
    return Web(port), env, tmp_path / "documents"


def start_worker(kind, site, programs, worker, env):
    words = ["-A", "service.tasks", "-c", "2", "-Q", "uploads,summaries", "-n", "w1@host", "-l", "info"]
    if kind == "warren":
        worker(*words, env={**env, "WARREN_BROKER": "", "WARREN_RESULT_BACKEND": ""})
    else:
        argv = [PYTHON, "-m", "celery", *words[:2], "worker", *words[2:], "--without-gossip", "--without-mingle"]
        programs("celery", argv, site.env(**env)).wait_line(r" ready\.$")


def named(document):
    """Without what makes its name unique."""
    return {**document, "name": document["name"].split("-", 1)[1]}


@pytest.mark.parametrize("kind", ["celery", "warren"])
def test_the_service_works_with_either_worker(site, programs, worker, start_web, kind):
    web, env, folder = start_web
    start_worker(kind, site, programs, worker, env)
    assert web.call("GET", "/workers")[1] == {"workers": ["w1@host"]}

    done = web.wait(web.upload("/documents", "file", a="one two\nthree"), "SUCCESS")
    assert named(done["result"]) == {"name": "a", "lines": 2, "words": 3}

    failed = web.wait(web.upload("/documents", "file", b="one\nfail"), "FAILURE")
    assert failed["error"].endswith("-b: line 2 cannot be read")

    slow = web.upload("/documents", "file", c="one\nwait go\nthree")
    wait_until(lambda: web.status(slow).get("progress") == {"current": 2, "total": 3}, 20, "its progress")
    cancelled = web.upload("/documents", "file", d="wait never")
    waits = [web.upload("/documents", "file", e="one"), web.upload("/documents", "file", f="two")]
    web.wait(cancelled, "PROGRESS")
    assert [web.status(task)["state"] for task in waits] == ["PENDING", "PENDING"]
    # One that runs, and one that waits behind it.
    assert web.call("DELETE", "/tasks/" + waits[0])[0] == 200
    assert web.call("DELETE", "/tasks/" + cancelled)[0] == 200
    assert web.wait(cancelled, "REVOKED") == {"state": "REVOKED"}
    assert web.wait(waits[0], "REVOKED") == {"state": "REVOKED"}
    assert named(web.wait(waits[1], "SUCCESS")["result"])["words"] == 1
    (folder / "go").write_text("")
    assert named(web.wait(slow, "SUCCESS")["result"])["lines"] == 3
    assert web.call("DELETE", "/tasks/" + slow)[0] == 409

    total = web.wait(web.upload("/batches", "files", x="one two", y="three", z="four five six"), "SUCCESS")["result"]
    assert total["words"] == 6 and [name.split("-", 1)[1] for name in total["documents"]] and len(total["documents"]) == 3
    site.wait_empty()
