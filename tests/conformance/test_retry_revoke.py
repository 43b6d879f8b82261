"""Retries and revocation of Celery's clients on a worker of ours (checks 31-37)."""
import signal

import pytest
from celery.exceptions import MaxRetriesExceededError, TaskRevokedError

from harness import SLOW, wait_state
from helpers import Events, get, raised_by, send
from warren_servers import wait_until

NODE = "ours@here"


@pytest.fixture
def w(ours, queue):
    return ours("-A", "conformance_tasks", "-Q", queue, "-E")


def test_c31_a_retry_keeps_its_id_and_counts(app, w, queue):
    with Events(app) as events:
        result = send(app, queue, "flaky", 1, 1.2)
        assert wait_state(result, "RETRY") and isinstance(result.info, ValueError)
        assert get(result, 20) == {"id": result.id, "retries": 1}
        events.wait(lambda: events.of(result.id)[-1:] == ["task-succeeded"], "its end")
    kinds = events.of(result.id)
    assert kinds.count("task-retried") == 1 and kinds.count("task-received") >= 2 and kinds.count("task-started") == 2
    retried = [e for e in events.all if e["type"] == "task-retried"]
    assert retried[0]["exception"] == "ValueError('again 0')"
    assert [e["retries"] for e in events.all if e["type"] == "task-received" and e["uuid"] == result.id][-1] == 1


def test_c32_enough_retries_end_in_the_cause_or_in_their_own_error(app, w, queue):
    error = raised_by(send(app, queue, "flaky", 5, 0.0, 2))
    assert type(error) is ValueError and error.args == ("again 2",)
    error = raised_by(send(app, queue, "endless"))
    assert isinstance(error, MaxRetriesExceededError) and "Can't retry endless[" in str(error)


def test_c33_headers_of_ones_own_and_stamps_survive_a_retry(app, w, queue, site):
    """Stamps are headers; Celery sends them from 5.3 on. Asked of the message itself."""
    own = {"x-tenant": "acme", "stamped_headers": ["mid"], "stamps": {"mid": ["m1"]}}
    result = send(app, queue, "flaky", 1, 2.2, headers=own)
    wait_state(result, "RETRY")
    delayed, = wait_until(lambda: [n for n, q in site.queues().items() if n.startswith("celery_delayed_") and q["messages"]], 5, "the copy")
    with site.raw_connection() as connection:
        message = connection.channel().basic_get(delayed, no_ack=False)
        headers = message.headers
    assert headers["x-tenant"] == "acme" and headers["stamped_headers"] == ["mid"] and headers["stamps"] == {"mid": ["m1"]}
    assert headers["retries"] == 1 and headers["id"] == result.id
    assert get(result, 20)["retries"] == 1


def test_c34_revoked_before_it_starts(app, w, queue):
    blockers = [send(app, queue, "sleep", 1.0) for _ in range(2)]
    for blocker in blockers:
        wait_state(blocker, "STARTED")
    with Events(app) as events:
        result = send(app, queue, "add", 1, 2)
        result.revoke()
        assert isinstance(raised_by(result), TaskRevokedError) and result.state == "REVOKED"
        events.wait(lambda: "task-revoked" in events.of(result.id), "the event")
    event, = [e for e in events.all if e["type"] == "task-revoked"]
    assert (event["terminated"], event["signum"], event["expired"]) == (False, None, False)
    assert "task-started" not in events.of(result.id)


@pytest.mark.parametrize("sig", ["SIGTERM", "SIGKILL"])
def test_c35_terminated_while_it_runs(app, w, queue, sig):
    with Events(app) as events:
        result = send(app, queue, "sleep", 60)
        wait_state(result, "STARTED")
        result.revoke(terminate=True, signal=sig)
        error = raised_by(result)
        assert isinstance(error, TaskRevokedError) and "terminated" in str(error)
        events.wait(lambda: "task-revoked" in events.of(result.id), "the event")
    event, = [e for e in events.all if e["type"] == "task-revoked"]
    assert (event["terminated"], event["signum"]) == (True, int(getattr(signal, sig)))
    assert get(send(app, queue, "add", 2, 3)) == 5


def test_c36_stamped_tasks_are_revoked_by_their_stamps(app, w, queue):
    """As Celery 5.3 calls it: app.control.revoke_by_stamped_headers({"mid": ["m1"]})."""
    answer, = app.control.broadcast("revoke_by_stamped_headers", arguments={"headers": {"mid": ["m1"]}, "terminate": False, "signal": "SIGTERM"},
                                    destination=[NODE], reply=True, timeout=5 * SLOW, limit=1)
    assert "flagged as revoked" in answer[NODE]["ok"]
    stamped = send(app, queue, "add", 1, 2, headers={"stamped_headers": ["mid"], "stamps": {"mid": ["m1"]}})
    other = send(app, queue, "add", 1, 2, headers={"stamped_headers": ["mid"], "stamps": {"mid": ["m2"]}})
    assert isinstance(raised_by(stamped), TaskRevokedError) and get(other) == 3


def test_c37_revoked_ids_come_to_a_new_celery_worker(app, ours, theirs):
    ours("-Q", "ours")
    app.control.revoke("known-id", destination=[NODE], reply=True)
    theirs("-Q", "theirs", bare=False).wait_line("mingle: sync complete")
    revoked = app.control.inspect(timeout=5 * SLOW, destination=["theirs@here"], limit=1).revoked()
    assert "known-id" in revoked["theirs@here"]
