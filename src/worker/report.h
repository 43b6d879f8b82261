/* What people are told about tasks: log lines and events; the place for metrics. */
#ifndef WARREN_WORKER_REPORT_H
#define WARREN_WORKER_REPORT_H

#include "core/effect.h"

struct job;

void report_task(const struct job *j, const struct report *r);
void report_dead_letter(const struct job *j);
void report_adopted(const struct job *j);
/* Nobody can tell where what follows it goes, or it cannot be written. */
void report_unrouted(const struct job *j, const char *why);
/* Whoever sent it is gone, or never waited. */
void report_reply_lost(const struct job *j, const char *why);
void report_state_refused(const struct job *j, const char *why);
void report_waits_for_backend(const struct job *j);
void report_check_failed(const struct job *j, const char *why);

#endif
