/* What settings become: rules, routes, queues, pools. */
#include "cli/setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "unit/cli/fixture.h"

static char path[64];

static void
load(struct fixture *f, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	if (conf_load_file(&f->cli.conf, path, &f->t) != E_OK)
		fail_msg("%s", f->t.text);
}

static void
a_task_that_says_nothing_has_the_default_rule(void **state)
{
	struct fixture *f = *state;
	const struct task_rule *r, *d = &task_rule_default;
	struct task_rules rules;

	load(f, "tasks: { a: {}, \"b.*\": { max_retries: -1, retry_backoff: true, autoretry_for: [OSError], time_limit: 5min } }\n");
	assert_int_equal(setup_rules(&f->cli, &rules, &f->t), E_OK);
	r = task_rules_find(&rules, SPAN("a"));
	assert_ptr_equal(r, &rules.rules[0]);
	assert_true(r->time_limit == d->time_limit && r->soft_time_limit == d->soft_time_limit);
	assert_true(r->retry.max_retries == d->retry.max_retries && r->retry.delay_s == d->retry.delay_s);
	assert_true(
		r->retry.backoff_s == d->retry.backoff_s && r->retry.backoff_max_s == d->retry.backoff_max_s);
	assert_true(r->retry.jitter == d->retry.jitter && r->retry.errors == d->retry.errors);
	assert_true(r->max_lost == d->max_lost && r->ignore_result == d->ignore_result);
	r = task_rules_find(&rules, SPAN("b.c"));
	assert_true(r->retry.max_retries == -1 && r->retry.backoff_s == 1 && r->time_limit == 300);
	assert_string_equal(r->retry.errors[0], "OSError");
	assert_null(r->retry.errors[1]);
	assert_ptr_equal(task_rules_find(&rules, SPAN("c")), &rules.fallback);
}

static void
a_soft_limit_that_never_comes_is_a_mistake(void **state)
{
	struct fixture *f = *state;
	struct task_rules rules;

	load(f, "tasks:\n  a: { time_limit: 5, soft_time_limit: 5 }\n");
	assert_int_equal(setup_rules(&f->cli, &rules, &f->t), E_CONF);
	assert_non_null(strstr(f->t.text, ":2: task 'a'"));
}

static void
results_of_less_than_a_second_are_not_kept_for_ever(void **state)
{
	struct fixture *f = *state;
	struct backend_conf b;

	load(f, "result_expires: 500ms\n");
	setup_backend(&f->cli, &b);
	assert_int_equal(b.result_expires_s, 1);
	load(f, "result_expires: 0\n");
	setup_backend(&f->cli, &b);
	assert_int_equal(b.result_expires_s, 0);
}

static void
queues_are_declared_as_configured(void **state)
{
	struct fixture *f = *state;
	struct bus_topo_queue q;

	load(f, "create_queues: false\nqueues: { a: { type: quorum, max_priority: 5, exchange: x, exchange_type: topic } }\n");
	q = setup_queue(&f->cli, "a");
	assert_true(q.quorum && q.must_exist);
	assert_int_equal(q.max_priority, 5);
	assert_string_equal(q.exchange, "x");
	assert_string_equal(q.exchange_type, "topic");
	assert_null(q.routing_key);
	q = setup_queue(&f->cli, "b");
	assert_true(!q.quorum && q.must_exist && q.exchange == NULL);
}

static const struct opt_list none;

