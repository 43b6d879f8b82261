"""
Canvas in a mixed cluster, checks 38-49 of the conformance list: a Celery 5.2 client, a Celery worker, warren workers with tasks in Python and in C. Each runs
with our queues classic and quorum.
"""
import json

import pytest
from celery import chain, chord, group

from cluster import cluster
from harness import wait_final, wait_state

T = 20  # seconds for a result


@pytest.fixture(scope="module", params=["classic", "quorum"])
def mixed(request, servers, new_number, built, tmp_path_factory):
    with cluster(servers, new_number(), tmp_path_factory.mktemp("mixed"), request.param) as c:
        c.start_all()
        c.client = c.app()
        yield c


@pytest.fixture
def s(mixed, request):
    """s("c", "add", 1, 2): a signature for that queue."""
    failed = request.session.testsfailed

    def sig(queue, name, *args, **options):
        return mixed.client.signature(name, args=args, **options).set(queue=queue)
    yield sig
    if request.session.testsfailed > failed:
        print(mixed.output())


def alone(mixed, result):
    """Without its parents, whose errors get() would raise first."""
    return mixed.client.AsyncResult(result.id)


def end(result):
    """Its value, polled for: between a client's look at the key and its subscription a result can be missed."""
    wait_final(getattr(result, "results", None) or [result], T)
    return result.get(timeout=1)


def meta(mixed, result):
    return json.loads(mixed.site.meta(result.id))


def test_c38_chain_over_all_kinds_of_workers(mixed, s):
    r = chain(s("theirs", "add", 1, 2), s("c", "add", 3), s("ours", "add", 4), s("theirs", "echo")).apply_async()
    assert end(r) == [[10], {}]
    first = r.parent.parent.parent
    assert [x.get(timeout=1) for x in (r.parent, r.parent.parent, first)] == [10, 6, 3]
    # Each names the one before it as its parent, and sent the one after it.
    assert meta(mixed, r.parent)["parent_id"] == r.parent.parent.id
    assert meta(mixed, r.parent.parent)["parent_id"] == first.id
    assert r.parent.parent.children == [r.parent] and r.parent.children == [r]


def test_c38_root_and_parent_of_a_step(mixed, s):
    r = chain(s("c", "add", 1, 2), s("theirs", "whoami")).apply_async()
    who = end(r)
    assert who == {"id": r.id, "root": r.parent.id, "parent": r.parent.id, "group": None, "index": None}


@pytest.mark.parametrize("queue", ["c", "ours"])
def test_c39_chain_that_fails_with_us(mixed, s, queue):
    failing = s(queue, "fail", "boom", immutable=True)
    failing.link_error(s("theirs", "note").set(task_id="errback-%s-%s" % (queue, mixed.kind)))
    r = chain(s("theirs", "add", 1, 2), failing, s("theirs", "add", 1), s("ours", "add", 1)).apply_async()
    with pytest.raises(ValueError, match="boom"):
        end(r)
    wait_final([r, r.parent])
    assert r.state == r.parent.state == r.parent.parent.state == "FAILURE"
    errback = mixed.client.AsyncResult("errback-%s-%s" % (queue, mixed.kind))
    assert end(errback) == r.parent.parent.id


def test_c40_group_over_all_kinds_of_workers(mixed, s):
    queues = ["c", "theirs", "ours", "celery"] * 3
    r = group(s(q, "add", i, i) for i, q in enumerate(queues)).apply_async()
    assert end(r) == [2 * i for i in range(12)]


@pytest.mark.parametrize("body", ["theirs", "ours", "celery"])
def test_c41_chord_whose_members_are_spread(mixed, s, body):
    queues = ["c", "theirs", "ours", "celery"] * 3
    r = chord([s(q, "add", i, i) for i, q in enumerate(queues)], s(body, "echo")).apply_async()
    assert end(r) == [[[2 * i for i in range(12)]], {}]
    mixed.wait_closed(r.parent)


def test_c41_body_on_a_c_worker(mixed, s):
    r = chord([s("theirs", "add", 1, 1), s("c", "add", 2, 2), s("ours", "add", 3, 3)], s("c", "echo")).apply_async()
    assert end(r) == [[[2, 4, 6]], {}]


@pytest.mark.parametrize("failing", ["c", "ours", "theirs"])
@pytest.mark.parametrize("other", ["theirs", "ours"])
def test_c42_chord_with_a_failing_member(mixed, s, failing, other):
    note = s("theirs", "note").set(task_id="note-%s-%s-%s" % (failing, other, mixed.kind))
    bad = s(failing, "fail", "boom").set(task_id="bad-%s-%s-%s" % (failing, other, mixed.kind))
    r = chord([s(other, "add", 1, 1), bad, s("c", "add", 2, 2)], s("ours", "echo").on_error(note)).apply_async()
    with pytest.raises(Exception, match=r"Dependency %s raised ValueError\('boom'\)" % bad.id) as raised:
        end(alone(mixed, r))
    assert type(raised.value).__name__ == "ChordError"
    assert meta(mixed, r)["result"]["exc_module"] == "celery.exceptions"
    assert end(mixed.client.AsyncResult(note.id)) == r.id


