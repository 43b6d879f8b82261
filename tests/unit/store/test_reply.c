/* Replies in pieces of any size, hostile ones, and what errors mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "store/reply.h"

static void
add_reply(struct buf *b, const struct rds_reply *r)
{
	switch (r->type) {
	case RDS_NIL:
		buf_adds(b, "nil");
		break;
	case RDS_STATUS:
		buf_addf(b, "+%.*s", SPAN_FMT(r->str));
		break;
	case RDS_ERROR:
		buf_addf(b, "-%.*s", SPAN_FMT(r->str));
		break;
	case RDS_INTEGER:
		buf_addf(b, "%lld", (long long)r->integer);
		break;
	case RDS_STRING:
		buf_addf(b, "\"%.*s\"", SPAN_FMT(r->str));
		break;
	case RDS_ARRAY:
		buf_addc(b, '[');
		for (size_t i = 0; i < r->n_items; i++) {
			if (i)
				buf_addc(b, ' ');
			add_reply(b, &r->items[i]);
		}
		buf_addc(b, ']');
	}
}

/* All replies in the text, fed in pieces of `step` bytes. */
static void
read_all(struct span text, size_t step, struct buf *out)
{
	struct rds_parser p;
	struct rds_reply *r;
	enum err e;

	assert_int_equal(rds_parser_init(&p, 1 << 20), E_OK);
	for (size_t i = 0; i < text.len; i += step) {
		size_t n = text.len - i < step ? text.len - i : step;

		assert_int_equal(rds_parser_feed(&p, (struct span){ text.ptr + i, n }), E_OK);
		while ((e = rds_parser_next(&p, &r, NULL)) == E_OK) {
			add_reply(out, r);
			buf_addc(out, '\n');
			rds_reply_release(r);
		}
		assert_int_equal(e, E_AGAIN);
	}
	rds_parser_release(&p);
}

static void
replies_are_the_same_in_pieces_of_any_size(void **state)
{
	const struct span text = SPAN("+OK\r\n:-42\r\n$-1\r\n$5\r\nhe\r\nl\r\n-ERR no\r\n*0\r\n*-1\r\n"
				      "*3\r\n$7\r\nmessage\r\n*2\r\n:1\r\n*1\r\n$0\r\n\r\n$-1\r\n:7\r\n");
	const char *expected =
		"+OK\n-42\nnil\n\"he\r\nl\"\n-ERR no\n[]\nnil\n[\"message\" [1 [\"\"]] nil]\n7\n";
	struct buf out = { 0 };

	(void)state;
	for (size_t step = 1; step <= text.len; step++) {
		buf_reset(&out);
		read_all(text, step, &out);
		assert_string_equal(buf_text(&out), expected);
	}
	buf_release(&out);
}

static void
expect(const char *text, enum err e)
{
	struct rds_parser p;
	struct rds_reply *r;
	struct errtext t;

	assert_int_equal(rds_parser_init(&p, 1000), E_OK);
	assert_int_equal(rds_parser_feed(&p, span_of(text)), E_OK);
	assert_int_equal(rds_parser_next(&p, &r, &t), e);
	assert_null(r);
	rds_parser_release(&p);
}

static void
what_is_no_reply_is_refused(void **state)
{
	(void)state;
	expect("HTTP/1.1 400 Bad Request\r\n\r\n", E_FORMAT);
	expect("*2000000\r\n", E_FORMAT);
	expect("*99999999999999999999\r\n", E_FORMAT);
	expect("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", E_FORMAT);
	/* Half-read ones are freed with the parser. */
	expect("*3\r\n$3\r\nabc\r\n*2\r\n$3\r\nabc\r\n", E_AGAIN);
	expect("$100\r\nabc", E_AGAIN);
}

static void
waiting_bytes_are_bounded(void **state)
{
	struct rds_parser p;
	struct rds_reply *r;

	(void)state;
	assert_int_equal(rds_parser_init(&p, 20), E_OK);
	assert_int_equal(rds_parser_feed(&p, SPAN("$1000\r\nabc")), E_OK);
	assert_int_equal(rds_parser_next(&p, &r, NULL), E_AGAIN);
	/* The type is read already; what is counted is what waits. */
	assert_int_equal(rds_parser_feed(&p, SPAN("0123456789a")), E_OK);
	assert_int_equal(rds_parser_feed(&p, SPAN("x")), E_TOOBIG);
	rds_parser_release(&p);
	/* Many small ones may pass. */
	assert_int_equal(rds_parser_init(&p, 20), E_OK);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(rds_parser_feed(&p, SPAN("$5\r\n12345\r\n")), E_OK);
		assert_int_equal(rds_parser_next(&p, &r, NULL), E_OK);
		rds_reply_release(r);
	}
	rds_parser_release(&p);
}

