/*
 * The handshake, up to connection.open-ok. Its steps are struct bus_conn's `step`:
 *
 *	"AMQP" 0 0 9 1 ->
 *	                  <- start (mechanisms, who the broker is)     START
 *	start-ok (login)->
 *	                  <- tune (frame_max, channel_max, heartbeat)  TUNE
 *	tune-ok, open   ->
 *	                  <- open-ok                                   OPEN_OK
 *
 * The broker may answer connection.close instead at any point; hello_refusal finds the words for that. connection.secure never
 * follows PLAIN or EXTERNAL and is refused.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "bus/inner.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "0"
#endif

/* Without these the broker would keep to itself that it blocks us, cancels a consumer or refuses a login. */
static const char *const capabilities[] = {
	"publisher_confirms",
	"exchange_exchange_bindings",
	"basic.nack",
	"consumer_cancel_notify",
	"connection.blocked",
	"authentication_failure_close",
};

static const struct bus_target *
target(const struct bus_conn *c)
{
	return &c->targets[c->at];
}

void
hello_begin(struct bus_conn *c)
{
	c->state = CONN_HELLO;
	c->step = HELLO_START;
	if (conn_write(c, (struct span){ "AMQP\0\0\x09\x01", 8 }) != E_OK)
		conn_break(c, E_NOMEM, "no room for the protocol header");
}

static amqp_table_entry_t
entry_text(const char *key, const char *text)
{
	return (amqp_table_entry_t){
		.key = amqp_of_span(span_of(key)),
		.value = { .kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_of_span(span_of(text)) },
	};
}

static void
copy_property(const amqp_table_t *t, const char *key, char *out, size_t size)
{
	struct span s;

	out[0] = '\0';
	for (int i = 0; i < t->num_entries; i++) {
		if (t->entries[i].value.kind != AMQP_FIELD_KIND_UTF8 ||
			!span_is(span_of_amqp(t->entries[i].key), key))
			continue;
		s = span_of_amqp(t->entries[i].value.value.bytes);
		if (s.len >= size)
			s.len = size - 1;
		memcpy(out, s.ptr, s.len);
		out[s.len] = '\0';
	}
}

static bool
offers(amqp_bytes_t mechanisms, const char *wanted)
{
	struct span rest = span_of_amqp(mechanisms), one;

	while ((one = span_split(&rest, ' ')).ptr != NULL)
		if (span_is(one, wanted))
			return true;
	return false;
}

static enum err
send_start_ok(struct bus_conn *c, const char *mechanism, struct span response)
{
	amqp_table_entry_t caps[ARRAY_LEN(capabilities)];
	amqp_table_entry_t props[] = {
		entry_text("product", "warren"),
		entry_text("version", PACKAGE_VERSION),
		entry_text("platform", "C"),
		entry_text("connection_name", c->name),
		{ .key = amqp_of_span(SPAN("capabilities")), .value = { .kind = AMQP_FIELD_KIND_TABLE } },
	};
	amqp_connection_start_ok_t m = {
		.client_properties = { ARRAY_LEN(props), props },
		.mechanism = amqp_of_span(span_of(mechanism)),
		.response = amqp_of_span(response),
		.locale = amqp_of_span(SPAN("en_US")),
	};

	for (size_t i = 0; i < ARRAY_LEN(capabilities); i++)
		caps[i] = (amqp_table_entry_t){
			.key = amqp_of_span(span_of(capabilities[i])),
			.value = { .kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1 },
		};
	props[ARRAY_LEN(props) - 1].value.value.table = (amqp_table_t){ ARRAY_LEN(caps), caps };
	return conn_send(c, 0, AMQP_CONNECTION_START_OK_METHOD, &m);
}

