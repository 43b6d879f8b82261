"""Runs tasks one after another and reports how each ended.

    read --run--> execute --> done --> read          --stop, worker gone--> end
                    |  ^
                    +--+ state frames, SIGUSR1 = soft time limit

The order of a task's last steps matters: its output is flushed first, so that the worker has all of it before the
done frame says that the task is over.
"""

import os
import signal
import sys
from _collections_abc import Coroutine
from _thread import get_ident

from . import _errors
from ._channel import Channel, ProtocolError, TaskInputError
from ._codec import encode
from ._tasks import RETRIES_WITHOUT_END, Request, Task, current_task, registry, retry_limit

PROTOCOL = 1
_OUTSIDE = Request()


class SoftLimit:
    """Turns SIGUSR1 into SoftTimeLimitExceeded, once per task and never in the middle of a frame."""

    error = staticmethod(_errors.soft_time_limit_exceeded)  # makes what is raised

    def __init__(self, channel):
        self._channel = channel
        self._main = get_ident()
        self._armed = False
        self._holds = False
        self._came = False
        self.wake = None  # set while a coroutine runs: how to interrupt it

    def install(self):
        signal.signal(signal.SIGUSR1, self._on_signal)

    def _on_signal(self, signum, frame):
        self._came = True
        if self._armed and not self._holds:
            self._fire()

    def _fire(self):
        self._armed = self._came = False
        if self.wake is not None:
            self.wake()
            return
        raise self.error()

    def arm(self, id):
        # The signal may have come before its task began. Then the cancel frame that goes with it is on its way in
        # front of it; one for an earlier task is not for us.
        came, self._came = self._came, False
        if came and ("cancel", id) in [(kind, fields.get("id")) for kind, fields in self._channel.peek()]:
            self._came = True
        self._armed = True
        self._fire_late()

    def disarm(self):
        self._armed = False

    def _fire_late(self):
        if self._came and self._armed:
            self._fire()

    def send(self, frame, task):
        """Sends what a task says of itself; a signal in the meantime is acted on afterwards."""
        if get_ident() != self._main:
            self._channel.send(frame, task)
            return
        self._holds = True
        try:
            self._channel.send(frame, task)
        finally:
            self._holds = False
        self._fire_late()


class Loop:
    def __init__(self, fd):
        self.channel = Channel(fd)
        self.limit = SoftLimit(self.channel)
        self.limit.install()
        self._host = None
        self._asyncio_loop = None
        Task.sender = self._send_state

    def attach(self, host):
        """The application of another framework whose tasks run here too."""
        self._host = host

    def hello(self):
        # A module may have taken the signal for itself while it was imported.
        self.limit.install()
        more = ',"routes":true' if self._host is not None and self._host.has_routers() else ""
        self.channel.send(hello_frame(self._host, more))

    def serve(self):
        """Until the worker says stop or goes away."""
        while True:
            try:
                frame = self.channel.read()
            except TaskInputError as exc:
                self._done(exc.id, error_frame(exc.id, exc.cause))
                continue
            if frame is None or frame[0] == "stop":
                return
            if frame[0] == "run":  # a cancel here is for a task that has ended
                self._run(frame[1])
            elif frame[0] == "route":
                self._route(frame[1])

    def _send_state(self, id, state, meta):
        try:
            meta = encode(meta)
        except (TypeError, ValueError, RecursionError) as exc:  # not all: the soft time limit may come here
            raise _errors.EncodeError(exc) from exc
        self.limit.send(f'{{"state":{{"id":{encode(id)},"state":{encode(state)},"meta":{meta}}}}}', id)

    def _run(self, fields):
        id = self.channel.task = fields["id"]
        task = registry.get(fields["name"])
        if task is None and self._host is not None and self._host.has(fields["name"]):
            self._done(id, self._host.run(fields))
            return
        if task is None:
            self._done(id, error_frame(id, _errors.NotRegistered(fields["name"])))
            return
        request = Request(fields["request"])
        request.__dict__.update(id=id, task=task.name, args=fields["args"], kwargs=fields["kwargs"], called_directly=False)
        task.request = request
        current_task.task = task
        try:
            frame = self._execute(task, request)
        finally:
            current_task.task = None
            task.request = _OUTSIDE
        self._done(id, frame)

    def _route(self, fields):
        if self._host is None:
            raise ProtocolError("a question for routers, and there are none")
        for frame in self._host.routed_frames(fields["id"], fields["calls"]):
            self.channel.send(frame)

    def _execute(self, task, request):
        id = request.id
        try:
            try:
                self.limit.arm(id)
                result = task.run(request.args, request.kwargs)
                if isinstance(result, Coroutine):
                    result = self.run_coroutine(result)
            finally:
                self.limit.disarm()
        except BaseException as exc:
            self.limit.disarm()
            return outcome_frame(task, id, exc)
        try:
            return f'{{"done":{{"id":{encode(id)},"result":{encode(result)}}}}}'
        except BaseException as exc:  # a value that encodes itself may raise what it likes
            return error_frame(id, _errors.EncodeError(exc))

    def run_coroutine(self, coroutine):
        import asyncio
        # A task that is no coroutine may have got hold of it, and closed it after use.
        if self._asyncio_loop is None or self._asyncio_loop.is_closed():
            self._asyncio_loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._asyncio_loop)
        loop = self._asyncio_loop
        running = loop.create_task(coroutine)
        interrupted = False

        def wake():
            nonlocal interrupted
            interrupted = True
            loop.call_soon_threadsafe(running.cancel)

        self.limit.wake = wake
        try:
            return loop.run_until_complete(running)
        except asyncio.CancelledError as exc:
            if interrupted:
                raise self.limit.error().with_traceback(exc.__traceback__) from None
            raise
        finally:
            self.limit.wake = None

    def _done(self, id, frame):
        if not self.channel.is_ours:
            # A task forked and returned in the child too; only the parent may answer.
            os._exit(1)
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:
                pass  # the task closed or replaced it, by whatever it liked: its output is its own affair, the outcome is not
        self.channel.send_last(frame)


