/* From texts to a schedule, and from a due time to a message. */
#include "beat/entry.h"

#include "base/alloc.h"
#include "base/jscan.h"
#include "base/text.h"
#include "beat/uuid5.h"
#include "wire/task.h"

#define SECOND INT64_C(1000000)
#define EVERY_MIN_MS 100
#define JITTER_MAX_MS 3600000
#define MISSED_MAX 1000

/* A time without an offset is one of the entry's zone. */
static enum err
parse_time(const char *text, const struct zone *zone, us_t *out, struct errtext *t)
{
	struct buf b;
	us_t local;
	bool naive;

	buf_init(&b, 0);
	buf_adds(&b, text);
	/* "...T10:00Z" is a time only when it had no offset; a date alone takes none. */
	buf_adds(&b, strlen(text) > 10 ? "Z" : "T00:00Z");
	naive = text_parse_time(buf_span(&b), &local);
	buf_release(&b);
	if (!naive)
		return text_parse_time(span_of(text), out)
			? E_OK
			: err_set(t, E_CONF,
				  "'%s' is no time; write it like 2026-12-24T18:00 or 2026-12-24T18:00+01:00",
				  text);
	*out = zone_to_utc(zone, local / SECOND) * SECOND + local % SECOND;
	return E_OK;
}

static enum err
parse_bounds(struct schedule *s, const struct entry_conf *c, struct errtext *t)
{
	enum err e = E_OK;

	s->start = INT64_MIN;
	s->end = INT64_MAX;
	if (c->start) {
		e = parse_time(c->start, s->zone, &s->start, t);
		if (e != E_OK)
			return err_prefix(t, e, "start");
	}
	if (c->end) {
		e = parse_time(c->end, s->zone, &s->end, t);
		if (e != E_OK)
			return err_prefix(t, e, "end");
	}
	return s->end > s->start ? E_OK : err_set(t, E_CONF, "end is not after start");
}

static enum err
parse_kind(struct schedule *s, const struct entry_conf *c, struct errtext *t)
{
	int given = (c->every != 0) + (c->cron != NULL) + (c->crontab != NULL) + (c->at != NULL);
	enum err e;

	if (given != 1)
		return err_set(t, E_CONF,
			given == 0 ? "when? give one of every, cron, crontab, at"
				   : "every, cron, crontab and at exclude each other: give one");
	if (c->every != 0) {
		if (c->every < EVERY_MIN_MS)
			return err_set(t, E_CONF, "every: at least %d ms", EVERY_MIN_MS);
		s->kind = SCHEDULE_EVERY;
		s->every = c->every * 1000;
		s->anchor = s->start == INT64_MIN ? 0 : s->start;
		return E_OK;
	}
	if (c->at) {
		s->kind = SCHEDULE_ONCE;
		e = parse_time(c->at, s->zone, &s->anchor, t);
		return e == E_OK ? E_OK : err_prefix(t, e, "at");
	}
	s->kind = SCHEDULE_CRON;
	e = cron_parse(
		&s->cron, c->cron ? CRON_OURS : CRON_CELERY, span_of(c->cron ? c->cron : c->crontab), t);
	return e == E_OK ? E_OK : err_prefix(t, e, c->cron ? "cron" : "crontab");
}

static enum err
check_json(const char *name, const char *json, enum jscan_kind kind, struct errtext *t)
{
	enum err e;

	if (json == NULL)
		return E_OK;
	e = jscan_check(span_of(json), NULL, NULL, t);
	if (e == E_OK && jscan_kind(span_trim(span_of(json))) == kind)
		return E_OK;
	if (e == E_OK)
		err_set(t, E_CONF, kind == JSCAN_ARRAY ? "a list is expected" : "a table is expected");
	return err_prefix(t, E_CONF, "%s", name);
}

uint64_t
entry_digest(struct span text)
{
	uint64_t h = 0xcbf29ce484222325u; /* FNV-1a: the same everywhere, and nobody gains by a collision */

	for (size_t i = 0; i < text.len; i++)
		h = (h ^ (unsigned char)text.ptr[i]) * 0x100000001b3u;
	return h;
}

/* The texts of a conf, for those who walk them all. */
static const size_t texts[] = { offsetof(struct entry_conf, name), offsetof(struct entry_conf, task),
	offsetof(struct entry_conf, cron), offsetof(struct entry_conf, crontab),
	offsetof(struct entry_conf, at), offsetof(struct entry_conf, timezone),
	offsetof(struct entry_conf, start), offsetof(struct entry_conf, end),
	offsetof(struct entry_conf, args), offsetof(struct entry_conf, kwargs),
	offsetof(struct entry_conf, exchange), offsetof(struct entry_conf, routing_key) };

static const char **
text_at(struct entry_conf *c, size_t i)
{
	return (const char **)(void *)((char *)c + texts[i]);
}

static const char *
append(char **end, const char *text)
{
	size_t n = strlen(text) + 1;
	char *copy = memcpy(*end, text, n);

	*end += n;
	return copy;
}

struct entry_conf *
entry_conf_dup(const struct entry_conf *from)
{
	struct entry_conf c = *from, *copy;
	size_t size = sizeof(c), n_headers = 0;
	const char **headers;
	char *end;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		size += *text_at(&c, i) != NULL ? strlen(*text_at(&c, i)) + 1 : 0;
	for (; c.headers != NULL && c.headers[n_headers] != NULL; n_headers++)
		size += strlen(c.headers[n_headers]) + 1;
	if (c.headers != NULL)
		size += (n_headers + 1) * sizeof(*headers);
	copy = must_alloc(size);
	*copy = c;
	/* Pointers first, as they want to be aligned. */
	headers = (const char **)(void *)(copy + 1);
	end = (char *)(c.headers != NULL ? headers + n_headers + 1 : headers);
	for (size_t i = 0; i < n_headers; i++)
		headers[i] = append(&end, c.headers[i]);
	if (c.headers != NULL)
		copy->headers = headers;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (*text_at(&c, i) != NULL)
			*text_at(copy, i) = append(&end, *text_at(&c, i));
	assert(end == (char *)copy + size);
	return copy;
}

