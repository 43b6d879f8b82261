"""The programs that are compared: how a worker of each is started, and how each publishes."""
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TASK = "bench.noop"
# What round one expects in tasks per second with one slot and with more; later rounds use what was measured.
GUESS = {"raw": (4000, 9000), "warren-c": (2000, 5000), "warren-py": (1500, 3500), "warren-celery": (1400, 3200),
         "celery": (500, 900)}


def environment(**more):
    """Everybody gets the same Python: the one that Celery is installed for."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("WARREN_", "CELERY_"))}
    env["PATH"] = os.path.dirname(celery_python() or "/usr/bin/python3") + ":" + env.get("PATH", "/usr/bin:/bin")
    env["PYTHONPATH"] = HERE
    env.update(more)
    return env


_celery_python = []


def celery_python():
    """A Python that can import celery, or None."""
    if not _celery_python:
        for python in ("/usr/bin/python3", sys.executable):
            if subprocess.run([python, "-c", "import celery, redis"], capture_output=True).returncode == 0:
                _celery_python.append(python)
                break
        else:
            _celery_python.append(None)
    return _celery_python[0]


class System:
    def __init__(self, key, title):
        self.key, self.title = key, title


class Raw(System):
    tasks = 1

    def worker(self, bench, slots, level):
        return bench.raw_argv("consume", prefetch=slots, count=self.tasks), None


class Warren(System):
    """One of warren's two kinds of slots; `runner` is the part of the command line that chooses it."""

    def __init__(self, key, title, warren, runner):
        super().__init__(key, title)
        self.warren, self.runner = warren, runner

    def with_flags(self, key, title, *flags):
        return Warren(key, title, self.warren, [*self.runner, *flags])

    def worker(self, bench, slots, level):
        argv = [self.warren, "worker", *self.runner, "-Q", bench.queue, "-c", str(slots), "-n", "bench@%h", "-l", level]
        return argv, self.environment(bench)

    @staticmethod
    def environment(bench):
        return environment(WARREN_BROKER=bench.broker, WARREN_RESULT_BACKEND=bench.redis_url)


class Celery(System):
    def worker(self, bench, slots, level):
        argv = [celery_python(), "-m", "celery", "-A", "noop_celery", "worker", "-P", "prefork", "-O", "fair",
                "-Q", bench.queue, "-c", str(slots), "-n", "bench@%h", "-l", level, "--prefetch-multiplier", "1",
                "--without-gossip", "--without-mingle", "--without-heartbeat"]
        return argv, self.environment(bench, bench.redis_url)

    @staticmethod
    def environment(bench, backend=None):
        more = {"BENCH_BROKER": bench.broker, "BENCH_QUEUE": bench.queue}
        if backend:
            more["BENCH_BACKEND"] = backend
        return environment(**more)


def all_systems(builddir):
    warren = os.path.join(builddir, "warren")
    module = os.path.join(builddir, "tests/bench/noop.so")
    return [
        Raw("raw", "raw loop"),
        Warren("warren-c", "warren C", warren, ["--module", module]),
        Warren("warren-py", "warren Python", warren, ["-A", "noop"]),
        Warren("warren-celery", "warren, Celery app", warren, ["-A", "noop_celery"]),
        Celery("celery", "Celery"),
    ]


def variants(warren):
    """One system with and without what it writes beside the results."""
    return [
        warren.with_flags("neither", "neither", "--lease", "0", "--no-track-started"),
        warren.with_flags("started", "STARTED", "--lease", "0", "--track-started"),
        warren.with_flags("lease", "lease", "--no-track-started"),
        warren.with_flags("both", "both", "--track-started"),
    ]


class Way:
    """A way to publish `tasks` messages. counts: it prints what it measured; otherwise the life of the program is taken."""

    def __init__(self, key, title, tasks, argv, env=None, stdin=None, counts=False):
        self.key, self.title, self.tasks, self.counts = key, title, tasks, counts
        self.argv, self.env, self.stdin = argv, env, stdin


def ndjson(bench, tasks):
    """A file of so many tasks, as `warren send --file` reads them."""
    path = os.path.join(bench.folder, "tasks.ndjson")
    line = json.dumps({"task": TASK, "args": [], "kwargs": {}, "queue": bench.queue}) + "\n"
    with open(path, "w") as f:
        f.writelines(line for _ in range(tasks))
    return path


def producers(bench, args):
    many, few = (15000, 1500) if args.quick else (60000, 6000)
    found = []
    if "raw" in args.systems:
        found.append(Way("raw", "raw, window of 1000", many, bench.raw_argv("publish", window=1000, count=many)))
    if "warren-c" in args.systems or "warren-py" in args.systems:
        argv = [os.path.join(args.builddir, "warren"), "send", "--file", "-"]
        found.append(Way("warren", "warren send, bulk", many, argv, Warren.environment(bench), ndjson(bench, many)))
    if "celery" in args.systems:
        argv = [celery_python(), os.path.join(HERE, "noop_celery.py"), str(few)]
        env = Celery.environment(bench)
        found.append(Way("celery", "Celery, no confirms", few, argv, env, counts=True))
        found.append(Way("celery-confirm", "Celery, confirms", few, argv + ["confirm"], env, counts=True))
    return found
