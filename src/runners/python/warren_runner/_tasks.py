"""The decorator, what is known of each task, and what a task sees of its own call."""

import functools

from ._errors import MaxRetriesExceededError, Retry

UNSET = object()
# Protocol: null leaves the limit to the worker; Celery's max_retries=None means without end.
RETRIES_WITHOUT_END = 2**31 - 1

registry = {}


def retry_limit(max_retries):
    """The number for the worker; None: as it is configured."""
    if max_retries is UNSET:
        return None
    return RETRIES_WITHOUT_END if max_retries is None else max_retries


class Request:
    """The call that is running, with the names Celery gives it. Outside of a worker all is None."""

    id = task = root_id = parent_id = group = group_index = correlation_id = reply_to = origin = shadow = None
    hostname = eta = expires = None
    retries = 0
    args = ()
    timelimit = (None, None)
    called_directly = True
    is_eager = False

    def __init__(self, fields=None):
        self.kwargs = {}
        self.headers = {}
        self.delivery_info = {}
        if fields:
            self.__dict__.update(fields)

    def get(self, key, default=None):
        return getattr(self, key, default)

    def __repr__(self):
        return f"<Request: {self.__dict__!r}>"


class Task:
    """One task; `self` of a bound one. The runner runs one call at a time, so the call's data lives here."""

    MaxRetriesExceededError = MaxRetriesExceededError
    sender = None  # set by the loop: (id, state, meta) -> None

    def __init__(self, function, name, bind, max_retries, default_retry_delay, autoretry_for):
        self.function = function
        self.name = name
        self.bind = bind
        self.max_retries = max_retries
        self.default_retry_delay = default_retry_delay
        self.autoretry_for = autoretry_for
        self.request = Request()

    def __repr__(self):
        return f"<task {self.name}>"

    def run(self, args, kwargs):
        if self.bind:
            return self.function(self, *args, **kwargs)
        return self.function(*args, **kwargs)

    def update_state(self, task_id=None, state=None, meta=None):
        """Stores a state of your own, with any meta that JSON can hold."""
        if not isinstance(state, str) or not state:
            raise ValueError(f"update_state needs a state such as 'PROGRESS', not {state!r}")
        if task_id is not None and task_id != self.request.id:
            raise ValueError(f"a task can only set its own state, not that of {task_id!r}")
        if Task.sender is not None and self.request.id is not None:
            Task.sender(self.request.id, state, meta)

    def retry(self, *, exc=None, countdown=None, eta=None, max_retries=None, throw=True):
        """Raises Retry, which makes the worker run this call again after `countdown` seconds or at `eta`.

        Without either the task's default_retry_delay counts, without that the worker's setting. When the retries
        are spent, `exc` is raised instead, or MaxRetriesExceededError when there is none.
        """
        if self.request.called_directly:
            raise exc if exc is not None else Retry("Task can be retried")
        if isinstance(exc, type) and issubclass(exc, BaseException):
            exc = exc()
        if eta is None and countdown is None:
            countdown = self.default_retry_delay
        if max_retries is None:
            max_retries = self.max_retries
        limit = retry_limit(max_retries)
        if limit is not None and self.request.retries >= limit:
            raise exc if exc is not None else MaxRetriesExceededError(
                f"Can't retry {self.name}[{self.request.id}] "
                f"args:{tuple(self.request.args)!r} kwargs:{self.request.kwargs!r}")
        again = Retry(exc=exc, when=countdown if eta is None else eta, max_retries=limit)
        if throw:
            raise again
        return again


class _Running:
    """`current_task`: the task that is running now; false when there is none."""

    task = None

    def __bool__(self):
        return self.task is not None

    def __getattr__(self, name):
        if self.task is None:
            raise RuntimeError("there is no current task: no task is running")
        return getattr(self.task, name)

    def __repr__(self):
        return repr(self.task)


current_task = _Running()


def progress(current, total, step=None, **meta):
    """Stores state PROGRESS with current, total, step and anything more. Outside of a worker it does nothing."""
    running = current_task.task
    if running is None:
        return
    fields = {"current": current, "total": total}
    if step is not None:
        fields["step"] = step
    fields.update(meta)
    running.update_state(state="PROGRESS", meta=fields)


def task(function=None, *, name=None, bind=False, max_retries=UNSET, default_retry_delay=None, autoretry_for=(),
         **unknown):
    """Makes a function a task, under its module's and its own name unless `name` is given.

    The function stays callable as it was. bind=True passes the task itself as first argument. An exception listed in
    autoretry_for makes the worker run the task again; max_retries (None: without end) and default_retry_delay
    (seconds) override what the worker is configured to do.
    """
    if unknown:
        raise TypeError(f"@task does not know {', '.join(sorted(unknown))}; it takes name, bind, max_retries, "
                        "default_retry_delay and autoretry_for. Limits and routes are set under tasks: and routes: "
                        "in the worker's configuration")
    if function is None:
        return functools.partial(task, name=name, bind=bind, max_retries=max_retries,
                                 default_retry_delay=default_retry_delay, autoretry_for=autoretry_for)
    if not callable(function):
        raise TypeError(f"@task needs a function, not {function!r}; a name is given as @task(name=...)")
    if name is None:
        name = f"{function.__module__}.{function.__name__}"
    _check(name, max_retries, default_retry_delay)
    if isinstance(autoretry_for, type):
        autoretry_for = (autoretry_for,)
    known = registry.get(name)
    if known is not None and _place(known.function) != _place(function):
        raise ValueError(f"two tasks are named {name!r}: {_place(known.function)} and {_place(function)}; "
                         "give one of them another name with @task(name=...)")
    made = Task(function, name, bind, max_retries, default_retry_delay, tuple(autoretry_for))
    registry[name] = made
    if not bind:
        return function

    @functools.wraps(function)
    def call(*args, **kwargs):
        return made.run(args, kwargs)
    return call


def _check(name, max_retries, default_retry_delay):
    if not isinstance(name, str) or not name:
        raise TypeError(f"the name of a task is a text, not {name!r}")
    if max_retries is not UNSET and max_retries is not None and not (isinstance(max_retries, int) and max_retries >= 0):
        raise TypeError(f"max_retries of {name} is a number from 0 or None (without end), not {max_retries!r}")
    if default_retry_delay is not None and not (
            isinstance(default_retry_delay, (int, float)) and 0 <= default_retry_delay < float("inf")):
        raise TypeError(f"default_retry_delay of {name} is a number of seconds, not {default_retry_delay!r}")


def _place(function):
    return f"{function.__module__}.{getattr(function, '__qualname__', function.__class__.__name__)}"
