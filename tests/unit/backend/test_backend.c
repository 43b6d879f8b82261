/* Which URL gives which kind, and the kind that stores nothing. */
#include "fake/fakeredis.h"

#include "backend/backend.h"
#include "base/alloc.h"

static enum err
open_url(struct backend **b, struct loop *l, const char *url, struct errtext *t)
{
	return backend_open(b, l, &(struct backend_conf){ .url = url }, NULL, NULL, t);
}

static void
no_backend_is_a_backend_too(void **state)
{
	const char *const urls[] = { NULL, "", "none", "disabled" };
	struct backend_store s = { 0 };
	struct backend_wait *w;
	struct backend *b;

	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		assert_int_equal(open_url(&b, *state, urls[i], NULL), E_OK);
		assert_true(backend_is_none(b));
		assert_true(backend_is_up(b));
		assert_string_equal(backend_url(b), "disabled");
		assert_int_equal(backend_pending(b), 0);
		assert_int_equal(
			backend_store(b, &s,
				&(struct result){ .task_id = SPAN("x"), .state = SPAN("SUCCESS") }, NULL),
			E_REFUSED);
		backend_store_cancel(&s);
		assert_int_equal(backend_load(b, SPAN("x"), NULL, NULL), E_REFUSED);
		assert_int_equal(backend_forget(b, SPAN("x"), NULL, NULL), E_REFUSED);
		assert_int_equal(backend_wait(&w, b, SPAN("x"), NULL, NULL), E_REFUSED);
		assert_null(w);
		backend_close(b);
	}
	backend_close(NULL);
}

static void
an_unknown_scheme_is_told_without_its_password(void **state)
{
	struct backend *b;
	struct errtext t;

	assert_int_equal(open_url(&b, *state, "mongodb://u:secret@h/db", &t), E_CONF);
	assert_null(b);
	assert_non_null(strstr(t.text, "mongodb"));
	assert_null(strstr(t.text, "secret"));
	assert_int_equal(open_url(&b, *state, "redis://u:secret@h/db", &t), E_CONF);
	assert_null(strstr(t.text, "secret"));
	assert_int_equal(
		backend_open(&b, *state, &(struct backend_conf){ .url = "redis://h", .result_expires_s = -1 },
			NULL, NULL, &t),
		E_CONF);
}

static void
redis_urls_open_a_redis_backend(void **state)
{
	const char *const urls[] = { "redis://:secret@127.0.0.1:1/2", "rediss://127.0.0.1:1",
		"unix:///no/sock", "redis+socket:///no/sock" };
	struct backend *b;

	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		assert_int_equal(open_url(&b, *state, urls[i], NULL), E_OK);
		assert_false(backend_is_none(b));
		assert_false(backend_is_up(b));
		assert_null(strstr(backend_url(b), "secret"));
		assert_int_equal(backend_load(b, SPAN("x"), NULL, NULL), E_CLOSED);
		backend_close(b);
		loop_turn(*state, 0);
	}
}

static void
without_memory_nothing_is_left(void **state)
{
	struct backend *b;
	uint64_t before = alloc_count(), n;

	assert_int_equal(open_url(&b, *state, "redis://h/1", NULL), E_OK);
	n = alloc_count() - before;
	backend_close(b);
	loop_turn(*state, 0);
	for (uint64_t i = 1; i <= n; i++) {
		enum err e;

		alloc_fail_after(i);
		e = open_url(&b, *state, "redis://h/1", NULL);
		alloc_fail_after(0);
		if (e == E_OK)
			backend_close(b);
		else
			assert_int_equal(e, E_NOMEM);
		loop_turn(*state, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LOOP_TEST(no_backend_is_a_backend_too),
		LOOP_TEST(an_unknown_scheme_is_told_without_its_password),
		LOOP_TEST(redis_urls_open_a_redis_backend),
		LOOP_TEST(without_memory_nothing_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