static void
pools_of_the_file(void **state)
{
	static const char *const gpu[] = { "gpu" }, *const gup[] = { "gup" };
	static const struct runner_flags no_runner = { .app = "" };
	struct fixture *f = *state;
	struct pool_conf *pools;
	size_t n;

	load(f,
		"concurrency: 3\npools:\n"
		"  gpu: { queues: [a, b], app: rag.tasks, env: { PYTHONPATH: /x }, concurrency: 2, max_tasks_per_child: 9 }\n"
		"  cpu: { module: [./a.so, ./b.so] }\n"
		"  any: { runner: ./r --x }\n");
	assert_int_equal(setup_pools(&f->cli, &no_runner, &none, &none, &pools, &n, &f->t), E_OK);
	assert_int_equal(n, 3);
	assert_int_equal(pools[0].concurrency, 2);
	assert_int_equal(pools[0].max_tasks_per_child, 9);
	assert_int_equal(pools[0].n_queues, 2);
	assert_string_equal(pools[0].runner[0], "python3");
	assert_string_equal(pools[0].runner[4], "rag.tasks");
	assert_null(pools[0].runner[5]);
	assert_string_equal(pools[0].env[0], "PYTHONPATH=/x");
	assert_null(pools[0].env[1]);
	assert_int_equal(pools[1].concurrency, 3);
	assert_string_equal(pools[1].queues[0].name, "celery");
	assert_string_equal(pools[1].runner[0], "warren");
	assert_string_equal(pools[1].runner[3], "./b.so");
	assert_null(pools[1].runner[4]);
	assert_string_equal(pools[2].runner[1], "--x");
	assert_int_equal(
		setup_pools(&f->cli, &no_runner, &none, &(struct opt_list){ gpu, 1 }, &pools, &n, &f->t),
		E_OK);
	assert_int_equal(n, 1);
	assert_int_equal(
		setup_pools(&f->cli, &no_runner, &none, &(struct opt_list){ gup, 1 }, &pools, &n, &f->t),
		E_CONF);
	assert_non_null(strstr(f->t.text, "did you mean 'gpu'?"));
	assert_int_equal(
		setup_pools(&f->cli, &no_runner, &(struct opt_list){ gpu, 1 }, &none, &pools, &n, &f->t),
		E_CONF);
}

static void
a_pool_from_flags(void **state)
{
	static const char *const queues[] = { "q1", "q2" };
	static const struct runner_flags app = { .app = "tasks" };
	struct fixture *f = *state;
	struct pool_conf *pools;
	size_t n;

	assert_int_equal(
		setup_pools(&f->cli, &app, &(struct opt_list){ queues, 2 }, &none, &pools, &n, &f->t), E_OK);
	assert_int_equal(n, 1);
	assert_string_equal(pools[0].name, "default");
	assert_true(pools[0].concurrency >= 1);
	assert_int_equal(pools[0].n_queues, 2);
	assert_true(span_starts(span_of(pools[0].env[0]), "PYTHONPATH="));
}

static void
a_pool_has_exactly_one_runner(void **state)
{
	static const struct runner_flags no_runner = { .app = "" };
	struct fixture *f = *state;
	struct pool_conf *pools;
	size_t n;

	assert_int_equal(setup_pools(&f->cli, &no_runner, &none, &none, &pools, &n, &f->t), E_CONF);
	load(f, "pools:\n  a: { queues: x }\n");
	assert_int_equal(setup_pools(&f->cli, &no_runner, &none, &none, &pools, &n, &f->t), E_CONF);
	assert_non_null(strstr(f->t.text, ":2: pool 'a': exactly one"));
	load(f, "pools: { a: { app: x, runner: y } }\n");
	assert_int_equal(setup_pools(&f->cli, &no_runner, &none, &none, &pools, &n, &f->t), E_CONF);
}

static void
broker_urls_of_celery_are_understood(void **state)
{
	struct fixture *f = *state;
	struct bus_conf b;

	load(f, "broker: [pyamqp://a//, amqp://b//]\nbroker_heartbeat: 5s\n");
	setup_broker(&f->cli, &b);
	assert_int_equal(b.n_urls, 2);
	assert_string_equal(b.urls[0], "amqp://a//");
	assert_int_equal(b.heartbeat_s, 5);
}

static int
make_path(void **state)
{
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "/tmp/warren-setup-XXXXXX");
	fd = mkstemp(path);
	return fd < 0 || close(fd) != 0;
}

static int
drop_path(void **state)
{
	(void)state;
	return unlink(path);
}