static void
on_start(struct bus_conn *c, const amqp_connection_start_t *m)
{
	const struct bus_target *t = target(c);
	const char *mechanism = t->external ? "EXTERNAL" : "PLAIN";
	struct buf response;
	enum err e;

	if (m->version_major != 0 || m->version_minor != 9) {
		conn_fault(c, AMQP_NOT_IMPLEMENTED, "the broker speaks AMQP %d-%d, not 0-9", m->version_major,
			m->version_minor);
		return;
	}
	copy_property(&m->server_properties, "product", c->server, sizeof(c->server));
	copy_property(&m->server_properties, "version", c->version, sizeof(c->version));
	if (!offers(m->mechanisms, mechanism)) {
		conn_fault(c, AMQP_ACCESS_REFUSED, "the broker does not take logins by %s, only by %.*s",
			mechanism, SPAN_FMT(span_of_amqp(m->mechanisms)));
		return;
	}
	buf_init(&response, 0);
	if (!t->external) {
		buf_addc(&response, '\0');
		buf_adds(&response, t->user);
		buf_addc(&response, '\0');
		buf_adds(&response, t->password);
	}
	e = response.err != E_OK ? response.err : send_start_ok(c, mechanism, buf_span(&response));
	if (response.data != NULL)
		explicit_bzero(response.data, response.cap);
	buf_release(&response);
	if (c->out.data != NULL)
		explicit_bzero(c->out.data, c->out.cap);
	if (e != E_OK)
		conn_break(c, e, "the login could not be sent");
	c->step = HELLO_TUNE;
}

/* 0 is "no limit" on either side. */
static size_t
lower(size_t ours, size_t theirs)
{
	return theirs == 0 || ours < theirs ? ours : theirs;
}

static void
on_tune(struct bus_conn *c, const amqp_connection_tune_t *m)
{
	const struct bus_target *t = target(c);
	amqp_connection_open_t open = { .virtual_host = amqp_of_span(span_of(t->vhost)) };
	amqp_connection_tune_ok_t ok;
	size_t beat;

	if (m->frame_max != 0 && m->frame_max < AMQP_FRAME_MIN_SIZE) {
		conn_fault(c, AMQP_NOT_ALLOWED,
			"the broker wants frames of at most %u bytes; AMQP asks for %d at least",
			(unsigned)m->frame_max, AMQP_FRAME_MIN_SIZE);
		return;
	}
	beat = lower((size_t)(t->heartbeat_s > 0 ? t->heartbeat_s : c->heartbeat_s), m->heartbeat);
	c->beat_s = (int)beat;
	c->frame_max = lower(BUS_FRAME_MAX, m->frame_max);
	c->channel_max = lower(BUS_CHANNEL_MAX, m->channel_max);
	c->codec.frame_max = c->frame_max;
	ok = (amqp_connection_tune_ok_t){ (uint16_t)c->channel_max, (uint32_t)c->frame_max, (uint16_t)beat };
	if (conn_send(c, 0, AMQP_CONNECTION_TUNE_OK_METHOD, &ok) != E_OK ||
		conn_send(c, 0, AMQP_CONNECTION_OPEN_METHOD, &open) != E_OK)
		conn_break(c, E_NOMEM, "tune-ok could not be sent");
	c->step = HELLO_OPEN_OK;
}

void
hello_on_method(struct bus_conn *c, const struct frame *f)
{
	if (f->method == AMQP_CONNECTION_CLOSE_METHOD)
		conn_closed_by_server(c, f->args);
	else if (f->method == AMQP_CONNECTION_START_METHOD && c->step == HELLO_START)
		on_start(c, f->args);
	else if (f->method == AMQP_CONNECTION_TUNE_METHOD && c->step == HELLO_TUNE)
		on_tune(c, f->args);
	else if (f->method == AMQP_CONNECTION_OPEN_OK_METHOD && c->step == HELLO_OPEN_OK)
		conn_up(c);
	else
		conn_fault(c, AMQP_COMMAND_INVALID, "%s is out of order in the handshake",
			amqp_method_name(f->method));
}

enum err
hello_refusal(const struct bus_conn *c, int code, const char *text, struct errtext *out)
{
	const struct bus_target *t = target(c);

	if (code == AMQP_ACCESS_REFUSED && c->step == HELLO_TUNE && t->external)
		return err_set(out, E_REFUSED, "the broker refused the client certificate: %s", text);
	if (code == AMQP_ACCESS_REFUSED && c->step == HELLO_TUNE)
		return err_set(
			out, E_REFUSED, "the broker refused user '%s' (wrong name or password)", t->user);
	if (code == AMQP_NOT_ALLOWED || code == AMQP_INVALID_PATH || code == AMQP_ACCESS_REFUSED)
		return err_set(out, E_REFUSED, "user '%s' cannot use virtual host '%s': %s", t->user,
			t->vhost, text);
	return err_set(out, E_CLOSED, "%s", text);
}
