#include "conf/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

struct fixture {
	struct conf c;
	struct errtext t;
};

static const char *
path_of(const char *name)
{
	static char path[160];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static const char *
write_file(const char *name, const char *text)
{
	const char *path = path_of(name);
	FILE *f;

	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(path, 0600), 0);
	return path;
}

/* Not clearenv(): the test driver's own variables must stay. */
static void
forget_variables(void)
{
	char name[200];
	struct span key;
	char **p = environ;

	while (*p != NULL) {
		struct span rest = span_of(*p);

		key = span_split(&rest, '=');
		if (key.len >= sizeof(name) || !(span_starts(key, "WARREN_") || span_starts(key, "CELERY_"))) {
			p++;
			continue;
		}
		snprintf(name, sizeof(name), "%.*s", SPAN_FMT(key));
		unsetenv(name);
		p = environ;
	}
}

static int
setup(void **state)
{
	struct fixture *f = alloc_zero(sizeof(*f));

	assert_non_null(f);
	forget_variables();
	assert_int_equal(conf_init(&f->c), E_OK);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	conf_release(&f->c);
	alloc_free(f);
	return 0;
}

static enum err
load(struct fixture *f, const char *text)
{
	return conf_load_file(&f->c, write_file("warren.yaml", text), &f->t);
}

static void
refused(const char *text, const char *word)
{
	struct fixture f;

	assert_int_equal(conf_init(&f.c), E_OK);
	assert_int_equal(load(&f, text), E_CONF);
	if (strstr(f.t.text, word) == NULL)
		fail_msg("'%s' does not say '%s'", f.t.text, word);
	conf_release(&f.c);
}

static void
whole_file_is_read(void **state)
{
	struct fixture *f = *state;
	struct conf *c = &f->c;

	assert_int_equal(
		load(f,
			"broker: [amqp://a//, amqp://b//]\n"
			"result_backend: redis://localhost:6379/1\n"
			"concurrency: 3\n"
			"drain-timeout: 1min\n"
			"track_started:\n"
			"pools:\n"
			"  gpu: { queues: [embedding], runner: [python3, -m, warren_runner], env: { A: 1, B: x }, memory_limit: 2G }\n"
			"  cpu:\n"
			"    queues: celery, processing\n"
			"    concurrency: 4\n"
			"    runner: ./run 'a b'\n"
			"queues:\n"
			"  orders: { type: quorum }\n"
			"routes:\n"
			"  \"scrape.*\": scraping\n"
			"  \"docs.*\": { queue: processing, priority: 5 }\n"
			"tasks:\n"
			"  documents.process: { time_limit: 300, ignore_result: yes }\n"),
		E_OK);
	assert_int_equal(c->o.broker.n, 2);
	assert_string_equal(c->o.broker.items[1], "amqp://b//");
	assert_int_equal(c->o.concurrency, 3);
	assert_int_equal(c->o.drain_timeout, 60000);
	assert_true(c->o.track_started);
	assert_int_equal(c->n_pools, 2);
	assert_string_equal(c->pools[0].item.name, "gpu");
	assert_int_equal(c->pools[0].item.line, 7);
	assert_string_equal(c->pools[0].env.items[0], "A=1");
	assert_int_equal(c->pools[0].memory_limit, (int64_t)2 << 30);
	assert_int_equal(c->pools[0].start_timeout, 60000);
	assert_int_equal(c->pools[1].queues.n, 2);
	assert_string_equal(c->pools[1].runner.items[1], "a b");
	assert_null(c->pools[1].runner.items[2]);
	assert_string_equal(conf_find_queue(c, SPAN("orders"))->type, "quorum");
	assert_null(conf_find_queue(c, SPAN("order")));
	assert_int_equal(c->n_routes, 2);
	assert_string_equal(c->routes[0].queue, "scraping");
	assert_int_equal(c->routes[0].priority, -1);
	assert_int_equal(c->routes[1].priority, 5);
	assert_int_equal(conf_find_task(c, SPAN("documents.process"))->time_limit, 300000);
	assert_non_null(strstr(c->origin[CONF_OPT_concurrency].where, "warren.yaml:3"));
}

