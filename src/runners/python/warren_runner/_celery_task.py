"""Runs the tasks of a Celery application, and tells the worker how each ended.

Celery's own tracer does the running, so hooks, signals, logging and whatever third parties wrap around it are as they
are under `celery worker`. Three things it must not do, since they are the worker's: write results, publish what follows
a task (callbacks, the next step of a chain, a chord's body), and publish a retry.

    tracer -> TaskBackend.mark_as_*  -> kept in Run  -> done frame
           -> body (limit armed)     -> task.run     -> update_state -> state frame
                                                     -> retry -> app.send_task of its own id -> kept in Run
"""

import functools
import sys
import traceback
from _collections_abc import Coroutine

import celery.app.trace as trace  # by module: what others put in place of its functions counts
from billiard.exceptions import SoftTimeLimitExceeded
from celery import states
from celery.backends.base import BaseBackend
from celery.utils.functional import arity_greater, maybe_list
from kombu import serialization

from . import _loop
from ._codec import encode as encode_plain
from ._tasks import RETRIES_WITHOUT_END

_HERE = __file__.rpartition("/")[0] + "/"
_UNSET = object()
# What a retry may change in the message that is sent again.
_RETRY_OPTIONS = ("queue", "exchange", "routing_key", "priority", "delivery_mode", "expires", "time_limit", "soft_time_limit", "shadow",
                  "headers", "link", "link_error")


def encode(value):
    """JSON as the application's Celery writes it, on one line. Raises kombu's EncodeError."""
    text = serialization.dumps(value, serializer="json")[2]
    if isinstance(text, bytes):
        text = text.decode()
    # Only between values: inside of strings JSON has no raw newlines.
    return text.replace("\n", " ").replace("\r", " ") if "\n" in text or "\r" in text else text


class Run:
    """One call of a task, and what became of it."""

    def __init__(self, id, task, request):
        self.id = id
        self.task = task
        self.request = request
        self.args = list(request["args"])      # as they came, but for what is inside of them
        self.kwargs = dict(request["kwargs"])
        self.entered = False
        self.context = None     # the Context that the task sees as self.request
        self.canvas = None      # what is hidden from the tracer
        self.outcome = None     # text: the outcome's member of the done frame; the first one counts
        self.resent = None      # arguments of the message that a retry would have published
        self.resend = None      # publishes it after all
        self.is_kept = False    # what Celery would have written to the result backend
        self.children = None
        self.errbacks = []

    @property
    def has_followers(self):
        return any(self.request.get(key) for key in ("callbacks", "chain", "chord"))

    def enter(self):
        self.entered = True
        self.context = self.task.request

    def hide_canvas(self):
        """What comes next is published by the worker, not by the tracer, which looks once the body has returned."""
        context = self.context
        if context.callbacks or context.chain:
            self.canvas = (context.callbacks, context.chain)
            context.callbacks = context.chain = None

    def show_canvas(self):
        if self.canvas is not None:
            self.context.callbacks, self.context.chain = self.canvas
            self.canvas = None

    def has_arguments(self, args, kwargs):
        """Whether these are certainly those of the message: a list or an object may be another by now."""
        return (args == self.args and kwargs == self.kwargs
                and not any(isinstance(value, (list, dict)) for value in (*args, *kwargs.values())))

    def end(self, outcome, is_kept, children):
        if self.outcome is None:
            self.outcome, self.is_kept, self.children = outcome, is_kept, children


