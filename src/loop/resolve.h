/*
 * Names to addresses, off the loop: getaddrinfo can block for half a minute, so it runs in a thread of its own which touches
 * nothing but its job and reports through an eventfd. Inside loop/ only.
 */
#ifndef WARREN_LOOP_RESOLVE_H
#define WARREN_LOOP_RESOLVE_H

#include <netdb.h>

#include "loop/loop.h"

struct resolve_job;
/* `list` is the callee's to freeaddrinfo; NULL with E_MISSING, or E_SYS, and the reason. */
typedef void resolve_fn(void *owner, enum err e, struct addrinfo *list, const char *why);

struct resolve {
	struct loop_fd watch;
	struct resolve_job *job;
	resolve_fn *fn;
	void *owner;
};

/* The address a numeric host stands for; NULL for a name. Never blocks. */
struct addrinfo *resolve_numeric(const char *host, int port);
/* fn is called once, later, unless released before. */
enum err resolve_start(struct resolve *r, struct loop *l, const char *host, int port, resolve_fn *fn,
	void *owner, struct errtext *t) MUSTCHECK;
/* A question under way is left to its thread. A zeroed one is fine. */
void resolve_release(struct resolve *r);

#endif
