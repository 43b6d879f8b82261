"""
One private RabbitMQ node with an epmd of its own, and a door into it.

The door is a UNIX socket in the node's folder that takes Erlang expressions. rabbitmqctl boots an Erlang VM for each call, 1-2 s;
through the door a virtual host costs some 10 ms and a look at the queues' counters 1 ms, so that each test can have a virtual
host of its own and watch counters closely.
"""
import json
import os
import signal
import socket
import stat
import struct
import subprocess
import threading

from .process import Failed, Process, free_ports, wait_until

SBIN = "/usr/lib/rabbitmq/bin"  # the scripts themselves; those in /usr/sbin insist on root or the rabbitmq user
USER = PASSWORD = "guest"
SOCKET_PATH_MAX = 107

CONFIG = """[
 {rabbit, [
  {tcp_listeners, [{"127.0.0.1", %(port)d}]},
  {heartbeat, %(heartbeat_s)d},
  {consumer_timeout, %(consumer_timeout_ms)d},
  {channel_tick_interval, %(tick_ms)d},
  {quorum_tick_interval, %(tick_ms)d},
  {vm_memory_high_watermark, 0.9},
  {disk_free_limit, 1000000},
  {log, [{console, [{enabled, false}]}]}
 ]},
 {rabbitmq_management, [{listener, [{ip, "127.0.0.1"}, {port, %(management_port)d}]}]}
].
"""

# Runs when the node has booted, so the socket's being there means "ready". One process per connection; a request and its reply
# are 4 bytes of length and text. The reply starts with + (the value) or - (what went wrong).
DOOR = """
Eval = fun(Text) ->
    try
        {ok, Tokens, _} = erl_scan:string(unicode:characters_to_list(Text)),
        {ok, Exprs} = erl_parse:parse_exprs(Tokens),
        {value, Value, _} = erl_eval:exprs(Exprs, erl_eval:new_bindings()),
        case Value of
            {json, Term} -> [$+, rabbit_json:encode(Term)];
            _ -> [$+, unicode:characters_to_binary(io_lib:format("~0tp", [Value]))]
        end
    catch _:Why ->
        [$-, unicode:characters_to_binary(io_lib:format("~0tp", [Why]))]
    end
end.
Serve = fun Serve(S) ->
    case gen_tcp:recv(S, 0) of
        {ok, Text} -> ok = gen_tcp:send(S, Eval(Text)), Serve(S);
        {error, _} -> gen_tcp:close(S)
    end
end.
Accept = fun Accept(L) ->
    {ok, S} = gen_tcp:accept(L),
    Pid = spawn(fun() -> receive go -> Serve(S) end end),
    ok = gen_tcp:controlling_process(S, Pid),
    Pid ! go,
    Accept(L)
end.
Path = filename:rootname(os:getenv("WARREN_DOOR")).
file:delete(Path).
spawn(fun() ->
    {ok, L} = gen_tcp:listen(0, [{ifaddr, {local, Path}}, binary, {packet, 4}, {active, false}, {backlog, 64}]),
    Accept(L)
end).
"""


def quoted(text):
    """An Erlang binary of the text's UTF-8."""
    return "<<" + ",".join(str(b) for b in text.encode()) + ">>"


