"""What several conformance tests need."""
import time

import kombu

from harness import SLOW


def as_it_is(queue):
    """For queue=: Celery's client would declare it as a classic one."""
    return kombu.Queue(queue, no_declare=True)


def send(app, queue, name, *args, **options):
    return app.send_task(name, args, queue=as_it_is(queue), **options)


def get(result, timeout_s=10):
    return result.get(timeout=timeout_s * SLOW)


def raised_by(result, timeout_s=10):
    """The exception that get() raises."""
    try:
        value = get(result, timeout_s)
    except Exception as e:
        return e
    raise AssertionError("%s returned %r" % (result.id, value))


class Events:
    """What is said on celeryev, read as Celery's monitors read it."""

    def __init__(self, app):
        self.app = app
        self.connection = app.connection()
        self.all = []
        self.state = app.events.State()
        channel = self.connection.channel()
        receiver = app.events.Receiver(channel, handlers={"*": self.on_event})
        self.consumer, = receiver.get_consumers(lambda **kw: kombu.Consumer(channel, **kw), channel)

    def on_event(self, event):
        self.all.append(event)
        self.state.event(event)

    def __enter__(self):
        self.consumer.consume()
        return self

    def __exit__(self, *exc):
        self.connection.release()

    def wait(self, condition, what, timeout_s=10):
        end = time.monotonic() + timeout_s * SLOW
        while not condition():
            assert time.monotonic() < end, "%s, seen: %s" % (what, [(e["type"], e.get("uuid")) for e in self.all])
            try:
                self.connection.drain_events(timeout=0.1)
            except OSError:
                pass

    def of(self, task_id):
        return [e["type"] for e in self.all if e.get("uuid") == task_id]
