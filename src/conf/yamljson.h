/* A value of the configuration file as JSON. Inside conf/ only. */
#ifndef WARREN_CONF_YAMLJSON_H
#define WARREN_CONF_YAMLJSON_H

#include "base/buf.h"
#include "conf/doc.h"

/*
 * Appends v as JSON: plain words that are null, true, false or a number are that, everything else is a text. E_TOOBIG beyond b->max (aliases
 * can make a small file large) or 32 levels; E_FORMAT for a key that is no text.
 */
enum err yaml_to_json(struct buf *b, const struct doc_value *v) MUSTCHECK;

#endif
