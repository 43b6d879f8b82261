"""What a chaos test works with: queues, senders, workers behind proxies, and the books that are closed at its end."""
import collections
import json
import os
import signal
import subprocess
import uuid

import amqp

import harness
from harness import BUILD, SLOW, Program
from tproxy import Amqp, Proxy, Resp
from warren_servers import wait_until

HERE = os.path.dirname(os.path.realpath(__file__))
FULL = os.environ.get("WARREN_CHAOS") == "full"
BUILD_FAIL = BUILD + "-fail"
KINDS = ("classic", "quorum")


def make_failpoint_build():
    """A build like the one under test, with failpoints, in a folder of its own that stays; the path of its warren."""
    os.makedirs(BUILD_FAIL, exist_ok=True)
    if not os.path.exists(os.path.join(BUILD_FAIL, "Makefile")):
        options = subprocess.run([os.path.join(BUILD, "config.status"), "--config"], capture_output=True, text=True, check=True)
        subprocess.run("%s/configure -q %s --enable-failpoints" % (harness.TOP, options.stdout.strip()), shell=True,
                       cwd=BUILD_FAIL, check=True)
    subprocess.run(["make", "-s", "-j%d" % os.cpu_count(), "warren", "warren-runner"], cwd=BUILD_FAIL, check=True,
                   stdout=subprocess.DEVNULL)
    return os.path.join(BUILD_FAIL, "warren")


BUILD_OLD = BUILD + "-old"


