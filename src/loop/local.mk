# src/loop
noinst_LIBRARIES += libloop.a
libloop_a_SOURCES = src/loop/child.h
libloop_a_CFLAGS = $(AM_CFLAGS)
