/*
 * TLS over a descriptor that is not blocking: OpenSSL does the work, this says what to wait for and puts its errors into words.
 * Inside loop/ only; the context (struct stream_tls) is made through stream.h.
 */
#ifndef WARREN_LOOP_TLS_H
#define WARREN_LOOP_TLS_H

#include "base/err.h"
#include "loop/stream.h"

struct tls;

enum tls_io {
	TLS_DONE,
	TLS_WANT_READ,  /* call again when the descriptor is readable */
	TLS_WANT_WRITE, /* ... writable */
	TLS_END,        /* the peer closed */
	TLS_FAILED,     /* tls_why() tells */
};

/* A client session for `host`, over fd (which stays the caller's). */
enum err tls_new(struct tls **out, const struct stream_tls *ctx, int fd, const char *host,
	struct errtext *t) MUSTCHECK;
void tls_free(struct tls *s);
enum tls_io tls_hello(struct tls *s);
enum tls_io tls_read(struct tls *s, void *to, size_t room, size_t *n);
enum tls_io tls_write(struct tls *s, const void *from, size_t len, size_t *n);
/* Bytes are decrypted already and wait: no event of the descriptor tells of them. */
bool tls_has_more(const struct tls *s);
/* Says goodbye, without waiting for the answer. */
void tls_bye(struct tls *s);
const char *tls_why(const struct tls *s);

#endif
