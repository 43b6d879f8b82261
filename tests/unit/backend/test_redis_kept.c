/* Sets with times: what is sent, what comes back, and a Redis that is away. */
#include "fixture.h"

#include "base/alloc.h"

struct heard {
	int calls;
	enum err err;
	size_t n;
	char texts[4][32];
	us_t whens[4];
	char why[128];
};

static void
on_kept(void *owner, enum err e, const struct backend_kept *items, size_t n, const char *why)
{
	struct heard *h = owner;

	h->calls++;
	h->err = e;
	h->n = n;
	for (size_t i = 0; i < n && i < 4; i++) {
		snprintf(h->texts[i], sizeof(h->texts[i]), "%.*s", SPAN_FMT(items[i].text));
		h->whens[i] = items[i].when;
	}
	snprintf(h->why, sizeof(h->why), "%s", why);
}

static const struct backend_kept two[] = { { SPAN("U1"), 5000000 }, { SPAN("U 2"), 7000999 } };

static void
texts_go_in_with_their_times(void **state)
{
	struct heard h = { 0 };
	struct world w;

	world_open(&w, *state, (struct backend_conf){ .key_prefix = "p" });
	assert_int_equal(backend_keep(w.b, "revoked", two, 2, 4000000, 3, on_kept, &h), E_OK);
	assert_int_equal(h.calls, 0);
	fake_command(&w.f, "ZADD p_warren:revoked 5000 U1 7000 U 2");
	fake_command(&w.f, "ZREMRANGEBYSCORE p_warren:revoked -inf (4000");
	fake_command(&w.f, "ZREMRANGEBYRANK p_warren:revoked 0 -4");
	fake_command(&w.f, "PEXPIRE p_warren:revoked 2678400000");
	fake_say(&w.f, ":2\r\n:0\r\n-ERR never mind\r\n:1\r\n");
	TURN_UNTIL(w.f.l, h.calls == 1);
	assert_int_equal(h.err, E_OK);
	assert_int_equal(h.n, 0);
	world_close(&w);
}

static void
they_come_back_oldest_first(void **state)
{
	struct heard h = { 0 };
	struct world w;

	world_open(&w, *state, (struct backend_conf){ 0 });
	assert_int_equal(backend_kept(w.b, "revoked", 4000000, 50, on_kept, &h), E_OK);
	fake_command(&w.f, "ZREVRANGEBYSCORE warren:revoked +inf 4000 WITHSCORES LIMIT 0 50");
	fake_say(&w.f, "*4\r\n$2\r\nU2\r\n$4\r\n7000\r\n$2\r\nU1\r\n$4\r\n5e+3\r\n");
	TURN_UNTIL(w.f.l, h.calls == 1);
	assert_int_equal(h.err, E_OK);
	assert_int_equal(h.n, 2);
	assert_string_equal(h.texts[0], "U1");
	assert_true(h.whens[0] == 5000000);
	assert_string_equal(h.texts[1], "U2");
	assert_int_equal(backend_kept(w.b, "revoked", 4000000, 50, on_kept, &h), E_OK);
	fake_say(&w.f, "*0\r\n");
	TURN_UNTIL(w.f.l, h.calls == 2);
	assert_int_equal(h.n, 0);
	world_close(&w);
}

static void
troubles_are_told(void **state)
{
	struct heard h = { 0 };
	struct world w;

	world_open(&w, *state, (struct backend_conf){ 0 });
	assert_int_equal(backend_kept(w.b, "revoked", 0, 50, on_kept, &h), E_OK);
	fake_say(&w.f, "-WRONGTYPE no\r\n");
	TURN_UNTIL(w.f.l, h.calls == 1);
	assert_int_equal(h.err, E_REFUSED);
	assert_string_equal(h.why, "WRONGTYPE no");
	assert_int_equal(backend_keep(w.b, "revoked", two, 1, 0, 50, on_kept, &h), E_OK);
	fake_drop(&w.f);
	TURN_UNTIL(w.f.l, h.calls == 2);
	assert_int_equal(h.err, E_CLOSED);
	assert_int_equal(backend_keep(w.b, "revoked", two, 1, 0, 50, on_kept, &h), E_CLOSED);
	assert_int_equal(h.calls, 2);
	world_close(&w);
}

static void
closing_is_silent(void **state)
{
	struct heard h = { 0 };
	struct world w;

	world_open(&w, *state, (struct backend_conf){ 0 });
	assert_int_equal(backend_kept(w.b, "revoked", 0, 50, on_kept, &h), E_OK);
	world_close(&w);
	assert_int_equal(h.calls, 0);
}

static void
on_loaded(void *owner, enum err e, const struct result *r, const char *why)
{
	(void)e, (void)r, (void)why;
	++*(int *)owner;
}

static void
a_cancelled_load_is_silent(void **state)
{
	int first = 0, second = 0;
	struct world w;

	world_open(&w, *state, (struct backend_conf){ 0 });
	assert_int_equal(backend_load(w.b, SPAN("U1"), on_loaded, &first), E_OK);
	assert_int_equal(backend_load(w.b, SPAN("U2"), on_loaded, &second), E_OK);
	backend_load_cancel(w.b, &first);
	fake_say(&w.f, "$-1\r\n$-1\r\n");
	TURN_UNTIL(w.f.l, second == 1);
	assert_int_equal(first, 0);
	world_close(&w);
}

static void
no_backend_keeps_nothing(void **state)
{
	struct backend *b;

	assert_int_equal(
		backend_open(&b, *state, &(struct backend_conf){ .url = "none" }, NULL, NULL, NULL), E_OK);
	assert_int_equal(backend_keep(b, "revoked", two, 1, 0, 50, on_kept, NULL), E_MISSING);
	assert_int_equal(backend_kept(b, "revoked", 0, 50, on_kept, NULL), E_MISSING);
	backend_load_cancel(b, NULL);
	backend_close(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LOOP_TEST(texts_go_in_with_their_times),
		LOOP_TEST(they_come_back_oldest_first),
		LOOP_TEST(troubles_are_told),
		LOOP_TEST(closing_is_silent),
		LOOP_TEST(a_cancelled_load_is_silent),
		LOOP_TEST(no_backend_keeps_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
