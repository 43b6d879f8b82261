"""Routers that are code, when they raise, hang, or end their process; and what they cost. Where Celery sends the same: conformance/test_code_routers.py."""
import json
import os
import signal
import time

import pytest

from harness import SLOW, parent_of, wait_final
from warren_servers import wait_until

SHOP = """
import atexit, os, time
import redis
from celery import Celery, chain, chord, group
app = Celery("shop", broker={broker!r}, backend={backend!r}, set_as_current=False)
store = redis.Redis.from_url({backend!r})

def router(name, args, kwargs, options, task=None, **more):
    if not os.environ.get("WARREN_POOL"):
        return None  # the client's
    if name == "shop.sink":
        store.rpush("asked", os.getpid())
        if store.llen("trouble") and args[0] != 1:
            trouble = store.lpop("trouble").decode()
            if trouble == "raise":
                raise KeyError("no shelf for", args[0])
            if trouble == "exit":
                os._exit(3)
            if trouble == "sys.exit":
                raise SystemExit(4)
            if trouble == "priority":
                return dict(queue="sunk", priority=999)
            if trouble == "nowhere":
                return dict(exchange="media")
            if trouble == "stay":
                atexit.register(time.sleep, 3600)
                trouble = "2.5"
            time.sleep(3600 if trouble == "hang" else float(trouble))
        return "sunk" if args[0] != 5 else dict(queue="five")

app.conf.update(task_routes={routes}, worker_prefetch_multiplier=1)

@app.task
def give(value):
    store.incr("given")
    return value
@app.task
def sink(value, *more):
    pass
@app.task
def plain(value):
    return value
@app.task
def pid():
    return os.getpid()
@app.task(bind=True)
def grow(self, size, **more):
    raise self.retry(args=("x" * size,), kwargs=dict(), countdown=0, **more)
"""


@pytest.fixture
def shop(site, worker, tmp_path):
    """Starts a worker on the application: shop(*args); its tasks by name."""
    def start(*args, routes="(router,)", env=None):
        text = SHOP.format(broker=site.broker, backend=site.backend, routes=routes)
        (tmp_path / "shop.py").write_text(text)
        start.worker = worker("-A", "shop", "-Q", "celery", *args, env={"WARREN_BROKER": "", "WARREN_RESULT_BACKEND": "", **(env or {})},
                              cwd=str(tmp_path))
        module = {"__name__": "shop"}
        exec(compile(text, "shop.py", "exec"), module)
        site.apps.append(module["app"])
        return module
    return start


def wait_sunk(site, n, queue="sunk", timeout_s=20):
    wait_until(lambda: site.queues().get(queue, {"messages": 0})["messages"] == n, timeout_s * SLOW,
               lambda: "%d messages in %s: %r" % (n, queue, site.queues()))


def dead(warren):
    return json.loads(warren("dead", "list", "--json").stdout)


def is_settled(site):
    return site.counter("messages", "celery") == 0


def asked(site):
    return [int(pid) for pid in site.redis.lrange("asked", 0, -1)]


def test_a_router_that_raises_leaves_a_dead_letter_that_can_be_sent_on(site, shop, warren):
    s = shop("-c", "2")
    for trouble in ("raise", "sys.exit", "priority", "nowhere"):
        site.redis.rpush("trouble", trouble)
    results = []
    for i in range(4):
        results.append(s["give"].apply_async((2,), link=[s["sink"].s(), s["plain"].s()]))
        wait_until(lambda: site.redis.llen("trouble") == 3 - i, 20 * SLOW, "the router to be asked")
        wait_until(lambda: len(dead(warren)) == i + 1, 20 * SLOW, "its dead letter")
    wait_final(results)
    assert [r.get() for r in results] == [2] * 4
    letters = dead(warren)
    assert {letter["reason"] for letter in letters} == {"route"}
    whys = {letter["id"]: letter["error"] for letter in letters}
    assert whys[results[0].id] == "the application's routers raised KeyError: ('no shelf for', 2) for its follow-up shop.sink"
    assert "raised SystemExit: 4" in whys[results[1].id]
    assert "999" in whys[results[2].id] and "neither a queue" in whys[results[3].id]
    assert shop.worker.lines("KeyError.*no shelf for") and shop.worker.lines(r"what follows it is not sent: .*KeyError")
    # All or nothing, and the router's process was never in danger.
    assert not site.queues().get("sunk") and len(set(asked(site))) == 1
    assert is_settled(site)
    # Once the router is mended: what follows is sent, the task does not run again.
    warren("dead", "replay", "--all", "--yes")
    wait_sunk(site, 4)
    wait_until(lambda: is_settled(site), 20 * SLOW, "the worker to be done")
    assert int(site.redis.get("given")) == 4


