"""
Cron fields and time zones against other implementations: Celery's own crontab class, and Python's zoneinfo as oracle for the changes
of clocks. A sample with every check; all zones and 100,000 cases with

    WARREN_CHAOS=full tests/run --only integration -- tests/conformance
"""
import calendar
import os
import random
import subprocess
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo, available_timezones

import pytest

HERE = os.path.dirname(os.path.realpath(__file__))
BUILD = os.path.realpath(os.environ.get("WARREN_BUILDDIR", os.path.join(HERE, os.pardir, os.pardir, "build")))
PROGRAM = os.path.join(BUILD, "tests", "conformance", "crontimes")
SAMPLE_AND_ALL = pytest.mark.parametrize("full", [False, pytest.param(True, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
SEED = int(os.environ.get("WARREN_SEED", "5"))
# The ones with odd habits: half an hour, a lost day, Ramadan, winter as the exception, changes at midnight, at 24:00, in the past.
ODD = ["Europe/Berlin", "Europe/Dublin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca", "Africa/Cairo",
       "Asia/Gaza", "Asia/Tehran", "America/Asuncion", "America/Scoresbysund", "Antarctica/Troll", "America/Caracas", "Asia/Pyongyang",
       "America/St_Johns", "Africa/Juba", "Asia/Kathmandu", "Pacific/Kiritimati", "America/Nuuk", "EST5EDT"]


def ask(queries):
    """Lists of times, one for each (rules, zone, fields, after, count, until); a text for a refusal."""
    lines = "".join("|".join(str(part) for part in q) + "\n" for q in queries)
    done = subprocess.run([PROGRAM], input=lines, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0 and not done.stderr, done.stderr
    answers = [line if line.startswith("error") else [int(word) for word in line.split()] for line in done.stdout.split("\n")[:-1]]
    assert len(answers) == len(queries)
    return answers


# --- clocks that change ------------------------------------------------------------------------------------------------

def zones(full):
    names = sorted(name for name in available_timezones() if not name.startswith(("posix/", "right/")) and name != "localtime")
    assert len(names) > 400, "the tz database is not complete"
    if full:
        return names
    return ODD + random.Random(SEED).sample([n for n in names if n not in ODD], 4)


FIRST, LAST = datetime(2010, 1, 1), datetime(2030, 1, 1)
# Restricted hours: each local time once a day.
DAILY = {"30 2 * * *": [(2, 30)], "0 0 * * *": [(0, 0)], "15,45 1-3 * * *": [(h, m) for h in (1, 2, 3) for m in (15, 45)],
         "59 23 * * *": [(23, 59)]}


@pytest.mark.parametrize("first, last", [(FIRST, LAST), (datetime(2036, 1, 1), datetime(2045, 1, 1))])
@SAMPLE_AND_ALL
def test_c65_each_local_time_once_a_day_in_every_zone(first, last, full):
    """Where the clock jumps over it, zoneinfo's fold=0 moves it on by the length of the jump, which is our rule too; of two it is the first."""
    names = zones(full)
    begin, end = calendar.timegm(first.timetuple()) - 1, calendar.timegm(last.timetuple())
    answers = iter(ask([("ours", name, fields, begin, 10 ** 6, end) for name in names for fields in DAILY]))
    days = [first + timedelta(n) for n in range(-2, (last - first).days + 2)]
    for name in names:
        zone = ZoneInfo(name)
        for fields, times in DAILY.items():
            moments = {int(day.replace(hour=h, minute=m, tzinfo=zone).timestamp()) for day in days for h, m in times}
            expected = sorted(t for t in moments if begin < t <= end)
            assert next(answers) == expected, (name, fields)


def transitions(zone):
    """Hours in which the offset changes."""
    step = timedelta(hours=1)
    at, found = FIRST.replace(tzinfo=timezone.utc), []
    offset = at.astimezone(zone).utcoffset()
    while at.year < LAST.year:
        day = at + timedelta(days=4)
        if day.astimezone(zone).utcoffset() != offset:
            while at.astimezone(zone).utcoffset() == offset:
                at += step
            found.append(at)
            offset = at.astimezone(zone).utcoffset()
        else:
            at = day
    return found


@SAMPLE_AND_ALL
def test_c65_every_hour_goes_by_what_the_clock_shows(full):
    """With all 24 hours: the moments at which the local clock shows a minute that fits, whatever it jumps over or shows twice."""
    minutes = {"*/15 * * * *": {0, 15, 30, 45}, "30 * * * *": {30}, "0 * * * *": {0}}
    names, queries, expected = zones(full), [], []
    for name in names:
        zone = ZoneInfo(name)
        for at in transitions(zone):
            begin = int((at - timedelta(hours=6)).timestamp())
            shown = [(t, datetime.fromtimestamp(t, zone)) for t in range(begin, begin + 12 * 3600, 300)]
            for fields, wanted in minutes.items():
                queries.append(("ours", name, fields, begin - 1, 1000, begin + 12 * 3600 - 1))
                expected.append([t for t, local in shown if local.minute in wanted and local.second == 0])
    assert len(queries) > 300
    for query, got, want in zip(queries, ask(queries), expected):
        assert got == want, query


# --- Celery ------------------------------------------------------------------------------------------------------------

class Fields:
    """Random fields as people write them, and odder ones."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def number(self, low, high, names):
        n = self.random.randint(low, high)
        if names and self.random.random() < 0.3:
            name = names[n]
            return self.random.choice([name, name[:3], name[:3].upper()])
        return str(n)

    def part(self, low, high, names):
        kind = self.random.random()
        step = "/%d" % self.random.randint(1, high + 2) if self.random.random() < 0.5 else ""
        if kind < 0.3:
            return "*" + step
        if kind < 0.6:
            return self.number(low, high, names)
        return "%s-%s%s" % (self.number(low, high, names), self.number(low, high, names), step)

    def field(self, low, high, names=None, star=0.4):
        if self.random.random() < star:
            return "*"
        return ",".join(self.part(low, high, names) for _ in range(self.random.choice([1, 1, 1, 2, 3])))

    def spec(self):
        days = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
        return (self.field(0, 59, star=0.15), self.field(0, 23), self.field(1, 31, star=0.6), self.field(1, 12, star=0.6),
                self.field(0, 6, days, star=0.6))


ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]


def celery_crontab(app, spec, now=None):
    from celery.schedules import crontab
    minute, hour, dom, month, dow = spec
    return crontab(minute, hour, dow, dom, month, app=app, nowfun=lambda: now)


def random_pair(r):
    """A last run and an instant: any, and often one close to where the answer changes, or to a change of clocks."""
    last = datetime(2015, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=r.randrange(15 * 365 * 86400))
    if r.random() < 0.3:  # around the Sundays on which clocks change
        year, month, day = r.choice([(y, m, d) for y in (2021, 2022, 2023) for m, d in ((3, 26), (3, 27), (3, 28), (10, 29), (10, 30), (10, 31),
                                                                                       (3, 12), (3, 13), (11, 5), (11, 6), (4, 2), (4, 3))])
        last = datetime(year, month, day, tzinfo=timezone.utc) + timedelta(seconds=r.randrange(86400))
    if r.random() < 0.5:
        last = last.replace(second=0)
    ahead = r.choice([0, 1, 59, 60, 600, 3599, 3600, 3601, 7200, 86400, 86401, 7 * 86400, r.randrange(400 * 86400), r.randrange(86400)])
    return last, last + timedelta(seconds=ahead)


def loses_runs(zone, schedule, last, now):
    """
    Two faults of Celery's, which lose runs that were missed; here these are made up for as every other missed run is.
    1. What is left of an hour is forgotten when the question is asked on another day: `crontab.remaining_delta` looks for the rest of the last
       run's hour only when `last_run_at.day == now.day`.
    2. West of Greenwich, with a day of month or a month given: `is_before_last_run` takes the next day's midnight for one in UTC. In the evening,
       when the date in UTC is the next one already, that is "before the last run", and the rest of the month is skipped.
    """
    local, now = last.astimezone(zone), now.astimezone(zone)
    forgotten = (local.date() != now.date() and local.hour in schedule.hour and any(m > local.minute for m in schedule.minute) and
                 local.day in schedule.day_of_month and local.month in schedule.month_of_year and
                 local.isoweekday() % 7 in schedule.day_of_week)
    by_date = (schedule._orig_day_of_month, schedule._orig_month_of_year) != ("*", "*")
    return forgotten or (by_date and last.date() > local.date())


def shown_again(zone, following, now):
    """The clock was set back since: a run that was missed before that is due for Celery only when the clock shows its time again."""
    back = datetime.fromtimestamp(following, zone).utcoffset() - now.astimezone(zone).utcoffset()
    return 0 <= now.timestamp() - following < back.total_seconds()


def is_shown(zone, schedule, at):
    """Whether the clock shows a time of the schedule at this moment, by the schedule's own sets; or has just jumped over one."""
    def fits(t):
        return (t.minute in schedule.minute and t.hour in schedule.hour and t.day in schedule.day_of_month and
                t.month in schedule.month_of_year and t.isoweekday() % 7 in schedule.day_of_week)
    here = datetime.fromtimestamp(at, zone)
    before = datetime.fromtimestamp(at - 1, zone)
    if at % 60 == 0 and fits(here):
        return True
    jump = int((here.utcoffset() - before.utcoffset()).total_seconds()) // 60
    wall = here.replace(tzinfo=None)
    return any(fits(wall - timedelta(minutes=m)) for m in range(1, jump + 1))


LOST = [  # zone, fields, last run, now, what Celery says of it: due, the next in so many seconds
    # Down from 10:10 to the next morning: the run of 10:30 is caught up on the same day, but not on the next one.
    ("UTC", "0,30 10 * * *", "2026-03-10T10:00", "2026-03-10T23:00", True, None),
    ("UTC", "0,30 10 * * *", "2026-03-10T10:00", "2026-03-11T09:00", False, 3600),
    # In the evening of New York the date in UTC is the next one: of the days 10, 11 and 20 those after the first are not run at all.
    ("America/New_York", "0 18 10,11,20 * *", "2026-03-10T18:00", "2026-03-11T18:00", True, None),
    ("America/New_York", "0 21 10,11,20 * *", "2026-03-10T21:00", "2026-03-11T21:00", False, 30 * 86400),
]


def test_c65_what_celery_loses_is_lost_by_mistake():
    """By hand: the same kind of run is made up for by Celery an hour or a day aside, so nobody can build on its being lost."""
    celery = pytest.importorskip("celery")
    import pytz
    for name, text, last, now, is_due, remaining in LOST:
        app = celery.Celery(set_as_current=False)
        app.conf.timezone = name
        zone = pytz.timezone(name)
        last, now = (zone.localize(datetime.fromisoformat(t)) for t in (last, now))
        due, left = celery_crontab(app, text.split(), now).is_due(last)
        assert due == is_due and (remaining is None or left == remaining), (text, due, left)
        assert ask([("celery", name, text, int(last.timestamp()), 1, 2 ** 53)])[0][0] <= now.timestamp(), text


@SAMPLE_AND_ALL
def test_c65_celery_rules_are_celerys_own(full):
    celery = pytest.importorskip("celery")
    import pytz
    r, fields = random.Random(SEED), Fields(SEED)
    apps = {}
    for name in ZONES:
        apps[name] = celery.Celery(set_as_current=False)
        apps[name].conf.timezone = name
    cases = []
    while len(cases) < (100000 if full else 10000):
        name, spec = r.choice(ZONES), fields.spec()
        try:
            schedule = celery_crontab(apps[name], spec)
        except (ValueError, celery.schedules.ParseException):
            continue
        last, now = random_pair(r)
        cases.append((name, spec, schedule, last, now))
    queries = []
    for name, spec, _, last, now in cases:
        queries.append(("celery", name, " ".join(spec), int(last.timestamp()), 1, 2 ** 53))
        queries.append(("celery", name, " ".join(spec), int(now.timestamp()), 1, 2 ** 53))
    answers = ask(queries)
    due_count = compared = lost = impossible = 0
    for i, (name, spec, schedule, last, now) in enumerate(cases):
        following, after_that = answers[2 * i], answers[2 * i + 1]
        what = (name, " ".join(spec), last.isoformat(), now.isoformat(), following)
        zone = pytz.timezone(name)
        schedule.nowfun = lambda: now.astimezone(zone)
        if isinstance(following, str):
            impossible += 1
            assert "would never run" in following, what
            with pytest.raises(RuntimeError):  # Celery finds out when it runs
                schedule.is_due(last.astimezone(zone))
            continue
        due, remaining = schedule.is_due(last.astimezone(zone))
        ours = following[0] <= now.timestamp()
        if loses_runs(zone, schedule, last, now) or shown_again(zone, following[0], now):
            lost += ours and not due
            assert ours or not due, what
            # What Celery does not say here is a time of the fields none the less.
            assert is_shown(zone, schedule, following[0]), what
            continue
        assert ours == due, what + (due,)
        due_count += due
        if due and loses_runs(zone, schedule, now, now):
            continue
        # Across a change of clocks Celery's number is an hour off until it asks again; beat asks every five minutes.
        at = (after_that if due else following)[0]
        offset = now.astimezone(zone).utcoffset()
        if all(datetime.fromtimestamp(t, zone).utcoffset() == offset for t in (at - 1, at)):
            assert remaining == at - now.timestamp(), what + (due, remaining)
            compared += 1
    assert compared > len(cases) / 2 and due_count > len(cases) / 20 and lost < len(cases) / 20 and impossible < len(cases) / 20, (compared, due_count, lost, impossible)
    print("%d cases, %d due, remaining time compared in %d, %d missed runs that Celery loses or delays, %d impossible" % (
        len(cases), due_count, compared, lost, impossible))


BAD = ["60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 0 *", "* * * 13 *", "* * * * 7", "* * * * x", "*/0 * * * *", "1, * * * *",
       ",1 * * * *", "-1 * * * *", "1- * * * *", "a * * * *", "1-99 * * * *", "*/ * * * *", "* * * * su"]


def test_c65_what_celery_refuses_is_refused():
    celery = pytest.importorskip("celery")
    for text, answer in zip(BAD, ask([("celery", "", text, 0, 1, 2 ** 53) for text in BAD])):
        assert isinstance(answer, str) and answer.startswith("error: "), (text, answer)
        with pytest.raises((ValueError, KeyError, IndexError, celery.schedules.ParseException)):
            celery_crontab(celery.Celery(set_as_current=False), text.split())


BERLIN = [  # the table for Europe/Berlin: rules, fields, first local day, local times of that day in UTC
    ("celery", "30 2 * * *", "2026-03-29T00:00:00+01:00", ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]),
    ("celery", "15 * * * *", "2026-03-29T01:00:00+01:00", ["2026-03-29T01:15:00+01:00", "2026-03-29T03:00:00+02:00",
                                                          "2026-03-29T03:15:00+02:00"]),
    ("celery", "30 2 * * *", "2026-10-25T00:00:00+02:00", ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]),
    ("celery", "15 * * * *", "2026-10-25T02:00:00+02:00", ["2026-10-25T02:15:00+02:00", "2026-10-25T03:15:00+01:00"]),
    ("celery", "*/20 * * * *", "2026-10-25T02:30:00+02:00", ["2026-10-25T02:40:00+02:00", "2026-10-25T03:00:00+01:00"]),
    ("ours", "30 2 * * *", "2026-03-29T00:00:00+01:00", ["2026-03-29T03:30:00+02:00", "2026-03-30T02:30:00+02:00"]),
    ("ours", "15 * * * *", "2026-03-29T01:00:00+01:00", ["2026-03-29T01:15:00+01:00", "2026-03-29T03:15:00+02:00"]),
    ("ours", "30 2 * * *", "2026-10-25T00:00:00+02:00", ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]),
    ("ours", "15 * * * *", "2026-10-25T02:00:00+02:00", ["2026-10-25T02:15:00+02:00", "2026-10-25T02:15:00+01:00",
                                                        "2026-10-25T03:15:00+01:00"]),
    ("ours", "*/20 * * * *", "2026-10-25T02:30:00+02:00", ["2026-10-25T02:40:00+02:00", "2026-10-25T02:00:00+01:00"]),
]


def test_c65_table_for_berlin():
    def stamp(text):
        return int(datetime.fromisoformat(text).timestamp())
    answers = ask([(rules, "Europe/Berlin", fields, stamp(after), len(want), 2 ** 53) for rules, fields, after, want in BERLIN])
    for row, got in zip(BERLIN, answers):
        assert got == [stamp(text) for text in row[3]], row
