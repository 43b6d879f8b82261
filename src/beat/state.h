/*
 * What a scheduler remembers over a restart: for each entry, what its schedule was and up to when it is settled. A small JSON file, replaced
 * as a whole: a crash leaves the old one or the new one. Nothing here stops the scheduler: without its file it goes on and says so.
 */
#ifndef WARREN_BEAT_STATE_H
#define WARREN_BEAT_STATE_H

#include "base/map.h"
#include "beat/row.h"

struct state {
	char *path; /* NULL = none is kept */
	int folder; /* its directory, opened once: the file is renamed within it, wherever the path leads later */
	int lock; /* on the folder: one scheduler per file */
	struct map rows;
};

/*
 * Opens and reads. `path` NULL: $STATE_DIRECTORY/beat.json (systemd), else $XDG_STATE_HOME/warren/beat.json, else ~/.local/state/warren/beat.json;
 * its folder is made when missing (0700). What cannot be used is no error: s->path is NULL then and t says why. A file that cannot be
 * understood is put aside under another name, which t tells; s->path is kept then.
 */
enum state_open { STATE_READ, STATE_NEW, STATE_PUT_ASIDE, STATE_NONE };
enum state_open state_open(struct state *s, const char *path, struct errtext *t) MUSTCHECK;
void state_close(struct state *s);

/* NULL when there is none. */
const struct row *state_get(const struct state *s, struct span name);
/* Copies. E_NOMEM. */
enum err state_set(struct state *s, struct span name, const struct row *row) MUSTCHECK;
void state_forget(struct state *s, struct span name);
/* Rows that their owner keeps itself: a key and a row each, to be written beside those of the state. */
struct state_source {
	void (*add)(void *owner, struct js *w);
	void *owner;
};
/*
 * Writes a new file, makes it durable, and puts it in the place of the old one. `more` may be NULL. E_SYS names the step that failed. No-op
 * without a path.
 */
enum err state_save(struct state *s, const struct state_source *more, struct errtext *t) MUSTCHECK;

#endif
