/* warren report: what belongs into a bug report: this program, its settings, and what each worker says of itself. */
#include "config.h"

#include "cli/out.h"
#include "cli/remote.h"
#include "cli/setup.h"

#include <sys/utsname.h>

static const struct opt_row rows[] = { REMOTE_FLAGS };

static void
add_here(struct js *w, struct cli *cli, const char *broker)
{
	struct utsname system = { .sysname = "?" };
	const char *settings = setup_settings(cli, false);

	/* Fails for a bad pointer only; then the fields stay as they are. */
	if (uname(&system) != 0)
		system.release[0] = system.machine[0] = '\0';
	js_object(w);
	js_key(w, "warren");
	js_text(w, PACKAGE_VERSION);
	js_key(w, "system");
	js_text(w, system.sysname);
	js_key(w, "kernel");
	js_text(w, system.release);
	js_key(w, "arch");
	js_text(w, system.machine);
	js_key(w, "rabbitmq");
	js_text(w, *broker != '\0' ? broker : NULL);
	js_key(w, "configuration");
	js_text(w, cli->conf.file);
	js_key(w, "settings");
	js_raw(w, settings != NULL ? span_of(settings) : SPAN("{}"));
	js_object_end(w);
}

static void
print_here(struct span here)
{
	struct jscan_iter it;

	if (!jscan_begin(&it, here))
		return;
	while (jscan_next(&it)) {
		struct buf b;

		buf_init(&b, 0);
		if (jscan_kind(it.value) == JSCAN_STRING)
			jscan_add_string(&b, it.value);
		else if (jscan_kind(it.value) == JSCAN_NULL)
			buf_addc(&b, '-');
		else
			buf_add(&b, it.value);
		printf("%-14.*s%s\n", SPAN_FMT(it.key), buf_text(&b));
		buf_release(&b);
	}
}

static int
report_run(struct cli *cli)
{
	const struct remote_cmd *cmd = remote_find("report", "report", false);
	const struct remote_flags *f = cli->flags;
	struct remote_answers answers = { .n = 0 };
	struct client *client = NULL;
	struct buf b;
	struct js w;
	int code, found;

	code = setup_client(cli, true, &client);
	if (code != 0)
		return code;
	found = remote_collect(client, "report", SPAN_NONE, f, &answers);
	buf_init(&b, 0);
	js_init(&w, &b);
	if (cli->common.json) {
		js_object(&w);
		js_key(&w, "here");
	}
	add_here(&w, cli, found == 0 ? client_broker_version(client) : "");
	if (cli->common.json) {
		js_key(&w, "workers");
		remote_add_json(&w, &answers);
		js_object_end(&w);
		out_json(&b);
	} else {
		print_here(buf_span(&b));
		if (answers.n > 0)
			remote_show(cmd, &answers, f, false);
		else if (found == 0)
			out_note("no worker answered within %g s", (double)f->timeout / 1000);
	}
	buf_release(&b);
	remote_answers_release(&answers);
	client_free(client);
	return found;
}

const struct cmd cmd_report = {
	.name = "report",
	.args = "",
	.summary = "versions and settings, of this machine and of every worker",
	.details = "For a bug report. Passwords are not shown.",
	.examples = "  warren report\n"
		    "  warren report --json\n",
	.flags = rows,
	.n_flags = ARRAY_LEN(rows),
	.flags_size = sizeof(struct remote_flags),
	.groups = CONF_BIT(CONF_BROKER) | CONF_BIT(CONF_RESULT) | CONF_BIT(CONF_TLS),
	.run = report_run,
};
