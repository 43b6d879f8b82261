/* Before letters are taken out: was it meant, which ones, how many, really? */
#include "cli/dead.h"

#include "cli/out.h"

static enum err
only_count(void *owner UNUSED, struct dead_source *s UNUSED, struct dead_item *it UNUSED,
	struct errtext *t UNUSED)
{
	return E_OK;
}

int
dead_check_choice(const struct dead_look *l, const char *verb)
{
	if (dead_look_is_choosy(l) || l->f->all)
		return 0;
	out_error("dead %s: name IDs, give a filter (--task, --reason, --error, --since, --until), or say "
		  "--all",
		verb);
	return EXIT_USAGE;
}

bool
dead_may_go_on(const struct dead_look *l, const char *verb, const char *what, uint64_t n, int *code)
{
	*code = EXIT_NO;
	if (out_ask("%s %llu dead letters on %s?", what, (unsigned long long)n, client_broker_url(l->client)))
		return true;
	out_note("dead %s: nothing was done", verb);
	return false;
}

int
dead_must_say_yes(const struct dead_flags *f, const char *verb)
{
	if (f->yes || f->dry_run || out_can_ask())
		return 0;
	out_error("dead %s: say --yes, or --dry-run to see what would be done", verb);
	return EXIT_USAGE;
}

int
dead_count_and_ask(struct dead_look *l, const char *verb, const char *what)
{
	struct errtext why = { "" };
	enum err e = dead_look_each(l, only_count, NULL, &why);
	int code;

	if (e == E_OK)
		e = dead_look_again(l, &why);
	if (e != E_OK)
		return dead_fail(e, &why);
	if (l->matched == 0)
		return dead_look_verdict(l);
	return dead_may_go_on(l, verb, what, l->matched, &code) ? 0 : code;
}
