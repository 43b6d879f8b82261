"""
A TCP proxy that knows where frames begin and end, so that a fault comes at an exact place and not at a time.

    with Proxy(port, Amqp) as p:
        ... connect to p.port ...
        rule = p.on("down", "basic.deliver", do="rst", nth=3)     # the third delivery is the last thing that happens
        rule.wait()
        p.stall("up")     # stop reading from the clients: their writes back up
        p.blackhole()     # nothing passes any more, nobody is told
        p.cut()           # reset all connections
        p.refuse()        # as cut, and nobody listens any more
        p.heal()          # back to normal; what was stalled flows again, connections that swallowed bytes are reset

"up" is from the client to the server, "down" the other way. What a rule does when its frame comes:

    drop         the frame is swallowed, all else goes on
    hold         this direction stops before the frame until heal()
    part         half of the frame passes, then as hold
    rst, fin     the connection ends before the frame; rst-after, fin-after: behind it
    flip         one byte in the middle of the frame changes
    a function   called with the Frame; returns the bytes to send on (None: the frame as it is)
"""
import collections
import socket
import struct
import threading

Frame = collections.namedtuple("Frame", "link direction name data")
METHODS = {
    (10, 10): "connection.start", (10, 11): "connection.start-ok", (10, 30): "connection.tune", (10, 40): "connection.open",
    (10, 41): "connection.open-ok", (10, 50): "connection.close", (10, 51): "connection.close-ok",
    (10, 60): "connection.blocked", (10, 61): "connection.unblocked",
    (20, 10): "channel.open", (20, 11): "channel.open-ok", (20, 40): "channel.close", (20, 41): "channel.close-ok",
    (50, 10): "queue.declare", (50, 11): "queue.declare-ok",
    (60, 10): "basic.qos", (60, 11): "basic.qos-ok", (60, 20): "basic.consume", (60, 21): "basic.consume-ok",
    (60, 30): "basic.cancel", (60, 31): "basic.cancel-ok", (60, 40): "basic.publish", (60, 50): "basic.return",
    (60, 60): "basic.deliver", (60, 80): "basic.ack", (60, 90): "basic.reject", (60, 120): "basic.nack",
    (85, 10): "confirm.select", (85, 11): "confirm.select-ok",
}


class Amqp:
    """AMQP 0-9-1: the client's greeting, then frames of 7 bytes of head, the payload, and an end byte."""

    @staticmethod
    def frame(data, direction):
        """(name, length) of the frame data begins with; None while it is not complete."""
        if data[:4] == b"AMQP":
            return ("greeting", 8) if len(data) >= 8 else None
        if len(data) < 7:
            return None
        kind, _, size = struct.unpack(">BHI", data[:7])
        if len(data) < size + 8:
            return None
        if kind == 1:
            ids = struct.unpack(">HH", data[7:11])
            return METHODS.get(ids, "method %d.%d" % ids), size + 8
        return {2: "header", 3: "body", 8: "heartbeat"}.get(kind, "frame %d" % kind), size + 8

    @staticmethod
    def tag(frame):
        """(channel, delivery tag) of a basic.deliver, basic.ack, basic.nack or basic.reject."""
        channel = struct.unpack(">H", frame.data[1:3])[0]
        at = 11 if frame.name != "basic.deliver" else 12 + frame.data[11]
        return channel, struct.unpack(">Q", frame.data[at:at + 8])[0]

    @staticmethod
    def is_redelivered(frame):
        return frame.data[12 + frame.data[11] + 8] != 0


class Resp:
    """Redis: commands are named after their first word in capitals; answers are "reply"."""

    @staticmethod
    def frame(data, direction):
        end = Resp.end(data, 0)
        if end is None:
            return None
        return (Resp.word(data) if direction == "up" else "reply"), end

    @staticmethod
    def end(data, at):
        eol = data.find(b"\r\n", at)
        if eol < 0:
            return None
        kind, rest = data[at:at + 1], data[at + 1:eol]
        at = eol + 2
        if kind == b"$":
            n = int(rest)
            at += 0 if n < 0 else n + 2
            return at if at <= len(data) else None
        if kind == b"*":
            for _ in range(int(rest)):
                at = Resp.end(data, at)
                if at is None:
                    return None
        return at

    @staticmethod
    def word(data):
        parts = bytes(data[:256]).split(b"\r\n")
        return (parts[2] if data[:1] == b"*" and len(parts) > 2 else parts[0].split(b" ")[0]).decode(errors="replace").upper()


class Rule:
    def __init__(self, direction, name, do, nth, every, where):
        self.direction, self.name, self.do, self.nth, self.every, self.where = direction, name, do, nth, every, where
        self.seen = 0
        self.done = threading.Event()

    def matches(self, frame):
        if frame.direction != self.direction or frame.name != self.name:
            return False
        if self.where is not None and not self.where(frame):
            return False
        self.seen += 1
        return self.seen >= self.nth if self.every else self.seen == self.nth

    def wait(self, timeout_s=30):
        """Until it has struck."""
        if not self.done.wait(timeout_s):
            raise AssertionError("%s %s came %d times, not %d" % (self.name, self.direction, self.seen, self.nth))


