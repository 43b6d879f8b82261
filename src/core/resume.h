/*
 * Going on with a chord when nobody else does: all members have ended, and whoever should have sent its body is gone, a Celery worker perhaps. What is
 * needed was kept with the counts (<prefix>warren:chord:<group>, field `kept`) by the first warren worker that ended one of its members.
 */
#ifndef WARREN_CORE_RESUME_H
#define WARREN_CORE_RESUME_H

#include "core/flow.h"

/* What to keep of a part. */
void resume_keep(struct buf *b, const struct flow_part *p);
/* An empty flow gets what the end of the last member would have brought. *body (may be SPAN_NONE): the id under which the body's beginning can be
 * seen in the backend; it is sent again only when nothing is stored there. */
enum err resume_chord(struct flow *f, const struct chord_count *c, us_t now, struct span *body,
	struct errtext *why) MUSTCHECK;

#endif
