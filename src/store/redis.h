/*
 * A Redis connection that keeps itself up: pipelining in order, AUTH and SELECT on every connect, TLS (rediss://), UNIX sockets
 * (unix:///path?db=1 or redis+socket://), a deadline per command, reconnect with full-jitter back-off (0.05 s to 5 s). hiredis only parses.
 * A missed deadline drops the connection: the order of replies is the only thing that matches them to commands. So does a
 * reply that says that this server is the wrong one (RDS_RECONNECT), after it has been handed on: the name is looked up anew.
 *
 * States: idle -> dial -> hello -> up -> wait -> dial ...; closed is the end.
 */
#ifndef WARREN_STORE_REDIS_H
#define WARREN_STORE_REDIS_H

#include "base/buf.h"
#include "loop/loop.h"
#include "loop/stream.h"

struct rds;

struct rds_conf {
	const char *url;  /* redis://[user:password@]host[:6379][/db][?...] */
	ms_t connect_ms;  /* 0 = 5 s */
	ms_t command_ms;  /* default deadline of a command; 0 = 5 s */
	size_t reply_max; /* bytes of one reply; 0 = 512 MiB */
	/* Of these the URL's ssl_ca_certs, ssl_certfile, ssl_keyfile, ssl_cert_reqs (none|required) win. */
	struct stream_tls_conf tls;
};

struct rds_down {
	enum err err;
	const char *url; /* without the password */
	const char *text;
	ms_t retry_ms;
	bool was_up;
	bool fatal; /* NOAUTH, WRONGPASS: will not heal by itself; it is tried again all the same */
};

struct rds_ops {
	void (*on_up)(void *owner);
	void (*on_down)(void *owner, const struct rds_down *d);
	/* A connection that has subscribed: "message" and "pmessage". May be NULL. */
	void (*on_message)(void *owner, struct span channel, struct span payload);
	/* From now on no message of this channel is missed; again after each reconnect. May be NULL. */
	void (*on_subscribed)(void *owner, struct span channel);
};

enum rds_type { RDS_NIL, RDS_STATUS, RDS_ERROR, RDS_INTEGER, RDS_STRING, RDS_ARRAY };
/* Valid during the callback. */
struct rds_reply {
	enum rds_type type;
	struct span str; /* STATUS, ERROR, STRING */
	int64_t integer;
	const struct rds_reply *items;
	size_t n_items;
};
/*
 * e = E_OK with a reply (which may be of type RDS_ERROR), or E_CLOSED / E_TIMEOUT with r = NULL: it may have been carried out or not.
 * Called once, never from inside an rds_ function, and before on_down.
 */
typedef void rds_fn(void *owner, enum err e, const struct rds_reply *r);

/* E_CONF, E_FORMAT: what is wrong with the URL or its TLS files. */
enum err rds_new(struct rds **out, struct loop *l, const struct rds_conf *conf, const struct rds_ops *ops,
	void *owner, struct errtext *t) MUSTCHECK;
void rds_start(struct rds *r);
/* Tests: speaks over this connected descriptor (taken). */
enum err rds_start_fd(struct rds *r, int fd, struct errtext *t) MUSTCHECK;
/* No callback afterwards. NULL is allowed. */
void rds_close(struct rds *r);
bool rds_is_up(const struct rds *r);
const char *rds_url(const struct rds *r); /* without the password */

/* E_CLOSED when not up (fn is not called), E_AGAIN when the write queue is full. command_ms 0 = the default. */
enum err rds_command(struct rds *r, const struct span *argv, size_t argc, ms_t command_ms, rds_fn *fn,
	void *owner) MUSTCHECK;
/* Of a connection used for nothing else. Subscriptions are kept and made again on each connect. */
enum err rds_subscribe(struct rds *r, struct span channel) MUSTCHECK;
void rds_unsubscribe(struct rds *r, struct span channel);

/* What an error reply means, by its first word. */
enum rds_trouble {
	RDS_FINE,      /* no error */
	RDS_RETRY,     /* OOM LOADING MISCONF BUSY TRYAGAIN NOREPLICAS, too many clients */
	RDS_RECONNECT, /* READONLY MOVED ASK CLUSTERDOWN MASTERDOWN */
	RDS_FATAL,     /* NOAUTH WRONGPASS NOPERM */
	RDS_BUG,       /* WRONGTYPE, ERR and all else */
};
enum rds_trouble rds_trouble(const struct rds_reply *r);
/* An error that another time, or another server, will not have. */
bool rds_will_pass(const struct rds_reply *r);

#endif
