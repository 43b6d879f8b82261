/*
 * Errors as values. A function that can fail returns `enum err`; the words for a person go to an optional
 * last argument `struct errtext *`, so that the caller decides whether and where they are shown.
 */
#ifndef WARREN_BASE_ERR_H
#define WARREN_BASE_ERR_H

#include "base/base.h"

enum err {
	E_OK = 0,
	E_NOMEM,   /* out of memory */
	E_TOOBIG,  /* a limit of ours was passed: size, depth, count */
	E_AGAIN,   /* not now: more input is needed, or a window is full */
	E_FORMAT,  /* bytes that do not follow their format */
	E_CLOSED,  /* the other side, or this object, is closed */
	E_TIMEOUT, /* a deadline passed */
	E_REFUSED, /* the peer understood and said no */
	E_EXISTS,  /* there already */
	E_MISSING, /* not there */
	E_CONF,    /* a setting is wrong */
	E_SYS,     /* the operating system said no; errno was put into the text */
};

struct errtext {
	char text[512];
};

/* Writes the text (when t is not NULL; cut to fit) and returns e, so that `return err_set(t, E_X, ...)` works. */
enum err err_set(struct errtext *t, enum err e, const char *fmt, ...) PRINTFLIKE(3, 4);
/* As err_set with E_SYS, and adds ": " and strerror(errno). */
enum err err_sys(struct errtext *t, const char *fmt, ...) PRINTFLIKE(2, 3);
/* Puts "<prefix>: " before what is in t. No-op when t is NULL. Returns e. */
enum err err_prefix(struct errtext *t, enum err e, const char *fmt, ...) PRINTFLIKE(3, 4);
#ifdef __clang_analyzer__
/* The analyser sees one file at a time: this tells it that they return what they were given. */
#define err_set(t, e, ...) ((void)(err_set)((t), (e), __VA_ARGS__), (e))
#define err_prefix(t, e, ...) ((void)(err_prefix)((t), (e), __VA_ARGS__), (e))
#define err_sys(...) ((void)(err_sys)(__VA_ARGS__), E_SYS)
#endif
/* "not found", "timed out"...: short English for the code alone. */
const char *err_name(enum err e);

#endif
