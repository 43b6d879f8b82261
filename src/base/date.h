/* Days of the proleptic Gregorian calendar, counted from 1970-01-01 as day 0. Years may be negative; leap seconds do not exist. */
#ifndef WARREN_BASE_DATE_H
#define WARREN_BASE_DATE_H

#include "base/base.h"

struct date {
	int year, month, day; /* month and day from 1 */
};

/* The day number of a date; a day beyond its month counts on into the next. */
int64_t date_to_days(int year, int month, int day);
struct date date_of_days(int64_t days);
int date_days_in(int year, int month);
/* 0 = Sunday */
int date_weekday(int64_t days);

/* Division that rounds down, also below zero: what day a second belongs to. */
int64_t date_floor_div(int64_t a, int64_t b);

/* So many seconds after `now`; what is no year of calendars any more (1970 to 9999), or no number, is the nearest that is. Never 0. */
us_t date_after(us_t now, double seconds);

#endif
