"""The command warren-servers."""
import argparse
import os
import shlex
import signal
import subprocess
import sys
import threading

from .process import Failed, dies_with_parent
from .servers import Servers

ABOUT = """\
Starts a RabbitMQ and a Redis of one's own on 127.0.0.1, runs COMMAND with their addresses in its environment, stops them and
ends with the command's exit code. Without COMMAND it prints the addresses and waits for Ctrl-C. Nothing of them remains, also
when this program is killed.

environment of COMMAND:
  WARREN_BROKER          amqp://guest:guest@127.0.0.1:PORT//
  WARREN_RESULT_BACKEND  redis://127.0.0.1:PORT/1
  PRIVATE_RABBITMQCTL    rabbitmqctl for this node
  PRIVATE_DIR            the folder with their logs and data
"""


def parser():
    p = argparse.ArgumentParser(prog="warren-servers", description=ABOUT, usage="warren-servers [options] [--] [COMMAND...]",
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--no-rabbitmq", dest="rabbitmq", action="store_false", help="only Redis")
    p.add_argument("--no-redis", dest="redis", action="store_false", help="only RabbitMQ")
    p.add_argument("--heartbeat", dest="heartbeat_s", type=int, metavar="S", help="heartbeat the broker proposes (60)")
    p.add_argument("--consumer-timeout", dest="consumer_timeout_ms", type=int, metavar="MS",
                   help="how long a delivery may stay unacknowledged (1800000)")
    p.add_argument("--tick", dest="tick_ms", type=int, metavar="MS", help="how often the broker refreshes its counters (5000)")
    p.add_argument("--plugin", dest="plugins", action="append", metavar="NAME", help="enable a plugin, e.g. rabbitmq_management")
    p.add_argument("--erl-args", metavar="ARGS", help="further flags for the Erlang VM")
    p.add_argument("--dir", dest="directory", help="an empty folder to use instead of a temporary one; it stays")
    p.add_argument("--keep", action="store_true", help="leave the folder with logs and data behind")
    p.add_argument("--quiet", action="store_true", help="do not say what is going on")
    p.add_argument("command", nargs="*", metavar="COMMAND", help=argparse.SUPPRESS)
    return p


def run_command(argv, env):
    """Runs it to its end; signals meant for us end it first. The shell's way of exit codes."""
    try:
        child = subprocess.Popen(argv, env=env, preexec_fn=dies_with_parent(signal.SIGTERM))
    except OSError as e:
        raise Failed("cannot run %s: %s" % (argv[0], e.strerror)) from e

    def forward(sig, frame):
        child.send_signal(sig)
    # A terminal's Ctrl-C reaches the command by itself.
    signal.signal(signal.SIGINT, lambda sig, frame: None)
    signal.signal(signal.SIGTERM, forward)
    signal.signal(signal.SIGHUP, forward)
    code = child.wait()
    return code if code >= 0 else 128 - code


def wait_for_signal(servers):
    for key, value in servers.env().items():
        print("export %s=%s" % (key, shlex.quote(value)), flush=True)
    done = threading.Event()
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, lambda *a: done.set())
    done.wait()
    return 0


def interrupted(sig, frame):
    raise SystemExit(128 + sig)


def main(argv):
    args = vars(parser().parse_args(argv))
    command, quiet = args.pop("command"), args.pop("quiet")
    options = {key: value for key, value in args.items() if value is not None}
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, interrupted)
    try:
        if not quiet:
            print("starting the private servers ...", file=sys.stderr, flush=True)
        with Servers(**options) as servers:
            if command:
                return run_command(command, dict(os.environ, **servers.env()))
            return wait_for_signal(servers)
    except Failed as e:
        print("warren-servers: %s" % e, file=sys.stderr)
        return 1
