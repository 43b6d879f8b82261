/* Tells systemd how the worker is, as sd_notify(3) describes: nothing but datagrams, so no library is linked for it. */
#ifndef WARREN_WORKER_NOTIFY_H
#define WARREN_WORKER_NOTIFY_H

#include "loop/loop.h"

struct notify {
	int fd;                  /* -1: nobody wants to know */
	struct loop_timer timer; /* of the watchdog */
	ms_t watchdog_ms;        /* half of what systemd waits for; 0 = it does not */
};

/* Reads NOTIFY_SOCKET and WATCHDOG_USEC. Without them everything below does nothing. */
enum err notify_open(struct notify *n, struct loop *l) MUSTCHECK;
void notify_close(struct notify *n);
/* "READY=1", "STOPPING=1", "STATUS=..."; several lines may go together. */
void notify_say(struct notify *n, const char *state);

#endif
