/*
 * Where a message of a canvas goes, with what priority, and how the broker keeps it: what its signature says, the configuration, the
 * routers of the application, the routes of its task's name. Pure.
 */
#ifndef WARREN_CORE_ADDRESS_H
#define WARREN_CORE_ADDRESS_H

#include "core/flow.h"
#include "core/route.h"
#include "core/rule.h"
#include "wire/routing.h"

struct address {
	struct span exchange, routing_key;
	struct span queue;  /* there should be one of this name; SPAN_NONE = not known */
	int priority_plus1; /* 0 = none */
	int delivery_mode;  /* 0 = none */
};
/* `answer`: of the application's routers; NULL = they were not asked. Borrows from all. */
struct address address_find(const struct flow_step *s, const struct routes *routes,
	const struct task_rule *rule, const struct routing_answer *answer);
/* Appends what the routers are asked of it (routing_add_call). */
void address_add_call(struct buf *b, const struct flow_step *s);

#endif
