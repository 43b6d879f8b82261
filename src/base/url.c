/*
 * URLs of brokers and backends. The parts are those of RFC 3986 but read leniently where people write
 * passwords: the last '@' of the authority ends it, so that one with an '@' in it works, and '#' is an ordinary
 * character. Each part is decoded straight into the block it stays in, so that no copy of a password is left
 * behind on the heap.
 */
#include "base/url.h"

#include "base/alloc.h"
#include "base/text.h"

static bool
is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes %XX. `what` is named in the error. */
static enum err
decode(struct span s, bool plus_is_blank, char **out, const char *what, struct errtext *t)
{
	char *text = alloc_bytes(s.len + 1), *to = text;
	int high, low;

	if (!text)
		return err_set(t, E_NOMEM, "out of memory");
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] != '%') {
			*to++ = s.ptr[i] == '+' && plus_is_blank ? ' ' : s.ptr[i];
			continue;
		}
		high = s.len - i > 2 ? hex_value(s.ptr[i + 1]) : -1;
		low = s.len - i > 2 ? hex_value(s.ptr[i + 2]) : -1;
		if (high < 0 || low < 0 || high + low == 0) {
			explicit_bzero(text, s.len + 1);
			alloc_free(text);
			return err_set(t, E_FORMAT,
				"URL: a '%%' in the %s that is not followed by two hexadecimal digits "
				"(other than 00); write %%25 for the character itself",
				what);
		}
		*to++ = (char)(high << 4 | low);
		i += 2;
	}
	*to = '\0';
	*out = text;
	return E_OK;
}

/* Takes "scheme://" off the front. */
static enum err
take_scheme(struct url *u, struct span *rest, struct errtext *t)
{
	size_t n = 0;

	while (n < rest->len && (is_alnum(rest->ptr[n]) || (n && strchr("+-.", rest->ptr[n]))))
		n++;
	if (n == 0 || rest->len - n < 3 || memcmp(rest->ptr + n, "://", 3) != 0)
		return err_set(
			t, E_FORMAT, "URL: it does not start with a scheme such as amqp:// or redis://");
	u->scheme = alloc_dup((struct span){ rest->ptr, n });
	if (!u->scheme)
		return err_set(t, E_NOMEM, "out of memory");
	for (char *p = u->scheme; *p; p++) {
		if (*p >= 'A' && *p <= 'Z')
			*p |= 0x20;
	}
	rest->ptr += n + 3;
	rest->len -= n + 3;
	return E_OK;
}

static enum err
parse_userinfo(struct url *u, struct span info, struct errtext *t)
{
	struct span password = info, user = span_split(&password, ':');
	enum err e = E_OK;

	if (user.len)
		e = decode(user, false, &u->user, "user name", t);
	if (e == E_OK && password.ptr)
		e = decode(password, false, &u->password, "password", t);
	return e;
}

static enum err
parse_port(struct url *u, struct span s, struct errtext *t)
{
	int64_t port;

	if (s.len == 0)
		return E_OK;
	if (s.ptr[0] == '+' || !text_parse_int(s, &port) || port < 1 || port > 65535)
		return err_set(t, E_FORMAT,
			"URL: the port behind the host must be a number from 1 to 65535 (a ':', '/' or "
			"'@' in a password is written %%3A, %%2F, %%40)");
	u->port = (int)port;
	return E_OK;
}

static enum err
parse_host(struct url *u, struct span s, struct errtext *t)
{
	struct span host, port;
	const char *end;
	enum err e;

	if (s.len && s.ptr[0] == '[') {
		end = memchr(s.ptr, ']', s.len);
		if (!end)
			return err_set(
				t, E_FORMAT, "URL: the '[' before an IPv6 address has no ']' behind it");
		host = (struct span){ s.ptr + 1, (size_t)(end - s.ptr) - 1 };
		port = (struct span){ end + 1, s.len - host.len - 2 };
		if (port.len && port.ptr[0] != ':')
			return err_set(t, E_FORMAT,
				"URL: only a ':' and a port may stand behind the ']' of an address");
		if (port.len)
			port = (struct span){ port.ptr + 1, port.len - 1 };
	} else {
		port = s;
		host = span_split(&port, ':');
	}
	e = host.len ? decode(host, false, &u->host, "host", t) : E_OK;
	return e == E_OK ? parse_port(u, port, t) : e;
}

static enum err
check_query(struct span query, struct errtext *t)
{
	enum err e;
	char *text;

	if (!query.len)
		return E_OK;
	e = decode(query, false, &text, "query", t);
	if (e == E_OK) {
		explicit_bzero(text, strlen(text));
		alloc_free(text);
	}
	return e;
}

/* rest is "/path?query", or nothing. */
static enum err
parse_tail(struct url *u, struct span rest, struct errtext *t)
{
	struct span query = rest, path = span_split(&query, '?');
	enum err e;

	if (path.len) {
		path.ptr++;
		path.len--;
		u->raw_path = alloc_dup(path);
		if (!u->raw_path)
			return err_set(t, E_NOMEM, "out of memory");
		e = decode(path, false, &u->path, "path", t);
		if (e != E_OK)
			return e;
	}
	if (!query.ptr)
		return E_OK;
	e = check_query(query, t);
	if (e != E_OK)
		return e;
	u->query = alloc_dup(query);
	return u->query ? E_OK : err_set(t, E_NOMEM, "out of memory");
}

