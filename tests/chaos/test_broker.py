"""F1-F30: the broker and the link to it."""
import os
import signal
import time

import pytest

from harness import SLOW
from lab import KINDS, encode
from warren_servers import wait_until
from warren_servers.rabbitmq import quoted

# Together they take minutes: they run with WARREN_CHAOS=full, not with every check.
pytestmark = pytest.mark.slow


def restart_application(lab):
    lab.site.rabbitmq.eval("ok = rabbit:stop(), ok = rabbit:start()")


@pytest.mark.parametrize("kind", KINDS)
def test_f01_broker_restarts_while_a_task_runs(lab, kind):
    lab.declare(kind)
    w = lab.worker()
    lab.send_run(gated=True)
    lab.wait_starts(1)
    restart_application(lab)
    w.wait_line("CONNECTION_FORCED")
    w.wait_line("Connected to", count=2, timeout_s=40)
    w.wait_line("the run goes on")
    lab.open_gate()
    lab.close_books(starts=(1, 1))


def test_f02_broker_killed_under_load(lab):
    lab.declare("quorum", name="work2")
    lab.declare()
    broker = lab.broker_proxy()
    lab.worker(queues="work,work2", c=4, broker=broker)
    lab.send_many(150, seconds=0.01)
    lab.send_many(150, seconds=0.01, queue="work2")
    lab.send("flaky", (lab.journal, 3, 2), gives=6)
    lab.wait_ends(60)
    # A broker that is killed within moments of a quorum queue's declaration never serves that queue again: it writes down
    # where queues are now and then only. That is not what is tried here.
    lab.site.rabbitmq.eval("[dets:sync(Table) || Table <- dets:all()]")
    lab.site.servers.stop("rabbitmq", signal.SIGKILL)
    lab.site.servers.start("rabbitmq")
    # What is finished is not run again, and what runs is not run beside itself.
    lab.wait_final(timeout_s=90)
    lab.wait_quiet()
    overlaps(lab)
    lab.close_books(starts=(1, 4))
    assert lab.starts() <= 303 + 4
    acks_fit_deliveries(broker)


def overlaps(lab):
    """No run of a task began while an earlier one still went on."""
    running = set()
    with open(lab.journal) as f:
        for line in f:
            word, task_id = line.split()[:2]
            if word == "start":
                assert task_id not in running, "%s ran beside itself" % task_id
                running.add(task_id)
            elif word == "end":
                running.discard(task_id)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM])
def test_f02_broker_killed_ten_times_under_a_stream(lab, sig):
    lab.declare()
    # What runs in one worker when the broker goes comes back to the other as often as not.
    for _ in range(2):
        lab.worker(c=2)
    lab.send_many(5000, seconds=0.02)
    for i in range(10):
        lab.send_many(2, seconds=8)
        lab.wait_ends(300 * (i + 1), timeout_s=200)
        lab.site.servers.stop("rabbitmq", sig)
        lab.site.servers.start("rabbitmq")
    lab.wait_final(timeout_s=400)
    overlaps(lab)
    lab.close_books(starts=(1, 2))


def test_orders_are_taken_once_they_can_be_answered(lab):
    """The connection for answers comes up late: until then the worker is not ready, and takes no order that would stay without an answer."""
    lab.declare()
    broker = lab.broker_proxy()
    held = broker.on("down", "channel.open-ok", "hold",
                     where=lambda frame: any(f.link is frame.link and b" publish" in f.data for f in broker.frames if f.name == "connection.start-ok"))
    w = lab.worker(broker=broker, ready=False)
    held.wait()
    wait_until(lambda: lab.site.queues()[lab.queue]["consumers"] == 1, 20 * SLOW, "the worker to consume")
    assert not lab.site.app().control.ping(timeout=0.5)
    assert not w.lines("no answer to") and not w.lines(r" ready\.$")
    broker.heal()
    w.wait_line(r" ready\.$")
    assert len(lab.site.app().control.ping(timeout=10, limit=1)) == 1


def test_f03_broker_hangs(lab):
    lab.declare()
    w = lab.worker("--broker-heartbeat", "1s")
    lab.send_run(gated=True)
    lab.wait_starts(1)
    node = lab.site.servers.pid("rabbitmq")
    os.kill(node, signal.SIGSTOP)
    try:
        began = time.monotonic()
        w.wait_line("lost the connection")
        assert time.monotonic() - began < 2.5 * SLOW
        lab.open_gate()
        lab.wait_final()
    finally:
        os.kill(node, signal.SIGCONT)
    lab.close_books(starts=(1, 1))


