# src/base
noinst_LIBRARIES += libbase.a
libbase_a_SOURCES = src/tbl/logs.def \
	src/base/alloc.c src/base/alloc.h \
	src/base/backoff.c src/base/backoff.h \
	src/base/base.c src/base/base.h \
	src/base/buf.c src/base/buf.h \
	src/base/clock.c src/base/clock.h \
	src/base/date.c src/base/date.h \
	src/base/err.c src/base/err.h src/base/fail.h \
	src/base/id.c src/base/id.h \
	src/base/js.c src/base/js.h \
	src/base/jscan.c src/base/jscan_iter.c src/base/jscan.h \
	src/base/lamport.c src/base/lamport.h \
	src/base/list.c src/base/list.h \
	src/base/log.c src/base/log.h \
	src/base/map.c src/base/map.h \
	src/base/number.c src/base/quantity.c src/base/text.c src/base/time.c src/base/text.h \
	src/base/url.c src/base/url.h \
	src/base/utf8.c src/base/utf8.h
libbase_a_CFLAGS = $(AM_CFLAGS)
if FAILPOINTS
libbase_a_SOURCES += src/base/fail.c
else
EXTRA_DIST += src/base/fail.c
endif
