# src/core
noinst_LIBRARIES += libcore.a
libcore_a_SOURCES = src/core/route.h
libcore_a_CFLAGS = $(AM_CFLAGS)
