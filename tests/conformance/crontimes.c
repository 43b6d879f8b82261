/*
 * For the comparison with other implementations: reads lines "<rules>|<zone>|<fields>|<after>|<count>|<until>", rules being ours or celery, and
 * prints for each the times that follow (seconds since the epoch), at most count and none after until, or "error: why".
 */
#include "base/text.h"
#include "beat/zones.h"
#include "core/cron.h"

static struct span
take_field(struct span *rest)
{
	return span_split(rest, '|');
}

static enum err
answer(struct zones *zones, struct span line, struct errtext *t)
{
	enum cron_rules rules = span_is(take_field(&line), "celery") ? CRON_CELERY : CRON_OURS;
	struct span zone_name = take_field(&line), fields = take_field(&line);
	int64_t after, count, until;
	const struct zone *zone;
	struct cron cron;
	enum err e;

	if (!text_parse_int(take_field(&line), &after) || !text_parse_int(take_field(&line), &count) ||
		!text_parse_int(take_field(&line), &until))
		return err_set(t, E_FORMAT, "a number is wrong");
	e = zones_get(zones, zone_name, &zone, t);
	if (e == E_OK)
		e = cron_parse(&cron, rules, fields, t);
	while (e == E_OK && count-- > 0) {
		after = cron_next(&cron, zone, after);
		if (after > until)
			break;
		printf("%lld ", (long long)after);
	}
	return e;
}

int
main(void)
{
	struct zones zones;
	struct errtext t;
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	zones_init(&zones);
	while ((n = getline(&line, &cap, stdin)) > 0) {
		if (answer(&zones, span_trim((struct span){ line, (size_t)n }), &t) != E_OK)
			printf("error: %s", t.text);
		putchar('\n');
	}
	free(line);
	zones_release(&zones);
	return ferror(stdin) || fflush(stdout) != 0;
}