static const char *
last_at(struct span s)
{
	return s.len ? memrchr(s.ptr, '@', s.len) : NULL;
}

enum err
url_parse(struct url *u, const char *text, struct errtext *t)
{
	struct span rest = span_trim(span_of(text)), authority;
	const char *at;
	enum err e;

	*u = (struct url){ 0 };
	for (size_t i = 0; i < rest.len; i++) {
		if ((unsigned char)rest.ptr[i] <= ' ' || rest.ptr[i] == 0x7f)
			return err_set(t, E_FORMAT,
				"URL: it has a blank or control character in it; write %%20 for a blank");
	}
	e = take_scheme(u, &rest, t);
	if (e != E_OK)
		goto out;
	authority = (struct span){ rest.ptr, 0 };
	while (authority.len < rest.len && rest.ptr[authority.len] != '/' && rest.ptr[authority.len] != '?')
		authority.len++;
	rest.ptr += authority.len;
	rest.len -= authority.len;
	at = last_at(authority);
	if (at) {
		e = parse_userinfo(u, (struct span){ authority.ptr, (size_t)(at - authority.ptr) }, t);
		if (e != E_OK)
			goto out;
		authority.len -= (size_t)(at + 1 - authority.ptr);
		authority.ptr = at + 1;
	}
	e = parse_host(u, authority, t);
	if (e == E_OK)
		e = parse_tail(u, rest, t);
out:
	if (e != E_OK)
		url_release(u);
	return e;
}

static void
wipe(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	alloc_free(text);
}

void
url_release(struct url *u)
{
	alloc_free(u->scheme);
	alloc_free(u->user);
	wipe(u->password);
	alloc_free(u->host);
	alloc_free(u->path);
	alloc_free(u->raw_path);
	wipe(u->query); /* may hold a password as well */
	*u = (struct url){ 0 };
}

char *
url_query_dup(const struct url *u, const char *key)
{
	struct span rest = span_of(u->query), value, name;
	char *out = NULL;

	while (rest.ptr) {
		value = span_split(&rest, '&');
		name = span_split(&value, '=');
		if (!span_is(name, key))
			continue;
		if (decode(value, true, &out, "query", NULL) != E_OK)
			return NULL;
		return out;
	}
	return NULL;
}

bool
url_is_secret(struct span name)
{
	static const char *const words[] = { "pass", "secret", "token", "key" };
	char text[64];

	if (name.len >= sizeof(text))
		return true; /* nobody needs such a name; better not shown */
	memcpy(text, name.ptr, name.len);
	text[name.len] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcasestr(text, words[i]))
			return true;
	}
	return false;
}

static void
add_safe_query(struct buf *b, struct span query)
{
	struct span value, name;
	char sep = '?';

	while (query.ptr) {
		value = span_split(&query, '&');
		name = span_split(&value, '=');
		buf_addc(b, sep);
		sep = '&';
		text_add_printable(b, name, 0);
		if (!value.ptr)
			continue;
		buf_addc(b, '=');
		if (url_is_secret(name))
			buf_add(b, SPAN("**"));
		else
			text_add_printable(b, value, 0);
	}
}

/* The user name as it may stand in a URL. */
static void
add_encoded(struct buf *b, const char *s)
{
	for (; *s; s++) {
		if (is_alnum(*s) || strchr("-._~", *s))
			buf_addc(b, *s);
		else
			buf_addf(b, "%%%02X", (unsigned char)*s);
	}
}

void
url_add_safe(struct buf *b, const struct url *u)
{
	buf_adds(b, u->scheme ? u->scheme : "");
	buf_add(b, SPAN("://"));
	if (u->user)
		add_encoded(b, u->user);
	if (u->password)
		buf_add(b, SPAN(":**"));
	if (u->user || u->password)
		buf_addc(b, '@');
	if (u->host && strchr(u->host, ':')) {
		buf_addc(b, '[');
		text_add_printable(b, span_of(u->host), 0);
		buf_addc(b, ']');
	} else {
		text_add_printable(b, span_of(u->host), 0);
	}
	if (u->port)
		buf_addf(b, ":%d", u->port);
	if (u->raw_path) {
		buf_addc(b, '/');
		text_add_printable(b, span_of(u->raw_path), 0);
	}
	add_safe_query(b, span_of(u->query));
}

void
url_add_hidden(struct buf *b, struct span text)
{
	const char *end = text.ptr + text.len, *p = text.ptr, *at, *colon, *stop;

	while (p < end && (at = memmem(p, (size_t)(end - p), "://", 3)) != NULL) {
		buf_add(b, (struct span){ p, (size_t)(at + 3 - p) });
		p = at + 3;
		at = colon = NULL;
		for (stop = p; stop < end && strchr("/? \t\n\"'", *stop) == NULL; stop++) {
			if (*stop == '@')
				at = stop;
			else if (*stop == ':' && colon == NULL)
				colon = stop;
		}
		if (at == NULL || colon == NULL || colon > at)
			continue;
		buf_add(b, (struct span){ p, (size_t)(colon - p) });
		buf_add(b, SPAN(":**"));
		p = at;
	}
	buf_add(b, (struct span){ p, (size_t)(end - p) });
}
