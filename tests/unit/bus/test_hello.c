/* bus/hello: the handshake as the broker sees it, and what is said when it fails. */
#include "bus/conn.h"

#include "unit/bus/fixture.h"

#include "bus/codec.h"

static bool
table_has(const amqp_table_t *t, const char *key, const char *text)
{
	for (int i = 0; i < t->num_entries; i++)
		if (span_is(span_of_amqp(t->entries[i].key), key))
			return t->entries[i].value.kind == AMQP_FIELD_KIND_UTF8
				? span_is(span_of_amqp(t->entries[i].value.value.bytes), text)
				: text == NULL && t->entries[i].value.value.boolean;
	return false;
}

static void
it_presents_itself(void **state UNUSED)
{
	static const char *const caps[] = { "publisher_confirms", "exchange_exchange_bindings", "basic.nack",
		"consumer_cancel_notify", "connection.blocked", "authentication_failure_close" };
	const amqp_connection_start_ok_t *start;
	const amqp_connection_tune_ok_t *tune;
	const amqp_table_t *props;
	struct fx x;

	fx_open(&x, &(struct bus_conf){ .name = "w1@host consume", .heartbeat_s = 20 });
	start = fake_expect(x.fake, AMQP_CONNECTION_START_OK_METHOD)->args;
	props = &start->client_properties;
	assert_span(span_of_amqp(start->mechanism), "PLAIN");
	assert_int_equal(start->response.len, 13);
	assert_memory_equal(start->response.bytes, "\0alice\0s3cret", 13);
	assert_true(table_has(props, "product", "warren"));
	assert_true(table_has(props, "connection_name", "w1@host consume"));
	assert_span(span_of_amqp(props->entries[props->num_entries - 1].key), "capabilities");
	for (size_t i = 0; i < ARRAY_LEN(caps); i++)
		assert_true(
			table_has(&props->entries[props->num_entries - 1].value.value.table, caps[i], NULL));
	tune = fake_expect(x.fake, AMQP_CONNECTION_TUNE_OK_METHOD)->args;
	assert_int_equal(tune->heartbeat, 20);
	assert_int_equal(tune->frame_max, 131072);
	assert_int_equal(tune->channel_max, 2047);
	assert_span(
		span_of_amqp(((amqp_connection_open_t *)fake_expect(x.fake, AMQP_CONNECTION_OPEN_METHOD)->args)
				     ->virtual_host),
		"shop");
	assert_string_equal(bus_conn_server_version(x.conn), "1.2.3");
	/* Some other broker. */
	assert_false(bus_conn_server_has(x.conn, 1, 0));
	assert_int_equal(bus_conn_epoch(x.conn), 1);
	assert_int_equal(x.ups, 1);
	fx_release(&x);
}

static void
tune_takes_the_lower_and_zero_is_no_limit(void **state UNUSED)
{
	static const struct {
		uint16_t channels;
		uint32_t frame;
		uint16_t beat;
		int want_channels, want_frame, want_beat;
	} cases[] = {
		{ 0, 0, 0, 2047, 131072, 30 },
		{ 10, 4096, 5, 10, 4096, 5 },
		{ 60000, 1 << 20, 600, 2047, 131072, 30 },
	};
	const amqp_connection_tune_ok_t *ok;
	struct fx x;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		fx_init(&x, NULL);
		fx_link(&x);
		fake_tune(x.fake, cases[i].channels, cases[i].frame, cases[i].beat);
		fake_until(x.fake, fx_is_up, &x);
		ok = fake_expect(x.fake, AMQP_CONNECTION_TUNE_OK_METHOD)->args;
		assert_int_equal(ok->channel_max, cases[i].want_channels);
		assert_int_equal(ok->frame_max, cases[i].want_frame);
		assert_int_equal(ok->heartbeat, cases[i].want_beat);
		fx_release(&x);
	}
}

static void
it_works_cut_after_every_byte(void **state UNUSED)
{
	struct fx x;

	for (size_t n = 1; n <= 8; n++) {
		fx_init(&x, NULL);
		fx_link(&x);
		fake_chop(x.fake, n);
		fake_until(x.fake, fx_is_up, &x);
		assert_int_equal(x.downs, 0);
		fx_release(&x);
	}
}

/* The broker answers start-ok, or open, with connection.close. */
static void
refuse(struct fx *x, uint32_t instead_of, int code, const char *text)
{
	fx_init(x, NULL);
	fx_link(x);
	fake_answer(x->fake, instead_of, false);
	(void)fake_expect(x->fake, instead_of);
	fake_close(x->fake, code, text);
	fake_until(x->fake, fx_is_down, x);
	(void)fake_expect(x->fake, AMQP_CONNECTION_CLOSE_OK_METHOD);
	fake_expect_eof(x->fake);
	assert_int_equal(x->ups, 0);
	assert_int_equal(x->down.code, code);
	assert_false(x->down.was_up);
	assert_null(strstr(x->down.url, "s3cret"));
	assert_non_null(strstr(x->down.url, "alice"));
}

