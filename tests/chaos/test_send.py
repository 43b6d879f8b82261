"""warren send while the broker goes away and comes back."""
import fcntl
import select
import struct
import subprocess
import termios

from harness import SLOW, WARREN
from warren_servers import wait_until


def unread(pipe):
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0\0\0\0"))[0]


def test_bulk_lines_wait_for_a_broker_that_comes_back(lab):
    broker = lab.broker_proxy()
    env = lab.site.env(WARREN_BROKER=lab.through(lab.site.broker, broker))
    lines = ['{"task": "add", "id": "bulk-%d"}\n' % i for i in range(20)]
    with subprocess.Popen([WARREN, "send", "--file", "-"], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as p:
        p.stdin.write("".join(lines[:10]))
        p.stdin.flush()
        ids = [p.stdout.readline().strip() for _ in range(10)]
        broker.refuse()
        p.stdin.write("".join(lines[10:]))
        p.stdin.flush()
        wait_until(lambda: unread(p.stdin) == 0, 10 * SLOW, "the lines to be read")
        assert select.select([p.stderr], [], [], 0.5)[0] == [], p.stderr.readline()
        broker.heal()
        more, said = p.communicate(timeout=60 * SLOW)
    assert p.returncode == 0, said
    assert sorted(ids + more.split()) == sorted("bulk-%d" % i for i in range(20))
