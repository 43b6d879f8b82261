/*
 * Routing by task name. Rules are compiled once; a lookup walks them in order and the first that fits decides. Patterns are globs, or
 * POSIX extended regular expressions between slashes. Nothing here knows where rules come from.
 */
#include "core/route.h"

#include "base/alloc.h"
#include "base/text.h"

#include <regex.h>

struct rule {
	struct span glob; /* SPAN_NONE: the expression decides */
	regex_t regex;
	bool has_regex;
	struct route_target target;
};

struct routes {
	struct rule *rules;
	size_t n;
	struct route_target fallback;
	struct arena arena; /* owns the texts */
};

/* The expression between the slashes. */
static enum err
compile_regex(struct rule *rule, const char *pattern, struct errtext *t)
{
	size_t len = strlen(pattern);
	char *expression = alloc_dup((struct span){ pattern + 1, len - 2 });
	char why[200];
	int code;

	if (expression == NULL)
		return err_set(t, E_NOMEM, "out of memory");
	code = regcomp(&rule->regex, expression, REG_EXTENDED | REG_NOSUB);
	alloc_free(expression);
	if (code == REG_ESPACE)
		return err_set(t, E_NOMEM, "out of memory");
	if (code != 0) {
		regerror(code, &rule->regex, why, sizeof(why));
		return err_set(t, E_CONF, "route '%s': not a regular expression: %s", pattern, why);
	}
	rule->has_regex = true;
	return E_OK;
}

static enum err
keep(struct routes *r, const char *text, struct span *out)
{
	*out = SPAN_NONE;
	if (text == NULL || *text == '\0')
		return E_OK;
	*out = arena_dup(&r->arena, span_of(text));
	return out->ptr != NULL ? E_OK : E_NOMEM;
}

static enum err
add_rule(struct routes *r, const struct route *from, struct errtext *t)
{
	struct rule *rule = &r->rules[r->n];
	struct span queue, exchange, key;
	size_t len;
	enum err e;

	*rule = (struct rule){ .has_regex = false };
	if (from->pattern == NULL || *from->pattern == '\0')
		return err_set(t, E_CONF, "route: the pattern is empty");
	if (keep(r, from->queue, &queue) != E_OK || keep(r, from->exchange, &exchange) != E_OK ||
		keep(r, from->routing_key, &key) != E_OK)
		return err_set(t, E_NOMEM, "out of memory");
	if (queue.ptr == NULL && exchange.ptr == NULL)
		return err_set(t, E_CONF, "route '%s': name a queue or an exchange", from->pattern);
	if (from->priority < -1 || from->priority > 255)
		return err_set(t, E_CONF, "route '%s': priority %d is not between 0 and 255", from->pattern,
			from->priority);
	len = strlen(from->pattern);
	if (len >= 2 && from->pattern[0] == '/' && from->pattern[len - 1] == '/')
		e = compile_regex(rule, from->pattern, t);
	else
		e = keep(r, from->pattern, &rule->glob);
	if (e != E_OK)
		return e == E_NOMEM ? err_set(t, e, "out of memory") : e;
	if (key.ptr == NULL)
		key = queue.ptr != NULL ? queue : SPAN("");
	rule->target = (struct route_target){ exchange.ptr != NULL ? exchange : SPAN(""), key, queue,
		from->priority, from->delivery_mode, from->is_given };
	r->n++;
	return E_OK;
}

enum err
routes_new(struct routes **out, const struct route *rules, size_t n, const char *default_queue,
	struct errtext *t)
{
	struct routes *r = alloc_zero(sizeof(*r));
	enum err e = E_OK;
	struct span queue;
	size_t i;

	*out = NULL;
	if (r == NULL)
		return err_set(t, E_NOMEM, "out of memory");
	arena_init(&r->arena, 0);
	r->rules = alloc_zero((n + 1) * sizeof(*r->rules));
	if (r->rules == NULL || keep(r, default_queue, &queue) != E_OK)
		e = err_set(t, E_NOMEM, "out of memory");
	else if (queue.ptr == NULL)
		e = err_set(t, E_CONF, "the default queue has no name");
	else
		r->fallback = (struct route_target){ SPAN(""), queue, queue, -1, 0, false };
	for (i = 0; e == E_OK && i < n; i++)
		e = add_rule(r, &rules[i], t);
	if (e != E_OK)
		routes_free(r);
	else
		*out = r;
	return e;
}

void
routes_free(struct routes *r)
{
	size_t i;

	if (r == NULL)
		return;
	for (i = 0; i < r->n; i++)
		if (r->rules[i].has_regex)
			regfree(&r->rules[i].regex);
	alloc_free(r->rules);
	arena_release(&r->arena);
	alloc_free(r);
}

/* REG_STARTEND, so that the name needs no copy and no NUL. */
static bool
regex_fits(const regex_t *regex, struct span name)
{
	regmatch_t part = { .rm_so = 0, .rm_eo = (regoff_t)name.len };

	return name.len <= 4096 && regexec(regex, name.ptr, 1, &part, REG_STARTEND) == 0;
}

struct route_target
routes_find(const struct routes *r, struct span task_name)
{
	const struct rule *rule;
	size_t i;

	for (i = 0; i < r->n; i++) {
		rule = &r->rules[i];
		if (rule->has_regex ? regex_fits(&rule->regex, task_name) : text_glob(rule->glob, task_name))
			return rule->target;
	}
	return r->fallback;
}
