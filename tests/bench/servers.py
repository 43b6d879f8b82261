"""A RabbitMQ and a Redis of our own in a temporary folder, stopped by pid."""
import os
import socket
import subprocess
import time


def free_ports(n):
    socks = [socket.socket() for _ in range(n)]
    for s in socks:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in socks]
    for s in socks:
        s.close()
    return ports


def listening(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


class Servers:
    def __init__(self, folder):
        self.folder = folder
        amqp, dist, epmd, redis = free_ports(4)
        self.broker = "amqp://guest:guest@127.0.0.1:%d//" % amqp
        self.redis_port = redis
        self.redis = "redis://127.0.0.1:%d/1" % redis
        self.procs = []
        rmq = os.path.join(folder, "rabbitmq")
        os.makedirs(rmq)
        env = dict(os.environ, HOME=rmq, RABBITMQ_NODENAME="bench%d@localhost" % os.getpid(),
                   RABBITMQ_NODE_IP_ADDRESS="127.0.0.1", RABBITMQ_NODE_PORT=str(amqp),
                   RABBITMQ_DIST_PORT=str(dist), ERL_EPMD_PORT=str(epmd), ERL_EPMD_ADDRESS="127.0.0.1",
                   RABBITMQ_MNESIA_BASE=rmq + "/mnesia", RABBITMQ_LOG_BASE=rmq + "/log",
                   RABBITMQ_ENABLED_PLUGINS_FILE=rmq + "/plugins", RABBITMQ_CONFIG_FILE=rmq + "/rabbitmq",
                   RABBITMQ_PID_FILE=rmq + "/pid")
        with open(rmq + "/plugins", "w") as f:
            f.write("[].\n")
        out = open(rmq + "/out", "w")
        self.procs.append(subprocess.Popen(["epmd", "-address", "127.0.0.1", "-port", str(epmd)], env=env,
                                           stdout=out, stderr=out, start_new_session=True))
        self.procs.append(subprocess.Popen(["/usr/lib/rabbitmq/bin/rabbitmq-server"], env=env, stdin=subprocess.DEVNULL,
                                           stdout=out, stderr=out, start_new_session=True))
        self.procs.append(subprocess.Popen(["redis-server", "--port", str(redis), "--bind", "127.0.0.1", "--save", "",
                                            "--dir", folder], stdout=out, stderr=out, start_new_session=True))
        until = time.monotonic() + 60
        while not (listening(amqp) and listening(redis)):
            if time.monotonic() > until:
                self.stop()
                raise SystemExit("the private servers did not come up; see " + rmq)
            time.sleep(0.1)

    def stop(self):
        for p in reversed(self.procs):
            p.terminate()
        for p in reversed(self.procs):
            p.wait(30)