def test_f04_half_open_connection(lab):
    lab.declare()
    broker = lab.broker_proxy()
    w = lab.worker("--broker-heartbeat", "1s", broker=broker)
    lab.send_run(gated=True)
    lab.wait_starts(1)
    broker.blackhole()
    began = time.monotonic()
    w.wait_line("lost the connection")
    assert time.monotonic() - began < 2.5 * SLOW
    broker.heal()
    w.wait_line("the run goes on")
    lab.open_gate()
    lab.close_books(starts=(1, 1))


def test_f05_partition_shorter_than_the_heartbeat(lab):
    lab.declare()
    broker = lab.broker_proxy()
    w = lab.worker("--broker-heartbeat", "5s", broker=broker)
    lab.send_run(gated=True)
    lab.wait_starts(1)
    broker.stall()
    lab.open_gate()
    lab.wait_final()
    began = time.monotonic()
    wait_until(lambda: time.monotonic() - began > 2, 10, "two seconds")
    assert lab.unacked() == 1
    broker.heal()
    lab.close_books(starts=(1, 1))
    assert len(w.lines("Connected to")) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_f06_partition_that_outlasts_the_heartbeat(lab, kind):
    lab.declare(kind)
    broker = lab.broker_proxy()
    cut_off = lab.worker("--broker-heartbeat", "1s", broker=broker)
    lab.send_run(gated=True)
    lab.wait_starts(1)
    broker.blackhole()
    # The broker notices by itself and gives the task to another, who sees that it runs.
    other = lab.worker("--broker-heartbeat", "1s")
    other.wait_line("still runs on w1@", count=2, timeout_s=40)
    assert lab.starts() == 1
    lab.open_gate()
    lab.wait_ends(1)
    other.wait_line("was finished before")
    broker.heal()
    cut_off.wait_line("Connected to", count=2)
    lab.close_books(starts=(1, 1))


@pytest.mark.parametrize("kind", KINDS)
def test_f06_partition_from_broker_and_redis(lab, kind):
    """Nobody can know that it still runs: it runs twice, and has one result."""
    lab.declare(kind)
    broker, redis = lab.broker_proxy(), lab.redis_proxy()
    cut_off = lab.worker("--broker-heartbeat", "1s", broker=broker, redis=redis)
    lab.send_run(gated=True)
    lab.wait_starts(1)
    broker.blackhole()
    redis.blackhole()
    lab.worker("--broker-heartbeat", "1s")
    lab.wait_starts(2, timeout_s=40)
    lab.open_gate()
    lab.wait_ends(2)
    broker.heal()
    redis.heal()
    cut_off.wait_line("Connected to", count=2)
    lab.close_books(starts=(2, 2))


ALARMS = {
    "f07-memory": ("vm_memory_monitor:set_vm_memory_high_watermark(0.000001)", "vm_memory_monitor:set_vm_memory_high_watermark(0.9)"),
    "f08-disk": ('rabbit_disk_monitor:set_disk_free_limit("100000GB")', "rabbit_disk_monitor:set_disk_free_limit(1000000)"),
}


@pytest.mark.parametrize("alarms", [["f07-memory"], ["f08-disk"], ["f07-memory", "f08-disk"]])
def test_f07_f08_broker_in_alarm(lab, alarms):
    lab.declare()
    w = lab.worker()
    runs = lab.send_many(20)
    bad = encode("nope")
    lab.wait_final(runs)
    late = lab.send_run(gated=True)
    lab.wait_starts(21)
    lab.publish(*bad)
    try:
        for alarm in alarms:
            lab.site.rabbitmq.eval(ALARMS[alarm][0])
        # Acks still flow: the running task ends, the next is delivered, and only its dead letter has to wait.
        lab.open_gate()
        lab.wait_final([late])
        lab.wait_state(bad[1]["id"], "FAILURE")
        w.wait_line("the broker accepts no messages now")
        wait_until(lambda: lab.unacked() == 1, 5 * SLOW, "the dead letter's task to wait alone")
        if len(alarms) > 1:
            lab.site.rabbitmq.eval(ALARMS[alarms[0]][1])
            wait_until(lambda: lab.site.rabbitmq.eval("length(rabbit_alarm:get_alarms())") == "1", 10, "one alarm to remain")
            assert lab.unacked() == 1 and not w.lines("accepts messages again")
    finally:
        for alarm in alarms:
            lab.site.rabbitmq.eval(ALARMS[alarm][1])
    w.wait_line("the broker accepts messages again")
    lab.close_books(starts=(1, 1))
    assert len(lab.dead()) == 1


