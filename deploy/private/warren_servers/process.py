"""Child processes that cannot outlive their keeper, free ports, and waiting with a deadline."""
import ctypes
import os
import random
import signal
import socket
import subprocess
import time

PR_SET_PDEATHSIG = 1
# Outside Linux' default range for outgoing connections, which could take a port between our look and the server's bind, and
# away from the defaults of RabbitMQ (5672, 15672, 25672), Redis (6379) and epmd (4369).
PORT_FIRST, PORT_LAST = 20000, 25000

libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """Something did not work; the text is for a person."""


def wait_until(condition, timeout_s, what, every_s=0.02):
    """Polls until condition() is true and returns its value; Failed, naming `what`, when the time is over."""
    until = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= until:
            raise Failed("waited %g s for %s" % (timeout_s, what() if callable(what) else what))
        time.sleep(every_s)


def free_ports(n):
    """n different ports of 127.0.0.1 that nobody listens on now."""
    held = []
    try:
        for port in random.sample(range(PORT_FIRST, PORT_LAST), PORT_LAST - PORT_FIRST):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                s.close()
                continue
            held.append(s)
            if len(held) == n:
                return [s.getsockname()[1] for s in held]
    finally:
        for s in held:
            s.close()
    raise Failed("no free ports between %d and %d on 127.0.0.1" % (PORT_FIRST, PORT_LAST))


def dies_with_parent(sig=signal.SIGKILL):
    """For preexec_fn: the kernel sends `sig` to the child when its parent ends, however that ends."""
    parent = os.getpid()

    def prepare():
        libc.prctl(PR_SET_PDEATHSIG, int(sig), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
    return prepare


class Process:
    """One server in a session of its own, its output in a file."""

    def __init__(self, name, argv, env, log):
        self.name = name
        self.argv = argv
        self.env = env
        self.log = log
        self.child = None

    def start(self):
        with open(self.log, "ab") as log:
            try:
                self.child = subprocess.Popen(self.argv, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                              cwd=os.path.dirname(self.log), start_new_session=True,
                                              preexec_fn=dies_with_parent())
            except OSError as e:
                raise Failed("cannot start %s: %s: %s" % (self.name, self.argv[0], e.strerror)) from e

    def alive(self):
        if self.child is None:
            return False
        # Left unreaped, so that the pid stays ours until stop() has ended the whole session.
        return os.waitid(os.P_PID, self.child.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None

    def stop(self, sig=signal.SIGTERM, grace_s=20):
        """Signals the process, waits for its end, and kills what is left of its session. Does nothing when it does not run."""
        if self.child is None:
            return
        os.kill(self.child.pid, sig)
        try:
            wait_until(lambda: not self.alive(), grace_s, "the end of " + self.name)
        except Failed:
            pass
        os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()
        self.child = None

    def last_lines(self, n=15):
        try:
            with open(self.log, errors="replace") as f:
                return "".join(f.readlines()[-n:]).rstrip()
        except OSError:
            return ""
