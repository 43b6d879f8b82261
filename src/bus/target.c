/*
 * amqp://user:password@host:port/vhost?key=value -> who to dial and how to present ourselves. Everything that can be wrong in a URL is
 * found here, before anything is dialled; the texts never hold the password.
 *
 * An absent, an empty and a "/" path all mean the vhost "/", as Celery has it ("amqp://host//" is what its users write).
 */
#include "bus/target.h"

#include "base/alloc.h"
#include "base/text.h"

static const char *const query_keys[] = { "cacertfile", "certfile", "keyfile", "verify", "heartbeat" };

static enum err
check_query(const struct bus_target *t, struct errtext *e)
{
	struct span rest = span_of(t->url.query), item, key;
	bool known;

	while ((item = span_split(&rest, '&')).ptr != NULL) {
		key = span_split(&item, '=');
		known = key.len == 0;
		for (size_t i = 0; i < ARRAY_LEN(query_keys); i++)
			known = known || span_is(key, query_keys[i]);
		if (!known)
			return err_set(e, E_CONF,
				"%s: unknown setting '%.*s' (there are cacertfile, certfile, keyfile, "
				"verify, heartbeat)",
				t->shown, SPAN_FMT(key));
	}
	return E_OK;
}

static enum err
read_heartbeat(struct bus_target *t, struct errtext *e)
{
	char *text = url_query_dup(&t->url, "heartbeat");
	enum err res = E_OK;
	int64_t n;

	t->heartbeat_s = -1;
	if (text != NULL) {
		if (!text_parse_int(span_of(text), &n) || n < 1 || n > 3600)
			res = err_set(e, E_CONF, "%s: heartbeat=%s is not a number of seconds from 1 to 3600",
				t->shown, text);
		else
			t->heartbeat_s = (int)n;
	}
	alloc_free(text);
	return res;
}

static enum err
read_verify(const struct bus_target *t, bool *no_verify, struct errtext *e)
{
	char *text = url_query_dup(&t->url, "verify");
	enum err res = E_OK;

	if (text != NULL && span_is(span_of(text), "verify_none"))
		*no_verify = true;
	else if (text != NULL && span_is(span_of(text), "verify_peer"))
		*no_verify = false;
	else if (text != NULL)
		res = err_set(
			e, E_CONF, "%s: verify=%s is neither verify_peer nor verify_none", t->shown, text);
	alloc_free(text);
	return res;
}

static enum err
make_tls(struct bus_target *t, const struct stream_tls_conf *base, struct errtext *e)
{
	struct stream_tls_conf conf = *base;
	char *ca = url_query_dup(&t->url, "cacertfile");
	char *cert = url_query_dup(&t->url, "certfile");
	char *key = url_query_dup(&t->url, "keyfile");
	enum err res;

	if (ca != NULL)
		conf.ca_file = ca;
	if (cert != NULL)
		conf.cert_file = cert;
	if (key != NULL)
		conf.key_file = key;
	res = read_verify(t, &conf.no_verify, e);
	if (res == E_OK)
		res = stream_tls_new(&t->tls, &conf, e);
	t->external = t->url.user == NULL && conf.cert_file != NULL;
	alloc_free(ca);
	alloc_free(cert);
	alloc_free(key);
	return res;
}

static enum err
read_shown(struct bus_target *t)
{
	struct buf b;

	buf_init(&b, 0);
	url_add_safe(&b, &t->url);
	t->shown = alloc_dup(span_of(buf_text(&b)));
	buf_release(&b);
	return t->shown != NULL ? E_OK : E_NOMEM;
}

enum err
bus_target_init(struct bus_target *t, const char *url, const struct stream_tls_conf *tls, struct errtext *e)
{
	struct span scheme;
	bool secure;
	enum err res;

	*t = (struct bus_target){ 0 };
	res = url_parse(&t->url, url, e);
	if (res != E_OK)
		return res;
	res = read_shown(t);
	if (res != E_OK)
		goto out;
	scheme = span_of(t->url.scheme);
	secure = span_is(scheme, "amqps");
	if (!secure && !span_is(scheme, "amqp") && !span_is(scheme, "pyamqp")) {
		res = err_set(e, E_CONF, "%s: a broker's URL begins with amqp:// or amqps://", t->shown);
		goto out;
	}
	t->host = t->url.host != NULL && *t->url.host != '\0' ? t->url.host : "localhost";
	t->port = t->url.port != 0 ? t->url.port : secure ? 5671 : 5672;
	t->user = t->url.user != NULL ? t->url.user : "guest";
	t->password = t->url.password != NULL ? t->url.password : t->url.user != NULL ? "" : "guest";
	t->vhost = t->url.path != NULL && *t->url.path != '\0' ? t->url.path : "/";
	if (strlen(t->vhost) > UINT8_MAX) {
		res = err_set(e, E_CONF, "%s: the virtual host is longer than 255 bytes", t->shown);
		goto out;
	}
	res = check_query(t, e);
	if (res == E_OK)
		res = read_heartbeat(t, e);
	if (res == E_OK && secure)
		res = make_tls(t, tls, e);
out:
	if (res != E_OK)
		bus_target_release(t);
	return res;
}

void
bus_target_release(struct bus_target *t)
{
	stream_tls_free(t->tls);
	alloc_free(t->shown);
	url_release(&t->url);
	*t = (struct bus_target){ 0 };
}
