/* etc/warren.yaml, written from the rows: `warren config --sample` prints it, and a test compares it with the file. */
#include "conf/conf.h"

#define WIDTH 100

const char *
conf_group_title(enum conf_group g)
{
	static const char *const titles[CONF_GROUPS] = {
		[CONF_BROKER] = "Broker",
		[CONF_RESULT] = "Results",
		[CONF_TLS] = "TLS",
		[CONF_QUEUE] = "Queues",
		[CONF_WORKER] = "Worker",
		[CONF_BEAT] = "Scheduler",
		[CONF_LOG] = "Log",
	};

	return titles[g];
}

/* Words of text in lines of at most WIDTH, each behind prefix. */
static void
add_wrapped(struct buf *b, const char *prefix, struct span text)
{
	size_t column = 0;
	struct span word;

	while (text.ptr != NULL) {
		word = span_split(&text, ' ');
		if (column > 0 && column + 1 + word.len > WIDTH) {
			buf_addc(b, '\n');
			column = 0;
		}
		buf_adds(b, column == 0 ? prefix : " ");
		column += (column == 0 ? strlen(prefix) : 1) + word.len;
		buf_add(b, word);
	}
	buf_addc(b, '\n');
}

static void
add_option(struct buf *b, const struct opt_row *row)
{
	struct buf note;

	buf_init(&note, 0);
	buf_adds(&note, row->help);
	if (row->choices != NULL)
		buf_addf(&note, " (%s)", row->choices);
	buf_adds(&note, ". Environment: ");
	conf_add_env_name(&note, row);
	if (row->env != NULL)
		buf_addf(&note, " (or %s)", row->env);
	add_wrapped(b, "# ", buf_span(&note));
	buf_release(&note);
	buf_addf(b, "#%s: %s\n\n", row->name, *row->def != '\0' ? row->def : "\"\"");
}

static void
add_section(struct buf *b, const struct conf_section *sec)
{
	struct buf line;
	size_t i;

	buf_addf(b, "# ---- %s ----\n", sec->name);
	add_wrapped(b, "# ", span_of(sec->help));
	buf_init(&line, 0);
	for (i = 0; i < sec->n_rows; i++) {
		buf_reset(&line);
		buf_addf(&line, "%s: %s", sec->rows[i].name, sec->rows[i].help);
		if (sec->rows[i].choices != NULL)
			buf_addf(&line, " (%s)", sec->rows[i].choices);
		if (*sec->rows[i].def != '\0')
			buf_addf(&line, " [%s]", sec->rows[i].def);
		add_wrapped(b, "#   ", buf_span(&line));
	}
	buf_release(&line);
	buf_adds(b, sec->example);
	buf_addc(b, '\n');
}

void
conf_add_sample(struct buf *b)
{
	enum conf_group g;
	size_t i;

	add_wrapped(b, "# ",
		SPAN("Configuration of warren. Each line that starts with # and a key shows a default: take the # away to change "
		     "it. A stronger source wins: default < this file < environment < flag; `warren config` shows what counts and where it came "
		     "from, `warren config --check FILE` looks for mistakes. Times: 30s, 5min, 1h30min, a bare number is seconds. Sizes: 512K, "
		     "20M, 1G. Warren reads --config FILE, else $WARREN_CONFIG, else ./warren.yaml, else the file in /etc/warren (or the etc "
		     "folder it was installed for)."));
	buf_addc(b, '\n');
	for (g = 0; g < CONF_GROUPS; g++) {
		buf_addf(b, "# ---- %s ----\n", conf_group_title(g));
		for (i = 0; i < CONF_OPTIONS; i++)
			if (conf_rows[i].group == CONF_BIT(g))
				add_option(b, &conf_rows[i]);
	}
	for (i = 0; i < CONF_SECTIONS; i++)
		add_section(b, &conf_sections[i]);
}
