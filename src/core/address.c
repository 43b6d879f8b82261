/*
 * The routers of an application get to see every message, as in Celery, also one whose signature names a queue: then they may still give it a
 * priority, or headers. Their answer is all that Celery makes of signature, task and router together, so here it only competes with what the
 * operator has written into the configuration of the worker.
 */
#include "core/address.h"

#include "core/flow_node.h"

static bool
names_its_place(const struct flow_step *s)
{
	return s->exchange.ptr != NULL && s->routing_key.ptr != NULL;
}

/* Without routers that are code: what the signature does not say, its task or route may. */
static int
plain_priority(const struct flow_step *s, const struct route_target *to)
{
	if (to->priority >= 0)
		return to->priority + 1;
	return names_its_place(s) ? 0 : s->inherited_plus1;
}

struct address
address_find(const struct flow_step *s, const struct routes *routes, const struct task_rule *rule,
	const struct routing_answer *answer)
{
	struct route_target to = routes_find(routes, s->call.name);
	bool is_plain = answer == NULL || (to.is_given && !names_its_place(s));
	struct address at = { .priority_plus1 = s->call.priority_plus1, .delivery_mode = s->delivery_mode };

	if (at.priority_plus1 == 0)
		at.priority_plus1 = rule->priority_plus1;
	if (at.priority_plus1 == 0)
		at.priority_plus1 = is_plain ? plain_priority(s, &to) : answer->priority_plus1;
	if (at.delivery_mode == 0)
		at.delivery_mode = rule->delivery_mode;
	if (at.delivery_mode == 0)
		at.delivery_mode = is_plain ? to.delivery_mode : answer->delivery_mode;
	if (!is_plain)
		to = (struct route_target){ .exchange = answer->exchange, .routing_key = answer->routing_key };
	else if (names_its_place(s))
		to = (struct route_target){ .exchange = s->exchange, .routing_key = s->routing_key };
	at.exchange = to.exchange;
	at.routing_key = to.routing_key;
	if (to.exchange.len == 0)
		at.queue = to.queue.ptr != NULL ? to.queue : to.routing_key;
	return at;
}

void
address_add_call(struct buf *b, const struct flow_step *s)
{
	struct routing_call c = { .name = s->call.name,
		.args = s->call.args,
		.kwargs = s->call.kwargs,
		.priority_plus1 = s->call.priority_plus1,
		.parent_priority_plus1 = s->inherited_plus1 };
	struct buf options;
	bool has_priority = c.priority_plus1 > 0;

	buf_init(&options, 0);
	buf_addc(&options, '{');
	node_add_options(&options, s->over, SPAN_NONE, has_priority);
	node_add_options(&options, s->options, s->over, has_priority);
	buf_addc(&options, '}');
	c.options = buf_span(&options);
	routing_add_call(b, &c);
	if (options.err != E_OK)
		b->err = options.err;
	buf_release(&options);
}
