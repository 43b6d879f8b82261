#include "core/route.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
expect(const struct routes *r, const char *name, const char *exchange, const char *key, const char *queue,
	int priority)
{
	struct route_target t = routes_find(r, span_of(name));

	assert_true(span_is(t.exchange, exchange));
	assert_true(span_is(t.routing_key, key));
	if (queue == NULL)
		assert_null(t.queue.ptr);
	else
		assert_true(span_is(t.queue, queue));
	assert_int_equal(t.priority, priority);
}

static void
first_rule_that_fits_decides(void **state)
{
	static const struct route rules[] = {
		{ "scrape.special", "slow", NULL, NULL, 7, 1, false },
		{ "scrape.*", "scraping", NULL, NULL, -1, 0, false },
		{ "/^doc(ument)?s\\.(de|fr)$/", "processing", NULL, NULL, -1, 0, false },
		{ "audit.*", NULL, "events", "order.audit", -1, 0, false },
		{ "fan.*", NULL, "all", NULL, -1, 0, false },
		{ "both.*", "q", "x", NULL, -1, 0, false },
	};
	struct errtext t;
	struct routes *r;

	(void)state;
	assert_int_equal(routes_new(&r, rules, ARRAY_LEN(rules), "celery", &t), E_OK);
	expect(r, "scrape.special", "", "slow", "slow", 7);
	expect(r, "scrape.page", "", "scraping", "scraping", -1);
	expect(r, "docs.de", "", "processing", "processing", -1);
	expect(r, "documents.fr", "", "processing", "processing", -1);
	expect(r, "documents.fr.more", "", "celery", "celery", -1);
	expect(r, "audit.x", "events", "order.audit", NULL, -1);
	expect(r, "fan.out", "all", "", NULL, -1);
	expect(r, "both.a", "x", "q", "q", -1);
	expect(r, "other", "", "celery", "celery", -1);
	assert_int_equal(routes_find(r, SPAN("scrape.special")).delivery_mode, 1);
	assert_int_equal(routes_find(r, SPAN("scrape.page")).delivery_mode, 0);
	assert_int_equal(routes_find(r, SPAN("other")).delivery_mode, 0);
	expect(r, "", "", "celery", "celery", -1);
	routes_free(r);
}

static void
name_need_not_be_terminated(void **state)
{
	static const struct route rules[] = { { "/^abc$/", "q", NULL, NULL, -1, 0, false } };
	struct routes *r;

	(void)state;
	assert_int_equal(routes_new(&r, rules, 1, "celery", NULL), E_OK);
	assert_true(span_is(routes_find(r, (struct span){ "abcdef", 3 }).queue, "q"));
	routes_free(r);
}

static void
wrong_rules_are_named(void **state)
{
	static const struct route bad[] = {
		{ "/(/", "q", NULL, NULL, -1, 0, false },
		{ "a.*", NULL, NULL, NULL, -1, 0, false },
		{ "a.*", "", "", NULL, -1, 0, false },
		{ "a.*", "q", NULL, NULL, 300, 0, false },
		{ "", "q", NULL, NULL, -1, 0, false },
	};
	static const char *const words[] = { "'/(/'", "queue or an exchange", "queue or an exchange", "300",
		"empty" };
	struct errtext t;
	struct routes *r;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(routes_new(&r, &bad[i], 1, "celery", &t), E_CONF);
		assert_null(r);
		assert_non_null(strstr(t.text, words[i]));
	}
	assert_int_equal(routes_new(&r, NULL, 0, "", &t), E_CONF);
}

static void
rules_are_copied(void **state)
{
	char pattern[] = "a.*", queue[] = "q1";
	struct route rule = { pattern, queue, NULL, NULL, -1, 0, false };
	struct routes *r;

	(void)state;
	assert_int_equal(routes_new(&r, &rule, 1, "celery", NULL), E_OK);
	memset(pattern, 'x', 3);
	memset(queue, 'x', 2);
	assert_true(span_is(routes_find(r, SPAN("a.b")).queue, "q1"));
	routes_free(r);
}

static void
survives_an_empty_heap(void **state)
{
	static const struct route rules[] = { { "a.*", "q", "x", "k", 1, 0, false },
		{ "/^b/", "q", NULL, NULL, -1, 0, false } };
	struct routes *r;
	uint64_t n;
	enum err e = E_NOMEM;

	(void)state;
	for (n = 1; e != E_OK; n++) {
		assert_true(n < 100);
		alloc_fail_after(n);
		e = routes_new(&r, rules, ARRAY_LEN(rules), "celery", NULL);
		alloc_fail_after(0);
		assert_true(e == E_OK || e == E_NOMEM);
	}
	assert_true(n > 2);
	routes_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_rule_that_fits_decides),
		cmocka_unit_test(name_need_not_be_terminated),
		cmocka_unit_test(wrong_rules_are_named),
		cmocka_unit_test(rules_are_copied),
		cmocka_unit_test(survives_an_empty_heap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
