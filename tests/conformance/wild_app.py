"""
The tasks of the wilder canvases (canvases.py), as an application of Celery: a Celery worker runs it, and so does ours. Those that stay what they are
have the names and results of tests/integration/tasks/tasks.py.
"""
import os

from celery import chain, chord, group

from celery_app import make

app = make(os.environ.get("WILD_BROKER"), os.environ.get("WILD_BACKEND"))
app.set_default()  # a chain that begins with a group asks the current application


def sig(name, *args, **options):
    return app.signature(name, args=args, **options)


@app.task(name="second_time", bind=True)
def second_time(self, x):
    if self.request.retries == 0:
        raise self.retry(countdown=0.2)
    return x


@app.task(name="replaced_by", bind=True)
def replaced_by(self, kind, x):
    """Becomes a canvas of its own."""
    return self.replace({
        "task": lambda: sig("echo", kind, x),
        "chain": lambda: chain(sig("echo", x), sig("echo", kind)),
        "group": lambda: group([sig("echo", x), sig("echo", x)]),
        "chord": lambda: chord([sig("echo", x), sig("echo", x)], sig("echo", "body")),
        "failure": lambda: sig("fail", "replaced"),
    }[kind]())
