# tests/integration: run by tests/run (./bootstrap check)
check_DATA += tests/integration/ctasks.so
CLEANFILES += tests/integration/ctasks.so
tests/integration/ctasks.so: tests/integration/tasks/ctasks.c include/warren/task.h
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(MODULE_CC) -o $@ $(top_srcdir)/tests/integration/tasks/ctasks.c

EXTRA_DIST += tests/run tests/pytest.ini tests/integration/conftest.py tests/integration/harness.py \
	tests/integration/celery_app.py tests/integration/tasks/tasks.py tests/integration/tasks/ctasks.c tests/integration/tasks/dead_tasks.py \
	tests/integration/test_harness.py tests/integration/test_deploy.py tests/integration/test_celery_client.py \
	tests/integration/test_prefetch.py tests/integration/test_restart.py tests/integration/test_bad_input.py \
	tests/integration/test_worker.py tests/integration/test_cli.py tests/integration/test_dead.py \
	tests/integration/test_beat.py \
	tests/integration/test_celery_apps.py tests/integration/apps