static void
without_memory_the_parser_gives_up_cleanly(void **state)
{
	const struct span text = SPAN("*3\r\n$3\r\nabc\r\n*2\r\n:1\r\n$3\r\ndef\r\n+OK\r\n");

	(void)state;
	for (uint64_t i = 1; i <= 5; i++) {
		struct rds_parser p;
		struct rds_reply *r;

		assert_int_equal(rds_parser_init(&p, 1000), E_OK);
		assert_int_equal(rds_parser_feed(&p, text), E_OK);
		alloc_fail_after(i);
		assert_int_equal(rds_parser_next(&p, &r, NULL), E_FORMAT);
		alloc_fail_after(0);
		rds_parser_release(&p);
	}
}

static void
a_command_is_written_in_redis_form(void **state)
{
	const struct span argv[] = { SPAN("SET"), SPAN("k\r\n"), SPAN("") };
	struct buf b = { 0 };

	(void)state;
	rds_add_command(&b, argv, 3);
	assert_string_equal(buf_text(&b), "*3\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n$0\r\n\r\n");
	buf_release(&b);
}

static void
errors_are_told_apart_by_their_first_word(void **state)
{
	static const struct {
		const char *text;
		enum rds_trouble trouble;
	} rows[] = {
		{ "OOM command not allowed when used memory > 'maxmemory'.", RDS_RETRY },
		{ "LOADING Redis is loading the dataset in memory", RDS_RETRY },
		{ "MISCONF Redis is configured to save RDB snapshots", RDS_RETRY },
		{ "BUSY Redis is busy running a script.", RDS_RETRY },
		{ "BUSYGROUP Consumer Group name already exists", RDS_BUG },
		{ "TRYAGAIN Multiple keys request during rehashing of slot", RDS_RETRY },
		{ "ERR max number of clients reached", RDS_RETRY },
		{ "READONLY You can't write against a read only replica.", RDS_RECONNECT },
		{ "MOVED 3999 127.0.0.1:6381", RDS_RECONNECT },
		{ "CLUSTERDOWN Hash slot not served", RDS_RECONNECT },
		{ "MASTERDOWN Link with MASTER is down", RDS_RECONNECT },
		{ "NOAUTH Authentication required.", RDS_FATAL },
		{ "WRONGPASS invalid username-password pair", RDS_FATAL },
		{ "NOPERM this user has no permissions", RDS_FATAL },
		{ "WRONGTYPE Operation against a key", RDS_BUG },
		{ "ERR unknown command", RDS_BUG },
		{ "", RDS_BUG },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct rds_reply r = { .type = RDS_ERROR, .str = span_of(rows[i].text) };

		assert_int_equal(rds_trouble(&r), rows[i].trouble);
		assert_int_equal(
			rds_will_pass(&r), rows[i].trouble == RDS_RETRY || rows[i].trouble == RDS_RECONNECT);
	}
	assert_int_equal(rds_trouble(&(struct rds_reply){ .type = RDS_STRING, .str = SPAN("OOM") }), RDS_FINE);
}

static void
an_error_does_not_name_the_script_it_came_from(void **state)
{
	static const char sha[] = "6b1bf486c81ceb7edf3c093f4a48582e38c0e791";
	static const char *const kept[] = {
		"READONLY You can't write against a read only replica.",
		"ERR no script: it is gone, on @user_script:1.",
		"NOSCRIPT No matching script. Please use EVAL.",
		" script: ",
	};
	char text[300];
	struct buf out;

	(void)state;
	buf_init(&out, 0);
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		for (int named = 0; named < 2; named++) {
			snprintf(text, sizeof(text), "-%s%s%s%s\r\n", kept[i], named ? " script: " : "",
				named ? sha : "", named ? ", on @user_script:1." : "");
			buf_reset(&out);
			read_all(span_of(text), 7, &out);
			snprintf(text, sizeof(text), "-%s\n", kept[i]);
			assert_string_equal(buf_text(&out), text);
		}
	/* What is no error is left as it is. */
	snprintf(text, sizeof(text), "+fine script: %s, on @user_script:1.\r\n", sha);
	buf_reset(&out);
	read_all(span_of(text), 7, &out);
	assert_non_null(strstr(buf_text(&out), sha));
	buf_release(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies_are_the_same_in_pieces_of_any_size),
		cmocka_unit_test(what_is_no_reply_is_refused),
		cmocka_unit_test(waiting_bytes_are_bounded),
		cmocka_unit_test(without_memory_the_parser_gives_up_cleanly),
		cmocka_unit_test(a_command_is_written_in_redis_form),
		cmocka_unit_test(errors_are_told_apart_by_their_first_word),
		cmocka_unit_test(an_error_does_not_name_the_script_it_came_from),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