def test_f09_broker_stops_reading(lab):
    lab.declare()
    broker = lab.broker_proxy()
    w = lab.worker("--broker-heartbeat", "1s", broker=broker)
    lab.send_run(gated=True)
    lab.wait_starts(1)
    broker.stall("up")
    lab.open_gate()
    w.wait_line("lost the connection")
    broker.heal()
    lab.close_books(starts=(1, 1))


@pytest.mark.parametrize("kind", KINDS)
def test_f10_lost_confirm_of_a_dead_letter(lab, kind):
    lab.declare(kind)
    broker = lab.broker_proxy()
    lab.worker(broker=broker)
    confirm = broker.on("down", "basic.ack", "rst")
    body, headers = encode("nope")
    lab.publish(body, headers)
    confirm.wait()
    lab.wait_quiet()
    # Unknown means again: one or two, never none.
    wait_until(lambda: lab.site.counter("messages", "warren.dead.work") in (1, 2), 20 * SLOW, "the dead letter")
    assert {h["id"] for _, h, _ in lab.dead()} == {headers["id"]}


@pytest.mark.parametrize("countdown", [0, 1])
def test_f10_lost_confirm_of_a_retry(lab, countdown):
    lab.declare()
    lab.count_finals()
    broker = lab.broker_proxy()
    lab.worker(broker=broker)
    confirm = broker.on("down", "basic.ack", "rst")
    lab.send("flaky", (lab.journal, 4, 1, countdown), gives=8)
    confirm.wait()
    lab.close_books(starts=(2, 4))


def test_f11_publish_refused_by_a_full_queue(lab):
    lab.declare()
    lab.declare(name="warren.dead.work", **{"x-max-length": 1, "x-overflow": "reject-publish"})
    w = lab.worker()
    first, second = encode("nope"), encode("nope")
    lab.publish(*first)
    wait_until(lambda: lab.site.counter("messages", "warren.dead.work") == 1, 20 * SLOW, "the first dead letter")
    lab.publish(*second)
    w.wait_line("cannot pass on task .*it stays unacknowledged", count=2)
    wait_until(lambda: lab.unacked() == 1, 5 * SLOW, "the delivery to wait")
    assert lab.dead()[0][1]["id"] == first[1]["id"]
    wait_until(lambda: lab.site.counter("messages", "warren.dead.work") == 1, 20 * SLOW, "the second dead letter")
    lab.wait_quiet()
    assert lab.dead()[0][1]["id"] == second[1]["id"]


def test_f13_unroutable_retry(lab):
    """The queue goes away under a running task: its copy is returned, and sent again when there is a queue again."""
    lab.declare()
    w = lab.worker("--no-create-queues")
    lab.send("turn", (lab.journal, lab.gate))
    lab.wait_starts(1)
    del w
    with lab.connect() as connection:
        connection.channel().queue_delete(lab.queue)
    lab.declare()
    open(lab.gate + ".1", "a").close()
    lab.wait_final()
    lab.send_run()
    lab.wait_final()


def test_f14_exchange_of_dead_letters_deleted(lab):
    lab.declare()
    lab.worker()
    for i in range(3):
        body, headers = encode("nope", (i,))
        lab.publish(body, headers)
        wait_until(lambda n=i: lab.site.counter("messages", "warren.dead.work") == n + 1, 20 * SLOW, "the dead letter")
        lab.wait_quiet()
        with lab.connect() as connection:
            connection.channel().exchange_delete("warren.dead")
    assert len(lab.dead()) == 3


def test_f15_queue_with_other_arguments_is_used_as_it_is(lab):
    lab.declare(**{"x-max-priority": 5, "x-message-ttl": 3600000})
    lab.worker(*lab.config("queues:\n  work: { type: quorum }\n"))
    lab.send_run()
    lab.close_books(starts=(1, 1))


@pytest.mark.parametrize("kind", KINDS)
def test_f16_queue_deleted_while_its_task_runs(lab, kind):
    lab.declare(kind)
    w = lab.worker()
    lab.send_run(gated=True)
    lab.wait_starts(1)
    with lab.connect() as connection:
        connection.channel().queue_delete(lab.queue)
    w.wait_line("was deleted; creating it again")
    # Its only slot is taken, and more than it has slots for it never holds.
    wait_until(lambda: lab.queue in lab.site.queues(), 20 * SLOW, "the queue to be back")
    lab.open_gate()
    wait_until(lambda: lab.site.queues()[lab.queue].get("consumers") == 1, 20 * SLOW, "it to be consumed from")
    lab.wait_final()
    lab.send_run()
    lab.close_books(starts=(1, 1))