enum err
entry_init(struct entry *en, const struct entry_conf *c, struct zones *zones, struct errtext *t)
{
	struct schedule *s = &en->plan.schedule;
	enum err e;

	*en = (struct entry){ .conf = c };
	if (c->task == NULL || !task_name_is_valid(span_of(c->task)))
		return err_set(t, E_CONF, "which task? its name is missing or not valid");
	e = zones_get(zones, c->timezone ? span_of(c->timezone) : SPAN(""), &s->zone, t);
	if (e != E_OK)
		return err_prefix(t, e, "timezone");
	e = parse_bounds(s, c, t);
	if (e == E_OK)
		e = parse_kind(s, c, t);
	if (e == E_OK)
		e = check_json("args", c->args, JSCAN_ARRAY, t);
	if (e == E_OK)
		e = check_json("kwargs", c->kwargs, JSCAN_OBJECT, t);
	if (e == E_OK && (c->jitter < 0 || c->jitter > JITTER_MAX_MS))
		e = err_set(t, E_CONF, "jitter: at most 1h");
	if (e == E_OK && c->missed == MISSED_ALL && (c->missed_max < 1 || c->missed_max > MISSED_MAX))
		e = err_set(t, E_CONF, "missed_max: 1 to %d", MISSED_MAX);
	en->plan.missed = c->missed;
	en->plan.missed_max = c->missed_max;
	en->plan.jitter = c->jitter * 1000;
	en->plan.seed = entry_digest(span_of(c->name));
	return e;
}

void
entry_add_schedule(struct buf *b, const struct entry_conf *c)
{
	if (c->every) {
		buf_adds(b, "every ");
		text_add_duration(b, c->every);
	} else if (c->at)
		buf_addf(b, "at %s", c->at);
	else
		buf_addf(b, "%s %s", c->cron ? "cron" : "crontab", c->cron ? c->cron : c->crontab);
	if (c->timezone && *c->timezone && !c->every)
		buf_addf(b, " %s", c->timezone);
	if (c->start)
		buf_addf(b, " from %s", c->start);
	if (c->end)
		buf_addf(b, " to %s", c->end);
}

enum err
entry_make_id(const char *group, const char *name, us_t due, char out[ID_UUID_LEN + 1], struct errtext *t)
{
	/* 5a0c6b3e-6b7e-4c58-9d0e-7c1f62d0b8a4, drawn once for this purpose */
	static const unsigned char space[16] = { 0x5a, 0x0c, 0x6b, 0x3e, 0x6b, 0x7e, 0x4c, 0x58, 0x9d, 0x0e,
		0x7c, 0x1f, 0x62, 0xd0, 0xb8, 0xa4 };
	char time[TEXT_TIME_MAX];
	struct buf b;
	enum err e;

	text_format_time(due, time);
	buf_init(&b, 0);
	buf_addf(&b, "%s/%s@%s", group, name, time);
	e = b.err == E_OK ? uuid5(space, buf_span(&b), out, t) : err_set(t, b.err, "%s", err_name(b.err));
	buf_release(&b);
	return e;
}

us_t
entry_expires(const struct entry *e, const struct plan_fire *f)
{
	if (e->conf->expires > 0)
		return f->due + plan_jitter(&e->plan, f->due) + e->conf->expires * 1000;
	/* The next one is as late as its own jitter makes it; until then this one has its time. */
	return f->following == SCHEDULE_NEVER ? INT64_MAX : f->following + plan_jitter(&e->plan, f->following);
}

static enum err
add_headers(struct msg *m, const struct entry_conf *c, struct table *headers)
{
	enum err e = E_OK;

	for (size_t i = 0; e == E_OK && c->headers && c->headers[i]; i++) {
		struct span value = span_of(c->headers[i]), key = span_split(&value, '=');

		e = table_set(headers, &m->arena, key, val_string(value.ptr ? value : SPAN("")));
	}
	return e;
}

enum err
entry_encode(const struct entry *en, const char *origin, us_t now, struct msg *m, struct errtext *t)
{
	const struct entry_conf *c = en->conf;
	us_t expires = entry_expires(en, &en->fire);
	struct table headers = { 0 };
	struct task_call call = {
		.id = span_of(en->id),
		.name = span_of(c->task),
		.args = span_of(c->args),
		.kwargs = span_of(c->kwargs),
		.origin = span_of(origin),
		.expires = expires == INT64_MAX ? 0 : expires,
		.now = now,
		.time_limit = c->time_limit,
		.soft_time_limit = c->soft_time_limit,
		.priority_plus1 = c->priority + 1,
		.ignore_result = c->ignore_result,
		.compress = c->compress,
		.transient = c->transient,
	};
	enum err e = add_headers(m, c, &headers);

	if (e != E_OK)
		return err_set(t, e, "%s", err_name(e));
	if (headers.count > 0)
		call.user_headers = &headers;
	e = task_encode(&call, m, t);
	m->exchange = span_of(c->exchange ? c->exchange : "");
	m->routing_key = span_of(c->routing_key ? c->routing_key : "");
	return e;
}
