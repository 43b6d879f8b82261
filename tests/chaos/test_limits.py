"""Limits of tasks: what passes one ends soon after, leaves nothing behind, and says which limit it was."""
import os
import time

import pytest

from harness import SLOW, alive, words_of
from test_life import processes_with
from warren_servers import wait_until

LIMIT = 1.5


def family_of(w):
    """Its children and all they have started, but not the template that forks them."""
    slots = w.slots()
    return {pid for pid in w.descendants() if pid in slots or "--template" not in words_of(pid)}


@pytest.mark.parametrize("name, args", [("halt", ()), ("deaf", ()), ("litter", ("double", True)), ("litter", ("own", True)),
                                        ("litter", ("same", True))],
                         ids=["stopped", "deaf", "double-fork", "own-session", "same-session"])
def test_f36_f37_f39_hard_limit_ends_all_within_a_second(lab, name, args):
    lab.declare()
    w = lab.worker()
    [first] = w.slots()
    task_id = lab.send(name, (lab.journal, *args), timelimit=[LIMIT, None])
    lab.wait_starts(1)
    began = time.monotonic()
    family = family_of(w)
    lab.wait_state(task_id, "FAILURE")
    wait_until(lambda: not any(alive(pid) for pid in family), 20, "the child and all of its own to end", every_s=0.01)
    took = time.monotonic() - began
    # It began a moment before its start was seen.
    assert LIMIT - 0.3 < took < (LIMIT + 1) * SLOW
    assert first in family and not processes_with(lab.journal)
    result = lab.meta(task_id)["result"]
    assert (result["exc_type"], list(result["exc_message"])) == ("TimeLimitExceeded", [LIMIT])
    del lab.sent[task_id]
    lab.send_run()
    lab.close_books()


MEMORY = "tasks:\n  \"gorge*\": { memory_limit: 150M }\n"


@pytest.mark.parametrize("how", ["itself", "child", "daemon"])
def test_f35_memory_limit_of_a_task(lab, how):
    """Whoever of its processes takes it."""
    lab.declare()
    w = lab.worker(*lab.config(MEMORY))
    task_id = lab.send("gorge", (lab.journal, 250 << 20, how))
    lab.wait_state(task_id, "FAILURE")
    family = [int(line[1]) for line in lab.lines("gorges")]
    result = lab.meta(task_id)["result"]
    assert result["exc_type"] == "MemoryError"
    text = str(result["exc_message"])
    assert "memory limit 150 MiB, peak " in text
    peak = float(text.split("peak ")[1].split()[0])
    assert 150 < peak < 400, text
    wait_until(lambda: not any(alive(pid) for pid in family), 2 * SLOW, "all of it to end")
    assert w.lines("Memory limit exceeded for gorge.*peak")
    # Not again: it would need as much the next time.
    assert lab.starts() == 1
    del lab.sent[task_id]
    small = lab.send("gorge", (lab.journal, 20 << 20, "itself", True), gives=20 << 20)
    assert lab.wait_state(small, "SUCCESS")
    lab.close_books()


def test_f35_death_under_a_limit_of_address_space_says_so(lab):
    lab.declare()
    w = lab.worker(*lab.config("tasks:\n  die: { max_lost: 0 }\n"
                               "pools:\n  small: { queues: [work], concurrency: 1, app: chaos_tasks, memory_limit: 300M }\n"), pool=False)
    task_id = lab.send("die", (lab.journal, "SIGABRT"))
    lab.wait_state(task_id, "FAILURE")
    text = str(lab.meta(task_id)["result"]["exc_message"])
    assert "SIGABRT" in text and "memory_limit 300 MiB of address space, peak " in text
    assert w.alive()


def test_child_that_keeps_too_much_memory_is_replaced_after_its_task(lab):
    lab.declare()
    w = lab.worker(*lab.config("pools:\n  p: { queues: [work], concurrency: 1, app: chaos_tasks, max_memory_per_child: 100M }\n"), pool=False)
    [first] = w.slots()
    lab.send("hoard", (1000,), gives=1000)
    lab.wait_final()
    assert w.slots() == [first]
    kept = lab.send("keep", (120 << 20,), gives=120 << 20)
    lab.wait_state(kept, "SUCCESS")
    wait_until(lambda: first not in w.slots() and len(w.slots()) == 1, 5 * SLOW, "the child to be replaced")
    lab.send("hoard", (1000,), gives=1000)
    lab.close_books()


def test_child_is_replaced_after_so_many_tasks(lab):
    lab.declare()
    lab.worker(*lab.config("pools:\n  p: { queues: [work], concurrency: 1, app: chaos_tasks, max_tasks_per_child: 3 }\n"), pool=False)
    for value in range(7):
        lab.send_run(value=value)
    lab.close_books(starts=(1, 1))
    pids = [line[2] for line in lab.lines("start")]
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 1]
    assert str(os.getpid()) not in pids