def test_f17_queue_purged(lab):
    lab.declare()
    lab.worker()
    kept = lab.send_run(gated=True)
    lab.wait_starts(1)
    purged = [lab.send_run() for _ in range(5)]
    with lab.connect() as connection:
        assert connection.channel().queue_purge(lab.queue) == 5
    for task_id in purged:
        del lab.sent[task_id]
    lab.open_gate()
    lab.send_run()
    lab.close_books(starts=(1, 1))
    assert lab.state(kept) == "SUCCESS"


def test_f18_virtual_host_goes_and_comes_back(lab):
    lab.declare()
    w = lab.worker()
    lab.site.rabbitmq.eval("rabbit_vhost:delete(%s, <<\"guest\">>)" % quoted(lab.site.vhost))
    w.wait_line("lost the connection")
    w.wait_line("cannot reach .*(vhost|virtual host)", timeout_s=30)
    lab.site.rabbitmq.vhost_add(lab.site.vhost)
    w.wait_line("Connected to", count=2, timeout_s=40)
    wait_until(lambda: lab.site.queues()[lab.queue]["consumers"] == 1, 20 * SLOW, "the queue to be consumed from")
    lab.send_run()
    lab.close_books(starts=(1, 1))


@pytest.fixture
def user(lab):
    """A user of this test's own, in its broker URL."""
    name, password = "chaos-" + lab.site.vhost, "geheim-9271"
    lab.site.rabbitmq.eval("rabbit_auth_backend_internal:add_user(%s, %s, <<\"t\">>)" % (quoted(name), quoted(password)))
    set_permissions(lab, name, ".*")
    lab.url = lab.site.broker.replace("guest:guest", "%s:%s" % (name, password))
    yield name
    lab.site.rabbitmq.eval("rabbit_auth_backend_internal:delete_user(%s, <<\"t\">>)" % quoted(name))


def set_permissions(lab, user, read):
    lab.site.rabbitmq.eval("ok = rabbit_auth_backend_internal:set_permissions(%s, %s, <<\".*\">>, <<\".*\">>, %s, <<\"t\">>)" % (
        quoted(user), quoted(lab.site.vhost), quoted(read)))


def test_f19_password_changed(lab, user):
    lab.declare()
    w = lab.worker(env={"WARREN_BROKER": lab.url})
    change = "ok = rabbit_auth_backend_internal:change_password(%s, %s, <<\"t\">>)"
    lab.site.rabbitmq.eval(change % (quoted(user), quoted("other")))
    lab.site.rabbitmq.close_connections(lab.site.vhost)
    w.wait_line("cannot reach.*trying again in [5-9]")
    lab.site.rabbitmq.eval(change % (quoted(user), quoted("geheim-9271")))
    w.wait_line("Connected to", count=2, timeout_s=30)
    lab.send_run()
    lab.close_books(starts=(1, 1))
    assert "geheim" not in w.output()


def test_f20_permission_for_one_of_two_queues_lost(lab, user):
    lab.declare()
    lab.declare(name="other")
    w = lab.worker(*lab.config("pools:\n  one: { queues: [work], concurrency: 1, app: chaos_tasks }\n"
                               "  two: { queues: [other], concurrency: 1, app: chaos_tasks }\n"), pool=False,
                   env={"WARREN_BROKER": lab.url})
    set_permissions(lab, user, "^work$")
    lab.site.rabbitmq.close_connections(lab.site.vhost)
    w.wait_line("ACCESS_REFUSED|access.*refused", timeout_s=30)
    waits = lab.send_run(queue="other")
    runs = lab.send_run()
    lab.wait_final([runs])
    assert lab.state(waits) == "PENDING"
    set_permissions(lab, user, ".*")
    lab.close_books(starts=(1, 1))


def test_f21_limits_beyond_the_delivery_timeout_are_warned_of(lab):
    w = lab.worker("--consumer-timeout", "1min", "--outbox-after", "1min", *lab.config("tasks:\n  long: { time_limit: 2min }\n  short: { time_limit: 59s }\n"))
    assert [line for line in w.lines("and the broker waits 60s") if "named long" in line]
    assert len(w.lines("and the broker waits")) == 1
    assert w.lines("outbox_after .60s. is not shorter")


