/* What is remembered of an entry: in the state file, and in Redis. */
#ifndef WARREN_BEAT_ROW_H
#define WARREN_BEAT_ROW_H

#include "base/js.h"

struct row {
	const char *schedule; /* as entry_add_schedule tells it: another one is another entry */
	us_t done;            /* settled up to here */
	us_t ran;             /* due time of the last run; INT64_MIN = none is known */
	int64_t runs;
};

/* {"schedule": "cron 0 2 * * *", "done": "2026-11-21T01:00:00+00:00", "ran": null, "runs": 3} */
void row_add(struct js *w, const struct row *row);
/* `json` has been checked. row->schedule lives in `text`. false: it is no row. */
bool row_read(struct row *row, struct span json, struct buf *text);

#endif
