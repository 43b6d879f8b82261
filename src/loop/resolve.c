/*
 * One short-lived detached thread per name. The job has two holders, the thread and the asker; the last one to let go frees it,
 * so an asker whose deadline passed just leaves.
 */
#include "loop/resolve.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct resolve_job {
	atomic_int holders;
	int done_fd;
	int rc, sys_errno;
	struct addrinfo *list;
	char port[16];
	char host[];
};

static const struct addrinfo hints = {
	.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV
};

static void
job_drop(struct resolve_job *job)
{
	if (atomic_fetch_sub(&job->holders, 1) > 1)
		return;
	if (job->list)
		freeaddrinfo(job->list);
	if (job->done_fd >= 0)
		close(job->done_fd);
	free(job);
}

static void *
run(void *arg)
{
	struct resolve_job *job = arg;
	const uint64_t one = 1;

	job->rc = getaddrinfo(job->host, job->port, &hints, &job->list);
	job->sys_errno = errno;
	/* An eventfd at zero takes a one; there is no way for this to fail that the asker's deadline does not cover. */
	if (write(job->done_fd, &one, sizeof(one)) < 0)
		job->rc = EAI_SYSTEM;
	job_drop(job);
	return NULL;
}

static void
on_done(void *owner)
{
	struct resolve *r = owner;
	struct resolve_job *job = r->job;
	struct addrinfo *list = job->list;
	struct errtext t = { "" };
	uint64_t count;
	enum err e = E_OK;

	/* The read pairs with the thread's write, which comes after all it stored. */
	if (read(job->done_fd, &count, sizeof(count)) < 0)
		return;
	if (job->rc == EAI_SYSTEM) {
		errno = job->sys_errno;
		e = err_sys(&t, "cannot look up the name \"%s\"", job->host);
	} else if (job->rc != 0) {
		e = err_set(&t, E_MISSING, "cannot look up the name \"%s\": %s", job->host,
			gai_strerror(job->rc));
	} else {
		job->list = NULL;
	}
	resolve_release(r);
	r->fn(r->owner, e, e == E_OK ? list : NULL, t.text);
}

struct addrinfo *
resolve_numeric(const char *host, int port)
{
	struct addrinfo how = hints, *list = NULL;
	char text[16];

	how.ai_flags |= AI_NUMERICHOST;
	snprintf(text, sizeof(text), "%d", port);
	return getaddrinfo(host, text, &how, &list) == 0 ? list : NULL;
}

static int
start_thread(struct resolve_job *job)
{
	pthread_attr_t attr;
	sigset_t all, before;
	pthread_t id;
	int rc = pthread_attr_init(&attr);

	if (rc != 0)
		return rc;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	/* Signals are the loop's business, so none may be delivered to this thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&id, &attr, run, job);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return rc;
}

enum err
resolve_start(struct resolve *r, struct loop *l, const char *host, int port, resolve_fn *fn, void *owner,
	struct errtext *t)
{
	size_t len = strlen(host) + 1;
	/* Plain malloc: the last holder may be the thread, and base/alloc.h belongs to the loop's. */
	struct resolve_job *job = calloc(1, sizeof(*job) + len);
	enum err e = E_OK;
	int rc;

	*r = (struct resolve){ .fn = fn, .owner = owner };
	if (!job)
		return err_set(t, E_NOMEM, "out of memory for a name lookup");
	memcpy(job->host, host, len);
	snprintf(job->port, sizeof(job->port), "%d", port);
	atomic_init(&job->holders, 1);
	job->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (job->done_fd < 0) {
		e = err_sys(t, "cannot create an eventfd for a name lookup");
		goto out;
	}
	e = loop_fd_init(&r->watch, l, job->done_fd, on_done, r);
	if (e != E_OK) {
		(void)err_set(t, e, "cannot watch a name lookup");
		goto out;
	}
	atomic_fetch_add(&job->holders, 1);
	rc = start_thread(job);
	if (rc != 0) {
		errno = rc;
		e = err_sys(t, "cannot start a thread for a name lookup");
		loop_fd_release(&r->watch);
		/* The thread's share; ours goes below. */
		atomic_fetch_sub(&job->holders, 1);
		goto out;
	}
	r->job = job;
out:
	if (e != E_OK)
		job_drop(job);
	return e;
}

void
resolve_release(struct resolve *r)
{
	if (!r->job)
		return;
	/* First the watch: the descriptor must not be closed while the loop still looks at it. */
	loop_fd_release(&r->watch);
	job_drop(r->job);
	r->job = NULL;
}
