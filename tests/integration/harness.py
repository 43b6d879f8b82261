"""What the integration tests are made of: places to run in, programs to start, and waiting for what they do."""
import os
import re
import signal
import subprocess
import sys
import time

import redis as redis_client

HERE = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "deploy", "private"))

from warren_servers import Failed, wait_until  # noqa: E402

BUILD = os.path.realpath(os.environ.get("WARREN_BUILDDIR", os.path.join(TOP, "build")))
WARREN = os.path.join(BUILD, "warren")
TASKS = os.path.join(HERE, "tasks")
C_TASKS = os.path.join(BUILD, "tests", "integration", "ctasks.so")
PYTHON = "/usr/bin/python3"  # the one Debian installs Celery for
FINAL = ("SUCCESS", "FAILURE", "REVOKED")
# What a sanitizer writes; a program that did so has failed its test whatever else it said.
SANITIZER = re.compile(r"(AddressSanitizer|LeakSanitizer|runtime error:|Assertion .* failed).*")
SLOW = 4 if os.environ.get("WARREN_SLOW") else 1  # valgrind and the like: everything may take so many times longer


def is_sanitized():
    """Whether the program under test was built with a sanitizer: its memory is not the program's own then."""
    with open(WARREN, "rb") as f:
        return b"__asan_init" in f.read()


def environment(**more):
    """Ours without settings that would reach the programs under test; PATH finds Debian's Python first."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("WARREN_", "CELERY_"))}
    env.update(PATH="/usr/bin:" + env.get("PATH", "/bin"), PYTHONPATH=os.pathsep.join([TASKS, HERE]),
               PYTHONDONTWRITEBYTECODE="1", WARREN_PYTHONDIR=os.path.join(TOP, "src", "runners", "python"))
    env.update(more)
    return env


class Site:
    """A virtual host and a Redis database of one test's own."""

    def __init__(self, servers, number, folder):
        self.servers = servers
        self.rabbitmq = servers.rabbitmq
        self.vhost = "test%d" % number
        self.broker = servers.broker_url(self.vhost)
        self.backend = servers.redis_url(number)
        self.folder = folder
        self.redis = redis_client.Redis.from_url(self.backend)
        self.rabbitmq.vhost_add(self.vhost)
        self.apps = []

    def close(self):
        self.close_clients()
        self.redis.flushdb()
        self.redis.close()
        self.rabbitmq.vhost_delete(self.vhost)

    def close_clients(self):
        for app in self.apps:
            # Results that are collected later would each reconnect, for many seconds, to a Redis that is gone.
            consumer = app.backend.result_consumer
            consumer.stop()
            pubsub, consumer._pubsub = getattr(consumer, "_pubsub", None), None
            if pubsub is not None:
                pubsub.close()
            client = app.backend.__dict__.get("client")
            if client is not None:
                client.connection_pool.disconnect()
            app.close()
        if self.apps:
            import kombu.pools
            kombu.pools.reset()  # the broker's connections, which outlive their application
        self.apps.clear()

    def env(self, **more):
        # A short lease: what ran in a worker that was killed runs again soon.
        return environment(**dict({"WARREN_BROKER": self.broker, "WARREN_RESULT_BACKEND": self.backend, "WARREN_LEASE": "1s"}, **more))

    def app(self, **conf):
        """A Celery application for clients in this process."""
        import celery_app
        app = celery_app.make(self.broker, self.backend, **conf)
        self.apps.append(app)
        return app

    def queues(self):
        return self.rabbitmq.queues(self.vhost)

    def counter(self, name, *queues):
        """The sum of one of the broker's counters over these queues (default: all)."""
        return sum(q[name] for n, q in self.queues().items() if not queues or n in queues)

    def unacked(self, *queues):
        return self.counter("messages_unacknowledged", *queues)

    def left(self):
        """How many messages each queue of tasks still holds, delivered or not. Dead letters may be there."""
        return {n: q["messages"] for n, q in self.queues().items() if q["messages"] > 0 and not n.startswith("warren.dead.")}

    def wait_empty(self, timeout_s=30):
        """Until no queue of tasks holds a message."""
        wait_until(lambda: not self.left(), timeout_s * SLOW, lambda: "the queues to be empty: %r" % self.left())

    def meta(self, task_id):
        """The stored result as JSON text, or None."""
        return self.redis.get("celery-task-meta-" + task_id)

    def raw_connection(self):
        """A kombu connection, for messages no client would send."""
        import kombu
        return kombu.Connection(self.broker)