class RabbitMQ:
    """The caller's side of a running node: what tests ask of it."""

    def __init__(self, directory, port, ctl):
        self.directory = directory
        self.port = port
        self.ctl_path = ctl
        self.lock = threading.Lock()
        self.door = None

    def url(self, vhost="/", user=USER, password=PASSWORD):
        # Celery's way of writing the default virtual host is a second slash.
        return "amqp://%s:%s@127.0.0.1:%d/%s" % (user, password, self.port, vhost)

    def eval(self, text):
        """The value of Erlang expressions inside the node, as text; {json, Term} comes as a Python value."""
        request = text.rstrip().rstrip(".") + "."
        data = request.encode()
        with self.lock:
            try:
                if self.door is None:
                    self.door = socket.socket(socket.AF_UNIX)
                    self.door.settimeout(60)
                    self.door.connect(os.path.join(self.directory, "door"))
                self.door.sendall(struct.pack(">I", len(data)) + data)
                reply = self.receive(struct.unpack(">I", self.receive(4))[0]).decode()
            except OSError as e:
                self.close_door()
                raise Failed("RabbitMQ does not answer: %s" % e) from e
        if reply[0] != "+":
            raise Failed("RabbitMQ refused %s: %s" % (request, reply[1:]))
        return reply[1:]

    def eval_json(self, term):
        return json.loads(self.eval("{json, %s}" % term))

    def receive(self, n):
        data = b""
        while len(data) < n:
            part = self.door.recv(n - len(data))
            if not part:
                raise ConnectionError("it closed the connection")
            data += part
        return data

    def close_door(self):
        if self.door is not None:
            self.door.close()
            self.door = None

    def vhost_add(self, name):
        self.eval("V = %s, ok = rabbit_vhost:add(V, %s), ok = rabbit_auth_backend_internal:set_permissions("
                  "%s, V, <<\".*\">>, <<\".*\">>, <<\".*\">>, %s)" % (quoted(name), quoted(USER), quoted(USER), quoted(USER)))

    def vhost_delete(self, name):
        """In the background: takes the queues and connections of the virtual host with it."""
        self.eval("spawn(fun() -> rabbit_vhost:delete(%s, %s) end), ok" % (quoted(name), quoted(USER)))

    def queues(self, vhost="/"):
        """{name: {"type", "durable", "messages", "messages_ready", "messages_unacknowledged", "consumers"}}. Classic queues
        answer for themselves; quorum queues as of their last tick (Options.tick_ms). What a queue made just now cannot tell yet
        counts as 0."""
        queues = self.eval_json(
            "maps:from_list([{element(4, Name), maps:from_list(Rest)} || [{name, Name} | Rest] <- rabbit_amqqueue:info_all("
            "%s, [name, type, durable, messages, messages_ready, messages_unacknowledged, consumers])])" % quoted(vhost))
        return {name: {key: 0 if value == "" else value for key, value in q.items()} for name, q in queues.items()}

    def close_connections(self, vhost="/", reason="closed by a test"):
        """Closes every client connection of the virtual host, as an operator would."""
        self.eval("[rabbit_networking:close_connection(proplists:get_value(pid, C), %s) || C <- "
                  "rabbit_networking:connection_info_all([pid, vhost]), proplists:get_value(vhost, C) =:= %s], ok"
                  % ('"' + reason + '"', quoted(vhost)))

    def ctl(self, *args, timeout_s=60):
        """The output of rabbitmqctl (1-2 s: it boots an Erlang VM)."""
        done = subprocess.run([self.ctl_path, "--quiet", *args], capture_output=True, text=True, timeout=timeout_s)
        if done.returncode != 0:
            raise Failed("rabbitmqctl %s: %s" % (" ".join(args), (done.stderr or done.stdout).strip()))
        return done.stdout


