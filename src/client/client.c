/*
 * The client's life and its way to the broker. One private loop; every call turns it until its own business is settled, so there is
 * never more than one question under way. The connection keeps itself up between calls; after a loss the next call waits for it.
 *
 *   new -> connect (each URL once) -> send ... flush -> free
 */
#include "client/inside.h"

#include "base/clock.h"
#include "wire/control.h"
#include "wire/event.h"

#define CONNECT_MS 5000
#define STALL_MS 30000
#define WINDOW 1000
#define CLOSE_MS 500
/* The connection's own pause before it tries the next URL, at most. */
#define BETWEEN_MS 1000

bool
client_turn_until(struct client *c, const bool *done, ms_t timeout)
{
	ms_t end = timeout < 0 ? 0 : clock_mono_ms() + timeout, left = -1;

	while (!*done) {
		if (timeout >= 0) {
			left = end - clock_mono_ms();
			if (left <= 0)
				return false;
		}
		loop_turn(c->loop, left);
	}
	return true;
}

/* What a person should look at, told from what went wrong. */
static const char *
hint(const struct bus_down *d)
{
	/* The broker's own refusals explain themselves. */
	if (d->code != 0)
		return "";
	if (d->err == E_REFUSED)
		return ": is RabbitMQ running?";
	if (d->err == E_MISSING)
		return ": check the host name";
	if (d->err == E_TIMEOUT)
		return ": check address, port and firewall";
	return "";
}

static void
on_conn_up(void *owner)
{
	struct client *c = owner;

	c->settled = true;
	c->failed = 0;
}

static void
on_conn_down(void *owner, const struct bus_down *d)
{
	struct client *c = owner;

	/* Whatever kept us from it, to the caller the server is away. */
	c->why_err = d->err == E_REFUSED || d->err == E_TIMEOUT ? d->err : E_CLOSED;
	err_set(&c->why, d->err, "%s %s (%s)%s", d->was_up ? "lost the connection to" : "cannot reach",
		d->url, d->text, d->was_up ? "" : hint(d));
	c->failed += !d->was_up;
	c->settled = c->failed >= c->n_urls;
}

static const struct bus_conn_ops conn_ops = { .on_up = on_conn_up, .on_down = on_conn_down };

static const char *
keep(struct client *c, const char *text, bool *short_of_memory)
{
	struct span copy;

	if (text == NULL)
		return NULL;
	copy = arena_dup(&c->arena, span_of(text));
	*short_of_memory |= copy.ptr == NULL;
	return copy.ptr;
}

/* The broker's settings are copied by the connection, the backend's are needed when it is opened. */
static enum err
keep_backend_conf(struct client *c, const struct backend_conf *from)
{
	bool bad = false;

	c->backend_conf = *from;
	c->backend_conf.url = keep(c, from->url, &bad);
	c->backend_conf.key_prefix = keep(c, from->key_prefix, &bad);
	c->backend_conf.tls.ca_file = keep(c, from->tls.ca_file, &bad);
	c->backend_conf.tls.cert_file = keep(c, from->tls.cert_file, &bad);
	c->backend_conf.tls.key_file = keep(c, from->tls.key_file, &bad);
	return bad ? E_NOMEM : E_OK;
}

enum err
client_new(struct client **out, const struct client_conf *conf, struct errtext *t)
{
	struct client *c = alloc_zero(sizeof(*c));
	struct bus_conf broker = conf->broker;
	enum err e = E_OK;
	bool bad = false;

	*out = NULL;
	if (c == NULL)
		return err_set(t, E_NOMEM, "out of memory");
	arena_init(&c->arena, 0);
	map_init(&c->ensured);
	list_init(&c->sends);
	c->connect_ms = conf->connect_ms != 0 ? conf->connect_ms : CONNECT_MS;
	c->stall_ms = conf->stall_ms != 0 ? conf->stall_ms : STALL_MS;
	c->window = conf->window != 0 ? conf->window : WINDOW;
	c->bytes_max = conf->bytes_max;
	c->sent_events = conf->sent_events;
	c->n_urls = broker.n_urls;
	if (broker.name == NULL)
		broker.name = "warren client";
	if (broker.connect_ms == 0)
		broker.connect_ms = c->connect_ms;
	c->loop = loop_new(t);
	c->control_exchange =
		keep(c, conf->control_exchange != NULL ? conf->control_exchange : CONTROL_NAME, &bad);
	c->event_exchange =
		keep(c, conf->event_exchange != NULL ? conf->event_exchange : EVENT_EXCHANGE, &bad);
	if (c->loop == NULL)
		e = E_NOMEM; /* memory or descriptors; the text tells */
	else if (bad || keep_backend_conf(c, &conf->backend) != E_OK)
		e = err_set(t, E_NOMEM, "out of memory");
	else if (broker.n_urls > 0)
		e = bus_conn_new(&c->conn, c->loop, &broker, &conn_ops, c, t);
	if (e != E_OK)
		client_free(c);
	else
		*out = c;
	return e;
}

void
client_free(struct client *c)
{
	if (c == NULL)
		return;
	client_close_sends(c);
	bus_chan_close(c->chan);
	bus_chan_close(c->told);
	backend_close(c->backend);
	bus_conn_close(c->conn, CLOSE_MS);
	/* Close-ok should be seen, so that the broker's log does not call it an abrupt end; but nobody waits long for it. */
	if (c->loop != NULL) {
		loop_settle(c->loop, CLOSE_MS);
		loop_free(c->loop);
	}
	map_release(&c->ensured, NULL);
	arena_release(&c->arena);
	alloc_free(c);
}

/* Each URL has its own time, and one that stays silent must leave some to the others. */
static ms_t
patience(const struct client *c)
{
	return c->n_urls < 2 ? c->connect_ms : (c->connect_ms + BETWEEN_MS) * (ms_t)c->n_urls;
}

enum err
client_connect_broker(struct client *c, struct errtext *t)
{
	if (c->conn == NULL)
		return err_set(t, E_CONF, "no broker is set");
	if (bus_conn_is_up(c->conn))
		return E_OK;
	c->settled = false;
	c->failed = 0;
	if (!c->started)
		bus_conn_start(c->conn);
	c->started = true;
	if (!client_turn_until(c, &c->settled, patience(c)) && c->why.text[0] == '\0')
		return err_set(t, E_TIMEOUT,
			"cannot reach %s (no answer within %.3g s): check address, port and firewall",
			bus_conn_url(c->conn), (double)c->connect_ms / 1000);
	if (bus_conn_is_up(c->conn))
		return E_OK;
	return err_set(t, c->why_err, "%s", c->why.text);
}

const char *
client_broker_url(const struct client *c)
{
	return c->conn != NULL ? bus_conn_url(c->conn) : "";
}

const char *
client_broker_version(const struct client *c)
{
	return c->conn != NULL ? bus_conn_server_version(c->conn) : "";
}

static void
on_readable(void *owner)
{
	*(bool *)owner = true;
}

enum err
client_wait_fd(struct client *c, int fd, struct errtext *t)
{
	struct loop_fd watch = { .loop = NULL };
	bool readable = false;
	enum err e = loop_fd_init(&watch, c->loop, fd, on_readable, &readable);

	if (e != E_OK)
		return err_set(t, e, "the descriptor cannot be waited for");
	client_turn_until(c, &readable, -1);
	loop_fd_release(&watch);
	return E_OK;
}

void
client_turn(struct client *c)
{
	c->unturned = 0;
	loop_turn(c->loop, 0);
}
