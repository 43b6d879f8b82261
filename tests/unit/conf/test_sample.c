/* etc/warren.yaml is what the table makes, and every line in it works once its # is taken away. */
#include "conf/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char path[64];

static void
read_sample(struct buf *b)
{
	const char *srcdir = getenv("srcdir");
	char name[4096];
	struct errtext t;

	snprintf(name, sizeof(name), "%s/etc/warren.yaml", srcdir != NULL ? srcdir : ".");
	buf_init(b, 0);
	if (conf_read_file(b, name, &t) != E_OK)
		fail_msg("%s", t.text);
}

static void
sample_is_what_the_table_says(void **state)
{
	struct buf made, kept;

	(void)state;
	buf_init(&made, 0);
	conf_add_sample(&made);
	read_sample(&kept);
	if (!span_eq(buf_span(&made), buf_span(&kept)))
		fail_msg("etc/warren.yaml is out of date: run `warren config --sample > etc/warren.yaml`");
	buf_release(&made);
	buf_release(&kept);
}

static void
load_text(struct conf *c, struct span text)
{
	struct errtext t;
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text.ptr, 1, text.len, f), text.len);
	fclose(f);
	assert_int_equal(chmod(path, 0600), 0);
	if (conf_load_file(c, path, &t) != E_OK)
		fail_msg("%s", t.text);
}

static void
every_line_works_when_uncommented(void **state)
{
	struct span rest, line;
	struct buf sample, open, all;
	struct conf c, plain;
	size_t i;

	(void)state;
	read_sample(&sample);
	buf_init(&open, 0);
	for (rest = buf_span(&sample); rest.ptr != NULL;) {
		line = span_split(&rest, '\n');
		if (line.len > 1 && line.ptr[0] == '#' &&
			(line.ptr[1] != ' ' ||
				(line.len > 4 && span_starts(line, "#  ") && line.ptr[3] != ' ')))
			line = (struct span){ line.ptr + 1, line.len - 1 };
		buf_add(&open, line);
		buf_addc(&open, '\n');
	}
	assert_int_equal(conf_init(&c), E_OK);
	assert_int_equal(conf_init(&plain), E_OK);
	load_text(&c, buf_span(&open));
	for (i = 0; i < CONF_OPTIONS; i++) {
		buf_init(&all, 0);
		opt_add_value(&all, &conf_rows[i], &c.o);
		buf_addc(&all, '\n');
		rest = (struct span){ NULL, all.len };
		opt_add_value(&all, &conf_rows[i], &plain.o);
		buf_addc(&all, '\n');
		assert_int_equal(all.len, rest.len * 2);
		assert_memory_equal(all.data, all.data + rest.len, rest.len);
		assert_int_equal(c.origin[i].source, CONF_FILE);
		buf_release(&all);
	}
	assert_true(c.n_pools > 0 && c.n_queues > 0 && c.n_routes > 0 && c.n_tasks > 0);
	conf_release(&c);
	conf_release(&plain);
	buf_release(&open);
	buf_release(&sample);
}

static void
sample_as_it_is_changes_nothing(void **state)
{
	struct buf sample;
	struct conf c;
	size_t i;

	(void)state;
	read_sample(&sample);
	assert_int_equal(conf_init(&c), E_OK);
	load_text(&c, buf_span(&sample));
	for (i = 0; i < CONF_OPTIONS; i++)
		assert_int_equal(c.origin[i].source, CONF_DEFAULT);
	assert_int_equal(c.n_pools, 0);
	conf_release(&c);
	buf_release(&sample);
}

static int
make_path(void **state)
{
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "/tmp/warren-sample-XXXXXX");
	fd = mkstemp(path);
	return fd < 0 || close(fd) != 0;
}

static int
drop_path(void **state)
{
	(void)state;
	return unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sample_is_what_the_table_says),
		cmocka_unit_test(every_line_works_when_uncommented),
		cmocka_unit_test(sample_as_it_is_changes_nothing),
	};

	return cmocka_run_group_tests(tests, make_path, drop_path);
}
