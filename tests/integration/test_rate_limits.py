"""Rate limits: of one worker and of all together, by argument, set while the worker runs; and that they are nobody else's trouble."""
import time

import pytest

from harness import SLOW, wait_final
from warren_servers import wait_until

LIMITED = """
tasks:
  stamp: { %s }
"""


@pytest.fixture
def conf(tmp_path):
    def write(rules):
        path = tmp_path / "limits.yaml"
        path.write_text(LIMITED % rules)
        return ["--config", str(path), "-A", "tasks"]
    return write


def times_of(results, timeout_s=40):
    wait_final(results, timeout_s)
    return sorted(r.result for r in results)


def most_in(times, seconds):
    """The largest number of runs in any window of so many seconds."""
    return max(sum(t <= u < t + seconds for u in times) for t in times)


@pytest.mark.parametrize("slots", [1, 4])
def test_rate_of_a_worker_is_kept_and_others_do_not_wait(site, worker, conf, slots):
    app = site.app()
    limited = [app.send_task("stamp", (i,)) for i in range(31)]
    others = [app.send_task("add", (i, 1)) for i in range(50)]
    start = time.time()
    worker(*conf("rate_limit: 10/s"), "-c", str(slots))
    wait_final(others, 10)
    others_took = time.time() - start
    times = times_of(limited)
    # 31 runs at 10 a second: the last one 3 s after the first. The ladder counts in whole seconds.
    took = times[-1] - times[0]
    assert 2.7 <= took <= 4.5 * SLOW, times
    # Over a second it may be two seconds' worth, for that reason, and no more.
    assert most_in(times, 1) <= 21
    # They stood behind all of the limited ones, in a pool that takes only as many tasks as it has slots.
    assert others_took < 3 * SLOW, others_took
    site.wait_empty()


@pytest.mark.slow
def test_with_room_for_it_the_rate_is_even(site, worker, conf):
    app = site.app()
    worker(*conf("rate_limit: 10/s"), "-c", "8")
    # The delay queues are made at their first use, which takes a moment.
    assert app.send_task("add", (1, 1), countdown=1.5).get(timeout=20 * SLOW) == 2
    times = times_of([app.send_task("stamp", (i,)) for i in range(21)])
    assert 1.8 <= times[-1] - times[0] <= 3 * SLOW
    # Turns are 0.1 s apart; what comes back from the ladder is held for the rest of its wait.
    assert most_in(times, 1) <= 15, [b - a for a, b in zip(times, times[1:])]


def test_rate_limit_by_remote_control(site, worker, warren, conf):
    app = site.app()
    worker("-A", "tasks", "-c", "4", "-n", "ours@here")
    assert app.control.rate_limit("stamp", "4/s", reply=True, timeout=5 * SLOW, destination=["ours@here"]) == [
        {"ours@here": {"ok": "new rate limit set successfully"}}]
    assert "stamp [rate_limit=4/s]" in warren("inspect", "registered", "rate_limit", "-d", "ours@here").stdout
    times = times_of([app.send_task("stamp", (i,)) for i in range(9)])
    assert 1.7 <= times[-1] - times[0] <= 4 * SLOW
    assert "disabled" in warren("control", "rate_limit", "stamp", "0", "-d", "ours@here").stdout
    times = times_of([app.send_task("stamp", (i,)) for i in range(50)])
    assert times[-1] - times[0] < 1.5 * SLOW
    for rate, said in (("fast", "Invalid rate limit string"), ("1/y", "KeyError('y')")):
        assert said in warren("control", "rate_limit", "stamp", rate, "-d", "ours@here", code=1).stderr
    assert "unknown task" in warren("control", "rate_limit", "no-such", "1/s", "-d", "ours@here", code=1).stderr


def test_rate_of_all_workers_together(site, worker, conf):
    app = site.app()
    for name in ("one", "two"):
        worker(*conf("cluster_rate_limit: 10/s"), "-c", "4", "-n", name + "@here", "-E")
    limited = [app.send_task("stamp", (i,)) for i in range(31)]
    times = times_of(limited)
    assert 2.7 <= times[-1] - times[0] <= 4.5 * SLOW, times
    assert most_in(times, 1) <= 21
    assert len(site.redis.keys("warren:rate:stamp*")) == 1
    site.wait_empty()


