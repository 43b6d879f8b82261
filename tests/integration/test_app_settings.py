"""`warren worker -A app` and nothing else: what the worker needs to know it has from the application."""
import json
import os

import pytest

from warren_servers import wait_until

APP = """
import os
from celery import Celery
from kombu import Exchange, Queue

app = Celery("shop")
app.conf.update(
    broker_url={broker!r}, result_backend={backend!r},
    task_queues=[Queue("orders", Exchange("shop", type="topic"), routing_key="order.#", queue_arguments={{"x-message-ttl": 3600000}}),
                 Queue("plain", max_priority=5)],
    task_default_queue="plain", task_default_exchange="plain", task_default_routing_key="plain",
    task_routes={{"shop.after": {{"queue": "orders", "routing_key": "order.after"}}}},
    result_expires=600, result_extended=True, worker_concurrency=3, worker_prefetch_multiplier=2, task_time_limit=30,
    worker_pool="gevent", brand_new_setting=1, worker_brand_new=1, control_exchange="celery",
)

@app.task
def work(n):
    return n + 1

@app.task
def after(n):
    return n * 10

@app.task(time_limit=0.5)
def forever():
    import time
    time.sleep(60)

@app.task
def seen():
    return sorted(os.environ)
"""


@pytest.fixture
def shop(site, tmp_path):
    """The folder of an application, and a client of its own for it."""
    (tmp_path / "shop.py").write_text(APP.format(broker=site.broker, backend=site.backend))
    return str(tmp_path)


def bare(**more):
    """No settings in the environment at all."""
    return dict({"WARREN_BROKER": "", "WARREN_RESULT_BACKEND": ""}, **more)


def client_of(site):
    """A producer that declares the queues as the application does."""
    from kombu import Exchange, Queue
    return site.app(task_queues=[
        Queue("orders", Exchange("shop", type="topic"), routing_key="order.#", queue_arguments={"x-message-ttl": 3600000}),
        Queue("plain", Exchange("plain"), routing_key="plain", max_priority=5)], task_default_queue="plain")


def test_the_application_is_all_a_worker_needs(site, shop, worker):
    w = worker("-A", "shop", env=bare(), cwd=shop)
    wait_until(lambda: len(w.slots()) == 3, 20, "three slots")
    with site.raw_connection() as connection:
        # Other arguments than those it has would be refused.
        connection.default_channel.queue_declare("orders", durable=True, auto_delete=False, arguments={"x-message-ttl": 3600000})
        connection.default_channel.queue_declare("plain", durable=True, auto_delete=False, arguments={"x-max-priority": 5})
    client = client_of(site)
    result = client.send_task("shop.work", [1], queue="plain", link=client.signature("shop.after", [4], immutable=True))
    assert result.get(timeout=20) == 2
    (child,) = wait_until(lambda: client.AsyncResult(result.id).children, 20, "the callback")
    assert child.get(timeout=20) == 40
    meta = json.loads(site.meta(child.id))
    assert meta["name"] == "shop.after" and meta["queue"] == "orders"
    assert 0 < site.redis.ttl("celery-task-meta-" + result.id) <= 600
    with pytest.raises(Exception, match="TimeLimitExceeded"):
        client.send_task("shop.forever", queue="plain").get(timeout=20)
    notes = [line for line in w.lines("shop sets ")]
    assert len(notes) == 3
    assert all(any(name in line for line in notes) for name in ("worker_pool", "worker_brand_new", "sets brand_new_setting"))


def test_a_topic_exchange_reaches_its_queue(site, shop, worker):
    worker("-A", "shop", "-Q", "orders", env=bare(), cwd=shop)
    client = site.app()
    with client.connection_for_write() as connection:
        result = client.send_task("shop.work", [1], exchange="shop", routing_key="order.new", connection=connection,
                                  declare=[])
    assert result.get(timeout=20) == 2
    assert "plain" not in site.queues()


