/* warren config: what counts and where it came from; whether a file is right; the sample file. */
#include "cli/app.h"
#include "cli/out.h"
#include "cli/schedule.h"

#include "base/js.h"
#include "base/url.h"

struct config_flags {
	const char *app, *check;
	struct opt_list queues, pass_env;
	bool sample;
};

static const struct opt_row rows[] = {
	FLAG(config_flags, app, text, .short_flag = 'A', .def = "", .arg = "MODULE",
		.help = "ask this Celery application, and show what a worker would make of its settings"),
	FLAG(config_flags, queues, list, .short_flag = 'Q', .help = "with -A: as for the worker"),
	FLAG(config_flags, pass_env, list, .arg = "NAME,...", .help = "with -A: as for the worker"),
	FLAG(config_flags, check, text, .def = "", .arg = "FILE",
		.help = "look for mistakes in FILE, as a worker with this environment would read it; exit status 2 "
			"when there is one"),
	FLAG(config_flags, sample, bool, .help = "print a configuration file with every setting explained"),
};

/* What the table alone cannot tell: routes compile, URLs are of a known kind, pools can run, entries have a time. */
static enum err
check_meaning(struct cli *cli, struct errtext *t)
{
	static const struct opt_list none;
	static const struct runner_flags no_runner = { .app = "" };
	struct client_conf conf = { .connect_ms = 1 };
	struct client *client = NULL;
	struct schedule_maker schedule = { .cli = NULL };
	struct routes *routes = NULL;
	struct task_rules rules;
	struct pool_conf *pools;
	enum err e = setup_routes(cli, &routes, t);
	size_t n;

	routes_free(routes);
	if (e == E_OK)
		e = setup_rules(cli, &rules, t);
	if (e == E_OK) {
		setup_broker(cli, &conf.broker);
		setup_backend(cli, &conf.backend);
		e = client_new(&client, &conf, t);
		client_free(client);
	}
	if (e == E_OK && cli->conf.n_pools > 0)
		e = setup_pools(cli, &no_runner, &none, &none, &pools, &n, t);
	if (e == E_OK) {
		e = schedule_open(&schedule, cli, t);
		schedule_release(&schedule);
	}
	return e;
}

static void
print_warnings(void)
{
	struct span rest;
	struct buf b;

	buf_init(&b, 0);
	conf_add_env_warnings(&b);
	for (rest = buf_span(&b); rest.len > 0;) {
		struct span line = span_split(&rest, '\n');

		out_note("warning: %.*s", SPAN_FMT(line));
	}
	buf_release(&b);
}

/* Variables of children, headers, command lines: what is a secret there, by its name or as the password of a URL, is hidden. */
static void
hide_secrets(struct opt_list *list, bool pairs, struct arena *a)
{
	const char **shown = arena_zero(a, (list->n + 1) * sizeof(*shown));
	struct buf b;

	for (size_t i = 0; shown != NULL && i < list->n; i++) {
		struct span value = span_of(list->items[i]), name = span_split(&value, '=');

		buf_init(&b, 0);
		if (pairs && url_is_secret(name)) {
			buf_add(&b, name);
			buf_adds(&b, "=**");
		} else
			url_add_hidden(&b, span_of(list->items[i]));
		shown[i] = b.err == E_OK ? arena_dup(a, buf_span(&b)).ptr : NULL;
		buf_release(&b);
		if (shown[i] == NULL)
			shown[i] = "**";
	}
	*list = shown != NULL ? (struct opt_list){ shown, list->n } : (struct opt_list){ .n = 0 };
}

/* A copy to be shown. */
static const char *
shown_item(const struct conf_section *sec, const char *item, struct arena *a)
{
	char *copy = arena_zero(a, sec->item_size);

	if (copy == NULL)
		abort();
	memcpy(copy, item, sec->item_size);
	for (size_t i = 0; i < sec->n_rows; i++)
		if (opt_is_list(&sec->rows[i]))
			hide_secrets((struct opt_list *)(void *)(copy + sec->rows[i].offset),
				sec->rows[i].type == OPT_T_pairs, a);
	return copy;
}

