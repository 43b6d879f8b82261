/* Entries: what is understood and refused, ids, and the message of a run. */
#include "beat/entry.h"

#include "base/text.h"
#include "beat/uuid5.h"
#include "wire/task.h"

#include "lib/t.h"

static const struct entry_conf plain = {
	.name = "tick", .task = "add", .every = 30000, .missed_max = 10, .priority = -1
};

static void
names_give_the_same_ids_everywhere(void **state UNUSED)
{
	static const unsigned char dns[16] = { 0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4,
		0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8 };
	char id[ID_UUID_LEN + 1];

	/* Python: uuid.uuid5(uuid.NAMESPACE_DNS, "python.org") */
	assert_ok(uuid5(dns, SPAN("python.org"), id, NULL));
	assert_string_equal(id, "886313e1-3b8a-5372-9b90-0c9aee199e5d");
	/* uuid.uuid5(uuid.UUID("5a0c6b3e-6b7e-4c58-9d0e-7c1f62d0b8a4"), "warren.beat/nightly@2026-11-21T02:00:00+00:00") */
	assert_ok(entry_make_id("warren.beat", "nightly", INT64_C(1795226400000000), id, NULL));
	assert_string_equal(id, "2d94ad17-d414-5a4a-ba07-6cc518b693d2");
}

static us_t
next_of(const struct entry_conf *c, const char *after)
{
	struct zones zones;
	struct errtext t = { "" };
	struct entry e;
	us_t from, next;

	zones_init(&zones);
	if (entry_init(&e, c, &zones, &t) != E_OK)
		fail_msg("%s", t.text);
	assert_true(text_parse_time(span_of(after), &from));
	next = schedule_next(&e.plan.schedule, from);
	zones_release(&zones);
	return next;
}

static void
times_without_an_offset_are_local(void **state UNUSED)
{
	static const struct {
		const char *at, *zone, *expected;
	} rows[] = {
		{ "2026-07-01T12:00", "Europe/Berlin", "2026-07-01T10:00:00+00:00" },
		{ "2026-12-01 12:00:30", "Europe/Berlin", "2026-12-01T11:00:30+00:00" },
		{ "2026-07-01T12:00+09:00", "Europe/Berlin", "2026-07-01T03:00:00+00:00" },
		{ "2026-07-01T12:00Z", "Europe/Berlin", "2026-07-01T12:00:00+00:00" },
		{ "2026-07-01", "America/New_York", "2026-07-01T04:00:00+00:00" },
		{ "2026-07-01T12:00", NULL, "2026-07-01T12:00:00+00:00" },
		{ "2026-03-29T02:30", "Europe/Berlin", "2026-03-29T01:30:00+00:00" }, /* jumped over */
	};
	struct entry_conf c = plain;
	char got[TEXT_TIME_MAX];

	c.every = 0;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		c.at = rows[i].at;
		c.timezone = rows[i].zone;
		text_format_time(next_of(&c, "2020-01-01"), got);
		assert_string_equal(got, rows[i].expected);
	}
}

static void
intervals_count_from_start(void **state UNUSED)
{
	struct entry_conf c = plain;
	char got[TEXT_TIME_MAX];

	c.start = "2026-01-01T00:00:10";
	c.end = "2026-01-01T00:01:00";
	text_format_time(next_of(&c, "2020-01-01"), got);
	assert_string_equal(got, "2026-01-01T00:00:10+00:00");
	text_format_time(next_of(&c, "2026-01-01T00:00:10"), got);
	assert_string_equal(got, "2026-01-01T00:00:40+00:00");
	assert_true(next_of(&c, "2026-01-01T00:00:40") == SCHEDULE_NEVER);
}

static void
refused(struct entry_conf c, const char *why)
{
	struct zones zones;
	struct errtext t;
	struct entry e;

	zones_init(&zones);
	assert_int_equal(entry_init(&e, &c, &zones, &t), E_CONF);
	assert_string_equal(t.text, why);
	zones_release(&zones);
}

#define BUT(...) \
	(struct entry_conf) \
	{ \
		.name = "tick", .priority = -1, __VA_ARGS__ \
	}

static void
says_what_is_wrong(void **state UNUSED)
{
	refused(BUT(.every = 1000), "which task? its name is missing or not valid");
	refused(BUT(.task = "t"), "when? give one of every, cron, crontab, at");
	refused(BUT(.task = "t", .every = 1000, .at = "2026-01-01"),
		"every, cron, crontab and at exclude each other: give one");
	refused(BUT(.task = "t", .every = 50), "every: at least 100 ms");
	refused(BUT(.task = "t", .cron = "* * *"),
		"cron: five fields are needed (minute hour day-of-month month day-of-week), not 3");
	refused(BUT(.task = "t", .crontab = "@daily"),
		"crontab: five fields are needed (minute hour day-of-month month day-of-week), not 1");
	refused(BUT(.task = "t", .at = "soon"),
		"at: 'soon' is no time; write it like 2026-12-24T18:00 or 2026-12-24T18:00+01:00");
	refused(BUT(.task = "t", .every = 1000, .start = "2026-01-02", .end = "2026-01-01"),
		"end is not after start");
	refused(BUT(.task = "t", .every = 1000, .end = "x"),
		"end: 'x' is no time; write it like 2026-12-24T18:00 or 2026-12-24T18:00+01:00");
	refused(BUT(.task = "t", .every = 1000, .timezone = "Mars"),
		"timezone: there is no time zone 'Mars' in the tz database (/usr/share/zoneinfo/Mars; "
		"package tzdata)");
	refused(BUT(.task = "t", .every = 1000, .args = "{}"), "args: a list is expected");
	refused(BUT(.task = "t", .every = 1000, .kwargs = "[]"), "kwargs: a table is expected");
	refused(BUT(.task = "t", .every = 1000, .jitter = 3600001), "jitter: at most 1h");
	refused(BUT(.task = "t", .every = 1000, .missed = MISSED_ALL, .missed_max = 1001),
		"missed_max: 1 to 1000");
}

