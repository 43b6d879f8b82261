"""A Celery application that knows nothing of warren, under Celery's worker and under ours: what comes out must be the same."""
import importlib
import json
import os
import sys

import pytest

from warren_servers import wait_until
from harness import HERE, PYTHON, wait_final, wait_state

APPS = os.path.join(HERE, "apps")


class Service:
    """The web service's side: sends tasks and looks at what became of them."""

    def __init__(self, site, tmp_path):
        self.site = site
        self.journal_path = tmp_path / "pipeline-journal"
        self.journal_path.touch()
        self.env = {"PIPELINE_BROKER": site.broker, "PIPELINE_BACKEND": site.backend,
                    "PIPELINE_JOURNAL": str(self.journal_path)}
        self.names = {}
        os.environ.update(self.env)
        sys.path.insert(0, APPS)
        self.app = importlib.import_module("pipeline.celery_app").app
        self.app.loader.import_default_modules()
        self.app.finalize()
        self.app.conf.redis_socket_timeout = 10

    def close(self):
        sys.path.remove(APPS)
        for name in self.env:
            del os.environ[name]
        for name in [name for name in sys.modules if name.split(".")[0] == "pipeline"]:
            del sys.modules[name]
        self.site.apps.append(self.app)

    def send(self, label, name, *args, **options):
        result = self.app.tasks[f"pipeline.{name}"].apply_async(args, task_id=options.pop("id", None), **options)
        self.names[result.id] = label
        return result

    def journal(self):
        """{label: lines} in the order in which they were written."""
        found = {}
        for line in self.journal_path.read_text().splitlines():
            task_id, *what = json.loads(line)
            found.setdefault(self.names.get(task_id, "sub-tasks"), []).append(what)
        found["sub-tasks"] = sorted(found.get("sub-tasks", []), key=json.dumps)
        return found

    def meta(self, result):
        return json.loads(self.site.meta(result.id) or "null")


def last_line(traceback):
    return traceback.strip().splitlines()[-1] if traceback else None


def frames(traceback):
    """Names of the functions in a traceback, without Celery's handler of the signal for a soft time limit."""
    names = [line.split(", in ")[1] for line in (traceback or "").splitlines() if line.startswith("  File ")]
    return [name for name in names if name != "soft_timeout_sighandler"]


def kin(service, children):
    """Children as a structure, with labels for ids."""
    if isinstance(children, list) and len(children) == 2 and isinstance(children[0], list) and isinstance(children[0][0], str):
        return [service.names.get(children[0][0], "sub-task"), kin(service, children[1]) if children[1] else None]
    return [kin(service, child) for child in children or ()]


def outcome(service, result):
    meta = service.meta(result)
    if meta is None:
        return None
    return {"status": meta["status"], "result": meta["result"], "last_line": last_line(meta["traceback"]),
            "frames": frames(meta["traceback"]), "children": kin(service, meta["children"])}


@pytest.fixture
def service(site, tmp_path):
    service = Service(site, tmp_path)
    yield service
    service.close()


def start_celery(service, programs):
    argv = [PYTHON, "-m", "celery", "-A", "pipeline.celery_app", "worker", "-l", "info", "-c", "2", "-Q", "documents,reports",
            "-n", "w1@host", "--without-gossip", "--without-mingle"]
    started = programs("celery", argv, service.site.env(**service.env, PYTHONPATH=APPS))
    started.wait_line(r" ready\.$")
    return started


def start_warren(service, worker):
    """The same words, another program."""
    worker("-A", "pipeline.celery_app", "-l", "info", "-c", "2", "-Q", "documents,reports", "-n", "w1@host",
           env={**service.env, "PYTHONPATH": APPS, "WARREN_BROKER": "", "WARREN_RESULT_BACKEND": ""})


def run_all(service):
    """Everything the pipeline can do; {label: outcome}."""
    send = service.send
    sent = {
        "plain": send("plain", "documents.process", "a.txt", "one two three"),
        "broken": send("broken", "documents.process", "b.txt", "one unreadable three"),
        "wrong arguments": service.app.send_task("pipeline.documents.process", ["only one"]),
        "retried": send("retried", "documents.download", "http://x/", 2),
        "spent": send("spent", "documents.download", "http://x/", 9),
        "autoretry": send("autoretry", "documents.always_late"),
        "rendered": send("rendered", "documents.render", True),
        "cut off": send("cut off", "documents.render", False),
        "described": send("described", "documents.describe", headers={"tenant": "t1"}),
        "typed": send("typed", "documents.typed"),
        "unstorable": send("unstorable", "documents.unstorable"),
        "report": send("report", "reports.monthly", 2026, kwargs={"month": 3}),
        "replaced": send("replaced", "documents.handed_on", "one two"),
        "fan out": send("fan out", "documents.fan_out", ["a", "b"]),
        "not there": service.app.send_task("pipeline.documents.nothing", queue="documents"),
    }
    documents = service.app.tasks
    explain, complain = (documents["pipeline.documents." + name] for name in ("explain", "complain"))
    sent.update({
        "resumed": send("resumed", "documents.resume", 1),
        "slow lane": send("slow lane", "documents.slow_lane"),
        "parts": send("parts", "documents.start_parts", ["p1", "p2"]),
        "loud": send("loud", "documents.loud"),
        "not found": send("not found", "documents.not_found", "k"),
        "explained": send("explained", "documents.process", "x.txt", "unreadable", link_error=[explain.s(), complain.s()]),
        "at once": send("at once", "documents.at_once", "one two"),
        "counted": send("counted", "documents.process", "c.txt", "one two", link=documents["pipeline.documents.count"].s()),
    })
    chain = (documents["pipeline.documents.handed_on"].s("one two three") | documents["pipeline.documents.count"].s()).apply_async()
    service.names.update({chain.id: "chain end", chain.parent.id: "chain start"})
    sent.update({"chain end": chain, "chain start": chain.parent})
    silent = [send("quiet", "documents.quiet", False), send("quiet failure", "documents.quiet", True), send("refused", "documents.refuse")]
    duplicate = send("duplicate", "documents.known_already")
    wait_final(sent.values())
    wait_state(duplicate, "DUPLICATE")
    outcomes = {label: outcome(service, result) for label, result in {**sent, "duplicate": duplicate}.items()}
    started = [service.app.AsyncResult(id) for id in outcomes["fan out"].pop("result")]
    wait_final(started)
    # Where in a backend the encoding failed is not the same, with two backends.
    outcomes["unstorable"].pop("frames")
    outcomes["started"] = [outcome(service, result) for result in started]
    parents = {service.meta(result).get("parent_id") for result in started}
    outcomes["parents"] = [service.names[parent] for parent in parents]
    # Not all queues: a message that no task takes is in ours for dead letters now.
    wait_until(lambda: service.site.counter("messages", "documents", "reports") == 0, 20, "the queues to be empty")
    wait_until(lambda: len(service.journal().get("refused", [])) > 0 and len(service.journal().get("quiet failure", [])) > 2, 20,
               "those without a result")
    # That a task has started is stored here only once it has run for a while.
    outcomes["silent"] = [found if found and found["status"] != "STARTED" else None
                          for found in (outcome(service, result) for result in silent)]
    return outcomes


