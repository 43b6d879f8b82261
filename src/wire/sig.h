/*
 * The written form of signatures (celery-wire.md 1.9): {"task":..., "args":..., "kwargs":...,
 * "options":{...}, "subtask_type":..., "immutable":...}. Only reading and writing; what to do with them is
 * core's business.
 */
#ifndef WARREN_WIRE_SIG_H
#define WARREN_WIRE_SIG_H

#include "base/buf.h"
#include "base/jscan.h"

enum sig_type { SIG_PLAIN, SIG_CHAIN, SIG_GROUP, SIG_CHORD };

struct sig {
	enum sig_type type;
	struct span task;                  /* text */
	struct span args, kwargs, options; /* raw JSON; SPAN_NONE is written as [], {}, {} */
	bool immutable;
};

struct arena;
/* `json` must be checked text (jscan_check). Unknown keys are ignored. */
enum err sig_decode(struct sig *s, struct span json, struct arena *a, struct errtext *t) MUSTCHECK;
void sig_encode(struct buf *b, const struct sig *s);
/* Decoded text of a string option; false when absent, null or no string. */
bool sig_option_text(const struct sig *s, const char *key, struct arena *a, struct span *out);

#endif
