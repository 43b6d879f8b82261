"""A mixed cluster: a Celery worker and warren workers, each with a queue of its own, and one queue that both serve."""
import contextlib
import itertools
import signal

import kombu

import harness
from harness import C_TASKS, PYTHON, WARREN, Program, Site, wait_until

TASKS = {"ours": "warren, tasks in Python", "c": "warren, tasks in C", "theirs": "Celery", "celery": "a Celery worker and a warren worker"}


class Cluster:
    """Queues `ours`, `c`, `theirs` and `celery`, the default one; client applications by app()."""

    def __init__(self, servers, number, folder, kind="classic"):
        self.site, self.folder, self.kind = Site(servers, number, folder), folder, kind
        self.programs = []
        self.env = {} if kind == "classic" else {"QUORUM_QUEUES": "ours,c"}
        self.numbers = itertools.count(1)
        self.declare()

    def queue_kind(self, name):
        # Celery 5.2 asks for a window over the whole channel, which quorum queues refuse: those are ours alone.
        return self.kind if name in ("ours", "c") else "classic"

    def declare(self):
        with self.site.raw_connection() as connection:
            for name in TASKS:
                self.queue(name).bind(connection.channel()).declare()

    def queue(self, name):
        arguments = None if self.queue_kind(name) == "classic" else {"x-queue-type": self.queue_kind(name)}
        return kombu.Queue(name, kombu.Exchange(name), routing_key=name, queue_arguments=arguments)

    def app(self, **conf):
        return self.site.app(task_queues=[self.queue(name) for name in TASKS], **conf)

    def start(self, name, argv, ready):
        log = str(self.folder / ("%s-%d.log" % (name, next(self.numbers))))
        program = Program(argv, self.site.env(**self.env), log, str(self.folder))
        self.programs.append(program)
        program.wait_line(ready)
        return program

    def warren(self, *args):
        return self.start("worker", [WARREN, "worker", *args], r" ready\.")

    def celery(self, *args):
        return self.start("celery", [PYTHON, "-m", "celery", "-A", "celery_app:app", "worker", "-l", "info", "-P", "solo",
                                     "--without-gossip", "--without-mingle", "--without-heartbeat", *args], r" ready\.$")

    def start_all(self):
        self.warren("-A", "tasks", "-Q", "ours,celery", "-c", "2", "-n", "python@%h")
        self.warren("--module", C_TASKS, "-Q", "c", "-c", "2", "-n", "c@%h")
        self.celery("-Q", "theirs,celery", "-n", "celery@%h")
        return self

    def output(self):
        return "\n".join(p.output()[-8000:] for p in self.programs)

    def wait_quiet(self, timeout_s=30):
        """Until no task is left anywhere: neither in a queue nor with a worker."""
        self.site.wait_empty(timeout_s)

    def keys(self, pattern):
        return sorted(k.decode() for k in self.site.redis.keys(pattern))

    def wait_closed(self, header, timeout_s=10):
        """Until the counters of this chord are gone. A body may end before the worker that sent it has removed them; those of a chord
        that has failed Celery leaves to expire."""
        def left():
            return [k for k in self.keys("celery-taskset-meta-%s.*" % header.id)]
        wait_until(lambda: not left(), timeout_s * harness.SLOW, lambda: "counters of a chord to be removed: %r" % left())

    def close(self):
        for p in self.programs:
            if p.alive():
                p.send_signal(signal.SIGTERM)
        try:
            for p in self.programs:
                assert p.wait() == 0, p.output()
                assert p.complaints() is None, p.output()
        finally:
            for p in self.programs:
                p.clean_up()
            self.site.close()


@contextlib.contextmanager
def cluster(servers, number, folder, kind="classic"):
    c = Cluster(servers, number, folder, kind)
    try:
        yield c
    finally:
        c.close()
