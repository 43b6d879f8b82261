# src/loop
noinst_LIBRARIES += libloop.a
libloop_a_SOURCES = src/loop/loop.h src/loop/internal.h src/loop/loop.c src/loop/timer.c src/loop/watch.c \
	src/loop/stream.h src/loop/stream_internal.h src/loop/stream.c src/loop/stream_io.c \
	src/loop/dial.h src/loop/dial.c src/loop/resolve.h src/loop/resolve.c src/loop/tls.h src/loop/tls.c \
	src/loop/child.h src/loop/child.c src/loop/child_exec.h src/loop/child_exec.c \
	src/loop/orphans.h src/loop/orphans.c src/loop/usage.h src/loop/usage.c \
	src/loop/child_inner.h src/loop/forked.c src/loop/fdlink.h src/loop/fdlink.c
libloop_a_CFLAGS = $(AM_CFLAGS)