def test_flags_win_and_config_says_where_each_value_came_from(site, shop, warren, worker):
    shown = warren("config", "-A", "shop", "--json", env=bare(), cwd=shop)
    settings = json.loads(shown.stdout)["settings"]
    assert settings["concurrency"] == {"value": 3, "from": "shop: worker_concurrency"}
    assert settings["broker"]["from"] == "shop: broker_url" and settings["result_expires"]["value"] == 600
    assert "note: shop sets worker_pool" in shown.stderr
    w = worker("-A", "shop", "-c", "1", "--result-expires", "60", "--no-result-extended", "-Q", "other", env=bare(), cwd=shop)
    client = site.app()
    result = client.send_task("shop.work", [1], queue="other")
    assert result.get(timeout=20) == 2
    assert 0 < site.redis.ttl("celery-task-meta-" + result.id) <= 60
    assert "queue" not in json.loads(site.meta(result.id))
    assert "orders" not in site.queues()
    assert "worker_concurrency" not in w.output()


def test_passwords_stay_where_they_are(site, tmp_path, worker):
    """Neither in a command line, nor in the environment of a child, nor in the log, at its finest level."""
    secret = site.broker.split("@")[0].rsplit(":", 1)[1]
    (tmp_path / "shop.py").write_text(APP.format(broker=site.broker, backend=site.backend.replace("://", "://:backend-secret@")))
    w = worker("-A", "shop", "-l", "debug", env=bare(WARREN_RESULT_BACKEND=site.backend), cwd=str(tmp_path))
    said = w.output()
    for pid in [w.pid, *w.descendants()]:
        for name in ("cmdline", "environ") if pid != w.pid else ("cmdline",):
            with open("/proc/%d/%s" % (pid, name), errors="replace") as f:
                said += f.read()
    assert "backend-secret" not in said
    assert secret == "guest" or secret not in said


@pytest.mark.parametrize("source, expected", [
    (None, "cannot import shop: ModuleNotFoundError: No module named 'shop'; looked in"),
    ("from celery import Celery\napp = Celery('a', broker='redis://:secret@h/0')\n@app.task\ndef f(): pass\n",
     "shop uses a broker of the kind redis://, and warren works with RabbitMQ alone"),
    ("from celery import Celery\napp = Celery('a', backend='db+sqlite:///x')\n@app.task\ndef f(): pass\n",
     "shop uses a result backend of the kind db+sqlite"),
    ("import os\nos.environ['SHOP_URL']\n", "let it pass with --pass-env"),
    ("import os\nos._exit(3)\n", "`python3`, asked for its tasks, exited with code 3"),
    ("import os, sys\nprint('out of luck')\nos.abort()\n", "was killed by signal 6 (SIGABRT)"),
    ("x = 1\n", "no tasks in shop"),
])
def test_what_is_wrong_is_one_line(tmp_path, warren, source, expected):
    if source is not None:
        (tmp_path / "shop.py").write_text(source)
    said = warren("worker", "-A", "shop", env=bare(), cwd=str(tmp_path), code=2).stderr
    assert expected in said and said.count("\n") == 1 and "secret" not in said


def test_an_application_that_hangs_is_given_up(tmp_path, warren):
    (tmp_path / "shop.py").write_text("import time\ntime.sleep(60)\n")
    (tmp_path / "warren.yaml").write_text("pools: { p: { app: shop, start_timeout: 500ms } }\n")
    said = warren("worker", env=bare(), cwd=str(tmp_path), code=2).stderr
    assert "did not answer within" in said


def test_variables_pass_when_they_are_named(site, shop, worker):
    worker("-A", "shop", "-Q", "plain", "--pass-env", "SHOP_*,OTHER", env=bare(SHOP_A="1", OTHER="2", THIRD="3"), cwd=shop)
    names = client_of(site).send_task("shop.seen", queue="plain").get(timeout=20)
    assert "SHOP_A" in names and "OTHER" in names and "THIRD" not in names


def test_a_command_line_of_celerys_works_as_it_is(site, shop, tmp_path, worker, warren):
    (tmp_path / "more.py").write_text("from celery import shared_task\n@shared_task\ndef more(): return 'more'\n")
    w = worker("-A", "shop", "-P", "prefork", "-Ofair", "--without-gossip", "--without-mingle", "--without-heartbeat", "-Q", "other", "-I", "more",
               "--loglevel=INFO", "--concurrency=1", "--hostname=w1@here", "--max-tasks-per-child=100", "--time-limit=30", env=bare(), cwd=shop)
    assert site.app().send_task("more.more", queue="other").get(timeout=20) == "more"
    assert w.lines("w1@here ready")
    said = warren("worker", "-A", "shop", "-P", "gevent", env=bare(), cwd=shop, code=2).stderr
    assert "tasks run in processes here" in said


