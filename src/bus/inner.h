/*
 * What connection, channel, calls and publisher know of each other. Inside bus/ only.
 */
#ifndef WARREN_BUS_INNER_H
#define WARREN_BUS_INNER_H

#include "base/list.h"
#include "bus/chan.h"
#include "bus/codec.h"
#include "bus/target.h"

enum conn_state { CONN_IDLE, CONN_DIAL, CONN_HELLO, CONN_OPEN, CONN_CLOSING, CONN_WAIT, CONN_GONE };

/* How far the handshake is: what we wait for. */
enum hello_step { HELLO_START, HELLO_TUNE, HELLO_OPEN_OK };

/* A channel number. While `closing` it waits for close-ok and cannot be used again; `chan` is NULL then. */
struct conn_slot {
	struct bus_chan *chan;
	bool closing;
};

struct bus_conn {
	struct loop *loop;
	struct bus_conn_ops ops;
	void *owner;

	char *name;
	int heartbeat_s; /* asked for */
	ms_t connect_ms, retry_max_ms;
	size_t write_max, message_max;
	struct bus_target *targets;
	size_t n_targets, at;

	enum conn_state state;
	enum hello_step step;
	struct stream *stream;
	struct codec codec;
	struct buf out;              /* scratch for the method being encoded */
	struct loop_timer retry;     /* WAIT -> DIAL */
	struct loop_timer deadline;  /* of the handshake, of closing */
	struct loop_remnant remnant; /* while it waits for close-ok */
	struct loop_timer beat;
	struct loop_task breaking; /* a loss found inside a call from above, told later */
	struct errtext break_why;
	enum err break_err;

	uint64_t epoch, chan_epoch;
	unsigned failures; /* attempts in a row that led to nothing lasting */
	ms_t up_at;
	bool blocked;
	ms_t unblocked_at;
	size_t frame_max, channel_max;
	int beat_s;         /* agreed upon */
	ms_t wrote_at;      /* the last time something was written */
	uint64_t out_total; /* bytes given to the stream on this connection */
	uint64_t left_seen; /* of these, how many had left at the last beat that saw a change */
	ms_t left_at;
	char server[64], version[32];

	struct conn_slot *slots; /* by channel number; [0] is not used */
	size_t n_slots;
};

/* Encodes and writes. E_TOOBIG: the arguments cannot be sent; E_CLOSED: the connection is (or now breaks) down. */
enum err conn_send(struct bus_conn *c, uint16_t channel, uint32_t method, void *args) MUSTCHECK;
/* Writes whole frames. E_AGAIN: the queue is full, chan_wake follows. */
enum err conn_write(struct bus_conn *c, struct span bytes) MUSTCHECK;
/* Drops the connection later in this turn: for use inside calls from above. */
void conn_break(struct bus_conn *c, enum err err, const char *why);
/* The broker did what it may not: says so to it, and drops the connection. Only from inside the dispatch of a frame. */
void conn_fault(struct bus_conn *c, int code, const char *fmt, ...) PRINTFLIKE(3, 4);
/* The connection is over; tells everybody and plans the next attempt. Only from inside events. */
void conn_lost(struct bus_conn *c, enum err err, int code, const char *text);
/* connection.close came. */
void conn_closed_by_server(struct bus_conn *c, const amqp_connection_close_t *m);
/* The handshake is done. */
void conn_up(struct bus_conn *c);
/* Bytes have come. */
void conn_on_data(struct bus_conn *c, struct span bytes);
/* Tells all channels that there may be room again. */
void conn_wake_all(struct bus_conn *c);
/* The last step of bus_conn_close. */
void conn_finish(struct bus_conn *c);
/* Gives ch a free number. E_TOOBIG: there is none. */
enum err conn_add_chan(struct bus_conn *c, struct bus_chan *ch) MUSTCHECK;
/* Forgets ch. With `closing` the number stays reserved until close-ok. */
void conn_drop_chan(struct bus_conn *c, struct bus_chan *ch, bool closing);

/* Sends the protocol header and begins the handshake. */
void hello_begin(struct bus_conn *c);
void hello_on_method(struct bus_conn *c, const struct frame *f);
/* The error and the words for a connection.close that came during the handshake. */
enum err hello_refusal(const struct bus_conn *c, int code, const char *text, struct errtext *out);

enum chan_state {
	CHAN_CLOSED,  /* no connection */
	CHAN_OPENING, /* channel.open sent */
	CHAN_OPEN,
	CHAN_WAIT, /* closed by the server; the timer opens it again */
	CHAN_GONE,
};

enum content_kind { CONTENT_NONE, CONTENT_DELIVER, CONTENT_GET, CONTENT_RETURN };

/* A message on its way in. */
struct content {
	enum content_kind kind;
	bool has_header;
	uint64_t left;         /* of the body */
	char *to;              /* where the next piece goes; NULL: it is thrown away */
	struct bus_delivery d; /* RETURN: `consumer` is the reply text */
	uint32_t messages;     /* GET */
	int code;              /* RETURN */
};

struct bus_chan {
	struct bus_conn *conn; /* NULL once the connection object is closed */
	struct loop *loop;
	struct bus_chan_ops ops;
	void *owner;
	enum chan_state state;
	uint16_t number;
	uint64_t epoch;
	struct list calls; /* struct call, oldest first */
	struct content in;
	struct loop_timer reopen;
	ms_t reopen_ms, opened_at;
	struct loop_timer patience; /* with the open, or the oldest call, that is not answered */
	ms_t asked_at;              /* for the open */
	loop_fn *on_wake;           /* the publisher's: there may be room again; owner as above */
};

/* Events from the connection. The channel may be closed by its owner meanwhile. */
void chan_on_up(struct bus_chan *ch);
void chan_on_lost(struct bus_chan *ch, const char *why);
void chan_on_frame(struct bus_chan *ch, const struct frame *f);
void chan_wake(struct bus_chan *ch);
/* The connection object goes away: no callbacks any more. */
void chan_orphan(struct bus_chan *ch);

/* Something waits for an answer of the broker: it will not wait for ever. */
void chan_expect(struct bus_chan *ch);
/* An answer came: hands it to its call. False: nobody asked for this. `d` is for get-ok. */
bool calls_answer(
	struct bus_chan *ch, uint32_t method, const void *args, struct bus_delivery *d, uint32_t messages);
/* All calls end. The oldest that sent `method` is told E_REFUSED, the others E_CLOSED. */
void calls_fail(struct bus_chan *ch, uint32_t method, int code, const char *text);
/* When the one that has waited longest was sent; -1: none waits. */
ms_t calls_since(const struct bus_chan *ch);
/* Frees them without a word. */
void calls_drop(struct bus_chan *ch);

#endif
