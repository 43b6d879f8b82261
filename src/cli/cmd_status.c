/* warren status: which workers answer, and are broker, queues and result backend there? */
#include "cli/out.h"
#include "cli/remote.h"
#include "cli/setup.h"

static const struct opt_row rows[] = { REMOTE_FLAGS };

struct queue_state {
	const char *name;
	uint32_t messages, consumers;
	bool missing;
	char *refused; /* why the broker does not tell */
};

struct state {
	enum err broker, backend;
	struct errtext broker_why, backend_why;
	bool has_backend;
	struct queue_state *queues;
	size_t n;
	struct remote_answers nodes;
	int asked; /* how the question to the workers went: an exit code */
};

static void
look(struct client *client, const struct remote_flags *f, struct state *s)
{
	size_t i;

	s->broker = client_connect_broker(client, &s->broker_why);
	for (i = 0; s->broker == E_OK && i < s->n; i++) {
		struct queue_state *q = &s->queues[i];

		s->broker = client_queue_info(
			client, span_of(q->name), &q->messages, &q->consumers, &s->broker_why);
		q->missing = s->broker == E_MISSING;
		if (s->broker == E_REFUSED)
			q->refused = must_dup(span_of(s->broker_why.text));
		if (q->missing || q->refused != NULL)
			s->broker = E_OK;
	}
	if (s->has_backend)
		s->backend = client_connect_backend(client, &s->backend_why);
	if (s->broker == E_OK)
		s->asked = remote_collect(client, "ping", SPAN_NONE, f, &s->nodes);
}

static void
js_pair(struct js *w, const char *key, const char *text)
{
	js_key(w, key);
	js_text(w, text);
}

static void
print_json(const struct client *client, const struct state *s)
{
	struct buf b;
	struct js w;
	size_t i;

	buf_init(&b, 0);
	js_init(&w, &b);
	js_object(&w);
	js_key(&w, "broker");
	js_object(&w);
	js_key(&w, "reachable");
	js_bool(&w, s->broker == E_OK);
	js_pair(&w, "url", client_broker_url(client));
	js_pair(&w, "version", s->broker == E_OK ? client_broker_version(client) : NULL);
	js_pair(&w, "error", s->broker == E_OK ? NULL : s->broker_why.text);
	js_object_end(&w);
	js_key(&w, "backend");
	js_object(&w);
	js_key(&w, "reachable");
	if (s->has_backend)
		js_bool(&w, s->backend == E_OK);
	else
		js_null(&w);
	js_pair(&w, "url", s->has_backend ? client_backend_url(client) : NULL);
	js_pair(&w, "error", s->backend == E_OK ? NULL : s->backend_why.text);
	js_object_end(&w);
	js_key(&w, "queues");
	js_array(&w);
	for (i = 0; s->broker == E_OK && i < s->n; i++) {
		js_object(&w);
		js_pair(&w, "name", s->queues[i].name);
		js_key(&w, "exists");
		if (s->queues[i].refused != NULL)
			js_null(&w);
		else
			js_bool(&w, !s->queues[i].missing);
		js_key(&w, "messages");
		js_int(&w, s->queues[i].messages);
		js_key(&w, "consumers");
		js_int(&w, s->queues[i].consumers);
		if (s->queues[i].refused != NULL)
			js_pair(&w, "error", s->queues[i].refused);
		js_object_end(&w);
	}
	js_array_end(&w);
	js_key(&w, "nodes");
	remote_add_json(&w, &s->nodes);
	js_object_end(&w);
	out_json(&b);
	buf_release(&b);
}

static void
print_server(const char *what, bool ok, const char *url, const char *note, const char *why)
{
	printf("%-8s %s%s%s  ", what, out_color(ok ? OUT_GREEN : OUT_RED), ok ? "ok" : "unreachable",
		out_color(OUT_PLAIN));
	if (ok)
		printf("%s%s%s\n", url, *note != '\0' ? "  " : "", note);
	else
		printf("%s\n", why);
}

static void
print_nodes(const struct state *s)
{
	size_t i;

	fputc('\n', stdout);
	for (i = 0; i < s->nodes.n; i++)
		printf("->  %s: %sOK%s\n", s->nodes.items[i].shown, out_color(OUT_GREEN),
			out_color(OUT_PLAIN));
	printf("%s%zu node%s online.\n", s->nodes.n > 0 ? "\n" : "", s->nodes.n, s->nodes.n == 1 ? "" : "s");
}

