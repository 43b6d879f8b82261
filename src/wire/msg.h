/*
 * A message as AMQP carries it, free of any client library: where it goes, its properties, headers and body.
 * bus/ turns frames into this and back; everything above knows messages only in this form.
 */
#ifndef WARREN_WIRE_MSG_H
#define WARREN_WIRE_MSG_H

#include "base/alloc.h"
#include "base/err.h"

enum val_type {
	VAL_VOID,
	VAL_BOOL,
	VAL_INT,
	VAL_DOUBLE,
	VAL_STRING,
	VAL_BYTES,
	VAL_TIME,
	VAL_DECIMAL,
	VAL_ARRAY,
	VAL_TABLE
};

/* One AMQP field value. Integers of every width are VAL_INT; on the way out the width is chosen by the value
 * ('I' when it fits 32 bits, else 'l'), as py-amqp does. */
struct val {
	enum val_type type;
	union {
		bool boolean;
		int64_t integer; /* VAL_INT; VAL_TIME: seconds since the epoch */
		double number;
		struct span string; /* VAL_STRING, VAL_BYTES */
		struct {
			uint8_t scale;
			int32_t value;
		} decimal;
		struct {
			struct val *items;
			size_t count;
		} array;
		struct table *table;
	} u;
};

struct pair {
	struct span key;
	struct val value;
};

/* An AMQP table. Order is kept. Everything in it lives in the arena of its message. */
struct table {
	struct pair *pairs;
	size_t count;
	size_t cap;
};

/* NULL when absent; the last one wins when a key stands twice. */
const struct val *table_get(const struct table *t, const char *key);
/* The string under key, or SPAN_NONE when absent or of another type. */
struct span table_get_string(const struct table *t, const char *key);
bool table_get_int(const struct table *t, const char *key, int64_t *out);
/* Sets or replaces; key and value are kept as they are (not copied): put them into the arena first if need
 * be. */
enum err table_set(struct table *t, struct arena *a, struct span key, struct val v) MUSTCHECK;
/* Appends without looking whether the key is there (table_get finds the last one): for decoders, whose
 * peer chooses how many. */
enum err table_add(struct table *t, struct arena *a, struct span key, struct val v) MUSTCHECK;
void table_del(struct table *t, const char *key);
/* A deep copy into another arena. E_TOOBIG beyond 128 levels. */
enum err table_copy(struct table *to, const struct table *from, struct arena *a) MUSTCHECK;

struct val val_void(void);
struct val val_bool(bool b);
struct val val_int(int64_t i);
struct val val_string(struct span s); /* SPAN_NONE gives VAL_VOID */
struct val val_text(const char *s);   /* NULL gives VAL_VOID */

struct msg {
	struct arena arena; /* owns all that follows, unless a caller put longer-lived bytes in */
	struct span exchange;
	struct span routing_key;

	/* basic properties; SPAN_NONE, 0 or -1 = absent */
	struct span content_type, content_encoding, correlation_id, reply_to, expiration;
	struct span message_id, type, user_id, app_id;
	int delivery_mode; /* 0 absent, 1 transient, 2 persistent */
	int priority;      /* -1 absent */
	int64_t timestamp; /* -1 absent, seconds */
	struct table headers;
	bool has_headers;

	struct span body;
};

/* Empty, with an arena of at most max_bytes (0 = no bound). */
void msg_init(struct msg *m, size_t max_bytes);
void msg_release(struct msg *m);
/* A deep copy of everything; `to` must be initialised and empty. For retry copies and dead letters. */
enum err msg_copy(struct msg *to, const struct msg *from) MUSTCHECK;
/*
 * Makes a copy one that we may send. Off goes what was about the message as it came: x-death, x-first-death-*, x-last-death-* (with RabbitMQ
 * before 4.0.1 one that keeps them can be dropped as a cycle without a word), x-delivery-count; CC and BCC, by which the broker would put the
 * copy into further queues; and user_id, which the broker takes from nobody but that user.
 */
void msg_make_ours(struct msg *m);

#endif
