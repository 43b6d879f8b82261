"""Tasks that note when they begin and end, and tasks that behave badly. The journal is a file; a line is one write."""
import os
import signal
import subprocess
import sys
import time

from warren_runner import Reject, current_task, task


def note(journal, *words):
    fd = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, (" ".join(map(str, words)) + "\n").encode())
    os.close(fd)


def wait_for(gate):
    while not os.path.exists(gate):
        time.sleep(0.002)


def begin(journal):
    note(journal, "start", current_task.request.id, os.getpid(), current_task.request.retries)


def end(journal):
    note(journal, "end", current_task.request.id)


@task(name="run")
def run(journal, value, gate=None, seconds=0):
    """Twice the value; with a gate, once that file is there."""
    begin(journal)
    if gate:
        wait_for(gate)
    time.sleep(seconds)
    end(journal)
    return 2 * value


@task(name="gather")
def gather(results, journal):
    """The body of a chord: what its members have come to."""
    begin(journal)
    end(journal)
    return results


@task(name="raise_now")
def raise_now(journal):
    begin(journal)
    raise ValueError("boom")


@task(name="flaky", bind=True, max_retries=10)
def flaky(self, journal, value, failures, countdown=0):
    """Asks for as many retries as `failures` says."""
    begin(journal)
    if self.request.retries < failures:
        end(journal)
        raise self.retry(countdown=countdown)
    end(journal)
    return 2 * value


@task(name="punctual")
def punctual(journal, due):
    """Notes how much later than due it began."""
    note(journal, "start", current_task.request.id, "%.3f" % (time.time() - due))


@task(name="die")
def die(journal, how):
    begin(journal)
    print("famous last words", file=sys.stderr, flush=True)
    if isinstance(how, int):
        os._exit(how)
    os.kill(os.getpid(), getattr(signal, how))
    signal.pause()


@task(name="deaf")
def deaf(journal):
    """Neither SIGTERM nor the soft limit's signal ends it."""
    for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(sig, signal.SIG_IGN)
    begin(journal)
    while True:
        time.sleep(60)


@task(name="halt")
def halt(journal):
    """Stops itself, as a debugger would."""
    begin(journal)
    os.kill(os.getpid(), signal.SIGSTOP)


@task(name="litter")
def litter(journal, how, linger=False):
    """Leaves a process behind: in its session, in one of its own, or one that forked twice and holds stdout."""
    command = ["sleep", "300"]
    if how == "double":
        command = ["sh", "-c", "setsid setsid sleep 300 & sleep 300 & wait"]
    left = subprocess.Popen(command, start_new_session=how != "same")
    note(journal, "left", left.pid)
    begin(journal)
    while linger:
        time.sleep(60)
    return "done"


@task(name="flood")
def flood(size, to="stdout"):
    line = b"x" * 99 + b"\n"
    fd = 1 if to == "stdout" else 2
    for _ in range(size // len(line)):
        os.write(fd, line)
    return size


@task(name="hoard")
def hoard(size):
    return len(bytearray(size))


@task(name="length")
def length(text):
    return len(text)


@task(name="echo")
def echo(*args):
    return list(args)


def worker_pid():
    """Up from here, past a template process."""
    pid = os.getppid()
    while True:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            if b"\0worker\0" in f.read():
                return pid
        with open("/proc/%d/stat" % pid) as f:
            pid = int(f.read().rsplit(")", 1)[1].split()[1])


@task(name="parricide")
def parricide(journal):
    """Kills the worker that runs it."""
    begin(journal)
    os.kill(worker_pid(), signal.SIGKILL)
    signal.pause()


@task(name="turn")
def turn(journal, gate):
    """The how-manieth run of this task it is, once the gate of that number is there."""
    begin(journal)
    with open(journal) as f:
        n = sum(line.startswith("start %s " % current_task.request.id) for line in f)
    wait_for("%s.%d" % (gate, n))
    end(journal)
    return n


@task(name="big")
def big(journal, size):
    begin(journal)
    return "x" * size


@task(name="refuse", bind=True)
def refuse(self, journal):
    """Gives its message back at once, again and again."""
    begin(journal)
    raise Reject("not now", requeue=True)


class Asked(Exception):
    pass


@task(name="tidy")
def tidy(journal):
    """Ends in good order when it is asked to."""
    def asked(signum, frame):
        raise Asked
    old = signal.signal(signal.SIGTERM, asked)
    begin(journal)
    try:
        while True:
            time.sleep(60)
    except Asked:
        signal.signal(signal.SIGTERM, old)
    end(journal)
    return "tidied up"


GORGE = "import time; m = bytearray(%d)\nfor i in range(0, len(m), 4096): m[i] = 1\ntime.sleep(60)"


@task(name="gorge")
def gorge(journal, size, how, end_at_once=False):
    """Takes so much memory, in this process, in a child, or in one of a session of its own, and keeps it."""
    begin(journal)
    if how == "itself":
        note(journal, "gorges", os.getpid())
        memory = bytearray(size)
        for i in range(0, size, 4096):
            memory[i] = 1
    else:
        child = subprocess.Popen([sys.executable, "-c", GORGE % size], start_new_session=how == "daemon")
        note(journal, "gorges", child.pid)
    while not end_at_once:
        time.sleep(60)
    end(journal)
    return size


kept = []


@task(name="keep")
def keep(size):
    kept.append(b"x" * size)
    return size