def test_an_answer_about_a_delivery_that_is_gone_is_dropped(site, worker, conf):
    """Its channel is lost while Redis is asked whose turn it is: the answer finds nobody."""
    app = site.app()
    w = worker(*conf("cluster_rate_limit: 100/s"), "-c", "4")
    assert app.send_task("stamp", (0,)).get(timeout=20 * SLOW)
    site.redis.client_pause(60000, all=False)
    limited = [app.send_task("stamp", (i,)) for i in range(8)]
    wait_until(lambda: site.unacked() == 4, 20 * SLOW, "the slots to be taken")
    site.rabbitmq.close_connections(site.vhost)
    w.wait_line("Connected to", count=2)
    site.redis.client_unpause()
    wait_final(limited, 20)
    site.wait_empty()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_rate_of_the_cluster_over_a_minute(site, worker, conf):
    app = site.app()
    for name in ("one", "two", "three"):
        worker(*conf("cluster_rate_limit: 20/s"), "-c", "4", "-n", name + "@here")
    times = times_of([app.send_task("stamp", (i,)) for i in range(1201)], 200)
    took = times[-1] - times[0]
    assert 0.95 <= 1200 / took / 20 <= 1.01, took
    assert most_in(times, 10) <= 20 * 10 * 1.3


def test_each_tenant_has_a_limit_of_its_own(site, worker, conf):
    app = site.app()
    for name in ("one", "two"):
        worker(*conf("cluster_rate_limit: 4/s, rate_limit_key: kwargs.tenant, rate_limit_burst: 2"), "-c", "4", "-n", name + "@here")
    crowd = [app.send_task("stamp", (), {"tenant": "crowd"}) for _ in range(14)]
    few = [app.send_task("stamp", (), {"tenant": "t%d" % i}) for i in range(20)]
    start = time.time()
    few_times = times_of(few)
    assert few_times[-1] - start < 2 * SLOW
    times = times_of(crowd)
    # Two at once, then four a second.
    assert 2.7 <= times[-1] - times[0] <= 5 * SLOW, times


def test_what_waits_for_its_turn_can_be_revoked_and_seen(site, worker, warren, conf):
    app = site.app()
    worker(*conf("rate_limit: 1/h"), "-c", "2", "-n", "ours@here")
    first = app.send_task("stamp")
    assert first.get(timeout=10 * SLOW)
    second = app.send_task("stamp")
    # Half an hour is more than turns are given for: it waits on the broker and not here.
    wait_until(lambda: site.counter("messages", "celery") == 0 and sum(
        q["messages"] for n, q in site.queues().items() if n.startswith("celery_delayed_")) == 1, 10, "it to be on the ladder")
    assert second.state == "PENDING"
    assert app.send_task("add", (1, 1)).get(timeout=10 * SLOW) == 2


@pytest.mark.parametrize("rules, said", [("rate_limit: 5/y", "is no rate"), ("cluster_rate_limit: often", "is no rate"),
                                         ("rate_limit_key: tenant", "kwargs.NAME"), ("rate_limit_burst: 0", "rate_limit_burst")])
def test_limits_that_make_no_sense_are_refused(site, worker, conf, rules, said):
    w = worker(*conf(rules), ready=False)
    assert w.wait() == 2 and said in w.output()


def test_a_limit_of_the_cluster_needs_redis(worker, conf):
    w = worker(*conf("cluster_rate_limit: 1/s"), "--result-backend", "none", ready=False)
    assert w.wait() == 2 and "result_backend" in w.output()


LIMITED_APP = """
import time
from celery import Celery

app = Celery("limited", broker=%r, backend=%r)
app.conf.task_default_rate_limit = "1000/s"


@app.task(name="stamp", rate_limit="10/s")
def stamp():
    return time.time()


@app.task(name="other")
def other():
    return "other"
"""


def test_rate_limits_of_a_celery_application(site, worker, warren, tmp_path):
    (tmp_path / "limited.py").write_text(LIMITED_APP % (site.broker, site.backend))
    worker("-A", "limited", "-c", "4", "-n", "ours@here", env={"PYTHONPATH": str(tmp_path)}, cwd=str(tmp_path))
    shown = warren("inspect", "registered", "-d", "ours@here").stdout
    assert "stamp [rate_limit=10/s]" in shown and "other [rate_limit=1000/s]" in shown
    times = times_of([site.app().send_task("stamp") for _ in range(11)])
    assert 0.8 <= times[-1] - times[0] <= 3 * SLOW