static void
a_wrong_password_is_said_and_not_tried_hotly(void **state UNUSED)
{
	struct fx x;

	refuse(&x, AMQP_CONNECTION_START_OK_METHOD, 403,
		"ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.");
	assert_int_equal(x.down.err, E_REFUSED);
	assert_string_equal(x.down_text.text, "the broker refused user 'alice' (wrong name or password)");
	assert_true(x.down.retry_ms >= 5000);
	fx_release(&x);
}

static void
a_missing_vhost_is_said(void **state UNUSED)
{
	struct fx x;

	refuse(&x, AMQP_CONNECTION_OPEN_METHOD, 530, "NOT_ALLOWED - vhost shop not found");
	assert_int_equal(x.down.err, E_REFUSED);
	assert_string_equal(x.down_text.text,
		"user 'alice' cannot use virtual host 'shop': NOT_ALLOWED - vhost shop not found");
	assert_true(x.down.retry_ms >= 5000);
	fx_release(&x);
}

static void
hanging_up_on_the_login_is_explained(void **state UNUSED)
{
	struct fx x;

	fx_init(&x, NULL);
	fx_link(&x);
	fake_answer(x.fake, AMQP_CONNECTION_START_OK_METHOD, false);
	(void)fake_expect(x.fake, AMQP_CONNECTION_START_OK_METHOD);
	fake_free(x.fake);
	x.fake = NULL;
	for (int i = 0; i < 10 && x.downs == 0; i++)
		loop_turn(x.loop, 100);
	assert_int_equal(x.downs, 1);
	assert_non_null(strstr(x.down_text.text, "wrong name or password"));
	fx_release(&x);
}

static void
a_silent_broker_runs_into_the_deadline(void **state UNUSED)
{
	struct fx x;

	fx_stop_clock();
	fx_init(&x, &(struct bus_conf){ .connect_ms = 3000 });
	fx_link(&x);
	fake_answer(x.fake, 0, false);
	fx_pass(&x, 2950);
	assert_int_equal(x.downs, 0);
	fx_pass(&x, 50);
	assert_int_equal(x.downs, 1);
	assert_int_equal(x.down.err, E_TIMEOUT);
	assert_non_null(strstr(x.down_text.text, "3.0 seconds"));
	fx_release(&x);
}

static void
what_is_no_amqp_broker_is_recognised(void **state UNUSED)
{
	static const struct {
		struct span bytes;
		const char *names;
	} cases[] = {
		{ { "HTTP/1.1 400 Bad Request\r\n\r\n", 28 }, "not an AMQP broker" },
		{ { "AMQP\0\1\0\0", 8 }, "does not speak AMQP 0-9-1" },
		{ { "\x01\0\0\xff\xff\xff\xff\0", 8 }, "bytes" },
	};
	struct fx x;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		fx_init(&x, NULL);
		fx_link(&x);
		fake_answer(x.fake, 0, false);
		fake_send_raw(x.fake, cases[i].bytes);
		fake_until(x.fake, fx_is_down, &x);
		assert_non_null(strstr(x.down_text.text, cases[i].names));
		/* Nothing is said to it but the protocol header. */
		fake_expect_eof(x.fake);
		assert_null(fake_take(x.fake, AMQP_CONNECTION_CLOSE_METHOD));
		fx_release(&x);
	}
}

static void
handshake_methods_out_of_order_are_a_fault(void **state UNUSED)
{
	amqp_connection_tune_t tune = { 1, 131072, 60 };
	struct fx x;

	fx_init(&x, NULL);
	fx_link(&x);
	fake_answer(x.fake, AMQP_CONNECTION_START_METHOD, false);
	fake_send(x.fake, 0, AMQP_CONNECTION_TUNE_METHOD, &tune);
	fake_until(x.fake, fx_is_down, &x);
	assert_int_equal(x.down.code, 503);
	assert_int_equal(
		((amqp_connection_close_t *)fake_expect(x.fake, AMQP_CONNECTION_CLOSE_METHOD)->args)->reply_code,
		503);
	fx_release(&x);
}

static void
tiny_frames_are_refused(void **state UNUSED)
{
	struct fx x;

	fx_init(&x, NULL);
	fx_link(&x);
	fake_tune(x.fake, 10, 100, 60);
	fake_until(x.fake, fx_is_down, &x);
	assert_non_null(strstr(x.down_text.text, "at most 100 bytes"));
	fx_release(&x);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_presents_itself),
		cmocka_unit_test(tune_takes_the_lower_and_zero_is_no_limit),
		cmocka_unit_test(it_works_cut_after_every_byte),
		cmocka_unit_test(a_wrong_password_is_said_and_not_tried_hotly),
		cmocka_unit_test(a_missing_vhost_is_said),
		cmocka_unit_test(hanging_up_on_the_login_is_explained),
		cmocka_unit_test(a_silent_broker_runs_into_the_deadline),
		cmocka_unit_test(what_is_no_amqp_broker_is_recognised),
		cmocka_unit_test(handshake_methods_out_of_order_are_a_fault),
		cmocka_unit_test(tiny_frames_are_refused),
	};

	return cmocka_run_group_tests_name("bus/hello", tests, NULL, NULL);
}
