"""The course of a child, whichever way it was started."""

import sys

from ._channel import ProtocolError


def serve(loop, application, is_forked=False):
    """One child, from its hello to its end. Of a forked one the template has done what is done once."""
    if application is not None:
        if not is_forked:
            application.begin()
        application.begin_process(loop)
    loop.hello()
    if application is not None and not is_forked:
        application.ready()
    loop.serve()
    if application is not None:
        application.end_process()
        if not is_forked:
            application.end()


def exit_code_of(function, *arguments):
    """Runs it; what goes wrong with the worker is told on stderr."""
    try:
        function(*arguments)
    except ProtocolError as exc:
        print(f"warren_runner: the worker sent {exc}", file=sys.stderr)
        return 1
    except (BrokenPipeError, ConnectionResetError):
        print("warren_runner: the worker has gone", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
