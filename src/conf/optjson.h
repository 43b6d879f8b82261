/* A struct of options as one JSON object, for entries that are kept elsewhere than in the configuration file. */
#ifndef WARREN_CONF_OPTJSON_H
#define WARREN_CONF_OPTJSON_H

#include "conf/opt.h"

/* Appends {"every": 30.0, ...}: what differs from `defaults`, a struct of the same kind. */
void optjson_add(struct buf *b, const struct opt_row *rows, size_t n, const void *base, const void *defaults);
/*
 * Sets the fields an object names; the others stay. null leaves a field as it is, too. E_CONF names the key: "every: '1y' is no ...",
 * "unknown key 'evry': did you mean 'every'?".
 */
enum err optjson_read(const struct opt_row *rows, size_t n, void *base, struct span json, struct arena *a,
	struct errtext *t) MUSTCHECK;

#endif
