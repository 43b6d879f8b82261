/*
 * From a host and port, or a socket's path, to a connected descriptor: looks the name up, tries its addresses in turn. Inside
 * loop/ only.
 */
#ifndef WARREN_LOOP_DIAL_H
#define WARREN_LOOP_DIAL_H

#include "loop/internal.h"
#include "loop/resolve.h"

/* E_OK: fd is the callee's. Otherwise fd is -1 and `why` tells the reason of the last address. */
typedef void dial_fn(void *owner, enum err e, int fd, const char *why);

struct dial {
	struct loop *loop;
	dial_fn *fn;
	void *owner;
	ms_t end; /* when all of it must be over; its owner watches that */
	struct resolve resolve;
	struct addrinfo *list, *at; /* all addresses, and the one being tried */
	int n_tried;
	int fd;
	struct event *ready;
	struct loop_timer share; /* one address gets only its share of the time */
	struct loop_task next;
	char *path;
	enum err err;
	struct errtext why;
};

/* fn is called once, later, unless released before. The strings are not kept, but for the path, which is copied. */
enum err dial_start(struct dial *d, struct loop *l, const char *host, int port, const char *path,
	ms_t limit_ms, dial_fn *fn, void *owner, struct errtext *t) MUSTCHECK;
/* A zeroed one is fine. */
void dial_release(struct dial *d);

#endif
