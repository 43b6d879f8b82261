/* The two clocks. Durations and deadlines use the monotonic one, eta and expires the wall clock. */
#ifndef WARREN_BASE_CLOCK_H
#define WARREN_BASE_CLOCK_H

#include "base/base.h"

ms_t clock_mono_ms(void);
int64_t clock_mono_us(void);
us_t clock_wall_us(void);
/* As the monotonic clock, but it also counts while the machine sleeps. */
ms_t clock_boot_ms(void);

/* Tests: all clocks stand still at these values until set again; clock_real() ends that. */
void clock_fake(int64_t mono_us, us_t wall_us);
void clock_real(void);

#endif
