/* What the files about the life of a request share. Private to core/. */
#ifndef WARREN_CORE_REQUEST_INNER_H
#define WARREN_CORE_REQUEST_INNER_H

#include "core/request.h"

/* One more effect, zeroed but for its type. */
struct effect *request_add(struct effects *out, enum effect_type type);
/* Nothing speaks against it: hold it until it is due, ask for it, or run it. */
void request_go_on(struct request *r, us_t wall, struct effects *out);
/* Here, until then. */
void request_hold(struct request *r, us_t until, struct effects *out);
/* Whether it has to be asked for before it runs. */
bool request_must_claim(const struct request *r);
/* This attempt is over and r->mail takes its place: noted first, where runs are noted. */
void request_move(struct request *r, us_t due, struct effects *out);
/* The broker has the result. */
void request_on_parked(struct request *r, struct effects *out);
/* One more report. */
struct report *request_report(struct effects *out, enum report_kind kind);
/* As Celery's events show it; kept in r->detail. */
void request_show_error(struct request *r, struct report *rep, const struct result_error *err);
/* A report of a failure that says what was raised; its text is kept in r->note. */
struct report *request_report_error(struct request *r, const struct result_error *err, struct effects *out);
/* The part of a result that is the same in every state. */
void request_fill_result(const struct request *r, struct result *res, const char *state);
/* The end: acknowledged, unless that was done early. */
void request_settle(struct request *r, struct effects *out);
/* Stored, or nothing to store: letters first, when there are any, then the end. */
void request_after_store(struct request *r, struct effects *out);
/* Everything is with the broker: what comes next. */
void request_after_mail(struct request *r, struct effects *out);
/* Whether an end of this kind leaves a result. */
bool request_leaves_result(const struct request *r, bool is_error);
/* Ends with this state: stored, or straight on when nothing is to be stored. */
void request_store_final(struct request *r, const char *state, struct span value, struct span traceback,
	us_t wall, struct effects *out);
/* Ends with an error, for all whom it concerns. */
void request_end_error(struct request *r, const char *state, const struct result_error *err,
	struct span traceback, us_t wall, struct effects *out);
/* The message will be kept as a dead letter. */
void request_go_dead(struct request *r, const char *reason, const char *error);
/* Decides what a final end sends and whom it concerns: request.flow. */
void request_follow(struct request *r, const char *state, struct span value, struct span traceback, us_t wall);
/* `why` is one of Celery's words: revoked, expired, terminated. */
void request_end_revoked(struct request *r, struct span why, int signum, us_t wall, struct effects *out);
/* Ends with a result, for all whom it concerns. */
void request_end_success(
	struct request *r, struct span value, int64_t runtime_us, us_t wall, struct effects *out);
/* The last run of a series has ended. */
void request_end_series(struct request *r, int64_t runtime_us, us_t wall, struct effects *out);
/* A built-in that is due: true when it has ended without a run. */
bool request_end_builtin(struct request *r, us_t wall, struct effects *out);
/* request_more.c: what a done frame tells beyond its outcome. False when there was no memory to keep all of it. */
bool request_take_more(struct request *r, const struct run_frame *f, us_t wall);
/* Of its final result; SPAN_NONE = none. */
struct span request_children(struct request *r);

/* Seconds; 0 = none. What the message says goes before the rule. */
double request_hard_limit(const struct request *r);
double request_soft_limit(const struct request *r);

#endif
