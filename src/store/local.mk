# src/store
noinst_LIBRARIES += libstore.a
libstore_a_SOURCES = src/store/redis.h
libstore_a_CFLAGS = $(AM_CFLAGS)
