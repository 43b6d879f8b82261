# src/runners: what other languages need. The worker puts $(pythondir) into PYTHONPATH of its Python children.
warrenrunnerdir = $(pythondir)/warren_runner
dist_warrenrunner_DATA = \
	src/runners/python/warren_runner/__init__.py \
	src/runners/python/warren_runner/__main__.py \
	src/runners/python/warren_runner/_celery_app.py \
	src/runners/python/warren_runner/_celery_settings.py \
	src/runners/python/warren_runner/_celery_task.py \
	src/runners/python/warren_runner/_celery_routes.py \
	src/runners/python/warren_runner/_celery_tls.py \
	src/runners/python/warren_runner/_channel.py \
	src/runners/python/warren_runner/_child.py \
	src/runners/python/warren_runner/_codec.py \
	src/runners/python/warren_runner/_errors.py \
	src/runners/python/warren_runner/_kombu.py \
	src/runners/python/warren_runner/_loop.py \
	src/runners/python/warren_runner/_tasks.py \
	src/runners/python/warren_runner/_template.py

EXTRA_DIST += src/runners/sh/runner.sh

TESTS += tests/unit/runners/test_runners.sh
EXTRA_DIST += tests/unit/runners
