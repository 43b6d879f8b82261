"""A Django project's tasks: its settings, its apps, the ORM, and connections that are closed around tasks."""
import os

import pytest

from harness import HERE

APPS = os.path.join(HERE, "apps")


@pytest.mark.parametrize("flags", [[], ["--no-fork"]], ids=["forked", "by-themselves"])
def test_a_django_project_runs_as_it_is(site, worker, tmp_path, flags):
    pytest.importorskip("django")
    w = worker("-A", "shopsite", "-c", "1", "-l", "debug", *flags, env={
        "PYTHONPATH": APPS, "SHOP_DATABASE": str(tmp_path / "shop.db"), "SHOP_BROKER": site.broker, "SHOP_BACKEND": site.backend,
        "WARREN_BROKER": "", "WARREN_RESULT_BACKEND": "", "DJANGO_SETTINGS_MODULE": "shopsite.settings"})
    client = site.app()
    assert client.send_task("shopsite.catalog.tasks.store", ["lamp"], queue="shop").get(timeout=20)[0] == 1
    assert client.send_task("shopsite.catalog.tasks.is_open", queue="shop").get(timeout=20) is False
    assert client.send_task("shopsite.catalog.tasks.store", ["lamp"], queue="shop").get(timeout=20)[0] == 2
    assert "a-django-secret" not in w.output()