class TaskBackend:
    """The result backend as a task sees it. What concerns the call that is running goes to the worker; anything else
    goes to the real backend, which is only made when somebody asks for it."""

    def __init__(self, host, own):
        self._host = host
        self._own = own

    def _real(self):
        return self._own if self._own is not None else self._host.app.backend

    def __getattr__(self, name):
        return getattr(self._real(), name)

    def __reduce__(self):
        return self._real().__reduce__()

    def _run_of(self, task_id):
        run = self._host.current
        return run if run is not None and run.id == task_id else None

    def mark_as_done(self, task_id, result, request=None, store_result=True, state=states.SUCCESS, **more):
        run = self._run_of(task_id)
        if run is None:
            return self._real().mark_as_done(task_id, result, request, store_result, state=state, **more)
        run.show_canvas()
        base = self._host.base
        is_kept = bool(store_result) and not getattr(request, "ignore_result", False)
        try:
            text = encode(base.prepare_value(result))
        except serialization.EncodeError:
            # Celery does not look at a result that nobody gets.
            if is_kept or run.has_followers:
                raise
            text = "null"
        run.end(f'"result":{text}', is_kept, base.current_task_children(request))

    def mark_as_failure(self, task_id, exc, traceback=None, request=None, store_result=True, call_errbacks=True,
                        state=states.FAILURE, **more):
        run = self._run_of(task_id)
        if run is None:
            return self._real().mark_as_failure(task_id, exc, traceback, request, store_result, call_errbacks,
                                                state=state, **more)
        if run.outcome is None:
            error = self._host.error(exc, _without_us(exc, traceback))
            run.end(f'"error":{error}', bool(store_result), self._host.base.current_task_children(request))
            if call_errbacks and request is not None and request.errbacks:
                run.errbacks = self._host.call_errbacks(request, exc, traceback)

    def mark_as_retry(self, task_id, exc, traceback=None, request=None, store_result=True, **more):
        run = self._run_of(task_id)
        if run is None:
            return self._real().mark_as_retry(task_id, exc, traceback, request, store_result, **more)
        run.is_kept = bool(store_result)

    def store_result(self, task_id, result, state, traceback=None, request=None, **more):
        run = self._run_of(task_id)
        if run is None:
            return self._real().store_result(task_id, result, state, traceback, request=request, **more)
        if not isinstance(state, str) or not state:
            raise ValueError(f"a state is a text such as 'PROGRESS', not {state!r}")
        base = self._host.base
        value = base.encode_result(result, state)
        self._host.send_state(task_id, state, encode(value), traceback, base.current_task_children(request))
        return value

    def _made(self):
        """The real backend, if somebody has asked for it."""
        if self._own is not None:
            return self._own
        return self._host.app.backend if hasattr(getattr(self._host.app, "_local", None), "backend") else None

    def process_cleanup(self):
        # After each task. A backend that nobody has asked for has nothing to clean up.
        backend = self._made()
        if backend is not None:
            backend.process_cleanup()

    def remove_pending_result(self, result):
        # A result that is collected calls this, at any time: also in the middle of the import of the backend, which must not begin anew then.
        backend = self._made()
        return result if backend is None else backend.remove_pending_result(result)


