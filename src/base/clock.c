/* The clocks of the kernel, or for tests two values that stand still until they are set again. */
#include "base/clock.h"

static bool faked;
static int64_t fake_mono_us;
static us_t fake_wall_us;

static int64_t
read_us(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts); /* cannot fail for these clocks and a valid pointer */
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t
clock_mono_us(void)
{
	return faked ? fake_mono_us : read_us(CLOCK_MONOTONIC);
}

ms_t
clock_mono_ms(void)
{
	return clock_mono_us() / 1000;
}

us_t
clock_wall_us(void)
{
	return faked ? fake_wall_us : read_us(CLOCK_REALTIME);
}

ms_t
clock_boot_ms(void)
{
	return (faked ? fake_mono_us : read_us(CLOCK_BOOTTIME)) / 1000;
}

void
clock_fake(int64_t mono_us, us_t wall_us)
{
	faked = true;
	fake_mono_us = mono_us;
	fake_wall_us = wall_us;
}

void
clock_real(void)
{
	faked = false;
}
