/* Identifiers and random numbers, from the kernel's generator. */
#ifndef WARREN_BASE_ID_H
#define WARREN_BASE_ID_H

#include "base/base.h"

#define ID_UUID_LEN 36

/* A version 4 UUID in lower case, NUL-terminated. Random bytes are drawn in blocks: one system call for many ids. */
void id_uuid4(char out[ID_UUID_LEN + 1]);
/* An identifier that follows from another one and a number: the same for the same, a UUID of version 8 (RFC 9562: made by rules of one's own). */
void id_derive(char out[ID_UUID_LEN + 1], struct span from, uint64_t number);
void id_random(void *out, size_t n);
uint64_t id_random_u64(void);
/* Tests: the same sequence for the same seed; 0 switches back to the kernel. */
void id_fake(uint64_t seed);

#endif
