/* UTF-8 a character at a time: strict, without overlong forms and surrogates. */
#ifndef WARREN_BASE_UTF8_H
#define WARREN_BASE_UTF8_H

#include "base/base.h"

#define UTF8_MAX 4
#define UTF8_REPLACEMENT 0xfffd

/* Bytes (1-4) of the character at p, of which `left` bytes may be read; 0 when it is not valid UTF-8. */
size_t utf8_len(const char *p, size_t left);
/* The same, and its code point. *code is left alone when it is not valid. */
size_t utf8_decode(const char *p, size_t left, uint32_t *code);
/* Writes a code point (surrogates and those above 0x10ffff as U+FFFD) and returns its number of bytes. */
size_t utf8_encode(uint32_t code, char out[UTF8_MAX]);

#endif