class RabbitMQServer:
    """The keeper's side: starts and stops the node."""

    def __init__(self, directory, options):
        self.directory = os.path.join(directory, "rabbitmq")
        self.options = options
        self.port = None
        self.epmd = None
        self.node = None

    def path(self, name):
        return os.path.join(self.directory, name)

    def configure(self):
        if len(self.path("door")) > SOCKET_PATH_MAX:
            raise Failed("%s is too long for a socket's name: choose a shorter folder (TMPDIR)" % self.path("door"))
        if not os.access(SBIN + "/rabbitmq-server", os.X_OK):
            raise Failed("%s/rabbitmq-server is missing: apt-get install rabbitmq-server" % SBIN)
        self.port, dist, epmd, management = free_ports(4)
        os.makedirs(self.path("home"), mode=0o700)
        name = "warren%d@localhost" % self.port
        values = dict(vars(self.options), port=self.port, management_port=management)
        self.write("rabbitmq.config", CONFIG % values)
        self.write("enabled_plugins", "[%s].\n" % ",".join(self.options.plugins))
        self.write("door.script", DOOR)
        # The node's name needs no resolver, which may be slow or not know localhost.
        self.write("inetrc", '{host, {127,0,0,1}, ["localhost"]}.\n{lookup, [file, native]}.\n')
        node_env = {
            "HOME": self.path("home"),  # the cookie
            "LC_ALL": "C.UTF-8",
            "ERL_EPMD_PORT": str(epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_INETRC": self.path("inetrc"),
            "RABBITMQ_NODENAME": name,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(dist),
            "RABBITMQ_MNESIA_BASE": self.path("mnesia"),
            "RABBITMQ_LOG_BASE": self.path("log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": self.path("enabled_plugins"),
            "RABBITMQ_CONFIG_FILE": self.path("rabbitmq.config"),
            "RABBITMQ_PID_FILE": self.path("pid"),
            # Whatever the machine's own RabbitMQ is told in /etc/rabbitmq is not for this one.
            "RABBITMQ_CONF_ENV_FILE": self.path("none"),
            "RABBITMQ_CONFIG_FILES": self.path("none"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": self.path("none"),
            "RABBITMQ_GENERATED_CONFIG_DIR": self.path("generated"),
        }
        # Erlang takes its flags from the environment without any quoting, hence no spaces inside the expression.
        server_env = dict(node_env, RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=" ".join([
            "-noinput", "-kernel inet_dist_use_interface {127,0,0,1}", self.options.erl_args,
            "-eval file:script(os:getenv(\"WARREN_DOOR\"))"]),
            # Makes the start script exec the VM instead of waiting for it: one process, whose pid is the node's.
            RABBITMQ_ALLOW_INPUT="1", WARREN_DOOR=self.path("door.script"))
        self.write_ctl(node_env)
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("RABBITMQ_", "ERL_", "NOTIFY_SOCKET"))}
        self.epmd = Process("epmd", ["epmd", "-address", "127.0.0.1", "-port", str(epmd)], dict(clean, **node_env),
                            self.path("epmd.log"))
        self.node = Process("RabbitMQ", [SBIN + "/rabbitmq-server"], dict(clean, **server_env), self.path("start.log"))

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)

    def write_ctl(self, env):
        lines = ["#!/bin/sh", "# rabbitmqctl for this node; run it by another name (a link) for rabbitmq-diagnostics and the like."]
        lines += ["export %s='%s'" % (k, v.replace("'", "'\\''")) for k, v in env.items()]
        lines += ['exec "%s/${0##*/}" "$@"' % SBIN, ""]
        self.write("rabbitmqctl", "\n".join(lines))
        os.chmod(self.path("rabbitmqctl"), stat.S_IRWXU)

    def start(self):
        if not self.epmd.alive():
            self.epmd.start()
        self.node.start()

    def answers(self):
        client = RabbitMQ(self.directory, self.port, None)
        try:
            return client.eval("rabbit:is_running()") == "true"
        except Failed:
            return False
        finally:
            client.close_door()

    def wait_ready(self):
        def settled():
            if not self.node.alive() or not self.epmd.alive():
                raise Failed("RabbitMQ ended at its start:\n" + self.explain())
            return self.answers()
        wait_until(settled, self.options.start_s, lambda: "RabbitMQ to start:\n" + self.explain(), every_s=0.05)
        if self.options.plugins:
            self.check_plugins()

    def check_plugins(self):
        # The node only logs a plugin that it does not find, and goes on.
        client = RabbitMQ(self.directory, self.port, None)
        active = client.eval_json("rabbit_plugins:active()")
        client.close_door()
        for plugin in self.options.plugins:
            if plugin not in active:
                raise Failed("RabbitMQ has no plugin %s" % plugin)

    def explain(self):
        return "\n".join(p.last_lines() for p in (self.epmd, self.node) if p.last_lines())

    def stop(self, **how):
        self.node.stop(**how)

    def end(self):
        # Nothing it holds is needed any more, and an orderly stop takes a second.
        self.node.stop(sig=signal.SIGKILL)
        self.epmd.stop()

    def about(self):
        return {"port": self.port, "pid": self.node.child.pid if self.node.child else None,
                "epmd_pid": self.epmd.child.pid if self.epmd.child else None,
                "directory": self.directory, "ctl": self.path("rabbitmqctl")}
