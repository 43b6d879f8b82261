/* warren events: what workers say of themselves and of tasks, as it comes; and a live view of it. */
#include "cli/out.h"
#include "cli/setup.h"
#include "cli/term.h"
#include "cli/top.h"
#include "client/listen.h"
#include "client/remote.h"

#include "base/clock.h"
#include "base/text.h"

#include <time.h>

/* Workers that start later are asked too. */
#define ENABLE_EVERY_MS 5000
#define DRAW_EVERY_MS 500
#define TEXT_SHOWN 200

struct events_flags {
	struct opt_list type, task;
	bool enable, top;
	int64_t limit;
	ms_t for_;
};

static const struct opt_row rows[] = {
	FLAG(events_flags, type, list, .help = "only events of these types; patterns, as task-*"),
	FLAG(events_flags, task, list,
		.help = "only events of tasks with these names; patterns, as documents.*"),
	FLAG(events_flags, enable, bool, .short_flag = 'e',
		.help = "ask the workers for events of tasks, which they send only when somebody wants them; "
			"they go on when this command has ended"),
	FLAG(events_flags, top, bool, .help = "a live view: workers, rates, tasks"),
	FLAG(events_flags, limit, int, .def = "0", .min = 0, .help = "end after so many events [0 = never]"),
	{ .name = "for",
		.type = OPT_T_dur,
		.offset = offsetof(struct events_flags, for_),
		.def = "0",
		.help = "end after this time [0 = never]" },
};

struct events {
	const struct events_flags *flags;
	struct client *client;
	struct listen *listen;
	struct term *term;
	struct view view;
	bool json, was_up;
	int64_t shown;
	bool over;
	int code;
	ms_t end, enable_at, draw_at; /* 0 = never */
};

/* --- one event as a line ----------------------------------------------------------------------------------------------- */

static void
format_time(char *out, size_t size, us_t at)
{
	time_t second = (time_t)(at / 1000000);
	struct tm tm;

	if (at < 0 || localtime_r(&second, &tm) == NULL || strftime(out, size, "%H:%M:%S", &tm) == 0)
		snprintf(out, size, "--:--:--");
}

static void
add_text(struct buf *b, const char *key, struct span text)
{
	if (text.len == 0)
		return;
	buf_addf(b, " %s=", key);
	text_add_printable(b, text, TEXT_SHOWN);
}

static void
add_task(struct buf *b, const struct evt *e, const char *name)
{
	buf_addc(b, ' ');
	if (name != NULL)
		text_add_printable(b, span_of(name), TEXT_SHOWN);
	buf_addc(b, '[');
	text_add_printable(b, e->uuid, TEXT_SHOWN);
	buf_addc(b, ']');
	add_text(b, "args", e->args);
	add_text(b, "kwargs", e->kwargs);
	add_text(b, "result", e->result);
	add_text(b, "error", e->exception);
	add_text(b, "eta", e->eta);
	add_text(b, "queue", e->queue);
	if (e->type == EVENT_TASK_SUCCEEDED)
		buf_addf(b, " runtime=%.3gs", e->runtime);
	if (e->type == EVENT_TASK_REVOKED)
		buf_addf(b, " %s", e->expired ? "expired" : e->terminated ? "terminated" : "revoked");
	if (e->retries > 0)
		buf_addf(b, " retries=%lld", (long long)e->retries);
}

static enum out_color
color_of(const struct evt *e)
{
	switch (e->type) {
	case EVENT_TASK_FAILED:
	case EVENT_TASK_REJECTED:
	case EVENT_WORKER_OFFLINE:
		return OUT_RED;
	case EVENT_TASK_RETRIED:
	case EVENT_TASK_REVOKED:
		return OUT_YELLOW;
	case EVENT_TASK_SUCCEEDED:
	case EVENT_WORKER_ONLINE:
		return OUT_GREEN;
	case EVENT_WORKER_HEARTBEAT:
		return OUT_DIM;
	default:
		return OUT_PLAIN;
	}
}

