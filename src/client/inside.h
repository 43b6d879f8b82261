/* What the files of client/ share. Nobody else includes this. */
#ifndef WARREN_CLIENT_INSIDE_H
#define WARREN_CLIENT_INSIDE_H

#include "base/lamport.h"
#include "base/map.h"
#include "bus/publish.h"
#include "client/client.h"

/* The one question under way, and its answer. */
struct client_ask {
	bool done;
	enum err err;
	int code;
	char text[300];
	uint32_t messages, consumers;
};

struct client {
	struct loop *loop;
	struct arena arena; /* copies of settings */
	ms_t connect_ms, stall_ms;
	size_t window, bytes_max, n_urls;

	struct bus_conn *conn; /* NULL: no broker was given */
	bool started;
	bool settled;       /* connected, or every URL has failed once */
	size_t failed;      /* attempts since the last connect */
	struct errtext why; /* of the last failed attempt */
	enum err why_err;

	struct bus_pub *pub;
	struct list sends; /* struct sending without a fate */
	size_t n_sends;
	uint64_t fates;    /* counts; a stall is when this stands still */
	unsigned unturned; /* sends since the loop last turned */

	struct bus_chan *chan; /* for questions */
	bool chan_open;
	struct map ensured; /* names of queues, for this epoch of the connection */
	uint64_t ensured_epoch;
	struct client_ask ask;

	struct backend_conf backend_conf;
	struct backend *backend;
	bool backend_settled;
	struct errtext backend_why;

	struct lamport clock; /* of remote control and events */
	const char *control_exchange, *event_exchange;
	bool sent_events;
	struct bus_chan *told; /* for them */
	bool told_open;
	uint64_t untold; /* that the broker did not take */
};

/* Turns the loop until *done; false when the time is over first. timeout < 0 = for ever. */
bool client_turn_until(struct client *c, const bool *done, ms_t timeout);
/* sent.c: to monitors, of a message that client_send has queued. */
void client_tell_sent(struct client *c, const struct msg *m);
/* produce.c */
void client_close_sends(struct client *c);

#endif
