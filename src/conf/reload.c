/*
 * Settings that are read a second time, for a process that goes on: the same flags, but file and environment as they are now. What cannot
 * change while it runs (rows without OPT_RELOAD) stays as it was first.
 */
#include "conf/conf.h"

enum err
conf_load_again(struct conf *c, const struct conf *first, const char *path, struct errtext *t)
{
	enum err e = conf_init(c);

	if (e != E_OK)
		return err_set(t, e, "out of memory");
	c->first = first;
	for (size_t i = 0; i < CONF_OPTIONS; i++)
		if (first->origin[i].source == CONF_FLAG) {
			opt_borrow(&conf_rows[i], &c->o, &first->o);
			c->origin[i] = first->origin[i];
		}
	e = conf_load(c, path, t);
	if (e != E_OK)
		conf_release(c);
	return e;
}

size_t
conf_keep(struct conf *c, const struct conf *first, conf_kept_fn *fn)
{
	size_t kept = 0;

	for (size_t i = 0; i < CONF_OPTIONS; i++) {
		if ((conf_rows[i].flags & OPT_RELOAD) || opt_is_same(&conf_rows[i], &c->o, &first->o))
			continue;
		fn(conf_rows[i].name, c->origin[i].where);
		opt_borrow(&conf_rows[i], &c->o, &first->o);
		c->origin[i] = first->origin[i];
		kept++;
	}
	return kept;
}

bool
conf_is_same_section(const struct conf *a, const struct conf *b, const struct conf_section *sec)
{
	size_t n = *(const size_t *)((const char *)a + sec->count_offset);
	const char *x = *(char *const *)((const char *)a + sec->items_offset),
		   *y = *(char *const *)((const char *)b + sec->items_offset);

	if (n != *(const size_t *)((const char *)b + sec->count_offset))
		return false;
	for (size_t i = 0; i < n; i++, x += sec->item_size, y += sec->item_size) {
		if (strcmp(((const struct conf_item *)x)->name, ((const struct conf_item *)y)->name) != 0)
			return false;
		for (size_t k = 0; k < sec->n_rows; k++)
			if (!opt_is_same(&sec->rows[k], x, y))
				return false;
	}
	return true;
}
