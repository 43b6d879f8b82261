#include "cli/cmd.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct trial_flags {
	const char *text;
	int64_t number;
	bool yes;
	struct opt_list header;
};

static const struct opt_row rows[] = {
	FLAG(trial_flags, text, text, .short_flag = 't', .def = ""),
	FLAG(trial_flags, number, int, .def = "1", .max = 10),
	FLAG(trial_flags, yes, bool, .short_flag = 'y'),
	FLAG(trial_flags, header, list, .flags = OPT_REPEAT),
};

static const struct cmd trial = {
	.name = "trial",
	.args = "[ARG...]",
	.flags = rows,
	.n_flags = ARRAY_LEN(rows),
	.flags_size = sizeof(struct trial_flags),
	.groups = CONF_BIT(CONF_BROKER) | CONF_BIT(CONF_QUEUE) | CONF_BIT(CONF_LOG),
	.args_max = 3,
};

struct fixture {
	struct cli cli;
	struct trial_flags flags;
	char words[16][80];
	char *argv[16];
	int argc;
};

static int
setup(void **state)
{
	struct fixture *f = alloc_zero(sizeof(*f));

	assert_non_null(f);
	f->cli.cmd = &trial;
	f->cli.flags = &f->flags;
	arena_init(&f->cli.arena, 0);
	assert_int_equal(conf_init(&f->cli.conf), E_OK);
	assert_int_equal(opt_set_defaults(rows, ARRAY_LEN(rows), &f->flags, &f->cli.arena), E_OK);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	conf_release(&f->cli.conf);
	arena_release(&f->cli.arena);
	alloc_free(f->cli.args);
	alloc_free(f->cli.given);
	alloc_free(f);
	return 0;
}

/* Words separated by blanks. */
static int
parse(struct fixture *f, const char *line)
{
	struct span rest = span_of(line), word;

	f->argc = 0;
	while (rest.ptr != NULL) {
		word = span_split(&rest, ' ');
		if (word.len == 0)
			continue;
		memcpy(f->words[f->argc], word.ptr, word.len);
		f->words[f->argc][word.len] = '\0';
		f->argv[f->argc] = f->words[f->argc];
		f->argc++;
	}
	alloc_free(f->cli.args);
	alloc_free(f->cli.given);
	f->cli.args = NULL;
	f->cli.given = NULL;
	f->cli.n_given = 0;
	f->cli.n_args = 0;
	return flags_parse(&f->cli, f->argc, f->argv);
}

static void
flags_and_words_mix(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(
		parse(f, "a --number 5 -t x b --yes --header k=v --header=l=w c --log-level=debug"), 0);
	assert_int_equal(f->cli.n_args, 3);
	assert_string_equal(f->cli.args[0], "a");
	assert_string_equal(f->cli.args[2], "c");
	assert_null(f->cli.args[3]);
	assert_int_equal(f->flags.number, 5);
	assert_string_equal(f->flags.text, "x");
	assert_true(f->flags.yes);
	assert_int_equal(f->flags.header.n, 2);
	assert_string_equal(f->flags.header.items[1], "l=w");
	assert_string_equal(f->cli.conf.o.log_level, "debug");
	assert_int_equal(f->cli.conf.origin[CONF_OPT_log_level].source, CONF_FLAG);
}

static void
numbers_and_what_follows_two_dashes_are_words(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(parse(f, "-5 - -.5"), 0);
	assert_int_equal(f->cli.n_args, 3);
	assert_int_equal(parse(f, "-y -- --text -y"), 0);
	assert_int_equal(f->cli.n_args, 2);
	assert_string_equal(f->cli.args[0], "--text");
}

static void
short_forms_and_aliases(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(parse(f, "-tabc -l warning --no-create"), 0);
	assert_string_equal(f->flags.text, "abc");
	assert_string_equal(f->cli.conf.o.log_level, "warning");
	assert_false(f->cli.conf.o.create_queues);
	assert_int_equal(parse(f, "--loglevel=error --create-queues"), 0);
	assert_string_equal(f->cli.conf.o.log_level, "error");
	assert_true(f->cli.conf.o.create_queues);
	assert_int_equal(parse(f, "--json -h"), 0);
	assert_true(f->cli.common.json && f->cli.common.help);
}

static void
urls_are_wiped_from_the_command_line(void **state)
{
	struct fixture *f = *state;
	int i;

	assert_int_equal(
		parse(f, "-b amqp://u:secret1@h// --broker=amqp://u:secret2@h// -bamqp://u:secret3@h// --text open"),
		0);
	for (i = 0; i < f->argc; i++)
		assert_null(strstr(f->argv[i], "secret"));
	assert_string_equal(f->argv[f->argc - 1], "open");
	assert_string_equal(f->cli.conf.o.broker.items[0], "amqp://u:secret3@h//");
	assert_int_equal(parse(f, "-b :secret4"), EXIT_USAGE);
	assert_null(strstr(f->argv[1], "secret"));
}

static void
mistakes_are_usage_errors(void **state)
{
	static const char *const bad[] = {
		"--nmber 5",
		"-z",
		"--number",
		"--number many",
		"--number 11",
		"--yes=perhaps",
		"--no-text",
		"--no-yes=1",
		"-yes",
		"--concurrency 3",
		"a b c d",
		"--log-level loud",
		"-t",
	};
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++)
		if (parse(f, bad[i]) != EXIT_USAGE)
			fail_msg("'%s' was accepted", bad[i]);
}

static void
no_two_rows_share_a_name(void **state)
{
	size_t c, i, k;

	(void)state;
	for (c = 0; cmds[c] != NULL; c++) {
		assert_non_null(cmds[c]->examples);
		assert_non_null(cmds[c]->summary);
		for (i = 0; i < cmds[c]->n_flags; i++) {
			const struct opt_row *row = &cmds[c]->flags[i];

			assert_non_null(row->help);
			assert_null(opt_find(common_rows, n_common_rows, span_of(row->name)));
			for (k = 0; k < i; k++) {
				assert_string_not_equal(row->name, cmds[c]->flags[k].name);
				assert_true(row->short_flag == 0 ||
					row->short_flag != cmds[c]->flags[k].short_flag);
			}
			for (k = 0; k < CONF_OPTIONS; k++)
				if (conf_rows[k].group & cmds[c]->groups) {
					assert_string_not_equal(row->name, conf_rows[k].name);
					assert_true(row->short_flag == 0 ||
						row->short_flag != conf_rows[k].short_flag);
				}
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(flags_and_words_mix, setup, teardown),
		cmocka_unit_test_setup_teardown(numbers_and_what_follows_two_dashes_are_words, setup, teardown),
		cmocka_unit_test_setup_teardown(short_forms_and_aliases, setup, teardown),
		cmocka_unit_test_setup_teardown(urls_are_wiped_from_the_command_line, setup, teardown),
		cmocka_unit_test_setup_teardown(mistakes_are_usage_errors, setup, teardown),
		cmocka_unit_test(no_two_rows_share_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
