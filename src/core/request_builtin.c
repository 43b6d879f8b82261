/* How a built-in task ends: most of them without a run. See builtin.h. */
#include "core/request_inner.h"

bool
request_is_builtin(struct request *r, struct span *runs)
{
	*runs = SPAN_NONE;
	r->builtin = builtin_find(r->task.name);
	if (!builtin_is_series(r->builtin))
		return r->builtin != BUILTIN_NONE;
	/* What makes no sense is told when it would run, like any task's TypeError. */
	if (series_init(&r->series, r->builtin, &r->task, &r->arena, &r->builtin_error) == E_OK)
		*runs = r->series.name;
	return true;
}

static void
end_badly(struct request *r, const char *type, struct span text, us_t wall, struct effects *out)
{
	struct result_error err = { .type = span_of(type), .module = SPAN("builtins"), .text = text };

	(void)request_report_error(r, &err, out);
	request_end_error(r, "FAILURE", &err, SPAN_NONE, wall, out);
}

/* What is started belongs to the same flow as what follows: it is sent once the result is stored. */
static void
start(struct request *r, const struct builtin_end *end, us_t wall, struct effects *out)
{
	struct errtext why = { "" };
	struct span value = SPAN_NONE;
	struct flow trial;
	enum err e;

	flow_init(&trial);
	e = flow_start(&trial, &r->task, end->start, end->args, wall, &value, &why);
	if (e == E_OK && trial.n_chords > 0 && !r->rules->has_chords)
		e = err_set(&why, E_REFUSED,
			"this worker's result backend cannot count the members of a chord: give it a Redis "
			"backend");
	if (e != E_OK) {
		end_badly(r, e == E_REFUSED ? "NotImplementedError" : "ValueError", span_of(why.text), wall,
			out);
		flow_release(&trial);
		return;
	}
	request_report(out, REPORT_SUCCEEDED)->value = value;
	request_follow(r, "SUCCESS", value, SPAN_NONE, wall);
	if (flow_start(&r->flow, &r->task, end->start, end->args, wall, NULL, &why) != E_OK &&
		r->mail.kind == MAIL_NONE)
		request_go_dead(r, "canvas", why.text);
	/* The text of the trial's value goes with it. */
	buf_reset(&r->scratch);
	buf_add(&r->scratch, value);
	flow_release(&trial);
	out->items[out->count - 1].u.report.value = buf_span(&r->scratch);
	request_store_final(r, "SUCCESS", buf_span(&r->scratch), SPAN_NONE, wall, out);
}

void
request_end_series(struct request *r, int64_t runtime_us, us_t wall, struct effects *out)
{
	if (r->series.results.err != E_OK)
		end_badly(r, "MemoryError",
			SPAN("the results of all items together are too large for one result"), wall, out);
	else
		request_end_success(r, buf_span(&r->series.results), runtime_us, wall, out);
}

bool
request_end_builtin(struct request *r, us_t wall, struct effects *out)
{
	struct builtin_end end;

	if (r->builtin == BUILTIN_NONE)
		return false;
	if (r->builtin_error.text[0] != '\0') {
		end_badly(r, "TypeError", span_of(r->builtin_error.text), wall, out);
		return true;
	}
	if (builtin_is_series(r->builtin)) {
		if (series_next(&r->series))
			return false;
		request_end_series(r, 0, wall, out);
		return true;
	}
	if (builtin_end(&end, r->builtin, &r->task, &r->arena) != E_OK)
		end_badly(r, "MemoryError", SPAN("out of memory"), wall, out);
	else if (end.type != NULL)
		end_badly(r, end.type, span_of(end.error.text), wall, out);
	else if (end.start.ptr != NULL)
		start(r, &end, wall, out);
	else
		request_end_success(r, end.value, 0, wall, out);
	return true;
}

bool
request_goes_on(struct request *r, const struct run_frame *f)
{
	if (!builtin_is_series(r->builtin) || r->state != REQUEST_RUNNING || f->type != RUN_DONE ||
		f->outcome != RUN_RESULT)
		return false;
	series_add(&r->series, f->result);
	return series_next(&r->series);
}
