/* What the settings of a Celery application become. Asking one is an integration test. */
#include "cli/app.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "unit/cli/fixture.h"

/* `members` of the object "app"; the application becomes one of cli's. */
static enum err
hear(struct fixture *f, const char *module, const char *members)
{
	struct cli_app *all = arena_zero(&f->cli.arena, (f->cli.n_apps + 1) * sizeof(*all));
	char *line = must_printf("{\"hello\":{\"app\":{%s}}}", members);
	struct app_reply r;

	assert_non_null(all);
	if (f->cli.n_apps > 0)
		memcpy(all, f->cli.apps, f->cli.n_apps * sizeof(*all));
	if (app_decode(&r, span_of(line), &f->cli.arena, &f->t) != E_OK)
		fail_msg("%s", f->t.text);
	alloc_free(line);
	all[f->cli.n_apps] = (struct cli_app){ .module = module, .pool = module, .app = r.app };
	f->cli.apps = all;
	return app_apply(&f->cli, &all[f->cli.n_apps++], &f->t);
}

static void
load(struct fixture *f, const char *text)
{
	char path[] = "/tmp/warren-app-XXXXXX";
	int fd = mkstemp(path);
	FILE *file = fdopen(fd, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	if (conf_load_file(&f->cli.conf, path, &f->t) != E_OK)
		fail_msg("%s", f->t.text);
	unlink(path);
}

static const char *
note_of(const struct fixture *f, const char *setting)
{
	size_t i, k;

	for (i = 0; i < f->cli.n_apps; i++)
		for (k = 0; k < f->cli.apps[i].n_notes; k++)
			if (strcmp(f->cli.apps[i].notes[k].setting, setting) == 0)
				return f->cli.apps[i].notes[k].note;
	return NULL;
}

static void
settings_become_options_with_their_source(void **state)
{
	struct fixture *f = *state;
	const struct options *o = &f->cli.conf.o;

	assert_int_equal(
		hear(f, "shop",
			"\"broker\":[\"amqp://u:p@one//\",\"amqp://two//\"],\"result_backend\":\"redis://h/"
			"1\",\"settings\":{\"result_expires\":7200.0,"
			"\"result_extended\":true,\"task_time_limit\":1.5,\"worker_concurrency\":7,\"worker_"
			"max_memory_per_child\":200000,"
			"\"worker_prefetch_multiplier\":4,\"worker_max_tasks_per_child\":50,\"task_track_"
			"started\":false,\"task_default_queue\":\"main\","
			"\"result_backend_transport_options\":{\"global_keyprefix\":\"x_\",\"result_chord_ordered\":false,\"retry_policy\":{"
			"}}}"),
		E_OK);
	assert_int_equal(o->broker.n, 2);
	assert_string_equal(o->broker.items[1], "amqp://two//");
	assert_string_equal(o->result_backend, "redis://h/1");
	assert_string_equal(f->cli.conf.origin[CONF_OPT_broker].where, "shop: broker_url");
	assert_int_equal(o->result_expires, 7200000);
	assert_string_equal(f->cli.conf.origin[CONF_OPT_result_expires].where, "shop: result_expires");
	assert_true(o->result_extended && !o->track_started);
	assert_int_equal(o->time_limit, 1500);
	assert_int_equal(o->concurrency, 7);
	assert_int_equal(o->max_memory_per_child, 200000 * 1024);
	assert_int_equal(o->max_tasks_per_child, 50);
	assert_int_equal(o->prefetch_multiplier, 4);
	assert_string_equal(o->default_queue, "main");
	assert_string_equal(o->result_key_prefix, "x_");
	assert_false(o->result_chord_ordered);
	assert_non_null(note_of(f, "result_backend_transport_options: retry_policy"));
}

static void
file_and_flag_win(void **state)
{
	struct fixture *f = *state;
	const struct options *o = &f->cli.conf.o;

	load(f, "result_expires: 1h\n");
	assert_int_equal(
		conf_set(&f->cli.conf, &conf_rows[CONF_OPT_concurrency], SPAN("3"), CONF_FLAG, "-c", &f->t),
		E_OK);
	assert_int_equal(conf_set(&f->cli.conf, &conf_rows[CONF_OPT_broker], SPAN("amqp://flag//"), CONF_FLAG,
				 "-b", &f->t),
		E_OK);
	assert_int_equal(
		hear(f, "tls", "\"settings\":{\"broker_use_ssl\":true,\"redis_backend_use_ssl\":true}"), E_OK);
	assert_non_null(strstr(note_of(f, "broker_use_ssl"), "amqps://"));
	assert_null(note_of(f, "redis_backend_use_ssl"));
	/* A broker that would not do is no matter when another is used. */
	assert_int_equal(
		hear(f, "shop",
			"\"broker\":\"sqs://\",\"settings\":{\"result_expires\":5,\"worker_concurrency\":7}"),
		E_OK);
	assert_int_equal(o->result_expires, 3600000);
	assert_int_equal(o->concurrency, 3);
	assert_string_equal(o->broker.items[0], "amqp://flag//");
}

static void
none_means_for_ever(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(hear(f, "shop", "\"settings\":{\"result_expires\":null}"), E_OK);
	assert_int_equal(f->cli.conf.o.result_expires, 0);
}

static void
nothing_is_passed_over_in_silence(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(
		hear(f, "shop",
			"\"settings\":{\"brand_new\":1,\"worker_prefetch_multiplier\":0,\"control_exchange\":"
			"\"mine\",\"event_exchange\":\"celeryev\","
			"\"worker_soft_shutdown_timeout\":3,\"task_inherit_parent_priority\":false}"),
		E_OK);
	assert_non_null(note_of(f, "brand_new"));
	assert_non_null(strstr(note_of(f, "worker_prefetch_multiplier"), "its value 0 is not taken"));
	assert_string_equal(f->cli.conf.o.control_exchange, "mine");
	assert_null(note_of(f, "control_exchange"));
	assert_non_null(note_of(f, "worker_soft_shutdown_timeout"));
	assert_null(note_of(f, "event_exchange"));
	assert_null(note_of(f, "task_inherit_parent_priority"));
}

static void
kinds_that_are_not_supported_end_the_start(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(hear(f, "shop", "\"broker\":\"redis://:secret@h/0\""), E_CONF);
	assert_non_null(strstr(f->t.text, "shop uses a broker of the kind redis://"));
	assert_null(strstr(f->t.text, "secret"));
	assert_int_equal(hear(f, "shop", "\"result_backend\":\"db+postgresql://u:secret@h/d\""), E_CONF);
	assert_non_null(strstr(f->t.text, "kind db+postgresql"));
	assert_null(strstr(f->t.text, "secret"));
}

static void
two_applications_need_one_broker(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(
		hear(f, "a", "\"broker\":\"amqp://u:secret@x//\",\"settings\":{\"worker_concurrency\":7}"),
		E_OK);
	assert_int_equal(
		hear(f, "b", "\"broker\":\"amqp://u:secret@x//\",\"settings\":{\"worker_concurrency\":8}"),
		E_OK);
	assert_int_equal(f->cli.conf.o.concurrency, 7);
	assert_non_null(note_of(f, "worker_concurrency"));
	assert_int_equal(hear(f, "c", "\"broker\":\"amqp://y//\""), E_CONF);
	assert_non_null(strstr(f->t.text, "c and a use different brokers"));
	assert_null(strstr(f->t.text, "secret"));
}

/* The file over the task over the settings of the application over the worker's own. */
static void
rules_of_tasks_are_laid_over_one_another(void **state)
{
	struct fixture *f = *state;
	const struct task_rule *r;
	struct task_rules rules;

	load(f,
		"time_limit: 99\ntasks: { \"shop.*\": { soft_time_limit: 2 }, other: { acks_late: true } "
		"}\n");
	assert_int_equal(
		hear(f, "shop",
			"\"settings\":{\"task_acks_late\":false,\"task_ignore_result\":true,\"task_track_started\":false,\"task_"
			"time_limit\":50},\"tasks\":{\"shop.a\":{\"time_limit\":5,"
			"\"soft_time_limit\":4,\"ignore_result\":false,\"max_retries\":null,\"rate_"
			"limit\":\"120/m\",\"expires\":3,\"odd\":1,\"track_started\":true,\"send_events\":false},"
			"\"celery.chord\":{\"ignore_result\":false}}"),
		E_OK);
	assert_int_equal(app_merge_tasks(&f->cli, &f->t), E_OK);
	assert_int_equal(setup_rules(&f->cli, &rules, &f->t), E_OK);
	r = task_rules_find(&rules, SPAN("shop.a"));
	assert_true(r->time_limit == 5 && r->soft_time_limit == 2 && r->acks_early && !r->ignore_result &&
		r->rate == 2);
	r = task_rules_find(&rules, SPAN("shop.b"));
	assert_true(r->time_limit == 99 && r->soft_time_limit == 2 && r->acks_early && r->ignore_result);
	r = task_rules_find(&rules, SPAN("other"));
	assert_true(r->time_limit == 99 && !r->acks_early);
	r = task_rules_find(&rules, SPAN("more"));
	assert_true(r->time_limit == 99 && r->soft_time_limit == 0 && r->acks_early && r->ignore_result);
	assert_non_null(note_of(f, "odd of shop.a"));
	assert_true(task_rules_find(&rules, SPAN("shop.a"))->expires == 3);
	assert_true(task_rules_find(&rules, SPAN("shop.a"))->track_started &&
		task_rules_find(&rules, SPAN("shop.a"))->no_events);
	assert_false(task_rules_find(&rules, SPAN("shop.b"))->track_started ||
		task_rules_find(&rules, SPAN("shop.b"))->no_events);
	assert_false(task_rules_find(&rules, SPAN("more"))->track_started ||
		task_rules_find(&rules, SPAN("more"))->no_events);
	assert_null(note_of(f, "max_retries of shop.a"));
}

/* Each has its own for its tasks. */
static void
two_applications_have_two_general_rules(void **state)
{
	struct fixture *f = *state;
	struct task_rules rules;

	assert_int_equal(hear(f, "a", "\"settings\":{\"task_acks_late\":false},\"tasks\":{\"a.x\":{}}"), E_OK);
	assert_int_equal(hear(f, "b", "\"settings\":{\"task_acks_late\":true},\"tasks\":{\"b.x\":{}}"), E_OK);
	assert_int_equal(app_merge_tasks(&f->cli, &f->t), E_OK);
	assert_int_equal(setup_rules(&f->cli, &rules, &f->t), E_OK);
	assert_true(task_rules_find(&rules, SPAN("a.x"))->acks_early);
	assert_false(task_rules_find(&rules, SPAN("b.x"))->acks_early);
}

/* Of tasks that the application only has a name of, Celery does not know a default. */
static void
priorities_are_those_of_the_applications_own_tasks(void **state)
{
	struct fixture *f = *state;
	struct task_rules rules;
	const struct task_rule *r;

	load(f, "tasks: { \"f.*\": { max_lost: 9 } }\n");
	assert_int_equal(
		hear(f, "shop",
			"\"settings\":{\"task_default_priority\":4,\"task_inherit_parent_priority\":true},"
			"\"tasks\":{\"a\":{},\"b\":{\"priority\":2},\"f.own\":{}}"),
		E_OK);
	assert_int_equal(app_merge_tasks(&f->cli, &f->t), E_OK);
	assert_int_equal(setup_rules(&f->cli, &rules, &f->t), E_OK);
	r = task_rules_find(&rules, SPAN("a"));
	assert_true(r->priority_plus1 == 5 && r->inherit_priority);
	r = task_rules_find(&rules, SPAN("b"));
	assert_true(r->priority_plus1 == 3 && r->inherit_priority);
	r = task_rules_find(&rules, SPAN("f.own"));
	assert_true(r->priority_plus1 == 5 && r->max_lost == 9);
	r = task_rules_find(&rules, SPAN("f.other"));
	assert_true(r->priority_plus1 == 0 && r->max_lost == 9 && r->inherit_priority);
	r = task_rules_find(&rules, SPAN("other"));
	assert_true(r->priority_plus1 == 0 && r->inherit_priority);
}

static void
rates_can_be_switched_off(void **state)
{
	struct fixture *f = *state;
	struct task_rules rules;

	assert_int_equal(hear(f, "shop",
				 "\"settings\":{\"task_default_rate_limit\":\"1/"
				 "s\",\"worker_disable_rate_limits\":true},"
				 "\"tasks\":{\"a\":{\"rate_limit\":\"2/s\"}}"),
		E_OK);
	assert_int_equal(app_merge_tasks(&f->cli, &f->t), E_OK);
	assert_int_equal(setup_rules(&f->cli, &rules, &f->t), E_OK);
	assert_true(task_rules_find(&rules, SPAN("a"))->rate == 0 &&
		task_rules_find(&rules, SPAN("b"))->rate == 0);
}

static void
queues_and_routes_of_the_application(void **state)
{
	struct fixture *f = *state;
	struct bus_topo_queue q;
	struct route_target to;
	struct routes *routes;

	load(f, "queues: { plain: { type: quorum } }\nroutes: { \"r.file\": filed }\n");
	assert_int_equal(
		hear(f, "shop",
			"\"queues\":[{\"name\":\"main\",\"exchange\":\"work\",\"exchange_type\":"
			"\"topic\",\"routing_key\":\"work.#\",\"durable\":false,"
			"\"auto_delete\":true,\"exclusive\":false,\"arguments\":{\"x-max-priority\":"
			"10}},{\"name\":\"plain\",\"exchange\":\"plain\","
			"\"exchange_type\":\"direct\",\"routing_key\":\"plain\",\"durable\":true,"
			"\"auto_delete\":false,\"exclusive\":false}],"
			"\"tasks\":{\"r.own\":{\"queue\":\"mine\",\"priority\":4},\"r.far\":{\"exchange\":\"ex\","
			"\"routing_key\":\"k\"},\"r.half\":{\"exchange\":\"ex\"}},"
			"\"routes\":[{\"pattern\":\"r.*\",\"queue\":\"main\",\"exchange\":\"work\","
			"\"routing_key\":\"work.x\"},{\"regex\":\"^(s|t)$\","
			"\"queue\":\"plain\",\"routing_key\":\"else\"}]"),
		E_OK);
	q = setup_queue(&f->cli, "main");
	assert_string_equal(q.exchange, "work");
	assert_string_equal(q.routing_key, "work.#");
	assert_true(q.transient && q.auto_delete && q.keep_bound && q.args->count == 1);
	q = setup_queue(&f->cli, "plain");
	assert_true(q.quorum && q.args == NULL && !q.keep_bound);
	assert_int_equal(setup_routes(&f->cli, &routes, &f->t), E_OK);
	assert_true(span_is(routes_find(routes, SPAN("r.file")).queue, "filed"));
	to = routes_find(routes, SPAN("r.own"));
	assert_true(span_is(to.queue, "mine") && to.priority == 4);
	to = routes_find(routes, SPAN("r.far"));
	assert_true(span_is(to.exchange, "ex") && span_is(to.routing_key, "k"));
	to = routes_find(routes, SPAN("r.half"));
	assert_true(span_is(to.exchange, "work"));
	to = routes_find(routes, SPAN("r.x"));
	assert_true(span_is(to.exchange, "work") && span_is(to.routing_key, "work.x"));
	/* A queue behind a direct exchange is reached by its name. */
	to = routes_find(routes, SPAN("t"));
	assert_true(span_is(to.exchange, "") && span_is(to.routing_key, "plain"));
	routes_free(routes);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(settings_become_options_with_their_source),
		TEST(file_and_flag_win),
		TEST(none_means_for_ever),
		TEST(nothing_is_passed_over_in_silence),
		TEST(kinds_that_are_not_supported_end_the_start),
		TEST(two_applications_need_one_broker),
		TEST(rules_of_tasks_are_laid_over_one_another),
		TEST(two_applications_have_two_general_rules),
		TEST(priorities_are_those_of_the_applications_own_tasks),
		TEST(rates_can_be_switched_off),
		TEST(queues_and_routes_of_the_application),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
