/* The schedules of Celery applications, see schedule.h. Between schedule.c and schedule_app.c. */
#ifndef WARREN_CLI_SCHEDULE_APP_H
#define WARREN_CLI_SCHEDULE_APP_H

#include "cli/app.h"
#include "cli/schedule.h"

/* How many entries the applications that were asked have at most. */
size_t schedule_count_apps(const struct cli *cli);
/* Adds them to m->entries, where there is room, and to m->notes. */
enum err schedule_add_apps(struct schedule_maker *m, struct zones *zones, struct errtext *t) MUSTCHECK;
/* One entry out of JSON, on top of what `s` has; its texts are in `a`. */
enum err schedule_make(struct schedule_maker *m, struct conf_schedule *s, struct span json,
	struct entry_conf *out, struct arena *a, struct errtext *t) MUSTCHECK;

#endif