@pytest.mark.parametrize("last", ["c", "ours", "theirs"])
def test_c43_chain_as_a_member(mixed, s, last):
    r = chord([chain(s("theirs", "add", 1, 1), s("ours", "add", 2), s(last, "add", 3)), s("c", "add", 4, 4)],
              s("theirs", "xsum")).apply_async()
    assert end(r) == 15


def test_c43_chain_as_a_member_that_fails_early(mixed, s):
    # 5.2's own worker would leave the chord open had the failing step run there with a group behind it; here it ends.
    r = chord([chain(s("ours", "fail", "boom"), s("theirs", "add", 2), s("c", "add", 3)), s("c", "add", 4, 4)],
              s("theirs", "xsum")).apply_async()
    with pytest.raises(Exception, match=r"raised ValueError\('boom'\)"):
        end(alone(mixed, r))


@pytest.mark.parametrize("first", ["c", "ours", "celery"])
def test_c44_task_group_task(mixed, s, first):
    r = chain(s(first, "add", 1, 1), group(s(q, "add", i) for i, q in enumerate(["theirs", "c", "ours"])), s("theirs", "xsum"),
              s("ours", "add", 100)).apply_async()
    assert end(r) == 109
    header = r.parent.parent
    assert [x.get(timeout=1) for x in header.results] == [2, 3, 4]
    mixed.wait_closed(header)


def test_c44_size_is_set_before_the_members_are_sent(mixed, s, tmp_path):
    gate = str(tmp_path / "gate")
    r = chain(s("ours", "add", 1, 1), group(s("ours", "hold", gate, immutable=True), s("c", "add", 1)), s("theirs", "echo")).apply_async()
    wait_state(r.parent.results[1], "SUCCESS")
    assert b"2" in [mixed.site.redis.get(k) for k in mixed.keys("celery-taskset-meta-*.s")]
    open(gate, "w").close()
    assert end(r) == [[["held", 3]], {}]


def test_c45_chord_in_a_header(mixed, s):
    inner = chord([s("c", "add", 1, 1), s("theirs", "add", 2, 2)], s("ours", "xsum"))
    r = chord([inner, s("c", "add", 3, 3)], s("theirs", "xsum")).apply_async()
    assert end(r) == 12
    mixed.wait_closed(r.parent)


def test_c45_group_as_the_body(mixed, s):
    r = chord([s("c", "add", 1, 1), s("theirs", "add", 2, 2)], group(s("ours", "xsum"), s("theirs", "xsum"), s("c", "echo"))).apply_async()
    assert end(r) == [6, 6, [[[2, 4]], {}]]


def test_c45_chain_as_the_body(mixed, s):
    r = chord([s("c", "add", 1, 1), s("theirs", "add", 2, 2)], chain(s("ours", "xsum"), s("c", "add", 5), s("theirs", "add", 6))).apply_async()
    assert end(r) == 17


def test_c45_nested_results_keep_their_nesting(mixed, s):
    member = chain(s("ours", "add", 1, 1), group(s("ours", "add", 1), s("c", "add", 2)))
    r = chord([member, s("ours", "add", 3, 3)], s("c", "echo")).apply_async()
    assert end(r) == [[[[3, 4], 6]], {}]


def test_c46_links_of_every_kind(mixed, s):
    tail = "-%s" % mixed.kind
    links = [s("theirs", "add", 10).set(task_id="plain" + tail),
             chain(s("c", "add", 20), s("theirs", "add", 30).set(task_id="chain" + tail)),
             group(s("c", "add", 40).set(task_id="group-1" + tail), s("theirs", "add", 50).set(task_id="group-2" + tail)),
             chord([s("ours", "add", 60), s("theirs", "add", 70)], s("c", "echo").set(task_id="chord" + tail))]
    mixed.client.send_task("add", (1, 2), queue="ours", link=links)
    results = [mixed.client.AsyncResult(n + tail) for n in ("plain", "chain", "group-1", "group-2", "chord")]
    wait_final(results)
    assert [r.get(timeout=1) for r in results] == [13, 53, 43, 53, [[[63, 73]], {}]]


def test_c46_error_links_of_every_kind(mixed, s):
    tail = "-e-%s" % mixed.kind
    links = [s("theirs", "note").set(task_id="plain" + tail), chain(s("c", "echo"), s("theirs", "echo").set(task_id="chain" + tail)),
             s("c", "echo", 1, immutable=True).set(task_id="immutable" + tail)]
    r = mixed.client.send_task("fail", ("boom",), queue="c", link_error=links)
    assert end(mixed.client.AsyncResult("plain" + tail)) == r.id
    assert end(mixed.client.AsyncResult("chain" + tail)) == [[[[r.id], {}]], {}]
    assert end(mixed.client.AsyncResult("immutable" + tail)) == [[1], {}]


