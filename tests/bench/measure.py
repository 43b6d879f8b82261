"""What is measured, and how: Redis by a few lines of its protocol, processes by /proc, the queue by the broker's counters."""
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.parse

POLL = 0.025
STALL = 20.0
READY = re.compile(rb"\bready\b")


class Void(Exception):
    """A number that must not be reported: tasks are missing, or the program under test failed."""


class Redis:
    """Enough of a client to count, to read results and to listen."""

    def __init__(self, port, db):
        self.sock = socket.create_connection(("127.0.0.1", port), 10)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(60)
        self.file = self.sock.makefile("rb")
        self.call("SELECT", db)

    def send(self, *args):
        parts = [str(a).encode() if not isinstance(a, bytes) else a for a in args]
        self.sock.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))

    def read(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise Void("Redis closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise Void("Redis: " + rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.read() for _ in range(int(rest))]
        return rest

    def call(self, *args):
        self.send(*args)
        return self.read()

    def close(self):
        self.file.close()
        self.sock.close()


def results_ok(redis):
    """How many tasks have a stored result that is a success."""
    done, cursor = set(), b"0"    # SCAN may name a key twice
    while True:
        cursor, keys = redis.call("SCAN", cursor, "MATCH", "celery-task-meta-*", "COUNT", 5000)
        for key, text in zip(keys, redis.call("MGET", *keys) if keys else []):
            if text is not None and json.loads(text).get("status") == "SUCCESS":
                done.add(key)
        if cursor == b"0":
            return len(done)


def processes():
    """pid -> (parent, CPU seconds) of every process now."""
    tick = os.sysconf("SC_CLK_TCK")
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name, "rb") as f:
                    fields = f.read().rpartition(b")")[2].split()
            except OSError:
                continue
            found[int(name)] = (int(fields[1]), (int(fields[11]) + int(fields[12])) / tick)
    return found


def tree(root, procs=None):
    """root and all its descendants, root first."""
    procs = processes() if procs is None else procs
    pids = [root]
    for pid in pids:
        pids.extend(p for p, (parent, _) in procs.items() if parent == pid)
    return pids


def machine_seconds():
    """CPU seconds that all programs, and the host's other guests, have taken since boot."""
    with open("/proc/stat") as f:
        user, nice, system, _, _, _, _, steal = map(int, f.readline().split()[1:9])
    return (user + nice + system + steal) / os.sysconf("SC_CLK_TCK")


class Moment:
    """The time, and the CPU seconds that a worker, all of ours (those that have ended too) and everybody have used."""

    def __init__(self, bench, worker_pid=None, results=0):
        self.at, self.results = time.monotonic(), results
        procs = processes()

        def used(root):
            return sum(procs[p][1] for p in tree(root, procs) if p in procs)

        self.worker = used(worker_pid) if worker_pid else 0
        self.redis = used(bench.servers.pid("redis"))
        self.ours = self.worker + self.redis + used(bench.servers.pid("rabbitmq")) + sum(os.times()[:4])
        self.all = machine_seconds()

    def others_since(self, before):
        """The part of the machine's CPU that went to anything else."""
        others = (self.all - before.all) - (self.ours - before.ours)
        return max(0.0, others) / ((self.at - before.at) * os.cpu_count())


def pss_kib(pid):
    with open("/proc/%d/smaps_rollup" % pid, "rb") as f:
        return int(re.search(rb"^Pss:\s+(\d+)", f.read(), re.M).group(1))


class Worker:
    """A worker under test: its log in a file, a note of when it said that it is ready, an end in good order."""

    def __init__(self, argv, env, log):
        self.log, self.ready_at, self.argv = log, None, argv
        self.out = open(log, "wb")
        self.began = time.monotonic()
        self.proc = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, start_new_session=True)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.proc.stdout:
            if self.ready_at is None and READY.search(line):
                self.ready_at = time.monotonic()
            self.out.write(line)
        self.out.close()

    def failed(self):
        return self.proc.poll() not in (None, 0)

    def fail(self, why):
        with open(self.log, "rb") as f:
            tail = f.read()[-1500:].decode(errors="replace")
        return Void("%s: %s\n--- %s\n%s" % (os.path.basename(self.argv[0]), why, self.log, tail))

    def stop(self, patience=30):
        """SIGTERM lets a worker finish and acknowledge; what is left of it after that is killed."""
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
        try:
            self.proc.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
            raise self.fail("did not stop within %d s of SIGTERM" % patience) from None
        self.thread.join(5)
        if self.proc.returncode:
            raise self.fail("ended with code %d on SIGTERM" % self.proc.returncode)

    def kill(self):
        if self.proc.poll() is not None:
            return
        for pid in tree(self.proc.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.proc.wait()


class Bench:
    """The servers, the programs and a folder for logs: what every measurement needs."""

    queue = "bench"

    def __init__(self, rawloop, servers, folder):
        self.rawloop, self.servers, self.folder = rawloop, servers, folder
        self.broker, self.redis_url = servers.broker_url(), servers.redis_url(1)
        self.redis_at = (urllib.parse.urlsplit(self.redis_url).port, 1)
        self.redis = Redis(*self.redis_at)
        self.runs = 0

    def raw_argv(self, mode, **opts):
        argv = [self.rawloop, mode, "--broker", self.broker, "--redis", self.redis_url, "--queue", self.queue]
        for name, value in opts.items():
            argv += ["--" + name, str(value)]
        return argv

    def raw(self, mode, **opts):
        done = subprocess.run(self.raw_argv(mode, **opts), capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise Void(done.stderr.strip())

    def depth(self):
        """Messages in the queue, waiting or unacknowledged."""
        return self.servers.rabbitmq.queues()[self.queue]["messages"]

    def fresh(self, tasks=0):
        """An empty queue and an empty Redis, then so many waiting tasks."""
        self.redis.call("FLUSHDB")
        self.raw("delete")
        self.raw("declare")
        if tasks:
            self.raw("publish", count=tasks)
            if self.depth() != tasks:
                raise Void("%d tasks were published, but %d wait" % (tasks, self.depth()))

    def start(self, system, slots, level):
        self.runs += 1
        argv, env = system.worker(self, slots, level)
        return Worker(argv, env, os.path.join(self.folder, "%03d-%s-%d.log" % (self.runs, system.key, slots)))

    def wait_results(self, worker, tasks):
        """Looks at the number of results until all are there. Returns the moments of the first and the last."""
        first, seen, moved = None, 0, time.monotonic()
        while True:
            n, now = self.redis.call("DBSIZE"), time.monotonic()
            if n > seen:
                seen, moved = n, now
            if n and first is None:
                first = Moment(self, worker.proc.pid, n)
            if n >= tasks:
                return first, Moment(self, worker.proc.pid, n)
            if worker.failed():
                raise worker.fail("ended with %d of %d results" % (n, tasks))
            if now - moved > STALL:
                raise worker.fail("no progress for %d s at %d of %d results" % (STALL, n, tasks))
            time.sleep(POLL)

    def finish(self, worker, tasks):
        """Lets the worker acknowledge what it did, ends it, and looks whether each task has one result and none came back."""
        # Celery forgets acknowledgements that are due when SIGTERM comes; ending it is not what is measured.
        until = time.monotonic() + STALL
        while self.depth():
            if time.monotonic() > until:
                raise worker.fail("%d messages were never acknowledged" % self.depth())
            time.sleep(POLL)
        worker.stop()
        ok, left = results_ok(self.redis), self.depth()
        if ok != tasks or left:
            raise Void("of %d tasks %d have a result that is a success and %d are still in the queue" % (tasks, ok, left))


def consume(bench, system, slots, tasks):
    """Tasks per second from the first result to the last, of a queue that was full before the worker began."""
    bench.fresh(tasks)
    system.tasks = tasks
    worker = bench.start(system, slots, "warning")
    try:
        first, last = bench.wait_results(worker, tasks)
        bench.finish(worker, tasks)
    except BaseException:
        worker.kill()
        raise
    done, seconds = last.results - first.results, last.at - first.at
    if done <= 0 or seconds <= 0:
        raise Void("%d tasks are too few to measure" % tasks)
    return {"tasks": tasks, "seconds": seconds, "rate": done / seconds,
            "cpu_us_per_task": 1e6 * (last.worker - first.worker) / done,
            "redis_us_per_task": 1e6 * (last.redis - first.redis) / done,
            "all_us_per_task": 1e6 * (last.ours - first.ours) / done,
            "others": last.others_since(first)}


def publish(bench, way):
    """Messages per second of a producer."""
    bench.fresh()
    log = os.path.join(bench.folder, "publish-%s.log" % way.key)
    with open(way.stdin or os.devnull, "rb") as source, open(log, "wb") as err:
        before = Moment(bench)
        done = subprocess.run(way.argv, env=way.env, stdin=source, stdout=subprocess.PIPE, stderr=err, timeout=300)
        after = Moment(bench)
    if done.returncode:
        with open(log, "rb") as f:
            raise Void("ended with code %d: %s" % (done.returncode, f.read()[-800:].decode(errors="replace")))
    sent, seconds = way.tasks, after.at - before.at
    if way.counts:
        report = json.loads(done.stdout)
        sent, seconds = report["published"], report["seconds"]
    # Without confirms messages may still be on their way when the producer ends.
    until = time.monotonic() + STALL
    while bench.depth() != way.tasks:
        if time.monotonic() > until:
            raise Void("published %d tasks, but %d arrived" % (way.tasks, bench.depth()))
        time.sleep(POLL)
    return {"tasks": sent, "seconds": seconds, "rate": sent / seconds, "others": after.others_since(before)}


def memory(bench, system, slots, tasks):
    """Proportional set size once some tasks have been done and none is left."""
    bench.fresh(tasks)
    worker = bench.start(system, slots, "warning")
    try:
        bench.wait_results(worker, tasks)
        pids = tree(worker.proc.pid)
        daemon, children = pss_kib(pids[0]), sorted(pss_kib(p) for p in pids[1:])
        bench.finish(worker, tasks)
    except BaseException:
        worker.kill()
        raise
    if len(children) < slots:
        raise Void("%s has %d children for %d slots" % (system.title, len(children), slots))
    return {"slots": slots, "daemon_kib": daemon, "child_kib": children[len(children) // 2],
            "child_max_kib": children[-1], "total_kib": daemon + sum(children)}


def start(bench, system, slots):
    """Seconds from exec to the line that says ready, and to the result of a task that waited."""
    bench.fresh(1)
    listener = Redis(*bench.redis_at)
    listener.call("PSUBSCRIBE", "celery-task-meta-*")
    listener.sock.settimeout(STALL)
    worker = bench.start(system, slots, "info")
    try:
        while True:
            try:
                message = listener.read()
            except socket.timeout:
                raise worker.fail("no result within %d s of its start" % STALL) from None
            result = time.monotonic()
            if json.loads(message[3]).get("status") == "SUCCESS":
                break
        until = time.monotonic() + STALL
        while worker.ready_at is None:
            if time.monotonic() > until:
                raise worker.fail("never said that it is ready")
            time.sleep(0.005)
        bench.finish(worker, 1)
    except BaseException:
        worker.kill()
        raise
    finally:
        listener.close()
    return {"slots": slots, "ready": worker.ready_at - worker.began, "first_result": result - worker.began}
