"""Finds the Celery application that -A names and brings it up as `celery worker` would: imports, signals, logging.

    find -> load (modules, tasks) -> begin (worker signals) -> begin_process -> ready -> end

Where a template process forks the children, it does everything but begin_process and the end of a process.
"""

import os
import socket
import sys
import types

DEFAULT_LOGLEVEL = "INFO"
# Celery's own formats begin with time and process, which the worker's log says already.
LOG_FORMAT = "[%(levelname)s] %(message)s"


def find(name, module):
    """The Celery application that `celery -A name` would take, or None."""
    from celery import Celery
    from celery.app.utils import find_app
    try:
        found = find_app(name)
    except (AttributeError, ImportError):
        return None
    if isinstance(found, Celery):
        return found
    # Another `app`, of a web framework for example, stands before it.
    for value in vars(module).values():
        if isinstance(value, Celery):
            return value
    return None


class UnknownQueue(Exception):
    """The application does not want queues that it does not name."""


class Application:
    """A Celery application and its tasks in this process."""

    def __init__(self, app, hostname=None, loglevel=None):
        self.app = app
        self.hostname = hostname or f"celery@{socket.gethostname()}"
        self.loglevel = loglevel or DEFAULT_LOGLEVEL
        self.tasks = None
        self._worker = None
        self._described = None

    def load(self):
        """Imports what the application says (imports, include, autodiscovery, Django) and makes its tasks."""
        from celery.app import trace
        self._import_settings()
        self.app.loader.init_worker()
        trace.setup_worker_optimizations(self.app, self.hostname)

    def _import_settings(self):
        """So that what the module of settings raises is seen: Celery takes a KeyError in it for a setting that is not there."""
        source = getattr(self.app, "_config_source", None)
        if isinstance(source, str):
            from importlib import import_module
            try:
                import_module(source.partition(":")[0])
            except ModuleNotFoundError:
                pass  # a module and an attribute; or Celery has said so

    def names(self):
        """Of its own tasks, without Celery's."""
        return {name for name in self.app.tasks if not name.startswith("celery.")}

    def select(self, names):
        """Which queues the worker consumes from, as Celery's -Q; none: those of the application. UnknownQueue."""
        queues = self.app.amqp.queues
        try:
            queues.select(names)
        except KeyError as exc:
            raise UnknownQueue(f"{self.app.main} has no queue {exc} in task_queues, and task_create_missing_queues is off") from None
        if self.app.conf.worker_direct:
            from celery.utils.nodenames import worker_direct
            queues.select_add(worker_direct(self.hostname))

    def begin(self):
        """What the parent of Celery's pool does."""
        from celery import signals
        from celery.app import trace
        from ._celery_task import TaskHost
        app = self.app
        self._worker = worker = WorkerInfo(app, self.hostname, self.loglevel)
        signals.celeryd_init.send(sender=self.hostname, instance=worker, conf=app.conf, options={})
        signals.worker_init.send(sender=worker)
        self._set_up_logging()
        trace.setup_worker_optimizations(app, self.hostname)
        signals.celeryd_after_setup.send(sender=self.hostname, instance=worker, conf=app.conf)
        self.tasks = TaskHost(app, self.hostname, self.describe)

    def begin_process(self, loop):
        """What each process of Celery's pool does."""
        from celery import _state, signals
        _state._set_task_join_will_block(True)
        self.app.loader.init_worker_process()
        self.app.set_current()
        self.app.set_default()
        self.tasks.attach(loop)
        signals.worker_process_init.send(sender=None)

    def ready(self):
        from celery import signals
        signals.worker_ready.send(sender=self._worker)

    def end_process(self, code=0):
        from celery import signals
        signals.worker_process_shutdown.send(sender=None, pid=os.getpid(), exitcode=code)

    def end(self):
        from celery import signals
        signals.worker_shutting_down.send(sender=self.hostname, sig="SIGTERM", how="Warm", exitcode=0)
        self.app.loader.shutdown_worker()
        signals.worker_shutdown.send(sender=self._worker)

    def after_fork(self):
        """Forgets connections that belong to the process this one was forked from."""
        for name in ("billiard.util", "multiprocessing.util"):
            module = sys.modules.get(name)
            if module is not None:
                module._run_after_forkers()
        self.app._after_fork()

    def describe(self):
        """The `app` member of hello, as JSON text. It holds secrets and is for the worker alone."""
        if self._described is None:
            from ._celery_settings import describe
            self._described = describe(self.app)
        return self._described

    def _set_up_logging(self):
        import logging
        from celery.app import defaults
        log, conf = self.app.log, self.app.conf
        if conf.worker_log_format == defaults.DEFAULT_PROCESS_LOG_FMT:
            log.format = LOG_FORMAT
        if conf.worker_task_log_format == defaults.DEFAULT_TASK_LOG_FMT:
            log.task_format = LOG_FORMAT
        log.setup(self.loglevel, None, redirect_stdouts=False, colorize=False, hostname=self.hostname)
        # How a task ended is said by the worker, traceback included. Handlers of the application's own hear it from Celery too.
        tracer = logging.getLogger("celery.app.trace")
        if tracer.level == logging.NOTSET:
            tracer.setLevel(logging.WARNING)
        for handler in logging.getLogger().handlers:
            if getattr(handler, "stream", None) in (sys.stdout, sys.stderr):
                handler.addFilter(lambda record: record.name != tracer.name)


class WorkerInfo:
    """The sender of worker signals: what receivers use of Celery's WorkController and Consumer."""

    def __init__(self, app, hostname, loglevel):
        self.app = app
        self.hostname = hostname
        self.loglevel = loglevel
        self.logfile = None
        self.concurrency = 1
        self.pid = os.getpid()
        self.pool = None
        self.controller = self
        self.options = types.SimpleNamespace()

    def __repr__(self):
        return f"<Worker: {self.hostname}>"
