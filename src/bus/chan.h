/*
 * A channel, and the synchronous methods on it as calls with an answer. A channel object outlives channel.close and
 * reconnects: it is opened again by itself (after a channel.close with the back-off of its own, 0.1 s to 5 s, so a wrong declare
 * never loops hot), and on_open tells when. Calls under way are answered with E_CLOSED, but for the one that channel.close names.
 */
#ifndef WARREN_BUS_CHAN_H
#define WARREN_BUS_CHAN_H

#include "bus/conn.h"
#include "wire/msg.h"

struct bus_chan;

/* A delivery's handle. A tag is only good on the channel epoch that delivered it. */
struct bus_tag {
	uint64_t epoch;
	uint64_t tag;
};

struct bus_delivery {
	struct bus_tag tag;
	bool redelivered;
	struct span consumer; /* its tag; lives with msg */
	struct msg *msg;      /* the callee takes it: bus_msg_free */
	/* NULL, or why something of the message is missing, or too much: "its body has 300000000 bytes, 134217728 are allowed", "its headers are
	 * nested too deep". The rest is there; such a message would come again after every reconnect until it is put aside. Lives
	 * with msg. */
	const char *spoiled;
};

struct bus_close {
	bool by_server; /* channel.close, as against the end of the connection */
	int code;       /* 404, 406... */
	const char *text;
};

struct bus_return {
	int code; /* 312 NO_ROUTE */
	const char *text;
	struct span exchange, routing_key, correlation_id;
};

/* All may be NULL but on_open and on_close. */
struct bus_chan_ops {
	void (*on_open)(void *owner);
	void (*on_close)(void *owner, const struct bus_close *why);
	void (*on_deliver)(void *owner, struct bus_delivery *d);
	void (*on_cancel)(void *owner, struct span consumer); /* by the server: the queue is gone */
	void (*on_confirm)(void *owner, uint64_t seq, bool multiple, bool ack);
	void (*on_return)(void *owner, const struct bus_return *r);
};

enum err bus_chan_new(
	struct bus_chan **out, struct bus_conn *c, const struct bus_chan_ops *ops, void *owner) MUSTCHECK;
/* No callback afterwards, calls under way included. A channel outlives bus_conn_close (silent, and closed for good) until this is
 * called. NULL is allowed. */
void bus_chan_close(struct bus_chan *ch);
bool bus_chan_is_open(const struct bus_chan *ch);
uint64_t bus_chan_epoch(const struct bus_chan *ch); /* changes with each open */
void bus_msg_free(struct msg *m);

/* The answer of a call. Valid during the callback. */
struct bus_answer {
	enum err err; /* E_OK; E_REFUSED: channel.close, see code; E_CLOSED: connection lost */
	int code;
	const char *text;
	struct span queue;             /* declare-ok: its name (server-chosen ones) */
	struct span consumer;          /* consume-ok, cancel-ok */
	uint32_t messages;             /* declare-ok, purge-ok, delete-ok, get-ok (left) */
	uint32_t consumers;            /* declare-ok */
	struct bus_delivery *delivery; /* get-ok: the callee takes msg; NULL for get-empty */
};
typedef void bus_answer_fn(void *owner, const struct bus_answer *a);

struct bus_queue {
	struct span name; /* empty: the server chooses */
	bool passive, durable, exclusive, auto_delete;
	const struct table *args; /* NULL = none */
};
struct bus_exchange {
	struct span name;
	struct span type; /* direct, topic, fanout, headers */
	bool passive, durable, auto_delete, internal;
	const struct table *args;
};

/*
 * Each sends now and answers later, in order but for consume and cancel, which come when they come. E_CLOSED when the channel is not open: fn
 * is not called. fn may be NULL.
 */
enum err bus_queue_declare(
	struct bus_chan *ch, const struct bus_queue *q, bus_answer_fn *fn, void *owner) MUSTCHECK;
enum err bus_exchange_declare(
	struct bus_chan *ch, const struct bus_exchange *x, bus_answer_fn *fn, void *owner) MUSTCHECK;
enum err bus_queue_bind(struct bus_chan *ch, struct span queue, struct span exchange, struct span key,
	bus_answer_fn *fn, void *owner) MUSTCHECK;
enum err bus_exchange_bind(struct bus_chan *ch, struct span to, struct span from, struct span key,
	bus_answer_fn *fn, void *owner) MUSTCHECK;
enum err bus_queue_purge(struct bus_chan *ch, struct span queue, bus_answer_fn *fn, void *owner) MUSTCHECK;
enum err bus_queue_delete(struct bus_chan *ch, struct span queue, bool if_unused, bool if_empty,
	bus_answer_fn *fn, void *owner) MUSTCHECK;
enum err bus_qos(struct bus_chan *ch, int prefetch, bool global, bus_answer_fn *fn, void *owner) MUSTCHECK;
/* `consumer` is the tag, never empty; the deliveries come to on_deliver. args e.g. x-priority. */
enum err bus_consume(struct bus_chan *ch, struct span queue, struct span consumer, bool no_ack,
	bool exclusive, const struct table *args, bus_answer_fn *fn, void *owner) MUSTCHECK;
/* Not before its consume was answered: RabbitMQ 3.10 loses the channel over a cancel that outruns it on a quorum queue. */
enum err bus_cancel(struct bus_chan *ch, struct span consumer, bus_answer_fn *fn, void *owner) MUSTCHECK;
enum err bus_get(
	struct bus_chan *ch, struct span queue, bool no_ack, bus_answer_fn *fn, void *owner) MUSTCHECK;
enum err bus_confirm_select(struct bus_chan *ch, bus_answer_fn *fn, void *owner) MUSTCHECK;

/* E_CLOSED when the tag's epoch is over: nothing is sent, the broker has given the message back to the queue already. */
enum err bus_ack(struct bus_chan *ch, struct bus_tag tag) MUSTCHECK;
enum err bus_nack(struct bus_chan *ch, struct bus_tag tag, bool requeue) MUSTCHECK;

#endif
