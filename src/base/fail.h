/*
 * Failpoints: named places of the program where a test can make something go wrong. They exist in builds with --enable-failpoints
 * only; otherwise both macros are nothing.
 *
 *	WARREN_FAIL=point:action[:nth][,point:action[:nth]...]
 *
 * At its nth passing (1 when not said) a point does its action, once: kill9 or stop (a signal to this process), abort,
 * sleep=MILLISECONDS, or errno=NAME-OR-NUMBER, which only a FAIL_ERRNO can do. A variable that makes no sense ends the program.
 */
#ifndef WARREN_BASE_FAIL_H
#define WARREN_BASE_FAIL_H

#ifdef WARREN_FAILPOINTS
void fail_at(const char *point);
/* The error the point is to have now, 0 = none. */
int fail_errno(const char *point);
#define FAIL_POINT(point) fail_at(point)
#define FAIL_ERRNO(point) fail_errno(point)
#else
#define FAIL_POINT(point) ((void)0)
#define FAIL_ERRNO(point) 0
#endif

#endif