def test_c47_immutable_signatures_get_nothing(mixed, s):
    r = chain(s("ours", "add", 1, 1), s("c", "add", 5, 5, immutable=True), group(s("theirs", "add", 1, 2, immutable=True), s("c", "add", 1)),
              s("ours", "echo", "own", immutable=True)).apply_async()
    assert end(r) == [["own"], {}]
    assert [x.get(timeout=1) for x in r.parent.results] == [3, 11]


def test_c48_replace_inside_a_chain(mixed, s):
    r = chain(s("ours", "add", 1, 1), s("theirs", "replaced", "c"), s("ours", "xsum"), s("c", "add", 1)).apply_async()
    # [2, 3] + 1
    assert end(r) == 2 + 3 + 1


@pytest.mark.parametrize("queue", ["ours", "c", "theirs"])
def test_c48_replaced_member_of_a_chord(mixed, s, queue):
    r = chord([s("theirs", "replaced", 5, queue), s("c", "add", 1, 1)], s("ours", "xsum")).apply_async()
    assert end(r) == 5 + 6 + 2


def send(mixed, name, queue, **kwargs):
    return mixed.client.send_task(name, kwargs=kwargs, queue=queue)


@pytest.mark.parametrize("queue", ["ours", "c"])
def test_c49_map_and_starmap(mixed, s, queue):
    add = s(queue, "add")
    assert end(send(mixed, "celery.starmap", queue, task=dict(add), it=[(1, 1), (2, 2), (3, 3)])) == [2, 4, 6]
    assert end(send(mixed, "celery.map", queue, task=dict(s(queue, "echo")), it=[1, [2, 3], None])) == [
        [[1], {}], [[[2, 3]], {}], [[None], {}]]
    assert end(send(mixed, "celery.map", queue, task=dict(add), it=[])) == []


def test_c49_map_as_part_of_a_canvas(mixed, s):
    starmap = mixed.client.signature("celery.starmap", kwargs={"task": dict(s("c", "add")), "it": [(1, 1), (2, 2)]},
                                     immutable=True).set(queue="c")
    r = chord([starmap, s("theirs", "add", 3, 3)], s("ours", "xsum")).apply_async()
    assert end(r) == 12


def test_c49_chunks(mixed, s):
    # What xs.chunks(...) sends: a group of starmaps. No queue of their own: they go to the default one, with both kinds of workers.
    declared = mixed.client.tasks["add"]
    r = declared.chunks(zip(range(10), range(10)), 3).apply_async()
    assert [end(x) for x in r.results] == [[0, 2, 4], [6, 8, 10], [12, 14, 16], [18]]


@pytest.mark.parametrize("queue", ["ours", "c"])
def test_c49_what_needs_no_run(mixed, s, queue):
    assert end(mixed.client.send_task("celery.accumulate", (1, [2], "3"), queue=queue)) == [1, [2], "3"]
    assert end(mixed.client.send_task("celery.accumulate", ([1, 2], 3), {"index": 0}, queue=queue)) == [1, 2]
    assert end(mixed.client.send_task("celery.backend_cleanup", queue=queue)) is None


def test_c49_what_starts_something(mixed, s):
    add = s("c", "add")
    r = send(mixed, "celery.chunks", "ours", task=dict(add), it=[(i, i) for i in range(5)], n=2)
    end(r)
    assert [end(x) for x in r.children[0].results] == [[0, 2], [4, 6], [8]]
    r = send(mixed, "celery.chord", "ours", header=[dict(s("c", "add", 1, 1)), dict(s("theirs", "add", 2, 2))],
             body=dict(s("ours", "xsum").set(task_id="legacy-" + mixed.kind)))
    end(r)
    assert end(mixed.client.AsyncResult("legacy-" + mixed.kind)) == 6


@pytest.mark.parametrize("queue", ["ours", "c"])
def test_c49_series_that_fail(mixed, s, queue):
    r = send(mixed, "celery.map", queue, task=dict(s(queue, "fail")), it=["first", "second"])
    with pytest.raises(ValueError, match="first"):
        end(r)
    with pytest.raises(TypeError, match="needs 'task'"):
        end(send(mixed, "celery.map", queue, it=[1]))
    with pytest.raises(NotImplementedError):
        end(send(mixed, "celery.chain", queue))
    r = send(mixed, "celery.map", queue, task=dict(s(queue, "nobody")), it=[1])
    with pytest.raises(Exception, match="celery.map"):
        end(r)
    assert meta(mixed, r)["result"]["exc_type"] == "NotRegistered"
