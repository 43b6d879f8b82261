/*
 * redis://[user:password@]host[:port][/db][?db=N], rediss:// with ssl_* keys, unix:///path?db=N and redis+socket:///path?virtual_host=N:
 * the forms that Celery and redis-py take.
 */
#include "store/target.h"

#include <strings.h>

#include "base/alloc.h"
#include "base/text.h"

#define PORT 6379

static enum err
parse_db(struct rds_target *g, struct span text, struct errtext *t)
{
	if (text_parse_int(text, &g->db) && g->db >= 0 && g->db <= 65535)
		return E_OK;
	return err_set(t, E_CONF, "\"%.*s\" in %s is no number of a Redis database (0, 1, ...)",
		SPAN_FMT(text), g->safe);
}

static enum err
parse_db_query(struct rds_target *g, const char *key, struct errtext *t)
{
	char *value = url_query_dup(&g->url, key);
	enum err e = E_OK;

	if (value)
		e = parse_db(g, span_of(value), t);
	alloc_free(value);
	return e;
}

static enum err
parse_where(struct rds_target *g, struct errtext *t)
{
	const char *scheme = g->url.scheme;
	enum err e = E_OK;

	if (strcmp(scheme, "unix") == 0 || strcmp(scheme, "redis+socket") == 0) {
		if (!g->url.path || !*g->url.path)
			return err_set(
				t, E_CONF, "%s names no socket; write unix:///run/redis/redis.sock", g->safe);
		g->path = alloc_printf("/%s", g->url.path);
		if (!g->path)
			return err_set(t, E_NOMEM, "out of memory");
		e = parse_db_query(g, "virtual_host", t);
	} else if (strcmp(scheme, "redis") == 0 || strcmp(scheme, "rediss") == 0) {
		g->is_tls = scheme[5] == 's';
		g->host = g->url.host ? g->url.host : "localhost";
		g->port = g->url.port ? g->url.port : PORT;
		if (g->url.path && *g->url.path)
			return parse_db(g, span_of(g->url.path), t);
	} else {
		return err_set(t, E_CONF,
			"%s is no Redis URL: it must begin with redis://, rediss://, unix:// or redis+socket://",
			g->safe);
	}
	return e == E_OK ? parse_db_query(g, "db", t) : e;
}

/* "required", "CERT_REQUIRED", and what Python's ssl module says instead. */
static enum err
parse_verify(struct rds_target *g, const char *word, struct errtext *t)
{
	const char *bare = strncasecmp(word, "CERT_", 5) == 0 ? word + 5 : word;

	if (strcasecmp(bare, "none") == 0)
		g->tls.no_verify = true;
	else if (strcasecmp(bare, "required") == 0 || strcasecmp(bare, "optional") == 0)
		g->tls.no_verify = false;
	else
		return err_set(t, E_CONF, "ssl_cert_reqs=%s in %s is unknown; write required or none", word,
			g->safe);
	return E_OK;
}

static enum err
parse_tls(struct rds_target *g, struct errtext *t)
{
	static const char *const keys[] = { "ssl_ca_certs", "ssl_certfile", "ssl_keyfile" };
	const char **const fields[] = { &g->tls.ca_file, &g->tls.cert_file, &g->tls.key_file };
	char *word = url_query_dup(&g->url, "ssl_cert_reqs");
	enum err e = E_OK;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		g->own[i] = url_query_dup(&g->url, keys[i]);
		if (g->own[i])
			*fields[i] = g->own[i];
	}
	if (word)
		e = parse_verify(g, word, t);
	alloc_free(word);
	return e;
}

enum err
rds_target_init(struct rds_target *g, const char *url, const struct stream_tls_conf *tls, struct errtext *t)
{
	struct buf safe = { 0 };
	enum err e;

	*g = (struct rds_target){ .tls = *tls };
	e = url_parse(&g->url, url, t);
	if (e != E_OK)
		return e;
	url_add_safe(&safe, &g->url);
	g->safe = alloc_dup(span_of(buf_text(&safe)));
	e = safe.err;
	buf_release(&safe);
	if (e != E_OK || !g->safe)
		e = err_set(t, E_NOMEM, "out of memory");
	if (e == E_OK)
		e = parse_where(g, t);
	if (e == E_OK && g->is_tls)
		e = parse_tls(g, t);
	if (e != E_OK)
		rds_target_release(g);
	return e;
}

void
rds_target_release(struct rds_target *g)
{
	url_release(&g->url);
	alloc_free(g->safe);
	alloc_free(g->path);
	for (size_t i = 0; i < ARRAY_LEN(g->own); i++)
		alloc_free(g->own[i]);
	*g = (struct rds_target){ 0 };
}
