"""
The process that owns the servers. It reports on stdout when they are ready, obeys lines on stdin, and when stdin ends, its parent
is gone or a signal comes, it stops them and removes the folder. So a caller that is killed leaves nothing behind.

    -> {"start": "rabbitmq"}  {"stop": "redis", "signal": 9}        <- {"ok": {...}} or {"error": "..."}
"""
import json
import os
import select
import shutil
import signal
import sys
import tempfile
import threading

from .options import Options
from .process import Failed
from .rabbitmq import RabbitMQServer
from .redis import RedisServer


class Ended(Exception):
    pass


class Keeper:
    def __init__(self, options):
        self.options = options
        self.parent = os.getppid()
        self.directory = None
        self.servers = {}

    def run(self):
        for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(sig, self.on_signal)
        threading.Thread(target=self.watch_parent, daemon=True).start()
        try:
            try:
                self.start_all()
                self.say({"ok": self.about()})
            except (Failed, OSError) as e:
                self.say({"error": str(e)})
                return 1
            for line in sys.stdin:
                self.obey(json.loads(line))
            return 0
        except Ended:
            return 0
        finally:
            self.end()

    @staticmethod
    def on_signal(sig, frame):
        raise Ended

    def start_all(self):
        self.directory = self.folder()
        wanted = [("redis", RedisServer, self.options.redis), ("rabbitmq", RabbitMQServer, self.options.rabbitmq)]
        for name, kind, want in wanted:
            if want:
                server = kind(self.directory, self.options)
                server.configure()
                self.servers[name] = server
        for server in self.servers.values():
            server.start()
        for server in self.servers.values():
            server.wait_ready()

    def folder(self):
        path = self.options.directory
        if path is None:
            return tempfile.mkdtemp(prefix="warren-servers-")
        os.makedirs(path, mode=0o700, exist_ok=True)
        if os.listdir(path):
            raise Failed("%s is not empty" % path)
        return os.path.realpath(path)

    def watch_parent(self):
        """In a thread, because the parent may go at any moment, also while a server starts."""
        hangup = select.poll()
        hangup.register(0, 0)
        while not hangup.poll(1000) and os.getppid() == self.parent:
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    def obey(self, order):
        try:
            if "start" in order:
                server = self.servers[order["start"]]
                server.start()
                server.wait_ready()
            else:
                self.servers[order["stop"]].stop(sig=order["signal"])
            self.say({"ok": self.about()})
        except Failed as e:
            self.say({"error": str(e)})

    def about(self):
        return {"directory": self.directory, **{name: server.about() for name, server in self.servers.items()}}

    def say(self, what):
        try:
            os.write(1, json.dumps(what).encode() + b"\n")
        except BrokenPipeError:
            raise Ended from None

    def end(self):
        for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(sig, signal.SIG_IGN)
        for server in self.servers.values():
            server.end()
        if self.directory and self.options.directory is None and not self.options.keep:
            shutil.rmtree(self.directory, ignore_errors=True)


def main(text):
    return Keeper(Options(**json.loads(text))).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
