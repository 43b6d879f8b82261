/* Settings that are read a second time. */
#include "conf/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char path[64];
static char told[400];

static void
write_file(const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(path, 0600), 0);
}

static void
tell(const char *name, const char *where)
{
	size_t len = strlen(told);

	snprintf(told + len, sizeof(told) - len, "%s %s;", name,
		strrchr(where, '/') ? strrchr(where, '/') + 1 : where);
}

static void
load_first(struct conf *first, const char *text)
{
	struct errtext t;

	write_file(text);
	assert_int_equal(conf_init(first), E_OK);
	assert_int_equal(conf_set(first, opt_find(conf_rows, CONF_OPTIONS, SPAN("drain_timeout")), SPAN("7s"),
				 CONF_FLAG, "--drain-timeout", &t),
		E_OK);
	assert_int_equal(conf_load(first, path, &t), E_OK);
	told[0] = '\0';
}

/* With the flag --broker-file. */
static void
load_with_secret(struct conf *first, const char *secret)
{
	struct errtext t;

	write_file("concurrency: 2\n");
	assert_int_equal(conf_init(first), E_OK);
	assert_int_equal(conf_set(first, &conf_rows[CONF_OPT_broker_file], span_of(secret), CONF_FLAG,
				 "--broker-file", &t),
		E_OK);
	if (conf_load(first, path, &t) != E_OK)
		fail_msg("%s", t.text);
}

static void
the_file_of_a_flag_is_read_again(void **state)
{
	char secret[80];
	struct conf first, again;
	struct errtext t = { "" };
	FILE *f;

	(void)state;
	snprintf(secret, sizeof(secret), "%s.secret", path);
	for (int i = 0; i < 2; i++) {
		f = fopen(secret, "w");
		assert_non_null(f);
		fprintf(f, "amqp://u:p@host%d//\n", i);
		fclose(f);
		if (i == 0)
			load_with_secret(&first, secret);
		else if (conf_load_again(&again, &first, path, &t) != E_OK)
			fail_msg("%s", t.text);
	}
	assert_string_equal(first.o.broker.items[0], "amqp://u:p@host0//");
	assert_int_equal(again.o.broker.n, 1);
	assert_string_equal(again.o.broker.items[0], "amqp://u:p@host1//");
	unlink(secret);
	conf_release(&again);
	conf_release(&first);
}

static void
what_came_through_a_pipe_stays(void **state)
{
	static const char url[] = "amqp://u:p@host//\n";
	struct conf first, again;
	struct errtext t = { "" };
	char secret[40];
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(write(p[1], url, sizeof(url) - 1), sizeof(url) - 1);
	close(p[1]);
	snprintf(secret, sizeof(secret), "/dev/fd/%d", p[0]);
	load_with_secret(&first, secret);
	assert_string_equal(first.o.broker.items[0], "amqp://u:p@host//");
	if (conf_load_again(&again, &first, path, &t) != E_OK)
		fail_msg("%s", t.text);
	assert_int_equal(again.o.broker.n, 1);
	assert_string_equal(again.o.broker.items[0], "amqp://u:p@host//");
	close(p[0]);
	conf_release(&again);
	conf_release(&first);
}

static void
flags_stay_and_the_file_is_new(void **state)
{
	struct conf first, again;
	struct errtext t;

	(void)state;
	load_first(&first, "concurrency: 2\nlog_level: info\n");
	write_file("concurrency: 3\ndrain_timeout: 9s\nbroker: [amqp://a, amqp://b]\n");
	assert_int_equal(conf_load_again(&again, &first, path, &t), E_OK);
	assert_int_equal(again.o.concurrency, 3);
	assert_int_equal(again.o.drain_timeout, 7000);
	assert_int_equal(again.origin[CONF_OPT_drain_timeout].source, CONF_FLAG);
	assert_string_equal(again.o.log_level, "info");
	assert_int_equal(again.origin[CONF_OPT_log_level].source, CONF_DEFAULT);
	/* What cannot change is told of, and is as it was. */
	assert_int_equal(conf_keep(&again, &first, tell), 1);
	assert_non_null(strstr(told, "broker warren.yaml:3;"));
	assert_int_equal(again.o.broker.n, 1);
	assert_int_equal(again.o.concurrency, 3);
	assert_int_equal(conf_keep(&again, &first, tell), 0);
	conf_release(&again);
	conf_release(&first);
}

static void
a_wrong_file_leaves_nothing_behind(void **state)
{
	struct conf first, again;
	struct errtext t;

	(void)state;
	load_first(&first, "");
	write_file("\n\nno_such: 1\n");
	assert_int_equal(conf_load_again(&again, &first, path, &t), E_CONF);
	assert_non_null(strstr(t.text, "warren.yaml:3:"));
	assert_null(again.file);
	conf_release(&again);
	conf_release(&first);
}

static void
sections_are_compared_entry_by_entry(void **state)
{
	static const char *const others[] = {
		"schedule:\n  a: { task: x, every: 1s }\n",
		"schedule:\n  a: { task: x, every: 1s }\n  c: { task: y, every: 2s }\n",
		"schedule:\n  a: { task: x, every: 1s }\n  b: { task: y, every: 3s }\n",
		"schedule:\n  a: { task: x, every: 1s, headers: { k: v } }\n  b: { task: y, every: 2s }\n",
	};
	const struct conf_section *sec = conf_section("schedule");
	struct conf first, again;
	struct errtext t;

	(void)state;
	load_first(&first, "schedule:\n  a: { task: x, every: 1s }\n  b: { task: y, every: 2s }\n");
	write_file("# moved\n\nschedule:\n  a: { every: 1s, task: x }\n  b: { task: y, every: 2s }\n");
	assert_int_equal(conf_load_again(&again, &first, path, &t), E_OK);
	assert_true(conf_is_same_section(&again, &first, sec));
	conf_release(&again);
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		write_file(others[i]);
		assert_int_equal(conf_load_again(&again, &first, path, &t), E_OK);
		assert_false(conf_is_same_section(&again, &first, sec));
		conf_release(&again);
	}
	conf_release(&first);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_file_of_a_flag_is_read_again),
		cmocka_unit_test(what_came_through_a_pipe_stays),
		cmocka_unit_test(flags_stay_and_the_file_is_new),
		cmocka_unit_test(a_wrong_file_leaves_nothing_behind),
		cmocka_unit_test(sections_are_compared_entry_by_entry),
	};
	char folder[] = "/tmp/warren-reload-XXXXXX";
	int failed;

	if (mkdtemp(folder) == NULL)
		return 99;
	snprintf(path, sizeof(path), "%s/warren.yaml", folder);
	for (size_t i = 0; i < CONF_OPTIONS; i++) {
		struct buf name;

		buf_init(&name, 0);
		conf_add_env_name(&name, &conf_rows[i]);
		unsetenv(buf_text(&name));
		if (conf_rows[i].env != NULL)
			unsetenv(conf_rows[i].env);
		buf_release(&name);
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	rmdir(folder);
	return failed;
}
