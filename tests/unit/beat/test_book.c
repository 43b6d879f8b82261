/* The book: entries found by name, also after others have gone, and who owns what. */
#include "beat/book.h"

#include "base/alloc.h"

#include "lib/t.h"

static int made, freed;

static enum err
make(void *owner UNUSED, struct span name, struct span json, struct entry_conf **out, struct errtext *t)
{
	struct entry_conf *c;

	if (!span_starts(json, "{"))
		return err_set(t, E_CONF, "no object");
	c = must_alloc(sizeof(*c));
	*c = (struct entry_conf){ .name = must_dup(name),
		.task = "add",
		.every = span_is(json, "{bad}") ? 1 : 1000,
		.missed_max = 1,
		.priority = -1 };
	made++;
	*out = c;
	return E_OK;
}

static void
free_conf(void *owner UNUSED, struct entry_conf *c)
{
	alloc_free((char *)(uintptr_t)c->name);
	alloc_free(c);
	freed++;
}

static const struct entry_maker maker = { .make = make, .free = free_conf };

static void
entries_are_found_until_they_go(void **state UNUSED)
{
	struct entry_conf confs[40];
	struct errtext t;
	struct entry *e;
	struct book b;
	char names[40][8];

	book_init(&b, &maker);
	for (size_t i = 0; i < ARRAY_LEN(confs); i++) {
		snprintf(names[i], sizeof(names[i]), "e%zu", i);
		confs[i] = (struct entry_conf){
			.name = names[i], .task = "add", .every = 1000, .missed_max = 1, .priority = -1
		};
		assert_ok(book_add(&b, &confs[i], &e, &t));
	}
	for (size_t i = 0; i < ARRAY_LEN(confs); i += 2)
		book_remove(&b, book_find(&b, span_of(names[i])));
	assert_int_equal(b.n, 20);
	for (size_t i = 0; i < ARRAY_LEN(confs); i++) {
		e = book_find(&b, span_of(names[i]));
		assert_true((e != NULL) == (i % 2 == 1));
		assert_true(e == NULL || (e->conf == &confs[i] && b.entries[e->index] == e));
	}
	book_release(&b);
}

static void
entries_of_json_are_given_back(void **state UNUSED)
{
	struct errtext t;
	struct entry *e;
	struct book b;

	made = freed = 0;
	book_init(&b, &maker);
	assert_int_equal(book_make(&b, SPAN("x"), SPAN("nothing"), 5, &e, &t), E_CONF);
	/* Made, but no entry: at least 100 ms. */
	assert_int_equal(book_make(&b, SPAN("x"), SPAN("{bad}"), 5, &e, &t), E_CONF);
	assert_true(made == 1 && freed == 1);
	assert_ok(book_make(&b, SPAN("x"), SPAN("{}"), 5, &e, &t));
	assert_null(book_find(&b, SPAN("x")));
	book_put(&b, e);
	assert_ptr_equal(book_find(&b, SPAN("x")), e);
	assert_true(e->of_redis && e->since == 5 && e->digest == entry_digest(SPAN("{}")));
	book_remove(&b, e);
	assert_true(made == 2 && freed == 2);
	assert_ok(book_make(&b, SPAN("y"), SPAN("{}"), 6, &e, &t));
	book_put(&b, e);
	book_release(&b);
	assert_true(made == 3 && freed == 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_are_found_until_they_go),
		cmocka_unit_test(entries_of_json_are_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
