/* warren purge: throws away the messages that wait in queues. */
#include "cli/cmd.h"
#include "cli/out.h"
#include "cli/setup.h"

#include "base/js.h"

struct purge_flags {
	bool yes, dry_run;
	struct opt_list queues;
};

static const struct opt_row rows[] = {
	FLAG(purge_flags, queues, list, .short_flag = 'Q', .min = 1, .help = "the queues, instead of QUEUE..."),
	FLAG(purge_flags, yes, bool, .short_flag = 'y', .help = "do not ask"),
	FLAG(purge_flags, dry_run, bool, .help = "only say what would be thrown away"),
};

/* One queue and what is, or was, in it. */
struct found {
	const char *name;
	uint32_t messages;
	bool missing;
};

static enum err
look(struct client *client, struct found *f, size_t n, uint64_t *sum, struct errtext *t)
{
	uint32_t consumers;
	enum err e = E_OK;
	size_t i;

	for (i = 0; e == E_OK && i < n; i++) {
		e = client_queue_info(client, span_of(f[i].name), &f[i].messages, &consumers, t);
		f[i].missing = e == E_MISSING;
		if (f[i].missing)
			e = E_OK;
		*sum += f[i].messages;
	}
	return e;
}

static enum err
purge(struct client *client, struct found *f, size_t n, struct errtext *t)
{
	enum err e = E_OK;
	size_t i;

	for (i = 0; e == E_OK && i < n; i++)
		if (!f[i].missing)
			e = client_queue_purge(client, span_of(f[i].name), &f[i].messages, t);
	return e;
}

static void
print_json(const struct found *f, size_t n, bool dry_run)
{
	struct buf b;
	struct js w;
	size_t i;

	buf_init(&b, 0);
	js_init(&w, &b);
	js_array(&w);
	for (i = 0; i < n; i++) {
		js_object(&w);
		js_key(&w, "queue");
		js_text(&w, f[i].name);
		js_key(&w, dry_run ? "messages" : "purged");
		if (f[i].missing)
			js_null(&w);
		else
			js_int(&w, f[i].messages);
		js_object_end(&w);
	}
	js_array_end(&w);
	out_json(&b);
	buf_release(&b);
}

static void
print(const struct found *f, size_t n, bool dry_run)
{
	const char *titles[] = { "QUEUE", dry_run ? "WOULD PURGE" : "PURGED" }, *cells[2];
	char number[20];
	struct grid g;
	size_t i;

	grid_init(&g, 2, titles);
	for (i = 0; i < n; i++) {
		snprintf(number, sizeof(number), "%u", f[i].messages);
		cells[0] = f[i].name;
		cells[1] = f[i].missing ? "no such queue" : number;
		grid_add(&g, cells);
	}
	grid_print(&g);
	grid_release(&g);
}

static int
run_on(struct cli *cli, const struct purge_flags *p, struct client *client, struct found *f, size_t n)
{
	struct errtext why = { "" };
	uint64_t sum = 0;
	bool any = false;
	enum err e = client_connect_broker(client, &why);
	const bool connected = e == E_OK;
	size_t i;

	if (e == E_OK)
		e = look(client, f, n, &sum, &why);
	if (e == E_OK && !p->dry_run) {
		if (!p->yes && !out_can_ask()) {
			out_error(
				"purge: this throws messages away for good: say --yes, or --dry-run to see what would go");
			return EXIT_USAGE;
		}
		if (!p->yes &&
			!out_ask("Throw away %llu messages of %zu queues on %s?", (unsigned long long)sum, n,
				client_broker_url(client))) {
			out_note("nothing was purged");
			return EXIT_NO;
		}
		e = purge(client, f, n, &why);
	}
	if (e != E_OK) {
		out_error("%s", why.text);
		/* Of a broker that was reached: a queue it does not let us at. */
		return e == E_REFUSED && connected ? EXIT_NO : exit_of(e);
	}
	if (cli->common.json)
		print_json(f, n, p->dry_run);
	else
		print(f, n, p->dry_run);
	for (i = 0; i < n; i++)
		any |= !f[i].missing;
	return any ? 0 : EXIT_NO;
}

static int
purge_run(struct cli *cli)
{
	const struct purge_flags *p = cli->flags;
	const char *const *names = p->queues.n > 0 ? p->queues.items : setup_queue_names(cli);
	struct client *client = NULL;
	struct found *found;
	size_t n = 0, i;
	int code;

	if (p->queues.n > 0 && cli->n_args > 0) {
		out_error("purge: -Q and QUEUE are both given: choose one");
		return EXIT_USAGE;
	}
	/* A variable of a script that is not set must not mean all queues. */
	for (i = 0; i < cli->n_args; i++)
		if (*cli->args[i] == '\0') {
			out_error(
				"purge: the name of a queue is empty: leave it out for all queues, or name one");
			return EXIT_USAGE;
		}
	while (names[n] != NULL)
		n++;
	found = must_alloc((n + 1) * sizeof(*found));
	for (i = 0; i < n; i++)
		found[i].name = names[i];
	code = setup_client(cli, true, &client);
	if (code == 0)
		code = run_on(cli, p, client, found, n);
	client_free(client);
	alloc_free(found);
	return code;
}

const struct cmd cmd_purge = {
	.name = "purge",
	.args = "[QUEUE...]",
	.summary = "throw away the messages that wait in queues",
	.details =
		"Without QUEUE: all queues of the configuration, or the default queue. Asks first. Tasks that a worker holds already are not touched.",
	.examples = "  warren purge scraping --dry-run\n"
		    "  warren purge scraping processing --yes\n",
	.flags = rows,
	.n_flags = ARRAY_LEN(rows),
	.flags_size = sizeof(struct purge_flags),
	.groups = CONF_BIT(CONF_BROKER) | CONF_BIT(CONF_TLS),
	.args_max = SIZE_MAX,
	.run = purge_run,
};