static void
mistakes_name_file_and_line(void **state)
{
	(void)state;
	refused("broker: amqp://a//\nconcurency: 3\n",
		"warren.yaml:2: unknown key 'concurency': did you mean 'concurrency'?");
	refused("poools: {}\n", "did you mean 'pools'?");
	refused("pools:\n  gpu:\n    qeues: a\n",
		"warren.yaml:3: unknown key 'qeues' in pool 'gpu': did you mean 'queues'?");
	refused("concurrency: four\n", "warren.yaml:1: concurrency: 'four' is not a whole number");
	refused("\nconcurrency: 5000\n", "warren.yaml:2: concurrency: '5000' is too large");
	refused("concurrency: 1\nconcurrency: 2\n",
		"warren.yaml:2: 'concurrency' is there already, on line 1");
	refused("pools: { a: {}, a: {} }\n", "'a' is there already");
	refused("concurrency: [1]\n", "one value is expected");
	refused("broker: { a: b }\n", "a list is expected");
	refused("pools: { a: { env: [x] } }\n", "a table is expected");
	refused("pools: { a: { env: { \"A=B\": c } } }\n",
		"warren.yaml:1: env: 'A=B': a name cannot hold a '='");
	refused("pools: { a: { env: { \"\": secret } } }\n", "warren.yaml:1: a key must be a plain text");
	refused("pools: { a: { env: { A: 1, A: 2 } } }\n", "'A' is there already");
	refused("pools:\n  a:\n    env:\n      A: ~\n",
		"warren.yaml:4: env: 'A' has no plain text as its value");
	refused("pools: { a: { queues: [b, ~] } }\n", "queues: item 2 is not a plain text");
	refused("pools: [a]\n", "must be a table");
	refused("pools: { a: b }\n", "pool 'a' must be a table");
	refused("- a\n", "must be a table of settings");
	refused("a: [\n", "warren.yaml:2:");
	refused("a: \tb: c\n", "warren.yaml:1:");
	refused("concurrency: 1\n---\nconcurrency: 2\n", "warren.yaml:3: a second document");
	refused("broker: [[a]]\n", "item 1");
	refused("? [a]\n: b\n", "a key must be a plain text");
	refused("pools: &x\n  a: *x\n", "warren.yaml:2: *x: there is no such anchor before it");
	refused("concurrency: *n\n", "warren.yaml:1: *n: there is no such anchor before it");
	refused("schedule: { a: { args: &x [*x] } }\n", "*x: there is no such anchor before it");
	refused("broker: amqp//u:secret@h\n", "broker");
}

static void
empty_files_are_fine(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, ""), E_OK);
	assert_int_equal(load(f, "# nothing\n"), E_OK);
	assert_int_equal(load(f, "pools:\nbroker: ~\n"), E_OK);
	assert_int_equal(f->c.origin[CONF_OPT_broker].source, CONF_DEFAULT);
}

static void
files_that_cannot_be_trusted_are_refused(void **state)
{
	struct fixture *f = *state;
	const char *path = write_file("open.yaml", "concurrency: 1\n");

	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(conf_load_file(&f->c, path, &f->t), E_CONF);
	assert_non_null(strstr(f->t.text, "chmod o-w"));
	assert_int_equal(conf_load_file(&f->c, folder, &f->t), E_CONF);
	assert_non_null(strstr(f->t.text, "not a regular file"));
	assert_int_equal(conf_load_file(&f->c, path_of("none.yaml"), &f->t), E_MISSING);
	assert_non_null(strstr(f->t.text, "none.yaml"));
}

static void
later_sources_win_in_any_order(void **state)
{
	struct fixture *f = *state;
	const struct opt_row *row = &conf_rows[CONF_OPT_concurrency];

	assert_int_equal(conf_set(&f->c, row, SPAN("9"), CONF_FLAG, "--concurrency", &f->t), E_OK);
	setenv("WARREN_CONCURRENCY", "5", 1);
	setenv("WARREN_NODE_NAME", "w1", 1);
	setenv("WARREN_LOG_LEVEL", "", 1);
	assert_int_equal(
		conf_load(&f->c,
			write_file("warren.yaml", "concurrency: 2\nnode_name: f\nresult_expires: 1h\n"), &f->t),
		E_OK);
	assert_int_equal(f->c.o.concurrency, 9);
	assert_string_equal(f->c.origin[CONF_OPT_concurrency].where, "--concurrency");
	assert_string_equal(f->c.o.node_name, "w1");
	assert_string_equal(f->c.origin[CONF_OPT_node_name].where, "WARREN_NODE_NAME");
	assert_int_equal(f->c.o.result_expires, 3600000);
	assert_string_equal(f->c.o.log_level, "info");
	setenv("WARREN_CONCURRENCY", "many", 1);
	assert_int_equal(conf_load_env(&f->c, &f->t), E_CONF);
	assert_non_null(strstr(f->t.text, "WARREN_CONCURRENCY: 'many'"));
}