ENVIRONED = """
import os
from celery import Celery
app = Celery("shop", broker=os.environ.get("SHOP_BROKER"), backend=os.environ["SHOP_BACKEND"])
app.conf.task_default_queue = os.environ["SHOP_QUEUE"]
@app.task
def seen():
    return sorted(os.environ)
@app.task
def told():
    return app.connection_for_write().as_uri(include_password=True)
"""


def test_an_application_that_is_configured_by_its_environment(site, tmp_path, worker):
    (tmp_path / "shop.py").write_text(ENVIRONED)
    w = worker("-A", "shop", "-c", "1", cwd=str(tmp_path), env=bare(
        SHOP_BROKER=site.broker, SHOP_BACKEND=site.backend, SHOP_QUEUE="own", WARREN_DRAIN_TIMEOUT="20s", NOTIFY_SOCKET="/nowhere",
        CREDENTIALS_DIRECTORY="/nowhere"))
    client = site.app()
    assert client.send_task("shop.told", queue="own").get(timeout=20).rstrip("/") == site.broker.rstrip("/")
    names = client.send_task("shop.seen", queue="own").get(timeout=20)
    assert {"SHOP_BROKER", "SHOP_BACKEND", "SHOP_QUEUE", "PATH"} <= set(names)
    assert not {"WARREN_DRAIN_TIMEOUT", "NOTIFY_SOCKET", "CREDENTIALS_DIRECTORY", "WARREN_BROKER"} & set(names)
    assert "localhost" not in w.output()


def test_celerys_variables_are_the_applications_too(site, tmp_path, worker):
    (tmp_path / "shop.py").write_text("from celery import Celery\napp = Celery('shop')\n@app.task\ndef uri():\n"
                                      "    return app.connection_for_write().as_uri(include_password=True)\n")
    worker("-A", "shop", "-c", "1", cwd=str(tmp_path), env=bare(CELERY_BROKER_URL=site.broker, CELERY_RESULT_BACKEND=site.backend))
    assert site.app().send_task("shop.uri").get(timeout=20).rstrip("/") == site.broker.rstrip("/")


def test_two_applications_in_one_worker(site, shop, tmp_path, worker):
    os.rename(tmp_path / "shop.py", tmp_path / "one.py")
    source = (tmp_path / "one.py").read_text()
    (tmp_path / "two.py").write_text(source.replace('Celery("shop")', 'Celery("two")').replace("n + 1", "n + 100"))
    (tmp_path / "warren.yaml").write_text("pools: { a: { app: one, queues: [qa], concurrency: 1 }, b: { app: two, queues: [qb], concurrency: 1 } }\n")
    worker(env=bare(), cwd=shop)
    client = site.app()
    assert client.send_task("one.work", [1], queue="qa").get(timeout=20) == 2
    assert client.send_task("two.work", [1], queue="qb").get(timeout=20) == 101


def test_queues_are_left_out(site, shop, worker, warren):
    w = worker("-A", "shop", "-X", "orders,unknown", "-n", "w1@here", env=bare(), cwd=shop)
    assert "orders" not in site.queues()
    client = client_of(site)
    left = client.send_task("shop.work", [1], queue="orders")
    assert client.send_task("shop.work", [1], queue="plain").get(timeout=20) == 2
    assert left.state == "PENDING" and site.counter("messages", "orders") == 1
    assert warren("inspect", "active_queues", "-d", "w1@here").stdout.count("w1@here") == 1
    assert w.stop() == 0
    said = warren("worker", "-A", "shop", "--exclude-queues", "orders,plain", env=bare(), cwd=shop, code=2).stderr
    assert "-X leaves pool default no queue to take tasks from" in said
    # Told at once where that is known before the application is asked.
    said = warren("worker", "-A", "no_such_app", "-Q", "a,b", "-X", "b,a", env=bare(), cwd=shop, code=2).stderr
    assert "-X leaves pool default no queue to take tasks from" in said
