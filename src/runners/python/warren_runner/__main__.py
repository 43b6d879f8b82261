"""python3 -m warren_runner -A MODULE[,MODULE] [-A ...]: the child of a worker that runs tasks written in Python."""

import os
import sys

RUN_FD = 3
USAGE = """usage: python3 -m warren_runner -A MODULE[,MODULE...] [-A ...]

Runs the tasks of these modules for a warren worker, which starts this program and talks to it on file descriptor 3.
Modules are looked up in the current folder first, then along PYTHONPATH.

  -A, --app MODULE   a module with @task functions; several with commas or with more -A
  -l, --list         print the names of the tasks and end; needs no worker
  -h, --help         this text
"""


class UsageError(Exception):
    pass


def parse_arguments(arguments):
    """The names of the modules, and whether only to list their tasks."""
    modules = []
    listing = False
    rest = iter(arguments)
    for argument in rest:
        if argument in ("-h", "--help"):
            return None, False
        if argument in ("-l", "--list"):
            listing = True
            continue
        if argument in ("-A", "--app"):
            value = next(rest, "")
        elif argument.startswith("--app="):
            value = argument[len("--app="):]
        elif argument.startswith("-A"):
            value = argument[len("-A"):]
        else:
            raise UsageError(f"unknown argument {argument!r}")
        names = [name for name in value.split(",") if name]
        if not names:
            raise UsageError("-A needs the name of a module, for example -A tasks")
        modules += names
    if not modules:
        raise UsageError("no module given; say which one has the tasks, for example -A tasks")
    return modules, listing


def load(modules):
    """Imports the modules. False, with the reason on stderr, when that fails or gives no task."""
    from ._tasks import registry
    for name in modules:
        try:
            __import__(name)
        except BaseException as exc:
            import traceback
            traceback.print_exc()
            hint = ""
            if name.endswith(".py"):
                hint = f"; -A takes the name of a module: -A {name[:-3].replace('/', '.')}"
            elif isinstance(exc, ModuleNotFoundError) and exc.name is not None and (name + ".").startswith(exc.name + "."):
                hint = f"; looked in {os.getcwd()} and PYTHONPATH={os.environ.get('PYTHONPATH', '')}"
            print(f"warren_runner: cannot import {name}: {type(exc).__name__}: {exc}{hint}", file=sys.stderr)
            return False
    if not registry:
        print(f"warren_runner: no tasks in {', '.join(modules)}; put @task (from warren_runner import task) above a function",
              file=sys.stderr)
        return False
    return True


def prepare_streams():
    """Each line of output reaches the worker at once, and no character makes print() fail."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(line_buffering=True, errors="backslashreplace")


def main(arguments):
    prepare_streams()
    try:
        modules, listing = parse_arguments(arguments)
    except UsageError as exc:
        print(f"warren_runner: {exc}\n\n{USAGE}", file=sys.stderr, end="")
        return 2
    if modules is None:
        print(USAGE, end="")
        return 0
    if listing:
        from ._tasks import registry
        if not load(modules):
            return 2
        print("\n".join(sorted(registry)))
        return 0
    from ._channel import ProtocolError
    from ._loop import Loop
    try:
        loop = Loop(RUN_FD)
    except OSError as exc:
        print(f"warren_runner: no worker on file descriptor {RUN_FD} ({exc}); a worker starts this program. "
              "To see the tasks use --list", file=sys.stderr)
        return 2
    if not load(modules):
        return 2
    try:
        loop.hello()
        loop.serve()
    except ProtocolError as exc:
        print(f"warren_runner: the worker sent {exc}", file=sys.stderr)
        return 1
    except (BrokenPipeError, ConnectionResetError):
        print("warren_runner: the worker has gone", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
