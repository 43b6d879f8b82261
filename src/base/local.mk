# src/base
noinst_LIBRARIES += libbase.a
libbase_a_SOURCES = src/base/alloc.h
libbase_a_CFLAGS = $(AM_CFLAGS)
