"""python3 -m warren_runner -A MODULE[,MODULE] [-A ...]: the child of a worker that runs tasks written in Python."""

import os
import sys

RUN_FD = 3
USAGE = """usage: python3 -m warren_runner -A MODULE[,MODULE...] [-A ...]

Runs the tasks of these modules for a warren worker, which starts this program and talks to it on file descriptor 3.
Modules are looked up in the current folder first, then along PYTHONPATH.

  -A, --app MODULE   a module with @task functions, or a Celery application as Celery's -A takes it: proj,
                     proj.celery, proj.celery:app; several with commas or with more -A
  -l, --list         print the names of the tasks and end; needs no worker
  --template         import once and fork a child whenever the worker asks for one
  --describe         tell the worker once what there is (tasks, and a Celery application's settings) and end
  -Q, --queues NAMES with --describe: the queues that the worker will consume from; default: those of the application
  --hostname NAME    node name for a Celery application; default: $WARREN_NODE, or celery@HOST
  --loglevel LEVEL   of a Celery application's loggers; default: $WARREN_LOGLEVEL, or INFO
  -h, --help         this text
"""


class UsageError(Exception):
    pass


class LoadError(Exception):
    """Why there is nothing to run. For the person who starts it."""


class Arguments:
    def __init__(self):
        self.modules = []
        self.is_help = self.is_list = self.is_template = self.is_describe = False
        self.queues = []
        self.hostname = os.environ.get("WARREN_NODE") or None
        self.loglevel = os.environ.get("WARREN_LOGLEVEL") or None


def parse_arguments(arguments):
    found = Arguments()
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if argument in ("-h", "--help"):
            found.is_help = True
            return found
        if argument in ("-l", "--list"):
            found.is_list = True
        elif argument == "--template":
            found.is_template = True
        elif argument == "--describe":
            found.is_describe = True
        elif argument == "-Q" or name == "--queues":
            value = value if equals else next(rest, "")
            found.queues += [part for part in value.split(",") if part]
        elif name in ("--hostname", "--loglevel"):
            value = value if equals else next(rest, "")
            if not value:
                raise UsageError(f"{name} needs a value")
            setattr(found, name[2:], value)
        elif argument.startswith("-A") or name == "--app":
            if argument.startswith("-A"):
                value, equals = argument[2:], len(argument) > 2
            names = [part for part in (value if equals else next(rest, "")).split(",") if part]
            if not names:
                raise UsageError("-A needs the name of a module, for example -A tasks")
            found.modules += names
        else:
            raise UsageError(f"unknown argument {argument!r}")
    if not found.modules:
        raise UsageError("no module given; say which one has the tasks, for example -A tasks")
    if found.loglevel is not None and found.loglevel.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "FATAL"):
        raise UsageError(f"{found.loglevel!r} is no log level; they are DEBUG, INFO, WARNING, ERROR and CRITICAL")
    return found


def import_module(name):
    """The module that -A names; of proj.module:attribute and of proj.module.attribute it is proj.module."""
    path = name.partition(":")[0]
    try:
        __import__(path)
    except ModuleNotFoundError as exc:
        parent, _, attribute = path.rpartition(".")
        if exc.name != path or not hasattr(sys.modules.get(parent), attribute):
            raise
        path = parent
    return sys.modules[path]


def load(arguments):
    """Imports the modules. The Celery application that is in them, or None. LoadError says why there is nothing to run."""
    from ._tasks import registry
    application = None
    for name in arguments.modules:
        try:
            module = import_module(name)
            application = find_application(name, module, application, arguments)
        except LoadError:
            raise
        except BaseException as exc:
            import traceback
            traceback.print_exc()
            raise LoadError(why_not(name, exc)) from None
    # Who only asks may be a scheduler: an application whose tasks are elsewhere has a schedule none the less.
    has_schedule = arguments.is_describe and application is not None and application.app.conf.beat_schedule
    if not registry and not has_schedule and (application is None or not application.names()):
        what = "put @task (from warren_runner import task) above a function"
        if application is not None:
            what = "the Celery application there has none; is a module missing in its imports or include?"
        raise LoadError(f"no tasks in {', '.join(arguments.modules)}; {what}")
    return application


def missing_variable(exc):
    """The KeyError of an environment variable behind this error; Celery hides what a module of settings raises."""
    while exc is not None:
        tb = exc.__traceback__
        while tb is not None and tb.tb_next is not None:
            tb = tb.tb_next
        if isinstance(exc, KeyError) and tb is not None and tb.tb_frame.f_globals.get("__name__") == "os":
            return exc
        exc = exc.__cause__ or exc.__context__
    return None


