/*
 * One AMQP 0-9-1 connection that keeps itself up: it dials its URLs in turn, shakes hands, sends heartbeats from the loop,
 * and after a loss dials again with full-jitter back-off (0.1 s growing to 30 s; 403 and 530 wait 5 s at least). Channels
 * outlive the connection: each is opened anew on every connect and tells its owner, who re-applies what it wants.
 *
 * States: idle -> dial -> hello -> open -> (closing) -> wait -> dial ...; gone is the end.
 */
#ifndef WARREN_BUS_CONN_H
#define WARREN_BUS_CONN_H

#include "base/buf.h"
#include "loop/loop.h"
#include "loop/stream.h"

/* Of a body, when nothing else is said. */
#define BUS_MESSAGE_MAX ((size_t)128 << 20)

struct bus_conn;

struct bus_conf {
	const char *const *urls; /* amqp:// or amqps://, tried in turn; user guest, password guest, port 5672/5671, vhost "/" by default */
	size_t n_urls;
	const char *name;           /* what rabbitmqctl list_connections shows, e.g. "w1@host consume" */
	int heartbeat_s;            /* asked for; the lower of both sides' wins; 0 = 30 */
	ms_t connect_ms;            /* from dialling to the end of the handshake; 0 = 10 s */
	struct stream_tls_conf tls; /* for amqps; the URL's cacertfile, certfile, keyfile, verify=verify_none win */
	ms_t retry_max_ms;          /* longest wait between attempts; 0 = 30 s */
	size_t write_max;           /* 0 = 64 MiB */
	size_t message_max;         /* a longer body from the broker is refused; 0 = 128 MiB */
};

struct bus_down {
	enum err err;     /* E_REFUSED: the broker said no (password, vhost); E_CLOSED, E_TIMEOUT, ... */
	int code;         /* AMQP reply code, 0 when there was none */
	const char *url;  /* without the password */
	const char *text; /* cause, for a person */
	ms_t retry_ms;    /* when the next attempt begins */
	bool was_up;
};

struct bus_conn_ops {
	void (*on_up)(void *owner);
	void (*on_down)(void *owner, const struct bus_down *d); /* at each loss and each failed attempt */
	void (*on_blocked)(void *owner, bool blocked, const char *reason); /* may be NULL */
};

/* Copies conf; does not dial yet. E_CONF names what is wrong in a URL. */
enum err bus_conn_new(struct bus_conn **out, struct loop *l, const struct bus_conf *conf,
	const struct bus_conn_ops *ops, void *owner, struct errtext *t) MUSTCHECK;
void bus_conn_start(struct bus_conn *c);
/* Tests: speaks over this connected descriptor instead of dialling (taken). */
enum err bus_conn_start_fd(struct bus_conn *c, int fd, struct errtext *t) MUSTCHECK;
/* Sends connection.close, waits for close-ok at most linger_ms, then closes. No callback afterwards. What uses the connection
 * (channels, publishers) falls silent too and is still to be closed by its owner, before this or after. Freed by the loop. NULL is
 * allowed. */
void bus_conn_close(struct bus_conn *c, ms_t linger_ms);
/* Drops the connection now and dials again at once (a watchdog's verdict); `why` is what on_down says. */
void bus_conn_restart(struct bus_conn *c, const char *why);

bool bus_conn_is_up(const struct bus_conn *c);
bool bus_conn_is_blocked(const struct bus_conn *c);
/* Grows by one with each connect; 0 before the first. */
uint64_t bus_conn_epoch(const struct bus_conn *c);
/* The URL in use (or tried last), password hidden; valid until the next dial. */
const char *bus_conn_url(const struct bus_conn *c);
/* "3.10.8", "RabbitMQ"; "" before the first connect. */
const char *bus_conn_server_version(const struct bus_conn *c);
/* It says that it is RabbitMQ of this version or a later one. */
bool bus_conn_server_has(const struct bus_conn *c, int major, int minor);
struct loop *bus_conn_loop(struct bus_conn *c);

#endif