static void
print_item_json(struct js *w, const struct conf_section *sec, const char *item)
{
	struct arena arena;
	struct buf value;
	size_t i;

	arena_init(&arena, 0);
	js_key_span(w, span_of(((const struct conf_item *)(const void *)item)->name));
	item = shown_item(sec, item, &arena);
	js_object(w);
	for (i = 0; i < sec->n_rows; i++) {
		buf_init(&value, 0);
		opt_add_json(&value, &sec->rows[i], item);
		js_key(w, sec->rows[i].name);
		js_raw(w, buf_span(&value));
		buf_release(&value);
	}
	js_object_end(w);
	arena_release(&arena);
}

static const char *
items_of(const struct conf *c, const struct conf_section *sec, size_t *n)
{
	const char *base = (const char *)c;

	*n = *(const size_t *)(const void *)(base + sec->count_offset);
	return *(const char *const *)(const void *)(base + sec->items_offset);
}

static void
print_json(const struct conf *c)
{
	struct buf b, value;
	struct js w;
	size_t i, k, n;

	buf_init(&b, 0);
	js_init(&w, &b);
	js_object(&w);
	js_key(&w, "file");
	js_text(&w, c->file);
	js_key(&w, "settings");
	js_object(&w);
	for (i = 0; i < CONF_OPTIONS; i++) {
		buf_init(&value, 0);
		opt_add_json(&value, &conf_rows[i], &c->o);
		js_key(&w, conf_rows[i].name);
		js_object(&w);
		js_key(&w, "value");
		js_raw(&w, buf_span(&value));
		js_key(&w, "from");
		js_text(&w, c->origin[i].where);
		js_object_end(&w);
		buf_release(&value);
	}
	js_object_end(&w);
	for (k = 0; k < CONF_SECTIONS; k++) {
		const char *items = items_of(c, &conf_sections[k], &n);

		js_key(&w, conf_sections[k].name);
		js_object(&w);
		for (i = 0; i < n; i++)
			print_item_json(&w, &conf_sections[k], items + i * conf_sections[k].item_size);
		js_object_end(&w);
	}
	js_object_end(&w);
	out_json(&b);
	buf_release(&b);
}

/* Only what differs from the defaults of the row. */
static void
print_item(const struct conf *c, const struct conf_section *sec, const char *item)
{
	const struct conf_item *head = (const void *)item;
	struct buf b, value;
	void *plain = must_alloc(sec->item_size);
	char where[300] = "the application";
	struct arena arena;
	size_t i, start;

	arena_init(&arena, 0);
	buf_init(&b, 0);
	item = shown_item(sec, item, &arena);
	if (opt_set_defaults(sec->rows, sec->n_rows, plain, &arena) == E_OK)
		for (i = 0; i < sec->n_rows; i++) {
			start = b.len;
			buf_addf(&b, "%s%s: ", b.len > 0 ? ", " : "", sec->rows[i].name);
			buf_init(&value, 0);
			opt_add_value(&value, &sec->rows[i], plain);
			buf_addc(&value, '\n');
			size_t value_len = value.len;
			opt_add_value(&value, &sec->rows[i], item);
			buf_addc(&value, '\n');
			if (value.len == value_len * 2 &&
				memcmp(value.data, value.data + value_len, value_len) == 0)
				b.len = start;
			else
				buf_add(&b,
					(struct span){ value.data + value_len, value.len - value_len - 1 });
			buf_release(&value);
		}
	if (head->line > 0)
		snprintf(where, sizeof(where), "%s:%d", c->file, head->line);
	printf("  %-24s { %s }  %s%s%s\n", head->name, buf_text(&b), out_color(OUT_DIM), where,
		out_color(OUT_PLAIN));
	buf_release(&b);
	arena_release(&arena);
	alloc_free(plain);
}

