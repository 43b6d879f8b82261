/*
 * For the comparison with Celery's monitor: reads lines "<seconds> <body of an event message>" and prints what core/view.h has made of them at
 * the time of the last one: a line of JSON for each task, and one for each worker.
 */
#include "base/js.h"
#include "base/text.h"
#include "core/view.h"

static enum err
take(struct view *v, struct span line, us_t *now)
{
	struct evt_reader r;
	struct errtext t;
	struct evt e;
	struct msg m;
	double seconds;
	enum err err = E_FORMAT;

	msg_init(&m, 0);
	if (text_parse_double(span_split(&line, ' '), &seconds)) {
		*now = (us_t)(seconds * 1e6);
		m.body = line;
		err = evt_begin(&r, &m, &t);
	}
	while (err == E_OK && evt_next(&r, &e))
		err = view_on_event(v, &e, *now);
	msg_release(&m);
	return err;
}

static void
add_pair(struct js *w, const char *key, const char *text)
{
	js_key(w, key);
	js_text(w, text);
}

static void
print_task(const struct view_task *t)
{
	struct buf b;
	struct js w;

	buf_init(&b, 0);
	js_init(&w, &b);
	js_object(&w);
	add_pair(&w, "uuid", t->id);
	add_pair(&w, "state", view_state_name(t->state));
	add_pair(&w, "name", t->texts[VIEW_NAME]);
	add_pair(&w, "args", t->texts[VIEW_ARGS]);
	add_pair(&w, "result", t->texts[VIEW_RESULT]);
	add_pair(&w, "exception", t->texts[VIEW_EXCEPTION]);
	add_pair(&w, "worker", t->texts[VIEW_WORKER]);
	add_pair(&w, "client", t->texts[VIEW_CLIENT]);
	js_key(&w, "timestamp");
	js_double(&w, t->timestamp);
	js_key(&w, "retries");
	js_int(&w, t->retries);
	js_key(&w, "times");
	js_array(&w);
	for (size_t i = 0; i < VIEW_STATES; i++)
		js_double(&w, t->times[i]);
	js_array_end(&w);
	js_object_end(&w);
	printf("%s\n", buf_text(&b));
	buf_release(&b);
}

static void
print_worker(const struct view_worker *worker, us_t now)
{
	struct buf b;
	struct js w;

	buf_init(&b, 0);
	js_init(&w, &b);
	js_object(&w);
	add_pair(&w, "hostname", worker->name);
	js_key(&w, "alive");
	js_bool(&w, view_worker_lives(worker, now));
	js_key(&w, "processed");
	js_int(&w, worker->processed);
	js_object_end(&w);
	printf("%s\n", buf_text(&b));
	buf_release(&b);
}

int
main(void)
{
	const struct view_task *t = NULL;
	struct map_iter it = { .entry = NULL };
	enum err e = E_OK;
	char *line = NULL;
	struct view v;
	size_t cap = 0;
	us_t now = 0;
	ssize_t n;

	view_init(&v, NULL);
	while (e == E_OK && (n = getline(&line, &cap, stdin)) > 0)
		e = take(&v, span_trim((struct span){ line, (size_t)n }), &now);
	while (e == E_OK && (t = view_older(&v, t)) != NULL)
		print_task(t);
	while (e == E_OK && map_next(&v.workers, &it))
		print_worker(it.value, now);
	free(line);
	view_release(&v);
	if (e != E_OK)
		fprintf(stderr, "%s\n", err_name(e));
	return e != E_OK || ferror(stdin) || fflush(stdout) != 0;
}