def parent_of(pid):
    """None when it is gone."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            return int(f.read().rsplit(")", 1)[1].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def words_of(pid):
    """Its command line; empty when it is gone."""
    try:
        with open("/proc/%d/cmdline" % pid, errors="replace") as f:
            return f.read().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


class Program:
    """A program with its output in a file; started at once."""

    def __init__(self, argv, env, log, cwd=None):
        self.argv = argv
        self.log = log
        with open(log, "ab") as out:
            self.child = subprocess.Popen(argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                          start_new_session=True)

    @property
    def pid(self):
        return self.child.pid

    def output(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def lines(self, pattern):
        return [line for line in self.output().splitlines() if re.search(pattern, line)]

    def alive(self):
        return self.child.poll() is None

    def wait_line(self, pattern, timeout_s=20, count=1):
        """Until so many lines of output match; returns the last of them."""
        def found():
            lines = self.lines(pattern)
            if len(lines) < count and not self.alive():
                lines = self.lines(pattern)  # it may have written and ended since
                if len(lines) < count:
                    raise Failed("%s ended with %s before it wrote %r:\n%s" % (
                        " ".join(self.argv), self.child.returncode, pattern, self.output()))
            return lines if len(lines) >= count else None
        return wait_until(found, timeout_s * SLOW, lambda: "%d x %r in the output of %s:\n%s" % (
            count, pattern, " ".join(self.argv), self.output()))[-1]

    def descendants(self):
        """Pids of its living children and their children."""
        parents = {}
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    with open("/proc/%s/stat" % name) as f:
                        state, parent = f.read().rsplit(")", 1)[1].split()[:2]
                except (FileNotFoundError, ProcessLookupError):
                    continue
                if state != "Z":
                    parents.setdefault(int(parent), []).append(int(name))
        found, ahead = [], [self.pid]
        while ahead:
            children = parents.get(ahead.pop(), [])
            found += children
            ahead += children
        return found

    def slots(self):
        """Pids of a worker's children that run tasks: not the template which forks them, nor what they have started."""
        pids = self.descendants()
        templates = [pid for pid in pids if parent_of(pid) == self.pid and "--template" in words_of(pid)]
        return [pid for pid in pids if pid not in templates and parent_of(pid) in (self.pid, *templates)]

    def send_signal(self, sig):
        self.child.send_signal(sig)

    def wait(self, timeout_s=30):
        """Its exit code, negative for a signal."""
        try:
            return self.child.wait(timeout_s * SLOW)
        except subprocess.TimeoutExpired:
            raise Failed("%s did not end:\n%s" % (" ".join(self.argv), self.output())) from None

    def stop(self, sig=signal.SIGTERM, timeout_s=40):
        """Ends it in good order; its exit code."""
        if self.alive():
            self.send_signal(sig)
        return self.wait(timeout_s)

    def kill(self):
        """SIGKILL to it alone; what it leaves behind is its own affair."""
        self.send_signal(signal.SIGKILL)
        self.wait()

    def clean_up(self):
        """At a test's end: nothing of it may stay, whatever state the test left it in."""
        rest = self.descendants() if self.alive() else []
        if self.alive():
            self.child.kill()
        self.child.wait()
        for pid in rest:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def complaints(self):
        found = SANITIZER.search(self.output())
        return found.group(0) if found else None


def alive(pid):
    """Whether the process runs: neither gone nor a zombie."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Journal:
    """A file tasks append one line to per execution; appends of one write do not mix."""

    def __init__(self, path):
        self.path = str(path)
        open(self.path, "a").close()

    def lines(self):
        with open(self.path) as f:
            return f.read().splitlines()

    def wait_count(self, n, timeout_s=30):
        wait_until(lambda: len(self.lines()) >= n, timeout_s * SLOW, lambda: "%d lines in the journal, it has %d" % (
            n, len(self.lines())))


def wait_state(result, *states, timeout_s=20):
    """Polls a Celery AsyncResult until it is in one of the states; returns the state."""
    return wait_until(lambda: result.state if result.state in states else None, timeout_s * SLOW,
                      lambda: "%s to be %s, it is %s" % (result.id, " or ".join(states), result.state))


def wait_final(results, timeout_s=60):
    """Until all are in a final state."""
    left = list(results)

    def all_final():
        left[:] = [r for r in left if r.state not in FINAL]
        return not left
    wait_until(all_final, timeout_s * SLOW, lambda: "%d results, e.g. of %s in state %s" % (
        len(left), left[0].id, left[0].state), every_s=0.05)


class Took:
    """with Took() as t: ...; t.s is how long it took."""

    def __enter__(self):
        self.start = time.monotonic()
        return self

    def __exit__(self, *exc):
        self.s = time.monotonic() - self.start
