"""The tools of the other tests, proven with Celery's own worker and client."""
import json
import os
import signal
import subprocess

import pytest

from harness import TOP, Took, alive, environment, wait_final, wait_state
from warren_servers import Failed, Servers, wait_until

WARREN_SERVERS = os.path.join(TOP, "deploy", "private", "warren-servers")


def test_celery_client_and_worker_meet(site, celery_worker):
    celery_worker()
    app = site.app()
    assert app.tasks["add"].delay(2, 3).get(timeout=10) == 5
    with pytest.raises(ValueError, match="no such thing"):
        app.tasks["fail"].delay("no such thing").get(timeout=10)


def test_states_and_results_can_be_waited_for(site, celery_worker):
    celery_worker()
    app = site.app()
    results = [app.tasks["add"].delay(i, i) for i in range(20)]
    wait_final(results)
    assert [r.result for r in results] == [2 * i for i in range(20)]
    assert wait_state(app.tasks["fail"].delay("x"), "FAILURE") == "FAILURE"
    assert json.loads(site.meta(results[3].id))["result"] == 6
    site.wait_empty()


def test_sites_do_not_share_anything(site, servers, tmp_path):
    from harness import Site
    other = Site(servers, 4000, tmp_path)
    try:
        site.app().tasks["add"].delay(1, 1)
        wait_until(lambda: site.counter("messages") == 1, 10, "the message to be queued")
        assert other.queues() == {}
        site.redis.set("x", "y")
        assert other.redis.get("x") is None
    finally:
        other.close()


@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_counters_are_those_of_rabbitmqctl(site, kind):
    with site.raw_connection() as connection:
        channel = connection.channel()
        channel.queue_declare("q", durable=True, auto_delete=False, arguments={"x-queue-type": kind})
        for i in range(5):
            channel.basic_publish(channel.prepare_message(str(i), content_encoding="utf-8"), "", "q")
        channel.basic_qos(0, 2, False)
        got = []
        channel.basic_consume("q", callback=got.append)
        while len(got) < 2:
            connection.drain_events(timeout=10)
        wait_until(lambda: site.unacked("q") == 2, 10, "two unacknowledged deliveries")
        assert site.counter("messages_ready", "q") == 3
        listed = site.rabbitmq.ctl("list_queues", "-p", site.vhost, "--no-table-headers", "name", "messages_unacknowledged")
        assert listed.split() == ["q", "2"]
        assert site.queues()["q"]["type"] == kind


def test_virtual_host_is_cheap(servers):
    with Took() as t:
        for i in range(5):
            servers.rabbitmq.vhost_add("cheap%d" % i)
    for i in range(5):
        servers.rabbitmq.vhost_delete("cheap%d" % i)
    assert t.s < 2.5


def test_node_says_what_it_refuses(servers):
    with pytest.raises(Failed, match="badmatch"):
        servers.rabbitmq.eval("1 = 2")


def test_redis_alone_stops_starts_and_goes_with_its_folder():
    with Servers(rabbitmq=False, redis_args=["--appendonly", "yes"]) as own:
        first = own.pid("redis")
        own.stop("redis", signal.SIGKILL)
        assert not alive(first)
        own.start("redis")
        assert own.pid("redis") != first and alive(own.pid("redis"))
        second, folder = own.pid("redis"), own.directory
    assert not alive(second)
    assert not os.path.exists(folder)


def test_command_gets_addresses_and_gives_its_exit_code():
    done = subprocess.run([WARREN_SERVERS, "--no-rabbitmq", "--quiet", "--", "sh", "-c", "echo $WARREN_RESULT_BACKEND; exit 7"],
                          capture_output=True, text=True, env=environment())
    assert done.returncode == 7
    assert done.stdout.startswith("redis://127.0.0.1:")


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_nothing_remains_when_interrupted(sig):
    child = subprocess.Popen([WARREN_SERVERS, "--no-rabbitmq", "--quiet", "--", "sh", "-c", "echo $PRIVATE_DIR $$; exec sleep 600"],
                             stdout=subprocess.PIPE, text=True, env=environment(), start_new_session=True)
    folder, pid = child.stdout.readline().split()
    # Ctrl-C reaches the whole foreground group.
    (os.killpg if sig == signal.SIGINT else os.kill)(child.pid, sig)
    child.wait(20)
    child.stdout.close()
    wait_until(lambda: not alive(int(pid)), 20, "the command to end")
    wait_until(lambda: not os.path.exists(folder), 20, "the folder to go")


def test_a_server_that_cannot_start_is_explained():
    with pytest.raises(Failed, match="Redis ended at its start(.|\n)*nonsense"):
        Servers(rabbitmq=False, redis_args=["--nonsense", "1"]).open()
