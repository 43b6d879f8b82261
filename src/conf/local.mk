# src/conf
noinst_LIBRARIES += libconf.a
libconf_a_SOURCES = src/conf/
libconf_a_CFLAGS = $(AM_CFLAGS)
