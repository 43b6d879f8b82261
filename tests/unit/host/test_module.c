#include "host/module.h"

#include "lib/t.h"

#include <stdlib.h>
#include <unistd.h>

/* The built modules: paths that stay for the whole program. */
static const char *
module_path(const char *name)
{
	static char paths[8][512];
	static size_t next;
	const char *dir = getenv("builddir");
	char *path = paths[next++ % ARRAY_LEN(paths)];

	snprintf(path, sizeof(paths[0]), "%s/tests/unit/host/modules/%s.so", dir ? dir : ".", name);
	return path;
}

static struct errtext
refused(const char *const *paths, size_t n)
{
	struct errtext t = { "" };
	struct modules m;

	assert_int_not_equal(modules_load(&m, (char *const *)paths, n, &t), E_OK);
	modules_release(&m);
	return t;
}

static void
assert_has(const char *text, const char *words)
{
	if (!strstr(text, words)) {
		print_error("\"%s\" does not say \"%s\"\n", text, words);
		fail();
	}
}

static void
tasks_of_several_modules_are_found_by_name(void **state UNUSED)
{
	const char *paths[] = { module_path("good"), module_path("more") };
	struct errtext t;
	struct modules m;

	assert_ok(modules_load(&m, (char *const *)paths, 2, &t));
	assert_int_equal(m.task_count, 9);
	for (size_t i = 0; i < m.task_count; i++) {
		const struct warren_task_entry *e = m.tasks[i].entry;

		assert_ptr_equal(modules_find(&m, span_of(e->name)), e);
		assert_true(i == 0 || strcmp(m.tasks[i - 1].entry->name, e->name) < 0);
	}
	assert_string_equal(modules_find(&m, SPAN("t.echo"))->help, "its arguments");
	assert_null(modules_find(&m, SPAN("t.ech")));
	assert_null(modules_find(&m, SPAN("t.echoo")));
	assert_null(modules_find(&m, SPAN("t.echo\0x")));
	assert_null(modules_find(&m, SPAN("")));
	assert_null(modules_find(&m, SPAN("\xff")));
	assert_ok(modules_start(&m, &t));
	modules_release(&m);
}

static void
an_unfit_module_is_named_with_cause_and_way_out(void **state UNUSED)
{
	static const struct {
		const char *name, *cause, *way_out;
	} rows[] = {
		{ "old", "version 2 of warren/task.h and this is version 1", "build it again" },
		{ "damaged", "table of tasks is damaged", "WARREN_MODULE()" },
		{ "empty", "has no tasks", "WARREN_MODULE()" },
		{ "unnamed", "entry 2 of WARREN_MODULE() has no name", "" },
		{ "latin1", "name of entry 1 of WARREN_MODULE() is not UTF-8", "" },
		{ "functionless", "task 'x.y' has no function", "set .run" },
		{ "unlinked", "undefined symbol: nobody_has_this", "link the library" },
		{ "plain", "no task module", "add WARREN_MODULE()" },
		{ "missing", "no such file", "./tasks.so" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *path = module_path(rows[i].name);
		struct errtext t = refused(&path, 1);

		assert_has(t.text, path);
		assert_has(t.text, rows[i].cause);
		assert_has(t.text, rows[i].way_out);
	}
}

static void
what_is_no_library_is_refused(void **state UNUSED)
{
	const char *path = "/dev/null";
	struct errtext t = refused(&path, 1);

	assert_has(t.text, "cannot load /dev/null");
}

static void
a_name_in_two_modules_names_both_files(void **state UNUSED)
{
	const char *paths[] = { module_path("more"), module_path("good"), module_path("clash") };
	struct errtext t = refused(paths, 3);

	assert_has(t.text, "task 'more.nothing' is in");
	assert_has(t.text, paths[0]);
	assert_has(t.text, paths[2]);
}

static void
a_module_that_cannot_start_says_why(void **state UNUSED)
{
	const char *path = module_path("unstartable");
	struct errtext t;
	struct modules m;

	assert_ok(modules_load(&m, (char *const *)&path, 1, &t));
	assert_int_equal(modules_start(&m, &t), E_CONF);
	assert_has(t.text, "unstartable.so could not start: no model in /models");
	modules_release(&m);
}

static void
a_bare_name_is_a_file_in_the_current_folder(void **state UNUSED)
{
	const char *more = "more.so", *none = "no-such-library.so";
	char here[4096], dir[512];
	struct errtext t;
	struct modules m;

	snprintf(dir, sizeof(dir), "%s", module_path("more"));
	*strrchr(dir, '/') = '\0';
	assert_non_null(getcwd(here, sizeof(here)));
	assert_int_equal(chdir(dir), 0);
	assert_ok(modules_load(&m, (char *const *)&more, 1, &t));
	modules_release(&m);
	t = refused(&none, 1);
	assert_has(t.text, "cannot load no-such-library.so");
	assert_int_equal(chdir(here), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tasks_of_several_modules_are_found_by_name),
		cmocka_unit_test(an_unfit_module_is_named_with_cause_and_way_out),
		cmocka_unit_test(what_is_no_library_is_refused),
		cmocka_unit_test(a_name_in_two_modules_names_both_files),
		cmocka_unit_test(a_module_that_cannot_start_says_why),
		cmocka_unit_test(a_bare_name_is_a_file_in_the_current_folder),
	};

	return cmocka_run_group_tests_name("module", tests, NULL, NULL);
}