@pytest.mark.parametrize("kind", KINDS)
def test_f21_delivery_timeout_of_the_broker(lab, kind, consumer_timeout):
    lab.declare(kind)
    lab.expect_406 = True
    w = lab.worker()
    lab.send_run(gated=True)
    w.wait_line("PRECONDITION_FAILED.*timed out")
    w.wait_line("the run goes on")
    lab.open_gate()
    lab.close_books(starts=(1, 1))


def acks_fit_deliveries(broker):
    """Each ack names a delivery of its own link and channel, and none is acked twice."""
    open_tags = set()
    for frame in list(broker.frames):
        if frame.name == "basic.deliver":
            open_tags.add((frame.link, *broker.codec.tag(frame)))
        elif frame.direction == "up" and frame.name in ("basic.ack", "basic.nack", "basic.reject"):
            tag = (frame.link, *broker.codec.tag(frame))
            assert tag in open_tags, "%s of %r, which was not delivered there or was settled before" % (frame.name, tag)
            open_tags.remove(tag)


def most_unacked(broker):
    """The most deliveries that were unsettled at one time on one link."""
    held, most = {}, 0
    for frame in list(broker.frames):
        if frame.name == "basic.deliver":
            held[frame.link] = held.get(frame.link, 0) + 1
            most = max(most, held[frame.link])
        elif frame.direction == "up" and frame.name in ("basic.ack", "basic.nack"):
            held[frame.link] -= 1
    return most


@pytest.mark.parametrize("queues", ["work", "work,more"])
@pytest.mark.parametrize("kind", KINDS)
def test_f22_f23_acks_and_prefetch_across_reconnects(lab, kind, queues):
    lab.declare(kind)
    lab.declare(kind, name="more")
    broker = lab.broker_proxy()
    w = lab.worker(broker=broker, queues=queues, c=3)
    for queue in queues.split(","):
        lab.send_many(150, seconds=0.005, queue=queue)
    connects = len(w.lines("Connected to"))
    for i in range(3):
        lab.wait_ends(30 * (i + 1))
        broker.cut()
        w.wait_line("Connected to", count=connects + i + 1)
    lab.close_books(starts=(1, 1))
    acks_fit_deliveries(broker)
    assert most_unacked(broker) == 3


def test_f24_heartbeats_while_much_goes_on(lab):
    lab.declare()
    broker = lab.broker_proxy()
    w = lab.worker("--broker-heartbeat", "1s", c=2, broker=broker)
    lab.send_run(gated=True)
    text = "x" * (20 << 20)
    for _ in range(3):
        lab.send("length", (text,), gives=len(text))
    wait_until(lambda: len(broker.seen("up", "heartbeat")) >= 8, 30 * SLOW, "heartbeats")
    lab.open_gate()
    lab.close_books()
    assert len(w.lines("Connected to")) == 1


def bad_end(frame):
    return frame.data[:-1] + b"\x00"


def unknown_method(frame):
    return frame.data[:7] + b"\x00\x63\x00\x63" + frame.data[11:]


def huge(frame):
    return frame.data[:3] + b"\x7f\xff\xff\xff" + frame.data[7:]


@pytest.mark.parametrize("spoil", [bad_end, unknown_method, huge])
def test_f25_nonsense_from_the_broker(lab, spoil):
    lab.declare()
    broker = lab.broker_proxy()
    w = lab.worker(broker=broker)
    broker.on("down", "basic.deliver", spoil)
    lab.send_run()
    lab.close_books(starts=(1, 1))
    assert len(w.lines("Connected to")) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_f25_connection_cut_within_a_delivery(lab, kind):
    lab.declare(kind)
    broker = lab.broker_proxy()
    lab.worker(broker=broker)
    for name in ("basic.deliver", "header", "body"):
        rule = broker.on("down", name, "rst-after")
        lab.send_run()
        rule.wait()
    lab.close_books(starts=(1, 1))


def test_f27_name_that_cannot_be_resolved(lab):
    w = lab.worker(ready=False, env={"WARREN_BROKER": "amqp://guest:guest@no-such-host.invalid:5672//"})
    w.wait_line("cannot reach .*no-such-host.invalid", count=2)
    assert w.stop() == 0


@pytest.mark.slow
def test_f30_broker_restarts_three_times_in_a_row(lab):
    lab.declare("quorum")
    w = lab.worker(c=2)
    lab.send_many(400, seconds=0.01)
    for i in range(3):
        lab.wait_ends(60 * (i + 1))
        restart_application(lab)
        w.wait_line("Connected to", count=i + 2, timeout_s=60)
    lab.wait_final(timeout_s=90)
    overlaps(lab)
    lab.close_books(starts=(1, 1))
