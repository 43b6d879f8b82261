#include "base/url.h"

#include "lib/torture.h"

static void
same(const char *got, const char *wanted, const char *text, const char *part)
{
	if ((!got && !wanted) || (got && wanted && strcmp(got, wanted) == 0))
		return;
	print_error("%s: %s is %s, not %s\n", text, part, got ? got : "absent", wanted ? wanted : "absent");
	fail();
}

static void
parts_are_taken_apart(void **state UNUSED)
{
	static const struct {
		const char *text;
		struct url u;
		const char *safe;
	} rows[] = {
		{ "amqp://guest:guest@localhost:5672//",
			{ "amqp", "guest", "guest", "localhost", 5672, "/", "/", NULL },
			"amqp://guest:**@localhost:5672//" },
		{ "amqp://h/%2f", { "amqp", NULL, NULL, "h", 0, "/", "%2f", NULL }, "amqp://h/%2f" },
		{ "amqp://h/", { "amqp", NULL, NULL, "h", 0, "", "", NULL }, "amqp://h/" },
		{ "amqp://h", { "amqp", NULL, NULL, "h", 0, NULL, NULL, NULL }, "amqp://h" },
		{ " AMQPS://h:5671\n", { "amqps", NULL, NULL, "h", 5671, NULL, NULL, NULL }, "amqps://h:5671" },
		{ "redis://:pw@h:6379/1", { "redis", NULL, "pw", "h", 6379, "1", "1", NULL },
			"redis://:**@h:6379/1" },
		{ "redis://u:@h", { "redis", "u", "", "h", 0, NULL, NULL, NULL }, "redis://u:**@h" },
		{ "redis://u@h", { "redis", "u", NULL, "h", 0, NULL, NULL, NULL }, "redis://u@h" },
		{ "unix:///run/redis.sock?db=1",
			{ "unix", NULL, NULL, NULL, 0, "run/redis.sock", "run/redis.sock", "db=1" },
			"unix:///run/redis.sock?db=1" },
		{ "redis+socket:///a%20b", { "redis+socket", NULL, NULL, NULL, 0, "a b", "a%20b", NULL },
			"redis+socket:///a%20b" },
		{ "amqp://u%40x:p%3a%2F@[::1]:5672/v", { "amqp", "u@x", "p:/", "::1", 5672, "v", "v", NULL },
			"amqp://u%40x:**@[::1]:5672/v" },
		{ "amqp://u:p@s:s@h", { "amqp", "u", "p@s:s", "h", 0, NULL, NULL, NULL }, "amqp://u:**@h" },
		{ "amqp://u:p#s@h", { "amqp", "u", "p#s", "h", 0, NULL, NULL, NULL }, "amqp://u:**@h" },
		{ "http://h?token=abc&x=1&y", { "http", NULL, NULL, "h", 0, NULL, NULL, "token=abc&x=1&y" },
			"http://h?token=**&x=1&y" },
		{ "amqp://", { "amqp", NULL, NULL, NULL, 0, NULL, NULL, NULL }, "amqp://" },
		{ "amqp://h:", { "amqp", NULL, NULL, "h", 0, NULL, NULL, NULL }, "amqp://h" },
	};
	struct errtext t;
	struct url u;
	struct buf b;

	buf_init(&b, 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (url_parse(&u, rows[i].text, &t) != E_OK)
			fail_msg("%s: %s", rows[i].text, t.text);
		same(u.scheme, rows[i].u.scheme, rows[i].text, "scheme");
		same(u.user, rows[i].u.user, rows[i].text, "user");
		same(u.password, rows[i].u.password, rows[i].text, "password");
		same(u.host, rows[i].u.host, rows[i].text, "host");
		same(u.path, rows[i].u.path, rows[i].text, "path");
		same(u.raw_path, rows[i].u.raw_path, rows[i].text, "raw path");
		same(u.query, rows[i].u.query, rows[i].text, "query");
		assert_int_equal(u.port, rows[i].u.port);
		url_add_safe(&b, &u);
		assert_buf(&b, rows[i].safe);
		url_release(&u);
		assert_null(u.scheme);
		url_release(&u);
	}
	buf_release(&b);
}

