/*
 * What a Celery application says of itself: the member "app" of a hello (docs/runner-protocol.md). Pure. It holds the passwords of broker
 * and backend: whoever keeps it shows none of it.
 */
#ifndef WARREN_WIRE_APP_H
#define WARREN_WIRE_APP_H

#include "base/jscan.h"
#include "wire/msg.h"

#define APP_BROKERS_MAX 16

/* Texts are NUL-terminated and never NULL. */
struct app_binding {
	const char *exchange, *exchange_type, *routing_key;
};
struct app_queue {
	const char *name;
	struct app_binding binding; /* its own */
	struct app_binding *more;   /* further ones */
	size_t n_more;
	bool durable, auto_delete, exclusive;
	struct table arguments;
};
struct app_route {
	const char *pattern;                        /* as core/route.h has it */
	const char *queue, *exchange, *routing_key; /* "" = not said */
	int priority;                               /* -1 = not said */
	int delivery_mode;                          /* 0 = not said, 1 transient, 2 persistent */
};
struct app_task {
	const char *name;
	struct span options; /* raw object: what differs from the settings */
};
struct app_note {
	const char *setting, *note;
};

struct app {
	const char *framework, *version, *name;
	const char *brokers[APP_BROKERS_MAX];
	size_t n_brokers;
	const char *result_backend; /* "" = none */
	struct span settings;       /* raw object, under Celery's names */
	struct span schedule;       /* raw array */
	struct app_queue *queues;   /* it consumes from these */
	size_t n_queues;
	struct app_route *routes;
	size_t n_routes;
	struct app_task *tasks; /* all of its own, most without options */
	size_t n_tasks;
	struct app_note *notes;
	size_t n_notes;
};

/* What the one line of --describe says. */
enum app_answer { APP_NONE, APP_CELERY, APP_FAILED };
struct app_reply {
	enum app_answer answer; /* APP_NONE: a module without a framework's application */
	const char *error;      /* APP_FAILED: for a person */
	struct app app;         /* APP_CELERY */
};

/* All of it is copied into `a`. E_FORMAT names the member. */
enum err app_decode(struct app_reply *out, struct span line, struct arena *a, struct errtext *t) MUSTCHECK;

/*
 * A setting, or an option of a task, of either raw object. False when it is not there; a value of another type is not there either. Null
 * is none of the types.
 */
bool app_get_bool(struct span object, const char *name, bool *out);
bool app_get_number(struct span object, const char *name, double *out);
/* NULL when it is not there. In `a`. */
const char *app_get_text(struct span object, const char *name, struct arena *a);
bool app_is_null(struct span object, const char *name);

#endif
