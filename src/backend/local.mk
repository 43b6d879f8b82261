# src/backend
noinst_LIBRARIES += libbackend.a
libbackend_a_SOURCES = src/backend/backend.h
libbackend_a_CFLAGS = $(AM_CFLAGS)