static void
errors_name_the_cause_and_no_password(void **state UNUSED)
{
	static const struct {
		const char *text, *words;
	} rows[] = {
		{ "", "scheme" },
		{ "localhost:5672", "scheme" },
		{ "u:SECRET@h", "scheme" },
		{ "://h", "scheme" },
		{ "1 amqp://h", "blank" },
		{ "amqp:/h", "scheme" },
		{ "amqp://u:SECRET@h:x", "port" },
		{ "amqp://u:SECRET@h:0", "port" },
		{ "amqp://u:SECRET@h:65536", "port" },
		{ "amqp://u:SECRET@h:+1", "port" },
		{ "amqp://u:SEC/RET@h", "port" },
		{ "amqp://u:SECRET%@h", "password" },
		{ "amqp://u:SECRET%4@h", "password" },
		{ "amqp://u:SECRET%zz@h", "password" },
		{ "amqp://u:SECRET%00@h", "password" },
		{ "amqp://u%:SECRET@h", "user" },
		{ "amqp://u:SECRET@h%", "host" },
		{ "amqp://u:SECRET@h/%", "path" },
		{ "amqp://u:SECRET@h/?a=%", "query" },
		{ "amqp://u:SECRET@[::1", "']'" },
		{ "amqp://u:SECRET@[::1]x", "']'" },
		{ "amqp://u:SEC RET@h", "blank" },
		{ "amqp://u:SEC\x01RET@h", "control" },
	};
	struct errtext t;
	struct url u;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (url_parse(&u, rows[i].text, &t) != E_FORMAT)
			fail_msg("taken: %s", rows[i].text);
		if (!strstr(t.text, rows[i].words) || strstr(t.text, "SEC"))
			fail_msg("%s: %s", rows[i].text, t.text);
		assert_null(u.scheme);
		assert_null(u.password);
	}
	assert_int_equal(url_parse(&u, "x", NULL), E_FORMAT);
}

static void
query_values_are_found_and_decoded(void **state UNUSED)
{
	static const char *const rows[][2] = { { "db", "1" }, { "name", "a b&c" }, { "empty", "" },
		{ "bare", "" }, { "none", NULL }, { "d", NULL }, { "plus", "x y" } };
	struct url u;
	char *v;

	assert_ok(url_parse(&u, "redis://h/0?db=1&name=a%20b%26c&empty=&bare&plus=x+y&db=2", NULL));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		v = url_query_dup(&u, rows[i][0]);
		same(v, rows[i][1], "query", rows[i][0]);
		alloc_free(v);
	}
	url_release(&u);
	assert_null(url_query_dup(&u, "db"));
}

static enum err
parse(void *arg)
{
	struct url u;
	enum err e = url_parse(&u, arg, NULL);
	char *v;

	if (e != E_OK)
		return e;
	v = url_query_dup(&u, "k");
	if (!v)
		e = E_NOMEM;
	alloc_free(v);
	url_release(&u);
	return e;
}

static void
bears_torture(void **state UNUSED)
{
	torture(parse, (char[]){ "amqp://u:p@h:1/path?k=v" });
}

static void
passwords_within_a_text_are_hidden(void **state UNUSED)
{
	static const char *const rows[][2] = {
		{ "", "" },
		{ "plain: @ text", "plain: @ text" },
		{ "postgres://u:secret@h/db", "postgres://u:**@h/db" },
		{ "--url=redis://:s@cr:et@h, http://a:b@c", "--url=redis://:**@h, http://a:**@c" },
		{ "http://proxy:3128", "http://proxy:3128" },
		{ "http://h:80/a@b", "http://h:80/a@b" },
		{ "http://u@h:80", "http://u@h:80" },
		{ "a://", "a://" },
	};
	struct buf b;

	buf_init(&b, 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		buf_reset(&b);
		url_add_hidden(&b, span_of(rows[i][0]));
		assert_string_equal(buf_text(&b), rows[i][1]);
	}
	buf_release(&b);
	assert_true(url_is_secret(SPAN("DB_PASSWORD")) && url_is_secret(SPAN("api_key")));
	assert_false(url_is_secret(SPAN("HTTPS_PROXY")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_are_taken_apart),
		cmocka_unit_test(errors_name_the_cause_and_no_password),
		cmocka_unit_test(query_values_are_found_and_decoded),
		cmocka_unit_test(passwords_within_a_text_are_hidden),
		cmocka_unit_test(bears_torture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