static void
autoscale_is_read_and_checked(void **state)
{
	static const struct {
		const char *text, *error;
	} bad[] = {
		{ "{ min: 1 }", "max is missing" },
		{ "{ min: 3, max: 2 }", "min (3) is more than max (2)" },
		{ "{ max: 0 }", "max is a number from 1 to" },
		{ "{ max: 2, mix: 3 }", "'mix' is none of min, max and idle" },
		{ "{ max: 2, idle: 5ms }", "idle is a time of at least 1s" },
	};
	struct fixture *f = *state;
	struct runner_flags no_runner = { .app = "" };
	struct opt_list empty = { .n = 0 };
	struct pool_conf *pools;
	char text[200];
	size_t n;

	load(f, "pools: { a: { app: x, autoscale: { min: 2, max: 8, idle: 5s } }, b: { app: x, autoscale: { max: 3 } }, c: { app: x } }\n");
	assert_int_equal(setup_pools(&f->cli, &no_runner, &empty, &empty, &pools, &n, &f->t), E_OK);
	assert_int_equal(pools[0].scaling.min, 2);
	assert_int_equal(pools[0].scaling.max, 8);
	assert_int_equal(pools[0].scaling.idle_ms, 5000);
	assert_int_equal(pools[1].scaling.min, 1);
	assert_int_equal(pools[1].scaling.idle_ms, 30000);
	assert_int_equal(pools[2].scaling.max, 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(text, sizeof(text), "pools:\n  a: { app: x, autoscale: %s }\n", bad[i].text);
		load(f, text);
		assert_int_equal(setup_pools(&f->cli, &no_runner, &empty, &empty, &pools, &n, &f->t), E_CONF);
		assert_non_null(strstr(f->t.text, bad[i].error));
		assert_non_null(strstr(f->t.text, ":2: pool 'a': autoscale"));
	}
	load(f, "pools:\n  a: { app: x, concurrency: 2, autoscale: { max: 3 } }\n");
	assert_int_equal(setup_pools(&f->cli, &no_runner, &empty, &empty, &pools, &n, &f->t), E_CONF);
	assert_non_null(strstr(f->t.text, "keep one of them"));
}

static void
autoscale_flag_is_celerys(void **state)
{
	struct scale_conf c = { .max = 0 };
	struct errtext t;

	(void)state;
	assert_int_equal(setup_autoscale("", &c, &t), E_OK);
	assert_int_equal(c.max, 0);
	assert_int_equal(setup_autoscale("10,3", &c, &t), E_OK);
	assert_true(c.max == 10 && c.min == 3 && c.idle_ms == 30000);
	assert_int_equal(setup_autoscale("4", &c, &t), E_OK);
	assert_true(c.max == 4 && c.min == 1);
	assert_int_equal(setup_autoscale("3,10", &c, &t), E_CONF);
	assert_non_null(strstr(t.text, "--autoscale MAX,MIN: autoscale: min (10) is more than max (3)"));
	assert_int_equal(setup_autoscale("many", &c, &t), E_CONF);
	assert_true(c.max == 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(autoscale_is_read_and_checked, setup, teardown),
		cmocka_unit_test(autoscale_flag_is_celerys),
		cmocka_unit_test_setup_teardown(a_task_that_says_nothing_has_the_default_rule, setup, teardown),
		cmocka_unit_test_setup_teardown(a_soft_limit_that_never_comes_is_a_mistake, setup, teardown),
		cmocka_unit_test_setup_teardown(
			results_of_less_than_a_second_are_not_kept_for_ever, setup, teardown),
		cmocka_unit_test_setup_teardown(queues_are_declared_as_configured, setup, teardown),
		cmocka_unit_test_setup_teardown(pools_of_the_file, setup, teardown),
		cmocka_unit_test_setup_teardown(a_pool_from_flags, setup, teardown),
		cmocka_unit_test_setup_teardown(a_pool_has_exactly_one_runner, setup, teardown),
		cmocka_unit_test_setup_teardown(broker_urls_of_celery_are_understood, setup, teardown),
	};

	return cmocka_run_group_tests(tests, make_path, drop_path);
}