static bool
is_finite_time(double t)
{
	return t > 0 && t < 1e11;
}

static void
print_line(const struct evt *e, const char *name)
{
	us_t at = is_finite_time(e->timestamp) ? (us_t)(e->timestamp * 1e6) : -1;
	char time[16];
	struct buf b;

	buf_init(&b, 0);
	format_time(time, sizeof(time), at);
	buf_addf(&b, "%s.%03d %s", time, at < 0 ? 0 : (int)(at / 1000 % 1000), out_color(color_of(e)));
	text_add_printable(&b, e->type_name, TEXT_SHOWN);
	buf_adds(&b, out_color(OUT_PLAIN));
	buf_addc(&b, ' ');
	text_add_printable(&b, e->hostname, TEXT_SHOWN);
	if (e->uuid.len > 0)
		add_task(&b, e, name);
	else if (e->type != EVENT_OTHER && !evt_is_of_task(e->type))
		buf_addf(&b, " active=%lld done=%lld load=%.2f", (long long)e->active,
			(long long)e->processed, e->loadavg[0]);
	out_line(buf_span(&b));
	buf_release(&b);
}

/* JSON may have newlines between its tokens, and only there: one event is one line. */
static void
print_json(struct span json)
{
	size_t i;

	for (i = 0; i < json.len; i++)
		fputc(json.ptr[i] == '\n' || json.ptr[i] == '\r' ? ' ' : json.ptr[i], stdout);
	fputc('\n', stdout);
}

/* --- the stream -------------------------------------------------------------------------------------------------------- */

static bool
is_among(const struct opt_list *patterns, struct span text)
{
	size_t i;

	for (i = 0; i < patterns->n; i++)
		if (text_glob(span_of(patterns->items[i]), text))
			return true;
	return patterns->n == 0;
}

static void
on_event(void *owner, const struct evt *e)
{
	struct events *ev = owner;
	const struct view_task *t;
	const char *name;

	if (view_on_event(&ev->view, e, clock_wall_us()) != E_OK)
		abort();
	if (ev->flags->top || ev->over)
		return;
	t = e->uuid.len > 0 ? view_find_task(&ev->view, e->uuid) : NULL;
	/* Only the first event of a task says its name. */
	name = t != NULL ? t->texts[VIEW_NAME] : NULL;
	if (!is_among(&ev->flags->type, e->type_name) ||
		!is_among(&ev->flags->task, name != NULL ? span_of(name) : SPAN("")))
		return;
	if (ev->json)
		print_json(e->json);
	else
		print_line(e, name);
	ev->shown++;
	ev->over = ev->flags->limit > 0 && ev->shown >= ev->flags->limit;
}

static void
ask_for_events(struct events *ev)
{
	const struct remote_call call = { .method = SPAN("enable_events") };
	struct errtext why = { "" };

	if (remote_tell(ev->client, &call, &why) != E_OK && !ev->flags->top)
		out_note("%s", why.text);
}

static void
draw(struct events *ev)
{
	struct top top = { .now = clock_wall_us(),
		.broker = client_broker_url(ev->client),
		.is_up = listen_is_up(ev->listen),
		.color = *out_color(OUT_PLAIN) != '\0' };
	char clock[16];
	struct buf b;

	format_time(clock, sizeof(clock), top.now);
	top.clock = clock;
	term_size(&top.rows, &top.columns);
	buf_init(&b, 0);
	top_draw(&b, &ev->view, &top);
	out_span(buf_span(&b));
	buf_release(&b);
}

static void
on_keys(struct events *ev)
{
	int key;

	while (!ev->over && (key = term_read(ev->term)) != TERM_NOTHING) {
		ev->over |= key == TERM_END || key == 'q' || key == 'Q';
		if (key == 'e')
			ev->enable_at = clock_mono_ms();
		if (key == 'c') {
			view_release(&ev->view);
			view_init(&ev->view, NULL);
		}
		ev->draw_at = ev->flags->top ? clock_mono_ms() : 0;
	}
}

