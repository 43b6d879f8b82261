"""Canvas from real Celery clients, in all its forms."""
import json
import os

import pytest
from celery import chain, chord, group

from harness import TOP, wait_final
from warren_servers import wait_until


@pytest.fixture
def app(site):
    return site.app()


def sig(app, name, *args, **options):
    return app.signature(name, args=args, **options)


def test_chain_goes_all_the_way(site, app, worker):
    worker("-A", "tasks", "-c", "2")
    result = chain(sig(app, "add", 1, 2), sig(app, "add", 3), sig(app, "add", 4)).apply_async()
    assert result.get(timeout=10) == 10
    assert result.parent.get(timeout=1) == 6 and result.parent.parent.get(timeout=1) == 3
    first = json.loads(site.meta(result.parent.parent.id))
    assert first["children"] == [[[result.parent.id, None], None]]
    site.wait_empty()


def test_chain_over_a_celery_worker(site, app, worker, celery_worker):
    worker("-A", "tasks", "-c", "1", "-Q", "ours")
    celery_worker("-Q", "theirs")
    result = chain(sig(app, "add", 1, 2).set(queue="ours"), sig(app, "add", 3).set(queue="theirs"),
                   sig(app, "add", 4).set(queue="ours")).apply_async()
    assert result.get(timeout=20) == 10


def test_chain_that_fails_ends_for_all_who_wait(site, app, worker):
    worker("-A", "tasks", "-c", "2")
    result = chain(sig(app, "add", 1, 2), sig(app, "fail", "boom", immutable=True), sig(app, "add", 4)).apply_async()
    with pytest.raises(ValueError):
        result.get(timeout=10)
    assert json.loads(site.meta(result.id))["status"] == "FAILURE"
    assert result.parent.state == "FAILURE"


def test_links_of_every_kind(site, app, worker):
    worker("-A", "tasks", "-c", "2")
    ids = ["link-plain", "link-immutable", "link-chain-last"]
    links = [sig(app, "add", 10).set(task_id=ids[0]), sig(app, "add", 1, 1, immutable=True).set(task_id=ids[1]),
             chain(sig(app, "add", 5), sig(app, "add", 6).set(task_id=ids[2]))]
    app.send_task("add", (1, 2), link=links).get(timeout=10)
    results = [app.AsyncResult(i) for i in ids]
    wait_final(results)
    assert [r.get(timeout=1) for r in results] == [13, 2, 14]


def test_of_links_of_which_one_cannot_be_written_none_is_sent(site, app, worker):
    """The message is kept whole, so that whoever replays it sends none of them twice."""
    worker("-A", "tasks", "-c", "1")
    links = [sig(app, "echo").set(task_id="fine"), sig(app, "echo").set(reply_to="x" * 300)]
    assert app.send_task("add", (1, 2), link=links).get(timeout=10) == 3
    wait_until(lambda: site.queues().get("warren.dead.celery", {}).get("messages") == 1, 20, lambda: str(site.queues()))
    assert app.send_task("add", (3, 4)).get(timeout=10) == 7
    assert app.AsyncResult("fine").state == "PENDING"


def test_a_follow_up_that_cannot_go_its_way_holds_up_no_others(site, app, worker):
    """The broker lets nobody make a queue of this name: whoever sent that waits for it, and nobody else."""
    w = worker("-A", "tasks", "-c", "2")
    assert app.send_task("add", (1, 2), link=sig(app, "echo").set(queue="amq.none")).get(timeout=10) == 3
    w.wait_line("amq.none")
    assert chain(sig(app, "add", 1, 2), sig(app, "add", 3)).apply_async().get(timeout=10) == 6
    other = chain(sig(app, "add", 1, 2), sig(app, "echo").set(queue="elsewhere")).apply_async()
    wait_until(lambda: site.queues().get("elsewhere", {}).get("messages") == 1, 20, lambda: str(site.queues()))
    assert other.parent.get(timeout=10) == 3
    w.kill()  # to end by itself it would wait for that one as long as it may


def test_a_follow_up_that_no_message_can_hold_is_a_dead_letter(site, app, worker):
    """Headers must fit into one frame, and a body has a largest size."""
    w = worker("-A", "tasks", "-c", "1")
    links = [sig(app, "echo").set(task_id="fine"), sig(app, "echo").set(headers={"x": "y" * 200000})]
    assert app.send_task("add", (1, 2), link=links).get(timeout=10) == 3
    wait_until(lambda: site.queues().get("warren.dead.celery", {}).get("messages") == 1, 20, lambda: str(site.queues()))
    assert app.send_task("add", (3, 4)).get(timeout=10) == 7
    assert app.AsyncResult("fine").state == "PENDING"
    # Both fit by themselves, the sum does not.
    text = "x" * (24 << 20)
    app.send_task("big", (40 << 20,), link=sig(app, "echo", text, ignore_result=True), ignore_result=True)
    wait_until(lambda: site.queues().get("warren.dead.celery", {}).get("messages") == 2, 20, lambda: str(site.queues()))
    assert app.send_task("add", (3, 4)).get(timeout=10) == 7
    assert len(w.lines("too big|more than 67108864 bytes")) == 2