static void
tells_its_schedule(void **state UNUSED)
{
	struct buf b;

	buf_init(&b, 0);
	entry_add_schedule(&b, &plain);
	assert_buf(&b, "every 30s");
	entry_add_schedule(&b, &BUT(.cron = "0 2 * * *", .timezone = "Europe/Berlin", .end = "2027-01-01"));
	assert_buf(&b, "cron 0 2 * * * Europe/Berlin to 2027-01-01");
	entry_add_schedule(&b, &BUT(.crontab = "0 2 * * *", .timezone = ""));
	assert_buf(&b, "crontab 0 2 * * *");
	entry_add_schedule(&b, &BUT(.at = "2027-01-01", .timezone = "local"));
	assert_buf(&b, "at 2027-01-01 local");
	buf_release(&b);
}

static void
a_run_is_a_task_message(void **state UNUSED)
{
	static const char *const headers[] = { "team=blue", "empty=", NULL };
	struct entry_conf c = plain;
	struct zones zones;
	struct task task;
	struct entry e;
	struct msg m;

	c.args = "[2, 3]";
	c.priority = 4;
	c.headers = headers;
	c.exchange = "";
	c.routing_key = "celery";
	zones_init(&zones);
	assert_ok(entry_init(&e, &c, &zones, NULL));
	e.fire = (struct plan_fire){ .due = 60000000, .following = 90000000 };
	snprintf(e.id, sizeof(e.id), "886313e1-3b8a-5372-9b90-0c9aee199e5d");
	msg_init(&m, 0);
	assert_ok(entry_encode(&e, "gen1@host", 60500000, &m, NULL));
	assert_span(m.routing_key, "celery");
	assert_span(m.correlation_id, "886313e1-3b8a-5372-9b90-0c9aee199e5d");
	assert_span(m.expiration, "29500");
	assert_int_equal(m.priority, 4);
	assert_span(table_get_string(&m.headers, "team"), "blue");
	assert_span(table_get_string(&m.headers, "empty"), "");
	assert_int_equal(task_decode(&task, &m, &task_limits_default, NULL), TASK_FINE);
	assert_span(task.name, "add");
	assert_span(task.args, "[2, 3]");
	assert_span(task.origin, "gen1@host");
	assert_int_equal(task.expires, 90000000);
	msg_release(&m);

	/* Its own expiry counts from when it is sent, jitter included; a single run has none. */
	c.expires = 5000;
	c.jitter = 10000;
	assert_ok(entry_init(&e, &c, &zones, NULL));
	assert_int_equal(entry_expires(&e, &(struct plan_fire){ .due = 60000000 }),
		65000000 + plan_jitter(&e.plan, 60000000));
	/* Without one it has its time until the next is sent: that one's jitter included, as this one's was. */
	c.expires = 0;
	assert_int_equal(entry_expires(&e, &(struct plan_fire){ .due = 60000000, .following = 90000000 }),
		90000000 + plan_jitter(&e.plan, 90000000));
	assert_true(plan_jitter(&e.plan, 90000000) > 0);
	c.expires = 0;
	assert_ok(entry_init(&e, &c, &zones, NULL));
	assert_true(
		entry_expires(&e, &(struct plan_fire){ .due = 1, .following = SCHEDULE_NEVER }) == INT64_MAX);
	zones_release(&zones);
}

static void
a_copy_has_its_own_texts(void **state UNUSED)
{
	static const struct bus_topo_queue queue = { .name = "q" };
	char name[] = "n", task[] = "tasks.t", args[] = "[1]", team[] = "team=blue", key[] = "k",
	     zone[] = "Asia/Tokyo";
	const char *const headers[] = { team, "x=", NULL };
	struct entry_conf from = { .name = name,
		.task = task,
		.every = 5000,
		.args = args,
		.timezone = zone,
		.headers = headers,
		.priority = 3,
		.routing_key = key,
		.queue = &queue };
	struct entry_conf *copy = entry_conf_dup(&from), *bare;

	memset(name, 'x', 1);
	memset(task, 'x', 7);
	memset(args, 'x', 3);
	memset(team, 'x', 9);
	memset(key, 'x', 1);
	memset(zone, 'x', 10);
	assert_string_equal(copy->name, "n");
	assert_string_equal(copy->task, "tasks.t");
	assert_string_equal(copy->args, "[1]");
	assert_string_equal(copy->timezone, "Asia/Tokyo");
	assert_string_equal(copy->routing_key, "k");
	assert_string_equal(copy->headers[0], "team=blue");
	assert_string_equal(copy->headers[1], "x=");
	assert_null(copy->headers[2]);
	assert_null(copy->cron);
	assert_true(copy->queue == &queue && copy->every == 5000 && copy->priority == 3);
	alloc_free(copy);
	bare = entry_conf_dup(&plain);
	assert_true(bare->headers == NULL && strcmp(bare->name, plain.name) == 0);
	alloc_free(bare);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_give_the_same_ids_everywhere),
		cmocka_unit_test(times_without_an_offset_are_local),
		cmocka_unit_test(intervals_count_from_start),
		cmocka_unit_test(says_what_is_wrong),
		cmocka_unit_test(tells_its_schedule),
		cmocka_unit_test(a_run_is_a_task_message),
		cmocka_unit_test(a_copy_has_its_own_texts),
	};

	unsetenv("TZDIR");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