def test_a_router_that_ends_its_process_or_hangs_is_asked_again(site, shop, warren):
    s = shop("-c", "2", "--route-timeout", "1s")
    for trouble in ("exit", "hang", "exit"):
        site.redis.rpush("trouble", trouble)
    # Two costs nobody anything; the third is one too many for the same question.
    site.redis.ltrim("trouble", 0, 1)
    s["give"].apply_async((2,), link=s["sink"].s())
    wait_sunk(site, 1)
    assert shop.worker.lines("asks the application's routers ended with exit code 3") or shop.worker.lines("routers exited"), shop.worker.output()
    assert shop.worker.lines("did not answer within 1 s")
    assert dead(warren) == [] and len(set(asked(site))) == 3
    site.redis.rpush("trouble", "exit", "hang", "exit")
    s["give"].apply_async((4,), link=s["sink"].s())
    s["give"].apply_async((1,), link=s["sink"].s())
    wait_until(lambda: len(dead(warren)) == 1, 30 * SLOW, shop.worker.output)
    letter, = dead(warren)
    assert letter["reason"] == "route" and "code 3" in letter["error"] and "3 times" in letter["error"]
    wait_sunk(site, 2)
    assert int(site.redis.get("given")) == 3
    # It takes long, but answers.
    site.redis.rpush("trouble", "0.7")
    s["give"].apply_async((6,), link=s["sink"].s())
    wait_sunk(site, 3)


@pytest.mark.parametrize("how", [(), ("--no-fork",)], ids=["forked", "by itself"])
def test_the_process_that_is_asked_may_be_killed(site, shop, how):
    s = shop("-c", "2", *how)
    site.redis.rpush("trouble", "hang")
    s["give"].apply_async((2,), link=s["sink"].s())
    wait_until(lambda: asked(site), 20 * SLOW, "the router to be asked")
    first, = asked(site)
    slots = shop.worker.slots()
    assert first in slots and len(slots) == 3
    # With it goes the template, if there is one, and all of its children.
    os.kill(first if how else parent_of(first), signal.SIGKILL)
    wait_sunk(site, 1)
    assert len(set(asked(site))) == 2


def test_a_worker_that_is_asked_to_end_waits_for_the_answer(site, shop):
    s = shop("-c", "1")
    site.redis.rpush("trouble", "1.5")
    s["give"].apply_async((2,), link=s["sink"].s())
    wait_until(lambda: asked(site), 20 * SLOW, "the router to be asked")
    assert shop.worker.stop() == 0
    wait_sunk(site, 1)
    assert is_settled(site)


def test_a_question_outlives_the_worker(site, shop, worker, tmp_path):
    s = shop("-c", "1", "--drain-timeout", "1s")
    site.redis.rpush("trouble", "hang")
    s["give"].apply_async((2,), link=s["sink"].s())
    wait_until(lambda: asked(site), 20 * SLOW, "the router to be asked")
    assert shop.worker.stop() == 0
    assert site.counter("messages_ready", "celery") == 1
    shop("-c", "1")
    wait_sunk(site, 1)
    wait_until(lambda: is_settled(site), 20 * SLOW, "the worker to be done")
    assert int(site.redis.get("given")) == 1


def test_a_retry_that_no_message_can_hold_is_a_dead_letter(site, shop, warren):
    """Nothing else can be made of it, and the worker goes on."""
    s = shop("-c", "1")
    s["grow"].delay(1, headers={"x": "y" * 200000})
    s["grow"].apply_async((44 << 20,), link=s["plain"].s("x" * (24 << 20)))
    wait_until(lambda: site.queues().get("warren.dead.celery", {}).get("messages") == 2, 30 * SLOW, shop.worker.output)
    assert s["plain"].delay(1).get(timeout=20 * SLOW) == 1
    wait_until(lambda: is_settled(site), 20 * SLOW, "the worker to be done")
    assert [letter["reason"] for letter in dead(warren)] == ["retry"] * 2