def hello_frame(host, more=""):
    """What this process can run; `more` is further members as text."""
    names = set(registry)
    if host is not None:
        names |= host.names()
        more += f',"app":{host.describe()}'
    return (f'{{"hello":{{"protocol":{PROTOCOL},"language":"python","pid":{os.getpid()},'
            f'"tasks":{encode(sorted(names))}{more}}}}}')


def outcome_frame(task, id, exc):
    """The done frame for what a task raised. What cannot be told, such as a retry in no number of seconds, is an error too."""
    try:
        return _outcome_frame(task, id, exc)
    except BaseException as odd:
        return error_frame(id, odd)


def _outcome_frame(task, id, exc):
    kind = _errors.outcome_kind(exc)
    if kind == "Ignore":
        return f'{{"done":{{"id":{encode(id)},"ignore":true}}}}'
    if kind == "Reject":
        requeue = "true" if getattr(exc, "requeue", False) else "false"
        reason = getattr(exc, "reason", None)
        reason = encode(None if reason is None else str(reason))
        return f'{{"done":{{"id":{encode(id)},"reject":{{"requeue":{requeue},"reason":{reason}}}}}}}'
    if kind == "Retry":
        return retry_frame(id, exc, getattr(exc, "exc", None), getattr(exc, "when", None), getattr(exc, "max_retries", None))
    if task.autoretry_for and isinstance(exc, task.autoretry_for):
        return retry_frame(id, exc, exc, task.default_retry_delay, retry_limit(task.max_retries))
    return error_frame(id, exc)


def retry_frame(id, raised, cause, when, max_retries):
    # Celery takes anything for a cause; what is no exception says nothing to whoever asks for the result.
    error = error_fields(cause, format_traceback(raised)) if isinstance(cause, BaseException) else "null"
    return f'{{"done":{{"id":{encode(id)},"retry":{{{retry_fields(when, max_retries, error)}}}}}}}'


def retry_fields(when, max_retries, error):
    countdown = eta = None
    if hasattr(when, "isoformat"):
        eta = when.isoformat() if when.tzinfo is not None else f"{when.isoformat()}+00:00"
    elif isinstance(when, str):
        eta = when
    elif when is not None:
        countdown = max(0.0, float(when)) if when == when else 0.0
        if countdown == float("inf"):
            raise OverflowError("a retry in an infinite number of seconds")
    if max_retries is not None:
        max_retries = min(max(0, int(max_retries)), RETRIES_WITHOUT_END)
    return f'"countdown":{encode(countdown)},"eta":{encode(eta)},"max_retries":{encode(max_retries)},"error":{error}'


def error_frame(id, exc):
    return f'{{"done":{{"id":{encode(id)},"error":{error_fields(exc, format_traceback(exc))}}}}}'


def error_fields(exc, traceback):
    cls = type(exc)
    # SystemExit and its like would end the client that asks for the result; it gets an Exception of that name instead.
    module = cls.__module__ if isinstance(exc, Exception) else "warren_runner"
    return (f'{{"type":{encode(cls.__qualname__)},"module":{encode(module if isinstance(module, str) else None)},'
            f'"message":[{", ".join([_encode_arg(arg) for arg in _arguments(exc)])}],"traceback":{encode(traceback)}}}')


def _arguments(exc):
    try:
        return tuple(exc.args)
    except Exception:  # a class may have `args` of its own
        return ()


def _encode_arg(arg):
    try:
        return encode(arg)
    except BaseException:
        pass
    try:
        return encode(repr(arg))
    except BaseException as exc:
        return encode(f"<Unrepresentable {type(arg)!r}: {type(exc).__name__}>")


def format_traceback(exc):
    """As Celery writes it; the runner's own frames at the top are left out."""
    import traceback
    tb = exc.__traceback__
    while tb is not None and tb.tb_frame.f_globals.get("__package__") in ("warren_runner", "asyncio"):
        tb = tb.tb_next
    return "".join(traceback.format_exception(type(exc), exc, tb))
