/* The settings as remote control and reports show them: flat, without secrets. */
#include "cli/setup.h"

#include "base/js.h"

const char *
setup_settings(struct cli *cli, bool all)
{
	const struct conf *c = &cli->conf;
	struct buf b, value;
	struct span kept;
	struct js w;

	buf_init(&b, 0);
	buf_init(&value, 0);
	js_init(&w, &b);
	js_object(&w);
	for (size_t i = 0; i < CONF_OPTIONS; i++) {
		if (!all && c->origin[i].source == CONF_DEFAULT)
			continue;
		buf_reset(&value);
		opt_add_json(&value, &conf_rows[i], &c->o);
		/* Celery's name for it, which people look for. */
		js_key(&w, i == CONF_OPT_broker ? "broker_url" : conf_rows[i].name);
		js_raw(&w, buf_span(&value));
	}
	js_object_end(&w);
	kept = b.err == E_OK && value.err == E_OK ? arena_dup(&cli->arena, buf_span(&b)) : SPAN_NONE;
	buf_release(&value);
	buf_release(&b);
	return kept.ptr;
}
