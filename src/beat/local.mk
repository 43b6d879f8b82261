# src/beat: the scheduler daemon
noinst_LIBRARIES += libbeat.a
libbeat_a_SOURCES = \
	src/beat/zones.c src/beat/zones.h