static void
note_connection(struct events *ev)
{
	bool up = listen_is_up(ev->listen);

	if (up != ev->was_up && !ev->flags->top)
		out_note(up ? "listening again" : "lost the connection to %s; connecting again",
			client_broker_url(ev->client));
	ev->was_up = up;
}

static ms_t
until_next(const struct events *ev, ms_t now)
{
	const ms_t times[] = { ev->end, ev->enable_at, ev->draw_at };
	ms_t next = -1;
	size_t i;

	for (i = 0; i < ARRAY_LEN(times); i++)
		if (times[i] > 0 && (next < 0 || times[i] < next))
			next = times[i];
	return next < 0 ? -1 : next > now ? next - now : 0;
}

static void
go_on(struct events *ev)
{
	while (!ev->over) {
		ms_t now = clock_mono_ms();

		if (ev->enable_at > 0 && now >= ev->enable_at) {
			/* Away for now: asked again in a while. */
			if (listen_is_up(ev->listen))
				ask_for_events(ev);
			ev->enable_at = ev->flags->enable ? now + ENABLE_EVERY_MS : 0;
		}
		if (ev->draw_at > 0 && now >= ev->draw_at) {
			draw(ev);
			ev->draw_at = now + DRAW_EVERY_MS;
		}
		/* Nobody reads any more: nothing to go on for. */
		if (fflush(stdout) != 0 || (ev->end > 0 && now >= ev->end))
			break;
		listen_wait(ev->listen, until_next(ev, now));
		note_connection(ev);
		on_keys(ev);
	}
}

static int
listen_and_show(struct events *ev)
{
	struct errtext why = { "" };
	enum err e = client_connect_broker(ev->client, &why);
	ms_t now = clock_mono_ms();

	/* The screen comes last, so that what is wrong can be read. */
	if (e == E_OK)
		e = term_open(&ev->term, ev->flags->top, &why);
	if (e == E_OK)
		e = listen_open(&ev->listen, ev->client, SPAN("#"), term_fd(ev->term), on_event, ev, &why);
	if (e == E_OK) {
		ev->was_up = true;
		ev->end = ev->flags->for_ > 0 ? now + ev->flags->for_ : 0;
		ev->enable_at = ev->flags->enable ? now : 0;
		ev->draw_at = ev->flags->top ? now : 0;
		go_on(ev);
	}
	listen_close(ev->listen);
	term_close(ev->term);
	if (e != E_OK)
		out_error("events: %s", why.text);
	return exit_of(e);
}

static int
events_run(struct cli *cli)
{
	struct events ev = { .flags = cli->flags, .json = cli->common.json };
	int code;

	if (ev.flags->top && (ev.json || ev.flags->type.n > 0 || ev.flags->task.n > 0 || ev.flags->limit > 0)) {
		out_error(
			"events: --top shows everything: it goes with none of --json, --type, --task and --limit");
		return EXIT_USAGE;
	}
	code = setup_client(cli, true, &ev.client);
	if (code != 0)
		return code;
	view_init(&ev.view, NULL);
	code = listen_and_show(&ev);
	view_release(&ev.view);
	client_free(ev.client);
	return code;
}

const struct cmd cmd_events = {
	.name = "events",
	.args = "",
	.summary = "what workers say of themselves and of tasks, as it comes",
	.details =
		"Of warren's workers and Celery's. Events of tasks are sent only by workers that were started with -E or were asked (--enable). It goes on "
		"until it is interrupted. With --json each line is one event, as it was sent.",
	.examples = "  warren events --enable --task 'documents.*'\n"
		    "  warren events --type 'worker-*' --json\n"
		    "  warren events --top --enable\n",
	.flags = rows,
	.n_flags = ARRAY_LEN(rows),
	.flags_size = sizeof(struct events_flags),
	.groups = CONF_BIT(CONF_BROKER) | CONF_BIT(CONF_TLS),
	.run = events_run,
};
