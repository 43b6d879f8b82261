"""A Celery application: the client side of the tests, and the tasks of a Celery worker to compare with."""
import os
import time

from celery import Celery, group
from kombu import Exchange, Queue


def make(broker, backend, **conf):
    app = Celery("tests", broker=broker, backend=backend, set_as_current=False)
    app.conf.update(task_serializer="json", result_serializer="json", accept_content=["json"], broker_connection_retry=False,
                    task_track_started=True, redis_socket_timeout=10, broker_transport_options={"confirm_publish": True})
    app.conf.update(conf)
    quorum = os.environ.get("QUORUM_QUEUES")
    if quorum:
        # Whoever sends to a queue declares it, so it must know of what kind it is.
        app.conf.task_queues = [Queue(name, Exchange(name), routing_key=name, queue_arguments={"x-queue-type": "quorum"})
                                for name in quorum.split(",")]
    declare(app)
    return app


def declare(app):
    """The same names as tasks/tasks.py and tasks/ctasks.c; bodies that only a Celery worker runs."""

    @app.task(name="add")
    def add(x, y):
        return x + y

    @app.task(name="xsum")
    def xsum(numbers):
        return sum(xsum(n) if isinstance(n, list) else n for n in numbers)

    @app.task(name="echo")
    def echo(*args, **kwargs):
        return [list(args), kwargs]

    @app.task(name="note")
    def note(task_id):
        return task_id

    @app.task(name="whoami", bind=True)
    def whoami(self, *args):
        r = self.request
        return {"id": r.id, "root": r.root_id, "parent": r.parent_id, "group": r.group, "index": r.group_index}

    @app.task(name="replaced", bind=True)
    def replaced(self, x, queue):
        """Becomes a group whose members run on another queue."""
        return self.replace(group([app.signature("add", args=(x, i)).set(queue=queue) for i in range(2)]))

    @app.task(name="hold")
    def hold(gate, started):
        """Runs until the file `gate` exists."""
        open(started, "w").close()
        while not os.path.exists(gate):
            time.sleep(0.02)

    @app.task(name="fail")
    def fail(message):
        raise ValueError(message)

    @app.task(name="steps", bind=True)
    def steps(self, n):
        for i in range(n):
            self.update_state(state="PROGRESS", meta={"current": i + 1, "total": n})
        return n


app = make(os.environ.get("WARREN_BROKER"), os.environ.get("WARREN_RESULT_BACKEND"))
