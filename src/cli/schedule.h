/*
 * Entries for the scheduler out of the settings: those of the section schedule, those of Celery applications (schedule_app.c), and those that
 * Redis has as JSON of the same keys. Targets (routes, queues) and what a task's own settings add are found here.
 */
#ifndef WARREN_CLI_SCHEDULE_H
#define WARREN_CLI_SCHEDULE_H

#include "beat/beat.h"
#include "cli/setup.h"

/* What cannot be carried out as a Celery application has it. */
struct schedule_note {
	const char *app, *entry, *text;
	bool left_out; /* the whole entry */
};

struct schedule_maker {
	struct cli *cli;
	struct routes *routes;
	struct conf_schedule defaults;
	struct map roads; /* of queues, for all entries that go there */
	/* Those of the configuration and then those of applications, checked; their texts live in cli. */
	struct entry_conf *entries;
	size_t n_entries, n_of_file;
	struct schedule_note *notes;
	size_t n_notes;
};

/* -A of a command that runs no tasks: asks the application, before schedule_open. No-op for "". */
enum err schedule_ask_app(struct cli *cli, const char *module, struct errtext *t) MUSTCHECK;
/* E_CONF names file, line and entry. Released also after an error. */
enum err schedule_open(struct schedule_maker *m, struct cli *cli, struct errtext *t) MUSTCHECK;
void schedule_release(struct schedule_maker *m);
void schedule_log_notes(const struct schedule_maker *m);
/* For a book; m must outlive what it makes. */
struct entry_maker schedule_entries(struct schedule_maker *m);

/* The rows of one entry, for structs conf_schedule. */
const struct opt_row *schedule_rows(size_t *n);
/* The JSON of an entry on top of what `s` has. */
enum err schedule_read(
	struct conf_schedule *s, struct span json, struct arena *a, struct errtext *t) MUSTCHECK;
/* The JSON that schedule_read makes the same entry of. */
void schedule_add_json(const struct schedule_maker *m, struct buf *b, const struct conf_schedule *s);

/* The Redis that schedulers share; its url is NULL when there is none. */
void setup_store(struct cli *cli, struct board_conf *out);
/* Where schedulers ask whether a run has ended: the result backend, unless that keeps nothing. */
void schedule_backend(struct cli *cli, struct backend_conf *out);
/* A scheduler, in a process of its own or inside a worker; m and cli must outlive it. */
enum err setup_beat(
	struct cli *cli, struct schedule_maker *m, struct beat_conf *out, struct errtext *t) MUSTCHECK;

/* The scheduler inside a worker. */
struct schedule_guest {
	struct schedule_maker maker;
	struct beat_conf conf;
	struct beat *beat;
	struct worker_guest guest;
};
/* Sets w->guest; released also after an error. */
enum err schedule_guest_init(
	struct schedule_guest *g, struct cli *cli, struct worker_conf *w, struct errtext *t) MUSTCHECK;
void schedule_guest_release(struct schedule_guest *g);

#endif
