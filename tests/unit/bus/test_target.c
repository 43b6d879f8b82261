/* bus/target: what a broker's URL says, and what is told about a wrong one. */
#include "bus/target.h"

#include "lib/torture.h"

static const struct stream_tls_conf no_tls;

static void
defaults_are_those_of_celery(void **state UNUSED)
{
	static const struct {
		const char *url, *host, *user, *password, *vhost;
		int port;
	} cases[] = {
		{ "amqp://", "localhost", "guest", "guest", "/", 5672 },
		{ "amqp://h", "h", "guest", "guest", "/", 5672 },
		{ "amqp://h/", "h", "guest", "guest", "/", 5672 },
		{ "amqp://h//", "h", "guest", "guest", "/", 5672 },
		{ "amqp://h/%2f", "h", "guest", "guest", "/", 5672 },
		{ "amqp://u:p%40@h:99/shop", "h", "u", "p@", "shop", 99 },
		{ "pyamqp://u@h/a%2Fb", "h", "u", "", "a/b", 5672 },
		{ "amqp://[::1]:7/x", "::1", "guest", "guest", "x", 7 },
	};
	struct bus_target t;
	struct errtext e;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_ok(bus_target_init(&t, cases[i].url, &no_tls, &e));
		assert_string_equal(t.host, cases[i].host);
		assert_string_equal(t.user, cases[i].user);
		assert_string_equal(t.password, cases[i].password);
		assert_string_equal(t.vhost, cases[i].vhost);
		assert_int_equal(t.port, cases[i].port);
		assert_null(t.tls);
		assert_int_equal(t.heartbeat_s, -1);
		bus_target_release(&t);
	}
}

static void
query_settings_are_read(void **state UNUSED)
{
	struct bus_target t;
	struct errtext e;

	assert_ok(bus_target_init(&t, "amqp://h/v?heartbeat=7", &no_tls, &e));
	assert_int_equal(t.heartbeat_s, 7);
	bus_target_release(&t);
	assert_ok(bus_target_init(&t, "amqps://h/v?verify=verify_none", &no_tls, &e));
	assert_int_equal(t.port, 5671);
	assert_non_null(t.tls);
	assert_false(t.external);
	bus_target_release(&t);
}

static void
a_wrong_url_is_named_without_its_password(void **state UNUSED)
{
	static const struct {
		const char *url, *names;
	} cases[] = {
		{ "redis://u:s3cret@h", "amqp://" },
		{ "amqp://u:s3cret@h/v?heartbeat=0", "heartbeat=0" },
		{ "amqp://u:s3cret@h/v?heartbeat=soon", "heartbeat=soon" },
		{ "amqp://u:s3cret@h/v?hartbeat=3", "hartbeat" },
		{ "amqps://u:s3cret@h/v?verify=maybe", "verify=maybe" },
		{ "amqps://u:s3cret@h/v?cacertfile=/nowhere/ca.pem", "/nowhere/ca.pem" },
	};
	struct bus_target t;
	struct errtext e;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(bus_target_init(&t, cases[i].url, &no_tls, &e), E_CONF);
		assert_non_null(strstr(e.text, cases[i].names));
		assert_null(strstr(e.text, "s3cret"));
	}
}

static enum err
parse(void *arg UNUSED)
{
	struct bus_target t;
	enum err e = bus_target_init(&t, "amqp://u:p@h:1/v?heartbeat=7", &no_tls, NULL);

	if (e == E_OK)
		bus_target_release(&t);
	return e;
}

static void
no_memory_is_an_error(void **state UNUSED)
{
	torture(parse, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_those_of_celery),
		cmocka_unit_test(query_settings_are_read),
		cmocka_unit_test(a_wrong_url_is_named_without_its_password),
		cmocka_unit_test(no_memory_is_an_error),
	};

	return cmocka_run_group_tests_name("bus/target", tests, NULL, NULL);
}