def test_the_pipeline_comes_out_the_same(site, service, programs, worker):
    celery = start_celery(service, programs)
    expected, expected_journal = run_all(service), service.journal()
    celery.stop()
    service.journal_path.write_text("")
    service.names.clear()
    start_warren(service, worker)
    got = run_all(service)
    for label in expected:
        assert got[label] == expected[label], label
    assert got.keys() == expected.keys()
    journal = service.journal()
    for label in expected_journal:
        assert journal[label] == expected_journal[label], label


# --- the news recommender: two queues behind a topic exchange, settings of every kind, signals of the worker --------------------------

NEWS = ["-A", "news.app", "-l", "info", "-n", "w1@host"]


@pytest.fixture
def news(site, tmp_path):
    journal = tmp_path / "news-journal"
    journal.touch()
    env = {"NEWS_BROKER": site.broker, "NEWS_BACKEND": site.backend, "NEWS_JOURNAL": str(journal)}
    os.environ.update(env)
    sys.path.insert(0, APPS)
    app = importlib.import_module("news.app").app
    app.loader.import_default_modules()
    app.finalize()
    site.apps.append(app)
    yield app, env, journal
    sys.path.remove(APPS)
    for name in env:
        del os.environ[name]
    for name in [name for name in sys.modules if name.split(".")[0] == "news"]:
        del sys.modules[name]


def run_news(site, app):
    """{label: [state, result, children, name and queue]}"""
    tasks = {name.split(".", 1)[1]: task for name, task in app.tasks.items() if name.startswith("news.")}
    sent = {
        "fetched": tasks["feeds.fetch"].delay("local"),
        "retried": tasks["feeds.fetch"].delay("far-2"),
        "given up": tasks["feeds.fetch"].delay("never-9"),
        "told": tasks["feeds.told_not_raised"].delay(),
        "canvas": tasks["feeds.refresh"].delay(["a-1", "b-0", "c-2"]),
        "spread": tasks["feeds.spread"].delay(["d", "e"]),
        "limits": tasks["feeds.limits"].delay(),
        "recommended": tasks["readers.recommend"].apply_async(["ann", [3, 1, 2]], {"top": 2}, priority=5),
        "notified": tasks["readers.notify"].apply_async(["ann"], link=tasks["readers.recommend"].si("bob")),
        "chained": (tasks["feeds.fetch"].s("x") | tasks["feeds.score"].s(2) | tasks["readers.notify"].si("cy")).delay(),
    }
    wait_final(sent.values())
    site.wait_empty()
    found = {}
    for label, result in sent.items():
        meta = json.loads(site.meta(result.id))
        if meta["retries"] > 0 and isinstance(meta["result"], dict):
            # A copy of a message comes straight to its queue here.
            meta["result"].pop("queue", None), meta["result"].pop("exchange", None)
        found[label] = [meta["status"], meta["result"], len(meta["children"]), meta["name"], meta["queue"] in ("feeds", "recommendations",
                        "news.feed.fetch", "news.reader.one"), meta["retries"], meta["worker"]]
    return found


def test_the_news_come_out_the_same(site, programs, worker, news):
    app, env, journal = news
    celery = programs("celery", [PYTHON, "-m", "celery", *NEWS[:2], "worker", *NEWS[2:], "--without-gossip", "--without-mingle"],
                      site.env(**env, PYTHONPATH=APPS))
    celery.wait_line("ready")
    expected = run_news(site, app)
    celery.stop()
    noted = [json.loads(line) for line in journal.read_text().splitlines()]
    journal.write_text("")
    ours = worker(*NEWS, env={**env, "PYTHONPATH": APPS, "WARREN_BROKER": "", "WARREN_RESULT_BACKEND": ""})
    got = run_news(site, app)
    for label in expected:
        assert got[label] == expected[label], label
    assert len(ours.slots()) == 2
    assert ours.stop() == 0
    ours_noted = [json.loads(line) for line in journal.read_text().splitlines()]
    # Celery tells the main process's once each, in this order; of ours the application is asked once more, which tells none.
    assert [name for kind, name in ours_noted if kind == "worker"] == [name for kind, name in noted if kind == "worker"]
    for name in ("worker_process_init", "worker_process_shutdown"):
        assert ours_noted.count(["process", name]) == 2
