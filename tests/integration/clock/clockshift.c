/*
 * LD_PRELOAD: another clock on the wall. The file named by CLOCKSHIFT holds one int64, microseconds to add to what the kernel says; it is mapped, so a
 * test sets the clock of a running program by writing to it. The monotonic clocks stay.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *shift;

static int64_t
now_us(void)
{
	static int (*real)(clockid_t id, struct timespec * ts);
	struct timespec ts;

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
	real(CLOCK_REALTIME, &ts);
	return ts.tv_sec * INT64_C(1000000) + ts.tv_nsec / 1000 + (shift ? *shift : 0);
}

__attribute__((constructor)) static void
set_up(void)
{
	const char *path = getenv("CLOCKSHIFT");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *p = fd >= 0 ? mmap(NULL, sizeof(*shift), PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

	if (p == MAP_FAILED)
		abort(); /* a test that shifts nothing would show nothing */
	shift = p;
	close(fd);
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	static int (*real)(clockid_t id, struct timespec * ts);
	int64_t us;

	if (id == CLOCK_REALTIME) {
		us = now_us();
		ts->tv_sec = us / 1000000;
		ts->tv_nsec = us % 1000000 * 1000;
		return 0;
	}
	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
	return real(id, ts);
}

int
gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
	int64_t us = now_us();

	(void)tz;
	tv->tv_sec = us / 1000000;
	tv->tv_usec = us % 1000000;
	return 0;
}

time_t
time(time_t *out)
{
	time_t t = now_us() / 1000000;

	if (out != NULL)
		*out = t;
	return t;
}