static void
print(const struct conf *c)
{
	static const char *const titles[] = { "SETTING", "VALUE", "FROM" };
	struct grid g;
	size_t i, k, n;

	grid_init(&g, 3, titles);
	for (i = 0; i < CONF_OPTIONS; i++) {
		struct buf value;
		const char *cells[3] = { conf_rows[i].name, "", c->origin[i].where };

		buf_init(&value, 0);
		opt_add_value(&value, &conf_rows[i], &c->o);
		cells[1] = buf_text(&value);
		grid_add(&g, cells);
		buf_release(&value);
	}
	grid_print(&g);
	grid_release(&g);
	for (k = 0; k < CONF_SECTIONS; k++) {
		const char *items = items_of(c, &conf_sections[k], &n);

		if (n > 0)
			printf("\n%s%s%s\n", out_color(OUT_BOLD), conf_sections[k].name, out_color(OUT_PLAIN));
		for (i = 0; i < n; i++)
			print_item(c, &conf_sections[k], items + i * conf_sections[k].item_size);
	}
	printf("\nfile: %s\n", c->file != NULL ? c->file : "none was read");
}

static int
check_file(struct cli *cli, const char *path)
{
	struct errtext why = { "" };
	enum err e = conf_load(&cli->conf, path, &why);

	if (e == E_OK)
		e = check_meaning(cli, &why);
	print_warnings();
	if (e != E_OK) {
		out_error("%s", why.text);
		return e == E_NOMEM ? EXIT_NO : EXIT_USAGE;
	}
	if (!cli->common.json)
		printf("%s: no mistakes\n", path);
	return 0;
}

static void
print_note(const char *module, const char *setting, const char *note)
{
	out_note("note: %s sets %s: %s", module, setting, note);
}

static enum err
ask_application(struct cli *cli, const struct config_flags *f, struct errtext *t)
{
	static const struct opt_list none;
	const struct runner_flags r = { .app = f->app, .pass_env = f->pass_env };
	const char *node;
	enum err e = setup_node(cli, cli->conf.o.node_name, &node, t);

	return e == E_OK ? app_ask(cli, &r, &f->queues, &none, node, t) : err_prefix(t, E_CONF, "node_name");
}

static int
config_run(struct cli *cli)
{
	const struct config_flags *f = cli->flags;
	struct errtext why = { "" };
	struct buf b;
	enum err e;

	if (f->sample) {
		buf_init(&b, 0);
		conf_add_sample(&b);
		out_span(buf_span(&b));
		buf_release(&b);
		return 0;
	}
	if (*f->check != '\0')
		return check_file(cli, f->check);
	e = conf_load(&cli->conf, cli->common.config, &why);
	if (e == E_OK && *f->app != '\0')
		e = ask_application(cli, f, &why);
	if (e == E_OK)
		e = check_meaning(cli, &why);
	print_warnings();
	app_each_note(cli, print_note);
	if (e != E_OK) {
		out_error("%s", why.text);
		return e == E_NOMEM ? EXIT_NO : EXIT_USAGE;
	}
	if (cli->common.json)
		print_json(&cli->conf);
	else
		print(&cli->conf);
	return 0;
}

const struct cmd cmd_config = {
	.name = "config",
	.args = "",
	.summary = "show the settings that count and where each came from",
	.details =
		"Passwords are hidden. Sources, the later wins: default, the Celery application (-A), Celery's variables, file, environment "
		"(WARREN_...), flag.",
	.examples = "  warren config\n"
		    "  warren config -A proj.celery_app\n"
		    "  warren config --check warren.yaml\n"
		    "  warren config --sample > warren.yaml\n",
	.flags = rows,
	.n_flags = ARRAY_LEN(rows),
	.flags_size = sizeof(struct config_flags),
	.groups = CONF_BIT(CONF_GROUPS) - 1,
	.own_conf = true,
	.run = config_run,
};
