"""The caller's side: starts a keeper, and asks it to stop, kill and start single servers."""
import json
import os
import select
import shutil
import signal
import subprocess
import sys

from .options import Options
from .process import Failed
from .rabbitmq import RabbitMQ

HERE = os.path.dirname(os.path.realpath(__file__))


class Servers:
    """A context manager. The keyword arguments are those of Options."""

    def __init__(self, **options):
        self.options = Options(**options)
        self.keeper = None
        self.about = None
        self.rabbitmq = None

    def __enter__(self):
        return self.open()

    def __exit__(self, *exc):
        self.close()

    def open(self):
        path = os.pathsep.join(p for p in (os.path.dirname(HERE), os.environ.get("PYTHONPATH")) if p)
        self.keeper = subprocess.Popen(
            [sys.executable, "-m", __package__ + ".keeper", json.dumps(vars(self.options))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(os.environ, PYTHONPATH=path), start_new_session=True)
        try:
            self.read_reply(self.options.start_s + 60)
        except BaseException:
            self.close()
            raise
        if self.options.rabbitmq:
            node = self.about["rabbitmq"]
            self.rabbitmq = RabbitMQ(node["directory"], node["port"], node["ctl"])
        return self

    def close(self):
        """Stops everything; may be called again."""
        if self.keeper is None:
            return
        if self.rabbitmq is not None:
            self.rabbitmq.close_door()
        self.keeper.stdin.close()
        ended_well = self.keeper.wait() == 0
        self.keeper.stdout.close()
        if not ended_well and self.about and self.options.directory is None and not self.options.keep:
            shutil.rmtree(self.directory, ignore_errors=True)  # it was killed; its servers went with it
        self.keeper = None

    def read_reply(self, timeout_s):
        # Not select(), which is at its end when the process has a thousand descriptors.
        waiting = select.poll()
        waiting.register(self.keeper.stdout, select.POLLIN)
        ready = waiting.poll(timeout_s * 1000)
        line = self.keeper.stdout.readline() if ready else b""
        if not line:
            raise Failed("the keeper of the private servers does not answer")
        reply = json.loads(line)
        if "error" in reply:
            raise Failed(reply["error"])
        self.about = reply["ok"]

    def order(self, **what):
        self.keeper.stdin.write(json.dumps(what).encode() + b"\n")
        self.keeper.stdin.flush()
        self.read_reply(self.options.start_s + 60)

    def start(self, name):
        """Starts "rabbitmq" or "redis" again, on the same port with the data it left, and waits until it is ready."""
        self.order(start=name)

    def stop(self, name, sig=signal.SIGTERM):
        """Stops "rabbitmq" or "redis", in good order or with SIGKILL, and waits for its end."""
        if name == "rabbitmq":
            self.rabbitmq.close_door()
        self.order(stop=name, signal=int(sig))

    def pid(self, name):
        return self.about[name]["pid"]

    @property
    def directory(self):
        return self.about["directory"]

    def broker_url(self, vhost="/"):
        return self.rabbitmq.url(vhost)

    def redis_url(self, database=1):
        return "redis://127.0.0.1:%d/%d" % (self.about["redis"]["port"], database)

    def env(self):
        """What a command needs to find them."""
        env = {"PRIVATE_DIR": self.directory}
        if self.options.rabbitmq:
            env["WARREN_BROKER"] = self.broker_url()
            env["PRIVATE_RABBITMQCTL"] = self.about["rabbitmq"]["ctl"]
        if self.options.redis:
            env["WARREN_RESULT_BACKEND"] = self.redis_url()
        return env