static void
celery_variables_count_when_ours_are_not_set(void **state)
{
	struct fixture *f = *state;

	setenv("CELERY_BROKER_URL", "amqp://celery//", 1);
	setenv("CELERY_RESULT_BACKEND", "redis://celery", 1);
	assert_int_equal(
		conf_load(&f->c, write_file("warren.yaml", "result_backend: redis://ours\n"), &f->t), E_OK);
	assert_string_equal(f->c.o.broker.items[0], "amqp://celery//");
	assert_string_equal(f->c.origin[CONF_OPT_broker].where, "CELERY_BROKER_URL");
	assert_string_equal(f->c.o.result_backend, "redis://ours");
}

static void
url_may_come_from_a_file(void **state)
{
	struct fixture *f = *state;
	char text[200];

	write_file("secret", "# both\namqp://u:p@a//\n\n amqp://u:p@b// \n");
	snprintf(text, sizeof(text), "%s/secret", folder);
	setenv("WARREN_BROKER_FILE", text, 1);
	assert_int_equal(conf_load(&f->c, write_file("warren.yaml", "broker: amqp://file//\n"), &f->t), E_OK);
	assert_int_equal(f->c.o.broker.n, 2);
	assert_string_equal(f->c.o.broker.items[1], "amqp://u:p@b//");
	setenv("WARREN_BROKER", "amqp://env//", 1);
	conf_release(&f->c);
	assert_int_equal(conf_init(&f->c), E_OK);
	assert_int_equal(conf_load(&f->c, path_of("warren.yaml"), &f->t), E_CONF);
	assert_non_null(strstr(f->t.text, "both set"));
	unsetenv("WARREN_BROKER");
	setenv("WARREN_BROKER_FILE", folder, 1);
	conf_release(&f->c);
	assert_int_equal(conf_init(&f->c), E_OK);
	assert_int_equal(conf_load(&f->c, path_of("warren.yaml"), &f->t), E_CONF);
	assert_non_null(strstr(f->t.text, "neither a regular file nor a pipe"));
	setenv("WARREN_BROKER_FILE", "/does/not/exist", 1);
	conf_release(&f->c);
	assert_int_equal(conf_init(&f->c), E_OK);
	assert_int_equal(conf_load(&f->c, path_of("warren.yaml"), &f->t), E_CONF);
	assert_non_null(strstr(f->t.text, "broker_file: /does/not/exist"));
}

static void
mistyped_variables_are_noticed(void **state)
{
	struct buf b;

	(void)state;
	setenv("WARREN_BROKR", "x", 1);
	setenv("WARREN_CONFIG", "x", 1);
	setenv("WARREN_SOMETHING_ELSE", "x", 1);
	setenv("WARREN_BROKER", "x", 1);
	buf_init(&b, 0);
	conf_add_env_warnings(&b);
	assert_string_equal(
		buf_text(&b), "WARREN_BROKR is set but is no setting: did you mean WARREN_BROKER?\n");
	buf_release(&b);
}

static void
survives_an_empty_heap(void **state)
{
	const char *path = write_file("warren.yaml",
		"broker: [amqp://a//]\npools: { a: { queues: [x], env: { A: 1 } } }\nroutes: { a: b }\n");
	enum err e = E_NOMEM;
	struct conf c;
	uint64_t n;

	(void)state;
	setenv("WARREN_LOG_LEVEL", "debug", 1);
	for (n = 1; e != E_OK; n++) {
		assert_true(n < 1000);
		alloc_fail_after(n);
		e = conf_init(&c);
		if (e == E_OK) {
			e = conf_load(&c, path, NULL);
			conf_release(&c);
		}
		alloc_fail_after(0);
		assert_true(e == E_OK || e == E_NOMEM);
	}
	assert_true(n > 3);
}

static int
make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/warren-conf-XXXXXX");
	return mkdtemp(folder) == NULL;
}

