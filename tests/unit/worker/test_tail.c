#include "worker/tail.h"

#include "lib/t.h"

static void
lines_come_back_in_order(void **state)
{
	struct tail *t = *state;
	struct buf b;

	buf_init(&b, 0);
	tail_read(t, &b);
	assert_int_equal(b.len, 0);
	tail_add_line(t, SPAN("one"));
	tail_add_line(t, SPAN("two"));
	tail_read(t, &b);
	assert_buf(&b, "one\ntwo\n");
	tail_reset(t);
	tail_add_line(t, SPAN("three"));
	tail_read(t, &b);
	assert_buf(&b, "three\n");
	buf_release(&b);
}

/* Whatever the lengths, it is the end of all that was written. */
static void
old_lines_are_pushed_out(void **state)
{
	static const size_t lengths[] = { 1, 7, 100, 1000, 2047, 4094, 4095, 4096, 4097, 9000 };
	struct tail *t = *state;
	struct buf all, end;
	char line[9000];

	buf_init(&all, 0);
	buf_init(&end, 0);
	for (size_t k = 0; k < ARRAY_LEN(lengths); k++) {
		tail_reset(t);
		buf_reset(&all);
		for (int i = 0; i < 60; i++) {
			size_t want;

			memset(line, 'a' + i % 26, lengths[k]);
			tail_add_line(t, (struct span){ line, lengths[k] });
			buf_add(&all, (struct span){ line, lengths[k] });
			buf_addc(&all, '\n');
			buf_reset(&end);
			tail_read(t, &end);
			want = all.len < TAIL_MAX ? all.len : TAIL_MAX;
			assert_int_equal(end.len, want);
			assert_memory_equal(end.data, all.data + all.len - want, want);
		}
	}
	buf_release(&all);
	buf_release(&end);
}

static int
setup(void **state)
{
	static struct tail t;

	tail_reset(&t);
	*state = &t;
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(lines_come_back_in_order, setup),
		cmocka_unit_test_setup(old_lines_are_pushed_out, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
