/* No results: nothing is stored, and whoever asks is told so. */
#include "backend/ops.h"
#include "base/alloc.h"

static void
none_close(struct backend *b)
{
	alloc_free(b);
}

static bool
none_is_up(const struct backend *b UNUSED)
{
	return true;
}

static const char *
none_url(const struct backend *b UNUSED)
{
	return "disabled";
}

static size_t
none_pending(const struct backend *b UNUSED)
{
	return 0;
}

enum err
none_open(struct backend **out, struct loop *l)
{
	static const struct backend_ops ops = {
		.close = none_close,
		.is_up = none_is_up,
		.url = none_url,
		.pending = none_pending,
	};
	struct backend *b = alloc_zero(sizeof(*b));

	*out = b;
	if (b == NULL)
		return E_NOMEM;
	b->ops = &ops;
	b->loop = l;
	return E_OK;
}
