/* The live view as a terminal would show it: sequences are taken out, lines must fit. */
#include "cli/top.h"

#include "lib/t.h"

#define NOW ((us_t)1700000010 * 1000000)

static void
add_task(struct view *v, enum evt_type type, const char *id, const char *name)
{
	struct evt e = { .type = type,
		.hostname = SPAN("w1@h"),
		.uuid = span_of(id),
		.name = span_of(name),
		.timestamp = name != NULL && *name == '!' ? 1e300 : 1700000009,
		.runtime = 1.5 };

	assert_ok(view_on_event(v, &e, NOW));
}

static void
fill(struct view *v)
{
	struct evt e = { .type = EVENT_WORKER_HEARTBEAT,
		.hostname = SPAN("w1@h"),
		.freq = 2,
		.processed = 12345,
		.sw_ident = SPAN("warren"),
		.sw_ver = SPAN("0.1"),
		.json = SPAN("{\"processed\": 1}") };
	char id[40], name[40];
	int i;

	view_init(v, NULL);
	assert_ok(view_on_event(v, &e, NOW));
	e.hostname = SPAN("gone@h");
	e.type = EVENT_WORKER_OFFLINE;
	assert_ok(view_on_event(v, &e, NOW));
	for (i = 0; i < 50; i++) {
		snprintf(id, sizeof(id), "%08d-\xc3\xa4\xc3\xb6", i);
		snprintf(name, sizeof(name), "documents.\xc3\xa4%d", i % 10);
		add_task(v, EVENT_TASK_RECEIVED, id, name);
		add_task(v, i % 2 ? EVENT_TASK_FAILED : EVENT_TASK_SUCCEEDED, id, NULL);
	}
}

/* Without the sequences; checks how many lines there are and how long they may be. */
static void
look(struct buf *shown, const struct view *v, size_t rows, size_t columns, bool color)
{
	struct top t = { .rows = rows,
		.columns = columns,
		.now = NOW,
		.clock = "12:00:00",
		.broker = "amqp://h",
		.is_up = true,
		.color = color };
	size_t i, lines = 1, width = 0;
	struct buf b;

	buf_init(&b, 0);
	buf_reset(shown);
	top_draw(&b, v, &t);
	for (i = 0; i < b.len; i++) {
		unsigned char c = (unsigned char)b.data[i];

		if (c == '\033') {
			while (b.data[i] < '@' || b.data[i] == '[')
				i++;
			if (b.data[i] == 'H')
				width = 0;
			continue;
		}
		if (c == '\n') {
			lines++;
			width = 0;
		} else if (c != '\r')
			width += (c & 0xc0) != 0x80;
		assert_true(width <= columns);
		buf_addc(shown, (char)c);
	}
	assert_true(lines <= rows);
	buf_release(&b);
}

static void
a_small_terminal_shows_all_parts(void **state UNUSED)
{
	static const char *const parts[] = { "12:00:00   workers 1 of 2 alive", "succeeded 25", "failed 25",
		"w1@h", "12345", "offline", "documents.\xc3\xa4", "FAILURE", "1.500s", "and 5 more",
		"q quit" };
	struct buf shown;
	struct view v;
	size_t i;

	buf_init(&shown, 0);
	fill(&v);
	look(&shown, &v, 24, 80, true);
	for (i = 0; i < ARRAY_LEN(parts); i++)
		if (strstr(buf_text(&shown), parts[i]) == NULL)
			fail_msg("'%s' is not in:\n%s", parts[i], buf_text(&shown));
	/* There is no room for whole ids here, and there is on a wide one. */
	assert_null(strstr(buf_text(&shown), "00000049-"));
	look(&shown, &v, 24, 140, false);
	assert_non_null(strstr(buf_text(&shown), "00000049-\xc3\xa4\xc3\xb6"));
	view_release(&v);
	buf_release(&shown);
}

static void
every_size_is_kept_to(void **state UNUSED)
{
	struct buf shown;
	struct view v;
	size_t rows, columns;

	buf_init(&shown, 0);
	fill(&v);
	for (rows = 1; rows < 60; rows += 3)
		for (columns = 1; columns < 200; columns += 13)
			look(&shown, &v, rows, columns, rows % 2 != 0);
	view_release(&v);
	buf_release(&shown);
}

static void
what_strangers_write_is_harmless(void **state UNUSED)
{
	struct top t = { .rows = 24, .columns = 80, .now = NOW, .clock = "12:00:00", .broker = "amqp://h" };
	struct view v;
	struct buf b;

	view_init(&v, NULL);
	add_task(&v, EVENT_TASK_RECEIVED, "\033[2Jid", "na\nme\033]0;x\007");
	add_task(&v, EVENT_TASK_RECEIVED, "far", "!of another time");
	buf_init(&b, 0);
	top_draw(&b, &v, &t);
	assert_null(strstr(buf_text(&b), "\033[2J"));
	assert_null(strstr(buf_text(&b), "\033]"));
	assert_null(strstr(buf_text(&b), "na\nme"));
	assert_non_null(strstr(buf_text(&b), "not connected"));
	buf_release(&b);
	view_release(&v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_terminal_shows_all_parts),
		cmocka_unit_test(every_size_is_kept_to),
		cmocka_unit_test(what_strangers_write_is_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
