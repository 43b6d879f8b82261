/* Name-based identifiers (RFC 9562, version 5): the same name gives the same id on every machine. */
#ifndef WARREN_BEAT_UUID5_H
#define WARREN_BEAT_UUID5_H

#include "base/err.h"
#include "base/id.h"

/* E_SYS: libcrypto has no SHA-1 (a policy of the system). */
enum err uuid5(const unsigned char space[16], struct span name, char out[ID_UUID_LEN + 1],
	struct errtext *t) MUSTCHECK;

#endif