def full_chord(site, s):
    """A chord whose members have all ended, and whose body nobody has sent."""
    s["plain"].apply_async((1,), group_id="G", group_index=0, chord=s["sink"].s().set(task_id="body")).get(timeout=20 * SLOW)
    site.redis.set("celery-taskset-meta-G.s", 2)
    wait_until(lambda: site.redis.zcard("celery-taskset-meta-G.j") == 1, 20 * SLOW, "the member to be counted")
    site.redis.zadd("celery-taskset-meta-G.j", {json.dumps([1, "other", "SUCCESS", 2]): 1})


def test_a_worker_ends_while_a_chord_that_it_mends_waits_for_an_answer(site, shop, tmp_path):
    """Nobody holds that up: another worker finds the chord again."""
    s = shop("-c", "1", "--chord-check", "1s", "--no-fork")
    wait_until(lambda: len(shop.worker.slots()) == 2, 20 * SLOW, "the process that is asked")
    # Its slot has a pid of its own: the one that runs no task is to go, and not to come up again.
    runs = s["pid"].delay().get(timeout=20 * SLOW)
    (tmp_path / "shop.py").write_text("raise RuntimeError('half an edit')\n")
    guide, = set(shop.worker.slots()) - {runs}
    os.kill(guide, signal.SIGKILL)
    shop.worker.wait_line("half an edit")
    full_chord(site, s)
    shop.worker.wait_line("chord G: all its members had ended")
    assert shop.worker.stop() == 0
    assert "sunk" not in site.queues()


def test_the_process_that_is_asked_answers_while_it_should_end(site, shop):
    """An answer in between is no reason to wait for longer."""
    s = shop("-c", "1", "--chord-check", "1s", "--no-fork")
    site.redis.rpush("trouble", "stay")
    full_chord(site, s)
    wait_until(lambda: asked(site), 20 * SLOW, "the router to be asked")
    assert shop.worker.stop(timeout_s=15 * SLOW) == 0


def test_large_groups_are_asked_about_at_once(site, shop):
    s = shop("-c", "1")
    n = 5000
    began = time.monotonic()
    s["chain"](s["give"].si(3), s["group"](s["sink"].si(3) for _ in range(n))).apply_async()
    wait_sunk(site, n, timeout_s=60)
    print("%d messages took %.1f s" % (n, time.monotonic() - began))
    assert len(set(asked(site))) == 1 and len(asked(site)) == n


def test_the_configuration_goes_before_routers_and_a_signature_before_both(site, shop, tmp_path):
    (tmp_path / "w.yaml").write_text("routes:\n  shop.sink: { queue: by_hand }\n")
    s = shop("-c", "1", "--config", str(tmp_path / "w.yaml"))
    s["give"].apply_async((2,), link=[s["sink"].s(), s["sink"].s("more").set(queue="five")])
    wait_sunk(site, 1, "by_hand")
    wait_sunk(site, 1, "five")


def test_without_routers_that_are_code_there_is_no_process_for_them(site, shop):
    s = shop("-c", "2", routes="({'shop.sink': 'sunk'},)")
    s["give"].apply_async((2,), link=s["sink"].s())
    wait_sunk(site, 1)
    assert len(shop.worker.slots()) == 2 and not asked(site)


def test_other_code_is_asked_after_the_pool_was_restarted(site, shop, tmp_path):
    s = shop("-c", "1")
    s["give"].apply_async((2,), link=s["sink"].s())
    wait_sunk(site, 1)
    text = (tmp_path / "shop.py").read_text()
    for routes, queue in (("lambda name, *more, **others: 'other' if name == 'shop.sink' else None,", "other"),
                          ("dict([('shop.sink', 'plain_map')]),", "plain_map_or_celery")):
        (tmp_path / "shop.py").write_text(text.replace("task_routes=(router,)", "task_routes=(%s)" % routes))
        before = set(shop.worker.slots())
        s["app"].control.broadcast("pool_restart", arguments={"reload": True}, reply=True, limit=1, timeout=5)
        wait_until(lambda: not before & set(shop.worker.slots()), 20 * SLOW, "new children")
        s["give"].apply_async((2,), link=s["sink"].s())
        if queue == "other":
            wait_sunk(site, 1, "other")
        else:
            # The worker's own table is as it read it: no code is asked any more.
            wait_until(lambda: len(shop.worker.slots()) == 1 and is_settled(site), 20 * SLOW, shop.worker.output)
