"""Tasks in Python that the tests send. ctasks.c has those of them that are asked of C too, under the same names."""
import asyncio
import os
import resource
import signal
import sys
import time

from warren_runner import current_task, progress, task


def write_line(path, text):
    """Whole lines only, whoever else appends."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, (text + "\n").encode())
    os.close(fd)


def wait_for_file(path):
    # The test opens the gate; its own time-out bounds this.
    while not os.path.exists(path):
        time.sleep(0.002)


@task(name="add")
def add(x, y):
    return x + y


@task(name="xsum")
def xsum(numbers):
    """The sum of all numbers in a list, however it nests."""
    return sum(xsum(n) if isinstance(n, list) else n for n in numbers)


@task(name="second_time", bind=True)
def second_time(self, x):
    """Comes to its argument when it is run again."""
    if self.request.retries == 0:
        raise self.retry(countdown=0)
    return x


@task(name="echo")
def echo(*args, **kwargs):
    return [list(args), kwargs]


@task(name="note")
def note(x):
    return x


@task(name="fail")
def fail(message):
    raise ValueError(message)


class Odd(Exception):
    pass


@task(name="fail_oddly")
def fail_oddly(*args):
    raise Odd(*args)


@task(name="stamp")
def stamp(*args, **kwargs):
    """When it ran."""
    return time.time()


@task(name="hold")
def hold(gate, journal=None):
    """Runs until the file `gate` exists."""
    if journal:
        write_line(journal, current_task.request.id)
    wait_for_file(gate)
    return "held"


@task(name="steps")
def steps(gate):
    """PROGRESS, and then it waits for the file `gate`."""
    progress(1, 2, "first")
    wait_for_file(gate)
    progress(2, 2, "second")
    return 2


@task(name="own_state", bind=True)
def own_state(self, gate):
    self.update_state(state="DIGGING", meta={"depth": 3})
    wait_for_file(gate)


@task(name="journal")
def journal(path, number, seconds=0.0, gate=None):
    """Notes that it ran, takes its time, and gives a number that can be checked."""
    write_line(path, "%d" % number)
    if gate:
        wait_for_file(gate)
    time.sleep(seconds)
    return number * number


@task(name="big")
def big(n):
    return "x" * n


@task(name="nested")
def nested(depth):
    """A list in a list in a list."""
    value = []
    for _ in range(depth - 1):
        value = [value]
    return value


@task(name="length")
def length(text):
    return len(text)


@task(name="say")
def say(text):
    print(text)
    print(text, file=sys.stderr)


@task(name="nap")
async def nap(seconds):
    await asyncio.sleep(seconds)
    return "slept"


@task(name="die")
def die(how):
    """By a signal or with an exit code: "SIGKILL", "SIGSEGV", 3."""
    if isinstance(how, int):
        os._exit(how)
    os.kill(os.getpid(), getattr(signal, how))
    time.sleep(60)


@task(name="about", bind=True)
def about(self, *args):
    """What it sees of its call and of its process."""
    r = self.request
    with open("/proc/self/status") as f:
        status = dict(line.split(":\t", 1) for line in f.read().splitlines() if ":\t" in line)
    descriptors = {}
    for fd in os.listdir("/proc/self/fd"):
        try:
            descriptors[int(fd)] = os.readlink("/proc/self/fd/" + fd)
        except FileNotFoundError:
            pass  # the one that listed the folder
    return {"id": r.id, "args": list(r.args), "retries": r.retries, "hostname": r.hostname,
            "routing_key": r.delivery_info.get("routing_key"), "environment": dict(os.environ), "descriptors": descriptors,
            "umask": status["Umask"], "session": os.getsid(0) == os.getpid(), "blocked": status["SigBlk"],
            "ignored": status["SigIgn"], "core": resource.getrlimit(resource.RLIMIT_CORE)[0], "no_new_privs": status["NoNewPrivs"],
            "pid": os.getpid()}


@task(name="unserializable")
def unserializable():
    return object()