class TaskHost:
    """The tasks of one application in this process."""

    def __init__(self, app, hostname, describe):
        self.app = app
        self.hostname = hostname
        self.describe = describe
        self.base = BaseBackend(app, serializer="json")
        self.current = None
        self._tracers = {}
        self._loop = None
        self._routes = None
        self._send_task = app.send_task
        app.send_task = self._on_send_task

    def attach(self, loop):
        self._loop = loop
        loop.limit.error = SoftTimeLimitExceeded
        loop.channel.decode = serialization.registry._decoders["application/json"]
        loop.attach(self)

    def has(self, name):
        return name in self.app.tasks

    def names(self):
        return set(self.app.tasks)

    def has_routers(self):
        """Whether only this application can tell where its messages go."""
        from ._celery_settings import has_routers
        return has_routers(self.app)

    def routed_frames(self, id, calls):
        if self._routes is None:
            from ._celery_routes import Routes
            self._routes = Routes(self.app)
        return self._routes.frames(id, calls)

    # --- one task ---------------------------------------------------------------------------------------------------

    def run(self, fields):
        """Runs the task of a run frame; its done frame."""
        id = fields["id"]
        task = self.app.tasks[fields["name"]]
        tracer = self._tracers.get(task.name) or self._build(task)
        request = context_fields(fields)
        run = self.current = Run(id, task, request)
        try:
            traced = tracer(id, fields["args"], fields["kwargs"], request)
            return self._frame(run, traced.info)
        except BaseException as exc:  # what the tracer lets through: SystemExit and its like end a task, not the child
            return _loop.error_frame(id, exc)
        finally:
            self._loop.limit.disarm()
            self.current = None

    def _build(self, task):
        task.backend = TaskBackend(self, task._backend)
        # That a task has started is the worker's to say.
        before = {name: task.__dict__.get(name, _UNSET) for name in ("track_started", "run")}
        task.track_started = False
        try:
            if trace.task_has_custom(task, "__call__"):
                cls = type(task)
                cls.__call__ = self._body(cls.__call__, is_method=True)
                before.pop("run")
            else:
                task.run = self._body(task.run)
            tracer = trace.build_tracer(task.name, task, self.app.loader, self.hostname, app=self.app)
        finally:
            for name, value in before.items():
                if value is _UNSET:
                    task.__dict__.pop(name, None)
                else:
                    setattr(task, name, value)
        self._tracers[task.name] = tracer
        return tracer

    def _body(self, function, is_method=False):
        """`function` with the soft time limit armed, for the call that comes from the tracer."""

        @functools.wraps(function)
        def warren_body(*args, **kwargs):
            run = self.current
            if run is None or run.entered or (is_method and args[0] is not run.task):
                return function(*args, **kwargs)
            limit = self._loop.limit
            run.enter()
            try:
                try:
                    limit.arm(run.id)
                    result = function(*args, **kwargs)
                    if isinstance(result, Coroutine):
                        result = self._loop.run_coroutine(result)
                finally:
                    limit.disarm()
            except BaseException as exc:
                limit.disarm()
                # Tracebacks read as under Celery: without this function.
                exc.__traceback__ = exc.__traceback__.tb_next or exc.__traceback__
                raise
            run.hide_canvas()
            return result
        return warren_body

    def _frame(self, run, info):
        state = None if info is None else info.state
        if state == states.RETRY:
            outcome = self._retry(run, info.retval)
        elif state == states.IGNORED:
            outcome = '"ignore":true'
        elif state == states.REJECTED:
            outcome = reject_fields(info.retval)
        else:
            # None: the tracer found a result of this task in the backend and did not run it.
            outcome = run.outcome or '"ignore":true'
            if run.resent is not None:
                # retry(throw=False), and then the task went on and ended in another way: Celery had sent it by then.
                run.resend()
        return f'{{"done":{{"id":{encode_plain(run.id)},{outcome}{self._more(run, state)}}}}}'

    def _more(self, run, state):
        children = run.children
        if state == states.RETRY and run.context is not None:
            children = self.base.current_task_children(run.context)
        more = f',"children":{encode_plain(children)}' if children else ""
        if run.errbacks:
            more += f',"errbacks_called":{encode_plain(run.errbacks)}'
        if not run.is_kept and state not in (states.IGNORED, states.REJECTED):
            more += ',"store":false'
        elif run.is_kept and run.request.get("ignore_result"):
            more += ',"store":true'
        return more

    def error(self, exc, text):
        fields = self.base.prepare_exception(exc)
        return (f'{{"type":{encode_plain(fields["exc_type"])},"module":{encode_plain(fields["exc_module"])},'
                f'"message":{encode(list(fields["exc_message"]))},"traceback":{encode_plain(text)}}}')

    def send_state(self, id, state, meta, text, children):
        more = f',"traceback":{encode_plain(str(text))}' if text else ""
        if children:
            more += f',"children":{encode_plain(children)}'
        self._loop.limit.send(f'{{"state":{{"id":{encode_plain(id)},"state":{encode_plain(state)},"meta":{meta}{more}}}}}', id)

    # --- retry ------------------------------------------------------------------------------------------------------

    def _on_send_task(self, name, args=None, kwargs=None, *others, **options):
        run = self.current
        if (run is None or options.get("task_id") != run.id or name != run.task.name
                or options.get("retries") != (run.request.get("retries") or 0) + 1):
            return self._send_task(name, args, kwargs, *others, **options)
        # A task that sends itself under its own id is a retry, by whichever way it got here.
        run.resent = (args, kwargs, options)
        run.resend = functools.partial(self._send_task, name, args, kwargs, *others,
                                       **{**options, "root_id": run.request.get("root_id") or run.id,
                                          "parent_id": run.request.get("parent_id") or run.id})
        result = (options.get("result_cls") or self.app.AsyncResult)(run.id)
        parent = self.app.current_worker_task
        if parent:
            parent.add_trail(result)
        return result

    def _retry(self, run, reason):
        when, more = reason.when, ""
        if run.resent is not None:
            args, kwargs, options = run.resent
            when = options.get("eta") or options.get("countdown")
            args, kwargs = list(args or ()), kwargs or {}
            if not run.has_arguments(args, kwargs):
                more += f',"args":{encode(args)},"kwargs":{encode(kwargs)}'
            changed = self._changed(run, options)
            if changed:
                more += f',"options":{encode(changed)}'
        text = _format(reason)
        error = "null"
        if isinstance(reason.exc, BaseException):
            error = self.error(reason.exc, text)
        else:
            more += f',"traceback":{encode_plain(text)}'
        # Celery has counted already: a spent retry raises in the task.
        return f'"retry":{{{_loop.retry_fields(when, RETRIES_WITHOUT_END, error)}{more}}}'

    def _changed(self, run, options):
        """Options that the message of a retry would not have by itself."""
        own = {**run.task._get_exec_options(), **run.task.signature_from_request(run.context).options}
        changed = {}
        for key in _RETRY_OPTIONS:
            value = options.get(key)
            if value is None or value == own.get(key):
                continue
            if key in ("link", "link_error"):
                value = maybe_list(value)
                if value == maybe_list(own.get(key)):
                    continue
            elif key in ("queue", "exchange"):
                value = getattr(value, "name", value)
            changed[key] = value
        return changed

    # --- failure ----------------------------------------------------------------------------------------------------

    def call_errbacks(self, request, exc, text):
        """Calls the error callbacks that take (request, exc, traceback); the others are the worker's to send. Their
        places in the list."""
        called = []
        for i, fields in enumerate(request.errbacks):
            errback = self.app.signature(fields)
            if not _takes_exception(errback):
                continue
            called.append(i)
            try:
                errback(request, exc, text)
            except Exception:
                print(f"warren_runner: the error callback {errback.task} of {request.id} failed", file=sys.stderr)
                traceback.print_exc()
        return called