def test_error_link_gets_the_id_once(site, app, worker):
    worker("-A", "tasks", "-c", "2")
    result = app.send_task("fail", ("boom",), link_error=[sig(app, "echo").set(task_id="error-link")])
    with pytest.raises(ValueError):
        result.get(timeout=10)
    assert app.AsyncResult("error-link").get(timeout=10) == [[result.id], {}]


def xsum(app, **options):
    return sig(app, "xsum", **options)


CANVASES = {
    "chord": (lambda app: chord([sig(app, "add", 1, 1), sig(app, "add", 2, 2)], xsum(app)), 6),
    "group in a chain": (lambda app: chain(sig(app, "add", 1, 1), group(sig(app, "add", 1), sig(app, "add", 2)), xsum(app)), 7),
    "group, task, task": (lambda app: chain(group(sig(app, "add", 1, 1), sig(app, "add", 2, 2)), xsum(app), sig(app, "add", 1)), 7),
    "task, group": (lambda app: chain(sig(app, "add", 1, 1), group(sig(app, "add", 1), sig(app, "add", 2))), [3, 4]),
    "group body": (lambda app: chord([sig(app, "add", 1, 1), sig(app, "add", 2, 2)], group(xsum(app), xsum(app))), [6, 6]),
    "chain body": (lambda app: chord([sig(app, "add", 1, 1), sig(app, "add", 2, 2)], chain(xsum(app), sig(app, "add", 5))), 11),
    "chord in a header": (lambda app: chord([chord([sig(app, "add", 1, 1), sig(app, "add", 2, 2)], xsum(app)), sig(app, "add", 3, 3)], xsum(app)), 12),
    "chain in a header": (lambda app: chord([chain(sig(app, "add", 1, 1), sig(app, "add", 2)), sig(app, "add", 3, 3)], xsum(app)), 10),
    "two groups": (lambda app: chain(sig(app, "add", 1, 1), group(sig(app, "add", 1), sig(app, "add", 2)), xsum(app), group(sig(app, "add", 1), sig(app, "add", 2)), xsum(app)), 17),
}


def test_canvas_comes_to_its_result(site, app, worker):
    worker("-A", "tasks", "-c", "2")
    sent = {name: canvas(app).apply_async() for name, (canvas, _) in CANVASES.items()}
    wait_final([x for r in sent.values() for x in getattr(r, "results", None) or [r]])
    assert {name: r.get(timeout=1) for name, r in sent.items()} == {name: result for name, (_, result) in CANVASES.items()}
    site.wait_empty()
    assert not [q for q in site.queues() if q.startswith("warren.dead.")]


def test_plain_group_runs(app, worker):
    worker("-A", "tasks", "-c", "2")
    assert group(sig(app, "add", i, i) for i in range(5)).apply_async().get(timeout=10) == [0, 2, 4, 6, 8]


def test_every_end_of_a_member_counts(site, app, worker):
    worker("-A", "tasks", "-c", "4")
    members = {
        "TimeLimitExceeded(1)": sig(app, "nap", 60, time_limit=1),
        "WorkerLostError(": sig(app, "die", "SIGKILL"),
        "NotRegistered('nobody')": sig(app, "nobody"),
    }
    bodies = {says: chord([sig(app, "add", 1, 1), member], sig(app, "xsum")).apply_async() for says, member in members.items()}
    retried = chord([sig(app, "add", 1, 1), sig(app, "second_time", 5)], sig(app, "xsum")).apply_async()
    late = chain(sig(app, "add", 1, 1), sig(app, "second_time"), sig(app, "add", 1)).apply_async()
    alone = {says: app.AsyncResult(r.id) for says, r in bodies.items()}
    wait_final([*alone.values(), retried, late])
    assert retried.get() == 7 and late.get() == 3
    for says, r in alone.items():
        assert r.state == "FAILURE" and says in str(r.result), (says, r.result)
    # Revoked while it waits in the queue.
    gate = site.folder / "gate"
    held = [app.send_task("hold", (str(gate),)) for _ in range(4)]
    wait_until(lambda: all(r.state == "STARTED" for r in held), 20, lambda: "the slots to be taken")
    r = chord([sig(app, "add", 1, 1), sig(app, "add", 2, 2).set(task_id="unwanted")], sig(app, "xsum")).apply_async()
    assert app.control.revoke("unwanted", reply=True, timeout=5, limit=1)
    gate.touch()
    body = app.AsyncResult(r.id)
    wait_final([body])
    assert str(body.result) == "Dependency unwanted raised TaskRevokedError('revoked')"