static void
json_may_be_written_as_yaml(void **state)
{
	struct fixture *f = *state;
	const struct conf_schedule *s;

	assert_int_equal(
		load(f,
			"schedule:\n"
			"  a: { task: t, every: 30s, args: [1, -2.50, x, \"3\", ~, true, yes, 0x10, 007], kwargs: { k: [a, {b: c}], 1: } }\n"
			"  b: { task: t, cron: \"0 2 * * *\", args: '[1, \"two\"]', missed: ALL, headers: { team: blue } }\n"
			"  c: { task: t, at: 2026-12-24T18:00 }\n"),
		E_OK);
	s = f->c.schedule;
	assert_int_equal(f->c.n_schedule, 3);
	assert_int_equal(s[0].every, 30000);
	/* What is no number of JSON is a text, as it was written. */
	assert_string_equal(s[0].args, "[1, -2.50, \"x\", \"3\", null, true, \"yes\", \"0x10\", \"007\"]");
	assert_string_equal(s[0].kwargs, "{\"k\": [\"a\", {\"b\": \"c\"}], \"1\": null}");
	assert_string_equal(s[1].args, "[1, \"two\"]");
	assert_string_equal(s[1].missed, "all");
	assert_string_equal(s[1].headers.items[0], "team=blue");
	assert_string_equal(s[2].at, "2026-12-24T18:00");
	assert_string_equal(s[2].args, "");

	refused("schedule: { a: { args: [1 } }\n", "warren.yaml:1");
	refused("schedule:\n  a:\n    args: '[1'\n", "warren.yaml:3: args: this is not JSON: ");
	refused("schedule: { a: { kwargs: { [1]: 2 } } }\n", "kwargs: a key is no plain text");
	refused("schedule: { a: { every: often } }\n", "is not a duration");
	refused("schedule: { a: { evry: 5s } }\n", "did you mean 'every'?");
	/* Aliases make a small file large: bounded, not followed to the end. */
	refused("schedule:\n  x:\n    args: [&a [1, 1, 1, 1, 1, 1, 1, 1], &b [*a, *a, *a, *a, *a, *a, *a, *a], &c [*b, *b, *b, *b, *b, *b, *b, *b],"
		" &d [*c, *c, *c, *c, *c, *c, *c, *c], &e [*d, *d, *d, *d, *d, *d, *d, *d], [*e, *e, *e, *e, *e, *e, *e, *e]]\n",
		"it is too large or nested too deep");
	refused("schedule:\n  x:\n    args: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n",
		"it is too large or nested too deep");
}

/* Values are read one by one; what an anchor names is still there when it is used, and stays as it was. */
static void
anchors_reach_to_the_end(void **state)
{
	struct fixture *f = *state;
	const struct conf_schedule *s;

	assert_int_equal(
		load(f,
			"default_queue: &q later\n"
			"schedule:\n"
			"  a: &a { task: &t tasks.a, every: 5s, args: &args [1, &two [2]], queue: *q }\n"
			"  b: { task: *t, every: 6s, args: *args, kwargs: { k: *two, *q : *two } }\n"
			"  c: *a\n"),
		E_OK);
	s = f->c.schedule;
	assert_int_equal(f->c.n_schedule, 3);
	assert_string_equal(s[0].queue, "later");
	assert_string_equal(s[1].task, "tasks.a");
	assert_string_equal(s[1].args, "[1, [2]]");
	assert_string_equal(s[1].kwargs, "{\"k\": [2], \"later\": [2]}");
	assert_string_equal(s[2].item.name, "c");
	assert_string_equal(s[2].args, "[1, [2]]");
	assert_int_equal(s[2].every, 5000);
}

static void
ten_thousand_entries_are_fine(void **state)
{
	struct fixture *f = *state;
	struct buf b;

	buf_init(&b, 0);
	buf_adds(&b, "schedule:\n");
	for (int i = 0; i < 10000; i++)
		buf_addf(&b, "  entry-%d: { task: tasks.number, cron: \"%d %d * * *\", args: [%d] }\n", i,
			i % 60, i % 24, i);
	assert_int_equal(load(f, buf_text(&b)), E_OK);
	assert_int_equal(f->c.n_schedule, 10000);
	assert_string_equal(f->c.schedule[9999].args, "[9999]");
	buf_adds(&b, "  entry-77: { task: again }\n");
	refused(buf_text(&b), "warren.yaml:10002: 'entry-77' is there already, on line 79");
	buf_release(&b);
}

static int
drop_folder(void **state)
{
	static const char *const names[] = { "warren.yaml", "open.yaml", "secret" };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(names); i++)
		unlink(path_of(names[i]));
	return rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(whole_file_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(mistakes_name_file_and_line, setup, teardown),
		cmocka_unit_test_setup_teardown(empty_files_are_fine, setup, teardown),
		cmocka_unit_test_setup_teardown(files_that_cannot_be_trusted_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(later_sources_win_in_any_order, setup, teardown),
		cmocka_unit_test_setup_teardown(celery_variables_count_when_ours_are_not_set, setup, teardown),
		cmocka_unit_test_setup_teardown(url_may_come_from_a_file, setup, teardown),
		cmocka_unit_test_setup_teardown(mistyped_variables_are_noticed, setup, teardown),
		cmocka_unit_test_setup_teardown(json_may_be_written_as_yaml, setup, teardown),
		cmocka_unit_test_setup_teardown(anchors_reach_to_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(ten_thousand_entries_are_fine, setup, teardown),
		cmocka_unit_test_setup_teardown(survives_an_empty_heap, setup, teardown),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
