# examples: task modules for the demo and for tests; nothing of it is installed
noinst_DATA = examples/words/words.so
CLEANFILES += examples/words/words.so

# A module links nothing: what it calls is in the program that loads it. No libtool is needed for that.
MODULE_CC = $(CC) $(CPPFLAGS) $(CFLAGS) -std=gnu11 $(WARN) -fPIC -fvisibility=hidden -shared -I$(top_srcdir)/include $(LDFLAGS)
examples/words/words.so: examples/words/words.c include/warren/task.h
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(MODULE_CC) -o $@ $(top_srcdir)/examples/words/words.c

EXTRA_DIST += examples/demo/demo examples/demo/warren.yaml examples/words/words.c examples/documents/documents.py examples/documents/texts
