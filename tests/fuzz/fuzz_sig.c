/*
 * Signatures. What decodes is written again, and from then on the bytes stay the same. And as canvas: the same text stands behind a task as its links, its
 * chain and the body of its chord; what passes the check before the run must go through at the end, and all that comes of it is well-formed.
 */
#include "fuzz.h"

#include "base/alloc.h"
#include "core/builtin.h"
#include "core/resume.h"
#include "wire/sig.h"

static void
write_again(struct span json)
{
	struct errtext why = { "" };
	struct buf once, twice;
	struct span text;
	struct arena a;
	struct sig s;

	arena_init(&a, 0);
	buf_init(&once, 0);
	buf_init(&twice, 0);
	if (sig_decode(&s, json, &a, &why) != E_OK) {
		CHECK(why.text[0]);
	} else {
		if (sig_option_text(&s, "task_id", &a, &text))
			CHECK(text.ptr);
		sig_encode(&once, &s);
		CHECK(once.err == E_OK && jscan_check(buf_span(&once), NULL, NULL, NULL) == E_OK);
		CHECK(sig_decode(&s, buf_span(&once), &a, NULL) == E_OK);
		sig_encode(&twice, &s);
		CHECK(span_eq(buf_span(&once), buf_span(&twice)));
	}
	buf_release(&once);
	buf_release(&twice);
	arena_release(&a);
}

static void
is_json(struct span s)
{
	const struct jscan_limits lim = { .depth_max = JSCAN_DEPTH_MAX };

	if (s.len > 0)
		CHECK(jscan_check(s, &lim, NULL, NULL) == E_OK);
}

static void
is_sound(const struct flow *f)
{
	for (size_t i = 0; i < f->count; i++) {
		const struct task_call *c = &f->steps[i].call;

		CHECK(c->id.len > 0 && task_name_is_valid(c->name));
		is_json(c->args);
		is_json(c->chain);
		is_json(c->chord);
		is_json(c->callbacks);
		is_json(c->errbacks);
	}
	for (size_t i = 0; i < f->n_marks; i++) {
		CHECK(f->marks[i].id.len > 0);
		is_json(f->marks[i].error);
	}
	for (size_t i = 0; i < f->n_parts; i++) {
		is_json(f->parts[i].member);
		is_json(f->parts[i].body);
	}
	for (size_t i = 0; i < f->n_chords; i++)
		is_json(f->chords[i].saved);
	is_json(buf_span(&f->children));
}

static void
count_all(struct flow *f, const char *state)
{
	char own[300];
	struct span members[1];
	struct chord_count c = { .is_full = true, .due = 1, .members = members, .n_members = 1 };

	/* Each answer may add more, but not without end. */
	for (int i = 0; i < 1000 && flow_next(f) != FLOW_NOTHING; i++) {
		if (flow_next(f) != FLOW_COUNT) {
			flow_on_done(f, flow_next(f));
			continue;
		}
		snprintf(own, sizeof(own), "[1, \"m\", \"%s\", {\"exc_type\": \"E\"}]", state);
		members[0] = span_of(own);
		/* The bodies of others than the task's own were not checked before: an error is an answer too. */
		if (flow_on_counted(f, &c, 0, NULL) != E_OK)
			return;
		is_sound(f);
	}
}

static void
end(const struct task *t, const char *state, bool checked)
{
	struct flow_end how = { .state = span_of(state), .value = SPAN("{\"exc_type\": \"E\"}") };
	struct errtext why = { "" };
	struct flow f;
	enum err e;

	flow_init(&f);
	e = flow_on_end(&f, t, &how, &why);
	CHECK(e == E_OK || (!checked && why.text[0] != '\0'));
	if (e == E_OK) {
		is_sound(&f);
		count_all(&f, state);
	}
	flow_release(&f);
}

static void
as_canvas(struct span json)
{
	struct task t = { .protocol = 2,
		.id = SPAN("id"),
		.name = SPAN("t"),
		.args = SPAN("[1]"),
		.kwargs = SPAN("{}"),
		.group = SPAN("G") };
	enum jscan_kind kind = jscan_kind(json);
	struct errtext why = { "" };
	struct span result;
	struct flow f;
	bool fine;

	if (kind == JSCAN_OBJECT)
		t.chord = json;
	if (kind == JSCAN_ARRAY)
		t.chain = json;
	if (kind == JSCAN_OBJECT || kind == JSCAN_ARRAY)
		t.callbacks = t.errbacks = json;
	fine = flow_check(&t, true, &why) == E_OK;
	CHECK(fine || why.text[0] != '\0');
	end(&t, "SUCCESS", fine);
	end(&t, "FAILURE", fine);
	end(&t, "REVOKED", fine);
	flow_init(&f);
	if (flow_produce(&f, json, SPAN("seed"), SPAN("Q1"), 0, &result, NULL) == E_OK) {
		is_sound(&f);
		is_json(result);
	}
	flow_release(&f);
}

static void
as_builtin(struct span json)
{
	static const enum builtin all[] = { BUILTIN_ACCUMULATE, BUILTIN_CHUNKS, BUILTIN_GROUP, BUILTIN_CHORD };
	struct task t = { .name = SPAN("celery.map"), .args = SPAN("[]"), .kwargs = json };
	struct builtin_end out;
	struct series s;
	struct arena a;

	if (jscan_kind(json) != JSCAN_OBJECT)
		return;
	arena_init(&a, 0);
	for (int star = 0; star < 2; star++) {
		if (series_init(&s, star ? BUILTIN_STARMAP : BUILTIN_MAP, &t, &a, NULL) == E_OK) {
			while (series_next(&s)) {
				is_json(buf_span(&s.args));
				series_add(&s, SPAN("1"));
			}
			is_json(buf_span(&s.results));
		}
		series_release(&s);
	}
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (builtin_end(&out, all[i], &t, &a) == E_OK && out.type == NULL) {
			is_json(out.value);
			is_json(out.start);
		}
	arena_release(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span json = { (const char *)data, size };

	/* As deep as a message may be. */
	if (jscan_check(json, NULL, NULL, NULL) != E_OK)
		return 0;
	write_again(json);
	as_canvas(span_trim(json));
	as_builtin(span_trim(json));
	return 0;
}
