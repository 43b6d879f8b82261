/*
 * URLs of brokers and backends: scheme://user:password@host:port/path?key=value. User, password, path and
 * values are percent-decoded. A URL is shown only through url_add_safe, which hides the password.
 *
 * The path is kept without its first '/', because for AMQP it is the name of a vhost: "amqp://h" has none,
 * "amqp://h/" the empty one, "amqp://h//" and "amqp://h/%2f" the one named "/". Where the path is one in the
 * file system, as in "unix:///run/redis.sock?db=1" (host NULL, path "run/redis.sock"), it is "/" + path.
 */
#ifndef WARREN_BASE_URL_H
#define WARREN_BASE_URL_H

#include "base/buf.h"

struct url {
	char *scheme;   /* lower case */
	char *user;     /* NULL when absent or empty */
	char *password; /* NULL when absent; wiped by url_release */
	char *host;     /* NULL when absent; IPv6 without brackets */
	int port;       /* 0 when absent */
	char *path;     /* decoded, without the first '/'; NULL when there is no '/' at all */
	char *raw_path; /* as path, but not decoded: "%2f" tells a vhost named "/" from none */
	char *query;    /* raw, without '?'; NULL when absent */
};

/* E_FORMAT or E_NOMEM. On error nothing is owned, and the text never holds the password. */
enum err url_parse(struct url *u, const char *text, struct errtext *t) MUSTCHECK;
void url_release(struct url *u);
/* The decoded value ('+' is a blank) of a query key; caller frees; NULL when absent or out of memory. */
char *url_query_dup(const struct url *u, const char *key);
/* "amqp://guest:**@127.0.0.1:5672//"; values of query keys that sound like secrets are hidden as well. */
void url_add_safe(struct buf *b, const struct url *u);
/* Any text; the passwords of URLs that stand in it are hidden. */
void url_add_hidden(struct buf *b, struct span text);
/* Whether a value with this name is better not shown: DB_PASSWORD, api_key. */
bool url_is_secret(struct span name);

#endif