def make_old_build(commit=None):
    """A build of an older commit (WARREN_OLD_COMMIT, else 60 before this one), in a folder of its own that stays; the path of its warren,
    None without the history of the sources."""
    def git(*args):
        return subprocess.run(["git", "-C", harness.TOP, *args], capture_output=True, check=True).stdout
    try:
        commit = commit or os.environ.get("WARREN_OLD_COMMIT") or "HEAD~60"
        name = git("rev-parse", "--verify", "-q", commit + "^{commit}").decode().strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    folder = os.path.join(BUILD_OLD, name[:12])
    warren = os.path.join(folder, "build", "warren")
    if not os.path.exists(warren):
        os.makedirs(os.path.join(folder, "build"), exist_ok=True)
        subprocess.run(["tar", "-x", "-C", folder], input=git("archive", name), check=True)
        for command in ("autoreconf -fi -W none", "cd build && ../configure -q", "make -s -C build -j%d warren warren-runner" % os.cpu_count()):
            subprocess.run(command, shell=True, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return warren


def encode(name, args=(), kwargs=None, task_id=None, **headers):
    """(body, headers) of a task as Celery's protocol 2 has it."""
    task_id = task_id or str(uuid.uuid4())
    all_headers = {"lang": "py", "task": name, "id": task_id, "root_id": task_id, "parent_id": None, "group": None,
                   "argsrepr": repr(args)[:1000], "kwargsrepr": "{}", "origin": "chaos", "retries": 0, "eta": None, "expires": None,
                   "timelimit": [None, None], "shadow": None, "ignore_result": False}
    all_headers.update(headers)
    embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    return json.dumps([list(args), kwargs or {}, embed]), all_headers


class Lab:
    def __init__(self, site, folder, programs, fail_build):
        self.site, self.folder, self.programs, self.fail_build = site, folder, programs, fail_build
        self.journal = str(folder / "journal")
        open(self.journal, "a").close()
        self.gate = str(folder / "gate")
        self.queue = "work"
        self.sent = {}              # id: what its result must be
        self.workers, self.proxies = [], []
        self.expect_406 = False
        self.listener = None
        self.finals = collections.Counter()

    # --- the way there

    def connect(self, confirm=True):
        host, vhost = self.site.broker.rsplit("@", 1)[1].split("/", 1)
        connection = amqp.Connection(host, virtual_host=vhost or "/", confirm_publish=confirm)
        connection.connect()
        return connection

    def declare(self, kind="classic", name=None, **arguments):
        if kind != "classic":
            arguments["x-queue-type"] = kind
        with self.connect() as connection:
            connection.channel().queue_declare(name or self.queue, durable=True, auto_delete=False, arguments=arguments)

    def publish(self, body, headers, queue=None, **properties):
        """Confirmed by the broker when it returns."""
        properties = dict({"content_type": "application/json", "content_encoding": "utf-8", "delivery_mode": 2,
                           "correlation_id": str(headers.get("id"))[:200]}, **properties)
        with self.connect() as connection:
            connection.channel().basic_publish(amqp.Message(body, application_headers=headers, **properties), "",
                                               queue or self.queue, mandatory=True)

    def send(self, name, args=(), queue=None, gives=None, **headers):
        """Sends a task; its id."""
        body, headers = encode(name, args, **headers)
        self.publish(body, headers, queue)
        self.sent[headers["id"]] = gives
        return headers["id"]

    def send_run(self, value=21, gated=False, seconds=0, **more):
        """The task `run`, with its result known to the books."""
        return self.send("run", (self.journal, value, self.gate if gated else None, seconds), gives=2 * value, **more)

    def send_many(self, n, seconds=0, queue=None):
        """Quickly: all on one channel, confirmed at the end."""
        ids = []
        with self.connect(confirm=False) as connection:
            channel = connection.channel()
            channel.confirm_select()
            left = set(range(1, n + 1))

            def confirmed(tag, multiple=False):
                left.difference_update([t for t in left if t <= tag] if multiple else [tag])
            channel.events["basic_ack"].add(confirmed)
            for i in range(n):
                body, headers = encode("run", (self.journal, i, None, seconds))
                channel._basic_publish(amqp.Message(body, application_headers=headers, content_type="application/json",
                                                    content_encoding="utf-8", delivery_mode=2), "", queue or self.queue)
                self.sent[headers["id"]] = 2 * i
                ids.append(headers["id"])
            while left:
                connection.drain_events(timeout=30)
        return ids

    # --- proxies and workers

    def broker_proxy(self):
        self.proxies.append(Proxy(self.site.rabbitmq.port, Amqp))
        return self.proxies[-1]

    def redis_proxy(self):
        self.proxies.append(Proxy(self.site.servers.about["redis"]["port"], Resp))
        return self.proxies[-1]

    @staticmethod
    def through(url, proxy):
        before, at, rest = url.replace("redis://", "redis://@").rpartition("@")
        url = "%s%s127.0.0.1:%d/%s" % (before, at, proxy.port, rest.split("/", 1)[1])
        return url.replace("redis://@", "redis://")

    def worker(self, *args, fail=None, warren=None, broker=None, redis=None, c=1, queues=None, ready=True, env=None, prefix=(),
               pool=True):
        """A worker, ready when this returns. warren: of another build; fail: WARREN_FAIL; broker, redis: a Proxy to go through; pool=False: the pools come
        from the arguments."""
        more = dict(env or {})
        if broker:
            more["WARREN_BROKER"] = self.through(self.site.broker, broker)
        if redis:
            more["WARREN_RESULT_BACKEND"] = self.through(self.site.backend, redis)
        if fail:
            more["WARREN_FAIL"] = fail
        env = self.site.env(**more)
        env["PYTHONPATH"] = os.pathsep.join([os.path.join(HERE, "tasks"), env["PYTHONPATH"]])
        if warren:
            env["WARREN_PYTHONDIR"] = os.path.join(os.path.dirname(os.path.dirname(warren)), "src", "runners", "python")
        elif fail:
            warren = self.fail_build()
        else:
            warren = harness.WARREN
        argv = [*prefix, warren, "worker", "-n", "w%d@%%h" % (len(self.workers) + 1), *args]
        if pool:
            argv += ["-A", "chaos_tasks", "-Q", queues or self.queue, "-c", str(c)]
        started = self.programs("worker", argv, env)
        self.workers.append(started)
        if ready:
            started.wait_line(r" ready\.$")
        return started

    def config(self, text):
        """The arguments for a configuration file with this text."""
        path = self.folder / "warren.yaml"
        path.write_text(text)
        return "--config", str(path)

    def open_gate(self):
        open(self.gate, "a").close()

    # --- what happened

    def lines(self, word):
        with open(self.journal) as f:
            return [line.split() for line in f.read().splitlines() if line.startswith(word + " ")]

    def starts(self, task_id=None):
        return sum(1 for line in self.lines("start") if task_id in (None, line[1]))

    def wait_starts(self, n, task_id=None, timeout_s=30):
        wait_until(lambda: self.starts(task_id) >= n, timeout_s * SLOW, lambda: "%d starts, there are %d" % (n, self.starts(task_id)))

    def wait_ends(self, n, timeout_s=60):
        wait_until(lambda: len(self.lines("end")) >= n, timeout_s * SLOW, lambda: "%d ends, there are %d" % (n, len(self.lines("end"))))

    def count_finals(self):
        """From now on self.finals counts how often a final state was stored, by id; see drain_finals."""
        self.listener = self.site.redis.pubsub()
        self.listener.psubscribe("celery-task-meta-*")
        assert self.listener.get_message(timeout=10)["type"] == "psubscribe"

    def drain_finals(self):
        while True:
            message = self.listener.get_message(timeout=0.1)
            if message is None:
                return self.finals
            if message["type"] == "pmessage":
                meta = json.loads(message["data"])
                if meta["status"] in harness.FINAL:
                    self.finals[meta["task_id"]] += 1

    def meta(self, task_id):
        text = self.site.meta(task_id)
        return None if text is None else json.loads(text)

    def state(self, task_id):
        return (self.meta(task_id) or {"status": "PENDING"})["status"]

    def wait_state(self, task_id, *states, timeout_s=30):
        return wait_until(lambda: self.state(task_id) in states, timeout_s * SLOW,
                          lambda: "%s to be %s; it is %s" % (task_id, " or ".join(states), self.meta(task_id)))

    def wait_final(self, ids=None, timeout_s=60):
        left = list(ids or self.sent)

        def all_final():
            left[:] = [i for i in left if self.state(i) not in harness.FINAL]
            return not left
        wait_until(all_final, timeout_s * SLOW, lambda: "%d results, e.g. of %s: %s" % (len(left), left[0], self.meta(left[0])),
                   every_s=0.05)

    def unacked(self):
        return self.site.unacked(self.queue)

    def wait_ready_messages(self, n, timeout_s=15):
        wait_until(lambda: self.site.counter("messages_ready", self.queue) == n, timeout_s * SLOW,
                   lambda: "%d messages to wait in the queue: %r" % (n, self.site.queues()))

    def wait_quiet(self, timeout_s=30):
        """Until no queue but those of dead letters holds a message, delivered or not."""
        def full():
            return {n: q["messages"] for n, q in self.site.queues().items()
                    if q["messages"] and not n.startswith("warren.dead.")}
        wait_until(lambda: not full(), timeout_s * SLOW, lambda: "the queues to be empty: %r" % full())

    def dead(self, queue=None):
        """All dead letters of a queue: [(body, headers, properties)]; they are gone then."""
        found = []
        with self.connect() as connection:
            channel = connection.channel()
            channel.auto_decode = False
            while True:
                message = channel.basic_get("warren.dead." + (queue or self.queue), no_ack=True)
                if message is None:
                    return found
                found.append((message.body, message.headers, message.properties))

    def close_books(self, starts=None, timeout_s=60):
        """All that was sent has the one result it must have, nothing is left in a queue; starts: least and most runs of each."""
        self.wait_final(timeout_s=timeout_s)
        self.wait_quiet()
        for task_id, gives in self.sent.items():
            meta = self.meta(task_id)
            assert (meta["status"], meta["result"]) == ("SUCCESS", gives), meta
        if starts is None:
            return
        runs = collections.Counter(line[1] for line in self.lines("start"))
        wrong = {i: runs[i] for i in self.sent if not starts[0] <= runs[i] <= starts[1]}
        assert not wrong, "runs outside %r: %r" % (starts, wrong)
        assert not set(runs) - set(self.sent), "nobody sent them"

    def close(self):
        """Every worker ends in good order when asked to, leaves nobody, and never acked what it must not."""
        for proxy in self.proxies:
            proxy.heal()
        children = {w: w.descendants() for w in self.workers if w.child.returncode is None}
        for w in children:
            if w.alive():
                w.send_signal(signal.SIGTERM)
        try:
            for w, pids in children.items():
                assert w.wait() == 0, w.output()
                left = [pid for pid in pids if harness.alive(pid)]
                assert not left, "children outlived the worker: %r" % left
            for w in self.workers:
                assert self.expect_406 or not w.lines("PRECONDITION_FAILED"), w.output()
        finally:
            for proxy in self.proxies:
                proxy.close()
            if self.listener is not None:
                self.listener.close()


__all__ = ["FULL", "KINDS", "Lab", "Program", "encode", "make_failpoint_build", "make_old_build"]
