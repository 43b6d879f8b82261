#include "beat/zones.h"

#include "lib/t.h"

static void
reads_each_zone_once(void **state UNUSED)
{
	const struct zone *berlin, *again, *local, *utc = (const struct zone *)(const void *)&berlin;
	struct zones z;

	zones_init(&z);
	assert_ok(zones_get(&z, SPAN("Europe/Berlin"), &berlin, NULL));
	assert_ok(zones_get(&z, SPAN("Europe/Berlin"), &again, NULL));
	assert_ptr_equal(berlin, again);
	assert_int_equal(zone_at(berlin, 1782000000).offset, 7200);
	assert_ok(zones_get(&z, SPAN("UTC"), &utc, NULL));
	assert_null(utc);
	assert_ok(zones_get(&z, SPAN(""), &utc, NULL));
	assert_null(utc);
	if (zones_get(&z, SPAN("local"), &local, NULL) == E_OK)
		assert_non_null(local);
	zones_release(&z);
}

static void
names_cannot_lead_elsewhere(void **state UNUSED)
{
	static const struct {
		const char *name, *why;
	} rows[] = {
		{ "../../../etc/passwd",
			"'../../../etc/passwd' is no name of a time zone; write it like Europe/Berlin" },
		{ "/etc/localtime", "'/etc/localtime' is no name of a time zone; write it like Europe/Berlin" },
		{ "Europe//Berlin", "'Europe//Berlin' is no name of a time zone; write it like Europe/Berlin" },
		{ "Europe/Berlin\n",
			"'Europe/Berlin\n' is no name of a time zone; write it like Europe/Berlin" },
		{ "Europe", "'Europe' is a group of time zones, not one of them" },
		{ "zone1970",
			"there is no time zone 'zone1970' in the tz database (/usr/share/zoneinfo/zone1970; "
			"package tzdata)" },
		{ "UTC/x",
			"there is no time zone 'UTC/x' in the tz database (/usr/share/zoneinfo/UTC/x; "
			"package tzdata)" },
		{ "leapseconds", "/usr/share/zoneinfo/leapseconds: this is no file of the tz database" },
	};
	const struct zone *zone;
	struct errtext t;
	struct zones z;

	zones_init(&z);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_true(zones_get(&z, span_of(rows[i].name), &zone, &t) != E_OK);
		assert_string_equal(t.text, rows[i].why);
		assert_null(zone);
	}
	zones_release(&z);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_each_zone_once),
		cmocka_unit_test(names_cannot_lead_elsewhere),
	};

	unsetenv("TZDIR");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
