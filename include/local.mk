# include/warren
warrenincludedir = $(includedir)/warren
warreninclude_HEADERS = include/warren/task.h