static void
print(const struct client *client, const struct state *s)
{
	static const char *const titles[] = { "QUEUE", "READY", "CONSUMERS", "" };
	char messages[20], consumers[20], version[80];
	struct grid g;
	size_t i;

	snprintf(version, sizeof(version), "RabbitMQ %.60s", client_broker_version(client));
	print_server("broker", s->broker == E_OK, client_broker_url(client), version, s->broker_why.text);
	if (s->has_backend)
		print_server(
			"backend", s->backend == E_OK, client_backend_url(client), "", s->backend_why.text);
	else
		printf("backend  none is set\n");
	if (s->broker != E_OK)
		return;
	grid_init(&g, 4, titles);
	for (i = 0; i < s->n; i++) {
		const struct queue_state *q = &s->queues[i];
		const char *cells[4] = { q->name, messages, consumers, "" };

		snprintf(messages, sizeof(messages), "%u", q->messages);
		snprintf(consumers, sizeof(consumers), "%u", q->consumers);
		if (q->missing) {
			cells[1] = cells[2] = "-";
			cells[3] = "does not exist yet";
		} else if (q->refused != NULL) {
			cells[1] = cells[2] = "-";
			cells[3] = "the broker refuses to tell";
		} else if (q->consumers == 0)
			cells[3] = "nobody takes from it";
		grid_add(&g, cells);
	}
	fputc('\n', stdout);
	grid_print(&g);
	grid_release(&g);
	for (i = 0; i < s->n; i++)
		if (s->queues[i].refused != NULL)
			out_error("%s", s->queues[i].refused);
	if (s->asked == 0)
		print_nodes(s);
}

/* The first thing that is wrong. */
static int
code_of(const struct state *s, const struct remote_flags *f)
{
	size_t i;

	if (s->broker != E_OK || s->backend != E_OK)
		return exit_of(s->broker != E_OK ? s->broker : s->backend);
	if (s->asked != 0 || s->nodes.n == 0)
		return s->asked != 0 ? s->asked : EXIT_NO;
	for (i = 0; i < s->n; i++)
		if (s->queues[i].refused != NULL)
			return EXIT_NO;
	for (i = 0; i < f->destination.n; i++)
		if (!remote_has_answered(&s->nodes, f->destination.items[i])) {
			out_error("%s did not answer within %g s", f->destination.items[i],
				(double)f->timeout / 1000);
			return EXIT_LATE;
		}
	return 0;
}

static int
status_run(struct cli *cli)
{
	const char *const *names = setup_queue_names(cli), *backend = cli->conf.o.result_backend;
	struct client *client = NULL;
	struct state s = { .n = 0 };
	int code;
	size_t i;

	while (names[s.n] != NULL)
		s.n++;
	s.queues = must_alloc((s.n + 1) * sizeof(*s.queues));
	for (i = 0; i < s.n; i++)
		s.queues[i].name = names[i];
	s.has_backend = *backend != '\0' && strcmp(backend, "none") != 0 && strcmp(backend, "disabled") != 0;
	code = setup_client(cli, true, &client);
	if (code == 0) {
		look(client, cli->flags, &s);
		if (cli->common.json)
			print_json(client, &s);
		else
			print(client, &s);
		code = code_of(&s, cli->flags);
	}
	remote_answers_release(&s.nodes);
	client_free(client);
	for (i = 0; i < s.n; i++)
		alloc_free(s.queues[i].refused);
	alloc_free(s.queues);
	return code;
}

const struct cmd cmd_status = {
	.name = "status",
	.args = "[QUEUE...]",
	.summary = "which workers answer, and are broker, queues and result backend there?",
	.details =
		"Without QUEUE: all queues of the configuration, or the default queue. READY counts the messages that wait, without those that a worker "
		"holds. Exit status 3 when broker or backend cannot be reached, 1 when no worker answers or a queue refuses to tell, 4 when one of --destination does not.",
	.examples = "  warren status\n"
		    "  warren status scraping processing --json\n",
	.flags = rows,
	.n_flags = ARRAY_LEN(rows),
	.flags_size = sizeof(struct remote_flags),
	.groups = CONF_BIT(CONF_BROKER) | CONF_BIT(CONF_RESULT) | CONF_BIT(CONF_TLS),
	.args_max = SIZE_MAX,
	.run = status_run,
};
