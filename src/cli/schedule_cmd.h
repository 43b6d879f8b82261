/* What the verbs of `warren schedule` share. */
#ifndef WARREN_CLI_SCHEDULE_CMD_H
#define WARREN_CLI_SCHEDULE_CMD_H

#include "cli/listing.h"

struct schedule_flags {
	int64_t count;
	const char *from, *app;
	struct conf_schedule entry; /* add, edit */
};

struct schedule_job {
	struct cli *cli;
	const struct schedule_flags *f;
	struct schedule_maker maker;
	struct desk desk; /* read; its board is NULL when no Redis is configured */
	struct listing listing;
	us_t now; /* or --from */
};

/* Exit codes; errors are printed. Names are in cli->args from 1 on. */
int schedule_add(struct schedule_job *j);
int schedule_edit(struct schedule_job *j);
int schedule_remove(struct schedule_job *j);
int schedule_pause(struct schedule_job *j);
int schedule_resume(struct schedule_job *j);
int schedule_run(struct schedule_job *j);

/* Whether a flag is one of an entry. */
bool schedule_is_entry_row(const struct opt_row *row);
/* "there is no entry 'x': did you mean 'y'?" */
int schedule_no_such(const struct schedule_job *j, const char *name);

#endif
