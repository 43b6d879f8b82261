# src/host
noinst_LIBRARIES += libhost.a
libhost_a_SOURCES = \
	src/host/api_args.c \
	src/host/api_end.c \
	src/host/call.c src/host/call.h \
	src/host/channel.c src/host/channel.h \
	src/host/exec.c \
	src/host/host.c src/host/host.h \
	src/host/module.c src/host/module.h
host_cppflags = $(AM_CPPFLAGS) -DWARREN_LIBEXECDIR='"$(pkglibexecdir)"'
libhost_a_CPPFLAGS = $(host_cppflags)
libhost_a_CFLAGS = $(AM_CFLAGS)

# The child for C modules is a program of its own, in libexec, because there is one for each slot: see src/host/host.h.
# Modules find the warren_ functions in it: it exports them, and -u brings along those that nothing else asks for.
pkglibexec_PROGRAMS = warren-runner
warren_runner_SOURCES = src/host/main.c
warren_runner_LDADD = $(LIBS_HOST)
host_exports = -Wl,-u,warren_id -Wl,--dynamic-list=$(top_srcdir)/src/host/exports.list
warren_runner_LDFLAGS = $(AM_LDFLAGS) $(host_exports)
EXTRA_DIST += src/host/exports.list
