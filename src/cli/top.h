/* One screen of `warren events --top`: the cluster as core/view.h sees it. Pure: a view and a size in, bytes for a terminal out. */
#ifndef WARREN_CLI_TOP_H
#define WARREN_CLI_TOP_H

#include "core/view.h"

struct top {
	size_t rows, columns; /* of the terminal */
	us_t now;
	const char *clock; /* the time, for people */
	const char *broker;
	bool is_up; /* the connection is there */
	bool color;
};

/* Appends sequences that draw over the whole screen, from its upper left corner on. */
void top_draw(struct buf *b, const struct view *v, const struct top *t);

#endif
