#include "base/list.h"

#include "lib/t.h"

struct thing {
	int n;
	struct list link;
};

static void
keeps_the_order(void **state UNUSED)
{
	struct thing a = { .n = 1 }, b = { .n = 2 }, c = { .n = 3 };
	struct list head, *it;

	list_init(&head);
	assert_true(list_is_empty(&head));
	assert_null(list_pop(&head));
	list_push(&head, &b.link);
	list_push(&head, &c.link);
	list_push_front(&head, &a.link);
	assert_int_equal(list_count(&head), 3);
	for (int n = 1; n <= 3; n++) {
		it = list_pop(&head);
		assert_int_equal(container_of(it, struct thing, link)->n, n);
		assert_false(list_is_linked(it));
	}
	assert_true(list_is_empty(&head));
}

static void
the_current_item_may_be_taken_out(void **state UNUSED)
{
	struct thing things[5] = { 0 };
	struct list head, *it, *next;
	int seen = 0;

	list_init(&head);
	for (int i = 0; i < 5; i++) {
		things[i].n = i;
		list_push(&head, &things[i].link);
	}
	LIST_EACH (&head, it, next) {
		assert_int_equal(container_of(it, struct thing, link)->n, seen);
		if (seen++ % 2 == 0)
			list_unlink(it);
	}
	assert_int_equal(seen, 5);
	assert_int_equal(list_count(&head), 2);
	assert_false(list_is_linked(&things[0].link));
	assert_true(list_is_linked(&things[1].link));
	list_unlink(&things[0].link); /* twice does no harm */
	list_push(&head, &things[0].link);
	assert_int_equal(list_count(&head), 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_the_order),
		cmocka_unit_test(the_current_item_may_be_taken_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
