/* Redis URLs: the forms that Celery takes, and what is wrong with others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "store/target.h"

static const struct stream_tls_conf no_tls;

static void
the_forms_that_celery_takes(void **state)
{
	static const struct {
		const char *url, *safe, *host, *path;
		int port;
		int64_t db;
		bool is_tls;
	} rows[] = {
		{ "redis://", "redis://", "localhost", NULL, 6379, 0, false },
		{ "redis://h", "redis://h", "h", NULL, 6379, 0, false },
		{ "redis://h:7000/3", "redis://h:7000/3", "h", NULL, 7000, 3, false },
		{ "redis://:secret@h/", "redis://:**@h/", "h", NULL, 6379, 0, false },
		{ "redis://h?db=2", "redis://h?db=2", "h", NULL, 6379, 2, false },
		{ "rediss://[::1]:7001/1", "rediss://[::1]:7001/1", "::1", NULL, 7001, 1, true },
		{ "unix:///run/r.sock?db=4", "unix:///run/r.sock?db=4", NULL, "/run/r.sock", 0, 4, false },
		{ "redis+socket:///run/r.sock?virtual_host=5", "redis+socket:///run/r.sock?virtual_host=5",
			NULL, "/run/r.sock", 0, 5, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rds_target g;
		struct errtext t = { "" };

		if (rds_target_init(&g, rows[i].url, &no_tls, &t) != E_OK)
			fail_msg("%s: %s", rows[i].url, t.text);
		assert_string_equal(g.safe, rows[i].safe);
		if (rows[i].host)
			assert_string_equal(g.host, rows[i].host);
		if (rows[i].path)
			assert_string_equal(g.path, rows[i].path);
		else
			assert_null(g.path);
		assert_int_equal(g.port, rows[i].port);
		assert_int_equal(g.db, rows[i].db);
		assert_int_equal(g.is_tls, rows[i].is_tls);
		rds_target_release(&g);
	}
}

static void
the_urls_tls_settings_win(void **state)
{
	const struct stream_tls_conf conf = {
		.ca_file = "/conf/ca", .cert_file = "/conf/cert", .no_verify = true
	};
	struct rds_target g;

	(void)state;
	assert_int_equal(
		rds_target_init(&g,
			"rediss://h?ssl_ca_certs=/url/ca&ssl_cert_reqs=CERT_REQUIRED&ssl_keyfile=/url/key",
			&conf, NULL),
		E_OK);
	assert_string_equal(g.tls.ca_file, "/url/ca");
	assert_string_equal(g.tls.cert_file, "/conf/cert");
	assert_string_equal(g.tls.key_file, "/url/key");
	assert_false(g.tls.no_verify);
	rds_target_release(&g);
	assert_int_equal(rds_target_init(&g, "rediss://h?ssl_cert_reqs=none", &no_tls, NULL), E_OK);
	assert_true(g.tls.no_verify);
	rds_target_release(&g);
}

static void
what_is_wrong_is_said_without_the_password(void **state)
{
	static const struct {
		const char *url, *words;
	} rows[] = {
		{ "amqp://u:secret@h//", "must begin with redis://" },
		{ "redis://u:secret@h/zero",
			"\"zero\" in redis://u:**@h/zero is no number of a Redis database" },
		{ "redis://u:secret@h?db=-1", "is no number" },
		{ "unix://", "names no socket" },
		{ "rediss://u:secret@h?ssl_cert_reqs=maybe", "ssl_cert_reqs=maybe" },
		{ "nonsense", "scheme" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rds_target g;
		struct errtext t = { "" };
		enum err e = rds_target_init(&g, rows[i].url, &no_tls, &t);

		assert_true(e == E_CONF || e == E_FORMAT);
		if (!strstr(t.text, rows[i].words))
			fail_msg("%s: %s", rows[i].url, t.text);
		assert_null(strstr(t.text, "secret"));
	}
}

static void
without_memory_nothing_is_left(void **state)
{
	struct rds_target g;
	uint64_t before = alloc_count(), n;

	(void)state;
	assert_int_equal(rds_target_init(&g, "redis://u:p@h/3", &no_tls, NULL), E_OK);
	n = alloc_count() - before;
	rds_target_release(&g);
	for (uint64_t i = 1; i <= n; i++) {
		enum err e;

		alloc_fail_after(i);
		e = rds_target_init(&g, "redis://u:p@h/3", &no_tls, NULL);
		alloc_fail_after(0);
		/* The optional keys of the query are all that may be missed. */
		if (e == E_OK)
			rds_target_release(&g);
		else
			assert_int_equal(e, E_NOMEM);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_forms_that_celery_takes),
		cmocka_unit_test(the_urls_tls_settings_win),
		cmocka_unit_test(what_is_wrong_is_said_without_the_password),
		cmocka_unit_test(without_memory_nothing_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