def _takes_exception(errback):
    # The rule of Celery's backends.
    try:
        header = getattr(errback.type, "__header__", None)
    except KeyError:  # NotRegistered: of another worker
        return False
    return header is not None and not isinstance(header, functools.partial) and arity_greater(header, 1)


def context_fields(fields):
    """What a Celery worker makes of a message: the user's headers are attributes of the request like all others."""
    request = dict(fields["request"])
    headers = request.get("headers")
    if headers:
        for name, value in headers.items():
            request.setdefault(name, value)
    request.update(id=fields["id"], task=fields["name"], args=fields["args"], kwargs=fields["kwargs"], is_eager=False)
    request.setdefault("delivery_info", {})
    request.setdefault("properties", {"correlation_id": request.get("correlation_id"), "reply_to": request.get("reply_to"),
                                      "priority": request["delivery_info"].get("priority")})
    return request


def reject_fields(exc):
    reason = exc.reason
    requeue = "true" if exc.requeue else "false"
    return f'"reject":{{"requeue":{requeue},"reason":{encode_plain(None if reason is None else str(reason))}}}'


def _format(exc):
    return "".join(traceback.format_exception(type(exc), exc, exc.__traceback__))


def _without_us(exc, text):
    # A soft time limit, an error while a result is encoded; before Python 3.11 every error, since raising puts our function back.
    if text is None or _HERE not in text:
        return text
    entry = exc.__traceback__
    while entry is not None:
        while entry.tb_next is not None and entry.tb_next.tb_frame.f_code.co_filename.startswith(_HERE):
            entry.tb_next = entry.tb_next.tb_next
        entry = entry.tb_next
    return _format(exc)
