# src/bus
noinst_LIBRARIES += libbus.a
libbus_a_SOURCES = \
	src/bus/calls.c \
	src/bus/cast.c src/bus/cast.h \
	src/bus/chan.c src/bus/chan.h \
	src/bus/codec.c src/bus/codec.h \
	src/bus/conn.c src/bus/conn.h src/bus/inner.h \
	src/bus/hello.c \
	src/bus/inbound.c \
	src/bus/ladder.c src/bus/ladder.h \
	src/bus/publish.c src/bus/publish.h \
	src/bus/ring.c src/bus/ring.h \
	src/bus/table.c src/bus/table.h \
	src/bus/target.c src/bus/target.h \
	src/bus/topo.c src/bus/topo.h
libbus_a_CFLAGS = $(AM_CFLAGS)