def place_of(exc):
    """Where it happened, in code that is not ours."""
    place, tb = "", exc.__traceback__
    while tb is not None:
        code = tb.tb_frame.f_code
        if not code.co_filename.startswith(("<", os.path.dirname(__file__), os.path.dirname(os.__file__) + "/os.py")):
            place = f" ({code.co_filename}, line {tb.tb_lineno})"
        tb = tb.tb_next
    return place


def why_not(name, exc):
    """One line, with the way out where it is known."""
    exc = missing_variable(exc) or exc
    hint = place_of(exc)
    if isinstance(exc, KeyError) and missing_variable(exc):
        hint += "; when the worker has it: let it pass with --pass-env, or pass_env of the pool"
    elif name.endswith(".py"):
        hint = f"; -A takes the name of a module: -A {name[:-3].replace('/', '.')}"
    elif isinstance(exc, ModuleNotFoundError) and exc.name == "celery":
        hint += f"; Celery is not installed for {sys.executable}"
    elif isinstance(exc, ModuleNotFoundError) and exc.name is not None and (name + ".").startswith(exc.name + "."):
        hint = f"; looked in {os.getcwd()} and PYTHONPATH={os.environ.get('PYTHONPATH', '')}"
    return f"cannot import {name}: {type(exc).__name__}: {exc}{hint}"


def may_hold_celery(module):
    """Whether it is worth a look: the module has loaded Celery, or is a package with a module `celery`, as Celery's -A knows."""
    if "celery.app.base" in sys.modules:
        return True
    if not getattr(module, "__path__", None):
        return False
    from importlib.util import find_spec
    return find_spec(module.__name__ + ".celery") is not None


def find_application(name, module, known, arguments):
    app = None
    if may_hold_celery(module):
        from . import _celery_app
        app = _celery_app.find(name, module)
    if app is None and ":" in name:
        raise LoadError(f"{name} is no Celery application")
    if app is None or (known is not None and known.app is app):
        return known
    if known is not None:
        raise LoadError(f"{name} is a second Celery application beside {known.app.main}; give each a pool of its own")
    application = _celery_app.Application(app, arguments.hostname, arguments.loglevel)
    application.load()
    return application


def prepare_streams():
    """Each line of output reaches the worker at once, and no character makes print() fail."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(line_buffering=True, errors="backslashreplace")


def list_tasks(application):
    from ._tasks import registry
    names = set(registry)
    if application is not None:
        names |= application.names()
    print("\n".join(sorted(names)))


def open_channel(make):
    try:
        return make(RUN_FD)
    except OSError as exc:
        raise LoadError(f"no worker on file descriptor {RUN_FD} ({exc}); a worker starts this program. "
                        "To see the tasks use --list") from None


def select_queues(application, names):
    from ._celery_app import UnknownQueue
    try:
        application.select(names)
    except UnknownQueue as exc:
        raise LoadError(str(exc)) from None


def describe(arguments):
    """One frame on the worker's channel: hello, or why there is none. The URLs in it are secrets and go nowhere else."""
    from ._channel import Channel
    from ._codec import encode
    from ._loop import hello_frame
    channel = open_channel(Channel)
    try:
        application = load(arguments)
        if application is not None:
            select_queues(application, arguments.queues)
        frame = hello_frame(application)
    except LoadError as exc:
        frame = f'{{"failed":{{"error":{encode(str(exc))}}}}}'
    channel.send(frame)
    return 0


def main(arguments):
    prepare_streams()
    try:
        arguments = parse_arguments(arguments)
    except UsageError as exc:
        print(f"warren_runner: {exc}\n\n{USAGE}", file=sys.stderr, end="")
        return 2
    if arguments.is_help:
        print(USAGE, end="")
        return 0
    try:
        if arguments.is_list:
            list_tasks(load(arguments))
            return 0
        if arguments.is_describe:
            return describe(arguments)
        return run(arguments)
    except LoadError as exc:
        print(f"warren_runner: {exc}", file=sys.stderr)
        return 2


def run(arguments):
    from ._child import exit_code_of, serve
    from ._loop import Loop
    make = Loop
    if arguments.is_template:
        from ._template import Template as make
    loop = open_channel(make)
    application = load(arguments)
    if arguments.is_template:
        return exit_code_of(loop.serve, application)
    return exit_code_of(serve, loop, application)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
