/* URLs. The safe form of a URL that was taken must be taken again and mean the same host, port and path. */
#include "base/alloc.h"
#include "base/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(ok) \
	do { \
		if (!(ok)) \
			abort(); \
	} while (0)

static bool
same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Whether nothing in it has to be written differently in the safe form. */
static bool
is_plain(const char *s)
{
	for (; s && *s; s++) {
		if ((unsigned char)*s <= ' ' || (unsigned char)*s >= 0x7f || strchr("%@/?[]:#", *s))
			return false;
	}
	return true;
}

static void
check_safe_form(const struct url *u)
{
	struct buf b = { 0 };
	struct url again;

	url_add_safe(&b, u);
	if (is_plain(u->host) && is_plain(u->raw_path) && is_plain(u->query)) {
		CHECK(url_parse(&again, buf_text(&b), NULL) == E_OK);
		CHECK(same(u->scheme, again.scheme) && same(u->user, again.user) && same(u->host, again.host));
		CHECK(u->port == again.port && same(u->path, again.path));
		CHECK(same(again.password, u->password ? "**" : NULL));
		url_release(&again);
	}
	buf_release(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = alloc_dup((struct span){ (const char *)data, size });
	struct errtext t;
	struct url u;

	if (text && url_parse(&u, text, &t) == E_OK) {
		check_safe_form(&u);
		alloc_free(url_query_dup(&u, "db"));
		url_release(&u);
	}
	alloc_free(text);
	return 0;
}
