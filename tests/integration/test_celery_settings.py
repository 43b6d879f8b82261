"""Settings of a Celery application that it has under `celery worker` as under `warren worker`: each test runs the same application under both."""
import json

import pytest

import harness
from harness import wait_final, wait_state
from warren_servers import wait_until

HEAD = """
import os, redis
from celery import Celery, chain, chord, group
app = Celery("shop", broker={broker!r}, backend={backend!r})
store = redis.Redis.from_url({backend!r})
def wait_for(key):
    store.blpop(key, timeout=60)
"""


@pytest.fixture(params=["celery", "warren"])
def shop(request, site, tmp_path, programs, worker):
    """Writes an application, starts a worker of this kind on it, and gives the application as a client has it: shop(SOURCE, *args)."""
    def start(source, *args):
        text = HEAD.format(broker=site.broker, backend=site.backend) + source
        (tmp_path / "shop.py").write_text(text)
        if request.param == "warren":
            start.worker = worker("-A", "shop", "-n", "w@here", *args, env={"WARREN_BROKER": "", "WARREN_RESULT_BACKEND": ""}, cwd=str(tmp_path))
        else:
            argv = [harness.PYTHON, "-m", "celery", "-A", "shop", "worker", "-l", "info", "-n", "w@here", "--without-gossip",
                    "--without-mingle", "--without-heartbeat", *args]
            start.worker = programs("celery", argv, harness.environment(), str(tmp_path))
            start.worker.wait_line(r" ready\.$")
        module = {}
        exec(compile(text, "shop.py", "exec"), module)
        site.apps.append(module["app"])
        start.is_ours = request.param == "warren"
        return module["app"]
    return start


def notes_of(shop):
    """What the worker says it does not honour."""
    return shop.worker.lines("shop sets ")


QUIET = """
app.conf.update(task_track_started=False)
@app.task(track_started=True, send_events=False)
def tracked():
    wait_for("go")
@app.task
def untracked():
    store.rpush("untracked runs", 1)
    wait_for("go")
@app.task
def loud():
    pass
"""


def test_started_and_events_of_one_task(site, shop):
    app = shop(QUIET, "-E", "-c", "3")
    with site.raw_connection() as connection:
        channel = connection.channel()
        heard = channel.queue_declare("heard", durable=False, exclusive=True).queue
        channel.exchange_declare("celeryev", "topic", durable=True, auto_delete=False)
        channel.queue_bind(heard, "celeryev", "task.#")
        untracked = app.send_task("shop.untracked")
        assert site.redis.blpop("untracked runs", timeout=20)
        tracked = app.send_task("shop.tracked")
        wait_state(tracked, "STARTED")
        # It began before.
        assert untracked.state == "PENDING"
        site.redis.rpush("go", 1, 1)
        wait_final([tracked, untracked])
        loud = app.send_task("shop.loud")
        told = {}

        def hear():
            message = channel.basic_get(heard, no_ack=True)
            while message is not None:
                events = json.loads(message.body)
                for event in events if isinstance(events, list) else [events]:
                    told.setdefault(event["uuid"], []).append(event["type"])
                message = channel.basic_get(heard, no_ack=True)
            return "task-succeeded" in told.get(loud.id, ())
        wait_until(hear, 20, lambda: "events: %r" % told)
        assert tracked.id not in told and told[untracked.id] == told[loud.id] == ["task-received", "task-started", "task-succeeded"]
    assert not notes_of(shop)