# --- chords that nobody goes on with: a worker died between counting the last member and sending the body


def half_a_chord(site, app, worker, *args, **body):
    """A chord of two members, one of which has ended with us: its counters as a worker of another kind finds them."""
    w = worker("-A", "tasks", "-c", "1", "--chord-check", "1s", *args)
    member = app.send_task("add", (1, 1), group_id="G", group_index=0,
                           chord=sig(app, "xsum").set(task_id="body", **body))
    site.redis.set("celery-taskset-meta-G.s", 2)
    wait_final([member])
    wait_until(lambda: site.redis.zcard("celery-taskset-meta-G.j") == 1, 10, lambda: "the member to be counted")
    return w


def last_member(site, state="SUCCESS", value=40):
    site.redis.zadd("celery-taskset-meta-G.j", {json.dumps([1, "other", state, value]): 1})


def wait_closed(site):
    wait_until(lambda: not site.redis.keys("celery-taskset-meta-G.*"), 20, lambda: "the counters to be removed")
    assert site.redis.zcard("warren:chords") == 0


def test_body_that_nobody_sent_is_sent(site, app, worker):
    w = half_a_chord(site, app, worker)
    last_member(site)
    body = app.AsyncResult("body")
    wait_final([body], 20)
    assert body.get() == 42
    w.wait_line(r"chord G: all its members had ended")
    wait_closed(site)
    site.wait_empty()
    assert len(w.lines(r"Task xsum\[body\] received")) == 1
    # Should the last member be told once more it finds the chord over.
    assert site.redis.hget("warren:chord:G", "over") == b"1"


def test_chord_that_is_not_full_is_left_alone(site, app, worker):
    half_a_chord(site, app, worker)
    first = site.redis.zscore("warren:chords", "G")
    wait_until(lambda: site.redis.zscore("warren:chords", "G") >= first + 2, 20, lambda: "two looks")
    assert site.meta("body") is None and site.redis.zcard("celery-taskset-meta-G.j") == 1


def test_body_that_was_sent_is_not_sent_again(site, app, worker):
    w = half_a_chord(site, app, worker)
    site.redis.set("celery-task-meta-body", json.dumps({"status": "SUCCESS", "result": 42, "task_id": "body"}))
    last_member(site)
    wait_closed(site)
    site.wait_empty()
    assert not w.lines(r"Task xsum")


def test_body_of_a_failed_chord_is_failed(site, app, worker):
    half_a_chord(site, app, worker, link_error=[sig(app, "echo").set(task_id="errback")])
    last_member(site, "FAILURE", {"exc_type": "KeyError", "exc_message": ["boom"], "exc_module": "builtins"})
    body, errback = app.AsyncResult("body"), app.AsyncResult("errback")
    wait_final([body, errback], 20)
    assert body.state == "FAILURE" and str(body.result) == "Dependency other raised KeyError('boom')"
    assert errback.get() == [["body"], {}]
    wait_closed(site)


def test_counters_of_workers_that_keep_no_order(site, app, worker):
    """Celery with result_chord_ordered = False keeps a list; a member that was counted in other words is not counted again."""
    worker("-A", "tasks", "-c", "1")
    site.redis.set("celery-taskset-meta-G.s", 2)
    site.redis.rpush("celery-taskset-meta-G.j", json.dumps([1, "other", "SUCCESS", 40]),
                     json.dumps([1, "ours", "FAILURE", None], separators=(",", ":")))
    app.send_task("add", (1, 1), task_id="ours", group_id="G", group_index=0, chord=sig(app, "xsum").set(task_id="body"))
    body = app.AsyncResult("body")
    wait_final([body])
    assert body.get() == 42
    wait_closed(site)


