"""When schedules are due: by a slow reading of the calendar, and at the hours at which clocks change."""

import contextlib
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.engine.recurrence import CRON_LENGTH_MAX, check, next_due_ms
from perdure.errors import UsageError

BERLIN = "Europe/Berlin"
YEAR_MS = 366 * 86_400_000


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def times(cron: str, timezone: str, after: str, count: int) -> list[str]:
    """The next times of a cron expression, as its time zone has them."""
    found: list[str] = []
    at_ms = ms(after)
    for _ in range(count):
        due_ms = next_due_ms(cron, None, timezone, 0, at_ms)
        assert due_ms is not None
        at_ms = due_ms
        found.append(datetime.fromtimestamp(at_ms / 1000, ZoneInfo(timezone)).isoformat())
    return found


moments = st.integers(ms("2020-01-01T00:00:00+00:00"), ms("2030-01-01T00:00:00+00:00"))
zones = st.sampled_from(["UTC", BERLIN, "America/New_York", "America/Santiago", "Asia/Kathmandu", "Africa/Casablanca"])
_minutes = st.integers(0, 59)
_hours = st.integers(0, 23)
wildcards = st.one_of(
    st.builds("*/{} * * * *".format, st.integers(2, 40)),
    st.builds("{} * * * *".format, _minutes),
    st.builds("*/{} {} * * *".format, st.integers(2, 40), _hours),
    st.builds("{} */{} * * *".format, _minutes, st.integers(2, 6)),
)
fixed = st.one_of(
    st.builds("{} {} * * *".format, _minutes, _hours),
    st.builds("{},{} {},{} * * *".format, _minutes, _minutes, _hours, _hours),
    st.builds("{},{} {} {} * * *".format, _minutes, _minutes, _minutes, _hours),
    st.builds("{} {} * * MON-FRI".format, _minutes, _hours),
)


@given(wildcards, zones, moments)
def test_wildcards_follow_what_the_clock_shows(cron: str, timezone: str, after_ms: int) -> None:
    zone = ZoneInfo(timezone)
    minute, hour = (field.partition("/") for field in cron.split()[:2])

    def fits(value: int, field: tuple[str, str, str]) -> bool:
        first, _, step = field
        return value == int(first) if first != "*" else value % int(step or 1) == 0

    moment = datetime.fromtimestamp(after_ms // 60_000 * 60 + 60, UTC)
    while not (fits(moment.astimezone(zone).minute, minute) and fits(moment.astimezone(zone).hour, hour)):
        moment += timedelta(minutes=1)
    assert next_due_ms(cron, None, timezone, 0, after_ms) == moment.timestamp() * 1000


@given(wildcards | fixed, zones, moments, st.integers(1, YEAR_MS // 100))
def test_nothing_is_passed_over_and_nothing_comes_twice(cron: str, timezone: str, after_ms: int, later_ms: int) -> None:
    """From wherever one looks, the next time is the same until it has come; then it is a later one."""
    due_ms = next_due_ms(cron, None, timezone, 0, after_ms)
    assert due_ms is not None
    assert due_ms > after_ms
    if after_ms + later_ms < due_ms:
        assert next_due_ms(cron, None, timezone, 0, after_ms + later_ms) == due_ms
    assert next_due_ms(cron, None, timezone, 0, due_ms - 1) == due_ms
    assert (next_due_ms(cron, None, timezone, 0, due_ms) or 0) > due_ms


@given(_minutes, _hours, zones, st.dates(datetime(2020, 1, 2).date(), datetime(2029, 12, 1).date()))
def test_a_fixed_time_comes_once_a_day(minute: int, hour: int, timezone: str, day: date) -> None:
    """Twelve hours are between a noon and its midnights, give or take a change of clocks."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(timezone))
    due = [datetime.fromisoformat(each) for each in times(f"{minute} {hour} * * *", timezone, noon.isoformat(), 5)]
    days = [each.date() for each in due]
    assert days == [days[0] + timedelta(days=count) for count in range(5)]


@given(st.integers(1_000, YEAR_MS), moments, moments)
def test_intervals_are_counted_from_their_anchor(every_ms: int, anchor_ms: int, after_ms: int) -> None:
    due_ms = next_due_ms(None, every_ms, "UTC", anchor_ms, after_ms)
    assert due_ms is not None
    assert after_ms < due_ms <= after_ms + every_ms
    assert (due_ms - anchor_ms) % every_ms == 0


def test_an_hour_that_is_left_out() -> None:
    after = "2026-03-29T00:00:00+01:00"
    assert times("30 2 * * *", BERLIN, after, 2) == ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]
    assert times("15 30 2 * * *", BERLIN, after, 2) == ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:15+02:00"]
    assert times("*/30 2 * * *", BERLIN, after, 1) == ["2026-03-30T02:00:00+02:00"]


def test_an_hour_that_comes_twice() -> None:
    after = "2026-10-25T00:00:00+02:00"
    assert times("30 2 * * *", BERLIN, after, 2) == ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]
    assert times("0 30 2 * * *", BERLIN, after, 2) == ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]
    assert times("0 * * * *", BERLIN, "2026-10-25T01:30:00+02:00", 3) == [
        "2026-10-25T02:00:00+02:00",
        "2026-10-25T02:00:00+01:00",
        "2026-10-25T03:00:00+01:00",
    ]


def test_in_the_second_of_two_equal_hours_the_first_is_over() -> None:
    assert times("50 2 * * *", BERLIN, "2026-10-25T02:40:00+01:00", 1) == ["2026-10-26T02:50:00+01:00"]


def test_days_that_are_rare() -> None:
    assert times("0 0 29 2 *", "UTC", "2026-01-01T00:00:00+00:00", 2) == [
        "2028-02-29T00:00:00+00:00",
        "2032-02-29T00:00:00+00:00",
    ]
    assert times("0 8 * * MON#1", "UTC", "2026-11-21T00:00:00+00:00", 1) == ["2026-12-07T08:00:00+00:00"]


@pytest.mark.parametrize(
    ("cron", "every_ms", "timezone", "said"),
    [
        (None, None, "UTC", "either `cron`"),
        ("* * * * *", 60_000, "UTC", "either `cron`"),
        (None, 999, "UTC", "every: shorter than a second"),
        ("* * * *", None, "UTC", "wrong number of fields"),
        ("61 * * * *", None, "UTC", "bad minute"),
        ("@daily", None, "UTC", "wrong number of fields"),
        ("0 0 30 2 *", None, "UTC", "bad day-of-month"),
        ("0," * CRON_LENGTH_MAX + "0 * * * *", None, "UTC", "longer than 200 characters"),
        ("* * * * *", None, "Mars/Olympus", "no time zone 'Mars/Olympus'"),
        ("* * * * *", None, "Europe", "no time zone 'Europe'"),
        ("* * * * *", None, "../etc/passwd", "no time zone"),
        ("* * * * *", None, "", "no time zone ''"),
    ],
)
def test_what_says_no_time_is_refused(cron: str | None, every_ms: int | None, timezone: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check(cron, every_ms, timezone)


@given(st.lists(st.text("0123456789*/-,LW#MONFRI", max_size=8), max_size=7).map(" ".join) | st.text())
def test_any_text_is_a_cron_expression_or_refused(cron: str) -> None:
    with contextlib.suppress(UsageError):
        check(cron, None, BERLIN)
        assert next_due_ms(cron, None, BERLIN, 0, ms("2026-11-21T00:00:00+00:00")) is not None