def reset(s):
    """Ends the connection with an RST instead of a FIN."""
    try:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.shutdown(socket.SHUT_RD)  # wakes the thread that reads from it
    except OSError:
        pass
    s.close()


class Link:
    """One connection: two threads that each read one side and write the other."""

    def __init__(self, proxy, number, client):
        self.proxy, self.number, self.client = proxy, number, client
        self.server = socket.create_connection(("127.0.0.1", proxy.target), 10)
        self.server.settimeout(None)
        for s in (self.client, self.server):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.swallowed = False
        for direction, source, sink in (("up", self.client, self.server), ("down", self.server, self.client)):
            threading.Thread(target=self.pump, args=(direction, source, sink), daemon=True).start()

    def pump(self, direction, source, sink):
        data = b""
        try:
            while True:
                self.proxy.gate[direction].wait()
                part = source.recv(262144)
                # What stalled meanwhile must not get through.
                self.proxy.gate[direction].wait()
                if not part:
                    break
                if self.proxy.swallows:
                    self.swallowed = True
                    continue
                data = self.pass_frames(direction, data + part, sink)
        except OSError:
            pass
        self.end(rst=False)

    def pass_frames(self, direction, data, sink):
        out = []
        at = 0
        while at < len(data):
            found = self.proxy.codec.frame(data[at:], direction)
            if found is None:
                break
            name, size = found
            frame = Frame(self.number, direction, name, bytes(data[at:at + size]))
            at += size
            self.apply(frame, self.proxy.strike(frame), out, sink)
        self.write(out, sink)
        return data[at:]

    def write(self, out, sink):
        if out:
            sink.sendall(b"".join(out))
            out.clear()

    def hold(self, direction, rule):
        gate = threading.Event()
        self.proxy.held.append(gate)
        rule.done.set()
        gate.wait()

    def apply(self, frame, rule, out, sink):
        if rule is None:
            out.append(frame.data)
            return
        do, data, rest = rule.do, frame.data, b""
        if callable(do):
            changed = do(frame)
            data = frame.data if changed is None else changed
        elif do == "flip":
            middle = len(data) // 2
            data = data[:middle] + bytes([data[middle] ^ 0xff]) + data[middle + 1:]
        elif do == "drop":
            data = b""
        elif do == "part":
            data, rest = data[:len(data) // 2], data[len(data) // 2:]
        if do not in ("hold", "rst", "fin"):
            out.append(data)
        if do in ("hold", "part", "rst", "fin", "rst-after", "fin-after"):
            self.write(out, sink)
        if do in ("hold", "part"):
            self.hold(frame.direction, rule)
            out.append(data if do == "hold" else rest)
        elif isinstance(do, str) and do[:3] in ("rst", "fin"):
            self.end(rst=do.startswith("rst"))
            rule.done.set()
            raise OSError("cut by a rule")
        rule.done.set()

    def end(self, rst):
        with self.proxy.lock:
            if self not in self.proxy.links:
                return
            self.proxy.links.remove(self)
        for s in (self.client, self.server):
            if rst:
                reset(s)
                continue
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()


class Proxy:
    def __init__(self, target, codec, port=0):
        self.target, self.codec = target, codec
        self.lock = threading.Lock()
        self.links, self.rules, self.held, self.frames = [], [], [], []
        self.swallows = False
        self.gate = {"up": threading.Event(), "down": threading.Event()}
        for gate in self.gate.values():
            gate.set()
        self.count = 0
        self.listener = None
        self.port = port
        self.listen()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def listen(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        self.listener.listen(64)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                self.count += 1
                try:
                    self.links.append(Link(self, self.count, client))
                except OSError:
                    client.close()  # the server is away

    def strike(self, frame):
        """Notes the frame; the rule that fits it, or None."""
        with self.lock:
            if frame.name not in ("body", "header", "reply"):
                self.frames.append(frame)
            found = None
            for rule in self.rules:
                if rule.matches(frame) and found is None:
                    found = rule
            return found

    def on(self, direction, name, do, nth=1, every=False, where=None):
        """From now on, at the nth frame of this name (`every`: and at each one after it) for which where(frame) holds."""
        rule = Rule(direction, name, do, nth, every, where)
        with self.lock:
            self.rules.append(rule)
        return rule

    def seen(self, direction, name):
        with self.lock:
            return [f for f in self.frames if f.direction == direction and f.name == name]

    def stall(self, *directions):
        for direction in directions or ("up", "down"):
            self.gate[direction].clear()

    def blackhole(self):
        self.swallows = True

    def cut(self, rst=True):
        for link in list(self.links):
            link.end(rst)

    def refuse(self):
        if self.listener is not None:
            try:
                self.listener.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            self.listener.close()
            self.listener = None
        self.cut()

    def heal(self):
        with self.lock:
            self.rules.clear()
            held, self.held = self.held, []
        self.swallows = False
        # Bytes are missing on them: no peer would survive it.
        for link in [link for link in self.links if link.swallowed]:
            link.end(rst=True)
        for gate in held + list(self.gate.values()):
            gate.set()
        if self.listener is None:
            self.listen()

    def close(self):
        self.refuse()
        for gate in self.held + list(self.gate.values()):
            gate.set()