@pytest.mark.parametrize("names", ['"sh.echo","sh.fail"', '"*"'], ids=["named", "any"])
def test_series_and_chords_of_a_runner_in_any_language(app, worker, tmp_path, names):
    """Built-ins are the worker's, also where the runner takes any name; a chord of shell tasks."""
    with open(os.path.join(TOP, "src", "runners", "sh", "runner.sh")) as f:
        (tmp_path / "runner.sh").write_text(f.read().replace('"sh.echo","sh.fail"', names))
    worker("--runner", "sh %s" % (tmp_path / "runner.sh"), "-c", "2")
    series = app.send_task("celery.map", kwargs={"task": dict(sig(app, "sh.echo")), "it": [1, "two", [3]]})
    r = chord([sig(app, "sh.echo", 1), sig(app, "sh.echo", 2)], sig(app, "sh.echo", "body")).apply_async()
    wait_final([series, r])
    assert series.get() == [[1], ["two"], [[3]]]
    assert r.get() == [[[1], [2]], "body"]


# --- from our own command line


def test_send_a_chain(site, warren, worker):
    worker("-A", "tasks", "-c", "2")
    parts = [{"task": "add", "args": [1, 2]}, [{"task": "add", "args": [3]}, {"task": "add", "args": [4]}], {"task": "xsum"}]
    assert warren("send", "--chain", json.dumps(parts), "--wait", "--timeout", "20s").stdout == "13\n"
    ids = warren("send", "--chain", "-", input=json.dumps(parts[:1])).stdout.split()
    assert len(ids) == 1
    assert warren("result", ids[0], "--wait", "--timeout", "20s").stdout == "3\n"


def test_send_a_group(app, warren, worker, tmp_path):
    worker("-A", "tasks", "-c", "2")
    (tmp_path / "group.json").write_text(json.dumps([{"task": "add", "args": [i, i], "id": "member-%d" % i} for i in range(3)]))
    out = json.loads(warren("send", "--group", "@group.json", "--json", cwd=str(tmp_path)).stdout)
    assert out["ids"] == ["member-0", "member-1", "member-2"]
    results = [app.AsyncResult(i) for i in out["ids"]]
    wait_final(results)
    assert [r.get() for r in results] == [0, 2, 4]


def test_send_a_chord_to_a_mixed_cluster(site, warren, worker, celery_worker):
    worker("-A", "tasks", "-c", "2", "-Q", "ours")
    celery_worker("-Q", "theirs")
    chord = {"header": [{"task": "add", "args": [i, i], "queue": q} for i, q in enumerate(["ours", "theirs"] * 3)],
             "body": {"chain": [{"task": "xsum", "queue": "theirs"}, {"task": "add", "args": [1], "queue": "ours"}]}}
    assert warren("send", "--chord", json.dumps(chord), "--wait", "--timeout", "30s").stdout == "31\n"
    assert not site.redis.keys("celery-taskset-meta-*.j")


def test_send_a_canvas_that_fails(site, app, warren, worker):
    worker("-A", "tasks", "-c", "2")
    chord = {"header": [{"task": "add", "args": [1, 1]}, {"task": "fail", "args": ["boom"]}],
             "body": {"task": "xsum", "link_error": {"task": "echo", "id": "errback"}}}
    done = warren("send", "--chord", json.dumps(chord), "--wait", "--timeout", "20s", code=1)
    assert "ChordError" in done.stderr and "ValueError('boom')" in done.stderr
    wait_final([app.AsyncResult("errback")])


def test_a_canvas_without_its_broker_ends_as_unreachable(warren):
    done = warren("send", "--chain", '[{"task": "add"}]', "-b", "amqp://guest:secret@127.0.0.1:1//", code=3)
    assert "cannot reach" in done.stderr and "secret" not in done.stderr


@pytest.mark.parametrize("args,says", [
    (["--chain", "{}"], "a list"),
    (["--chain", "[]"], "at least one part"),
    (["--chain", '[{"task": "add", "ques": 1}]'], "unknown key 'ques'"),
    (["--chain", '[{"args": [1]}]'], "without 'task'"),
    (["--chain", '[{"task": "add", "eta": "soon"}]'], "eta is no time"),
    (["--chord", '{"header": []}'], "body"),
    (["--group", "[1"], "byte"),
    (["--group", "@nowhere.json"], "nowhere.json"),
    (["--group", "[]", "--chain", "[]"], "choose one"),
    (["add", "1", "--group", "[]"], "stand in the parts"),
])
def test_send_says_what_is_wrong_with_a_canvas(warren, args, says):
    assert says in warren("send", *args, code=2).stderr


def test_chords_need_a_backend_that_counts(site, warren):
    chord = json.dumps({"header": [{"task": "add", "args": [1, 1]}], "body": {"task": "xsum"}})
    done = warren("send", "--chord", chord, env={"WARREN_RESULT_BACKEND": "none"}, code=2)
    assert "a chord needs a result backend that counts its members" in done.stderr
