# src/worker
noinst_LIBRARIES += libworker.a
libworker_a_SOURCES = src/worker/worker.h
libworker_a_CFLAGS = $(AM_CFLAGS)
