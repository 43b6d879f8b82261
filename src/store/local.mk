# src/store
noinst_LIBRARIES += libstore.a
libstore_a_SOURCES = src/store/redis.h src/store/redis.c src/store/reply.h src/store/reply.c src/store/target.h src/store/target.c
libstore_a_CFLAGS = $(AM_CFLAGS)
