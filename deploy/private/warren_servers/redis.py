"""One private Redis."""
import os
import socket

from .process import Failed, Process, free_ports, wait_until

DATABASES = 4096  # a database per test


class RedisServer:
    def __init__(self, directory, options):
        self.directory = directory
        self.options = options
        self.port = None
        self.process = None

    def configure(self):
        (self.port,) = free_ports(1)
        # Without snapshots; with a log of writes only where a test wants results to survive a restart (redis_args).
        argv = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.directory, "--save", "",
                "--appendonly", "no", "--databases", str(DATABASES), "--daemonize", "no"] + self.options.redis_args
        self.process = Process("Redis", argv, dict(os.environ), os.path.join(self.directory, "redis.log"))

    def start(self):
        self.process.start()

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as s:
                s.sendall(b"PING\r\n")
                # With a password of a test's own it answers so.
                return s.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def wait_ready(self):
        wait_until(lambda: self.answers() or not self.process.alive(), self.options.start_s, "Redis to answer")
        if not self.process.alive():
            raise Failed("Redis ended at its start:\n" + self.process.last_lines())

    def stop(self, **how):
        self.process.stop(**how)

    def about(self):
        return {"port": self.port, "pid": self.process.child.pid if self.process.child else None}

    def end(self):
        self.process.stop()
