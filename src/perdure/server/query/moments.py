"""Moments and durations as SQL knows them, over milliseconds since the epoch: read, cut, moved."""

import calendar
import re
from datetime import UTC, datetime, timedelta

from perdure.times import time_ms

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNITS_MS = {
    "millisecond": 1,
    "second": 1_000,
    "minute": 60_000,
    "hour": 3_600_000,
    "day": 86_400_000,
    "week": 7 * 86_400_000,
}
UNITS_MONTHS = {"month": 1, "quarter": 3, "year": 12, "decade": 120, "century": 1200}
_SHORT = {
    "ms": "millisecond", "milli": "millisecond", "s": "second", "sec": "second", "m": "minute", "min": "minute",
    "h": "hour", "hr": "hour", "d": "day", "w": "week", "mon": "month", "y": "year", "yr": "year",
}  # fmt: skip
_PART = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)\s*([a-zA-Z]+)")


def parse_moment(text: str) -> int:
    """Milliseconds of a date or time in ISO 8601, in UTC where it does not say otherwise. Raises `ValueError`."""
    text = text.strip()
    if re.fullmatch(r"\d{4}-\d{2}", text):
        text += "-01"
    return time_ms(text)


def unit_of(word: str) -> str:
    """The full name of a unit, however it is written. Raises `ValueError`."""
    lower = word.lower()
    for name in (lower, lower.removesuffix("s"), _SHORT.get(lower, ""), _SHORT.get(lower.removesuffix("s"), "")):
        if name in UNITS_MS or name in UNITS_MONTHS:
            return name
    raise ValueError(f"{word!r} is no unit of time: {', '.join([*UNITS_MS, *UNITS_MONTHS])}")


def parse_interval(text: str) -> tuple[int, int]:
    """Months and milliseconds of `1 day 2 hours`. Raises `ValueError`."""
    months, ms, end = 0, 0.0, 0
    for part in _PART.finditer(text):
        if text[end : part.start()].strip():
            break
        end = part.end()
        count, unit = float(part[1]), unit_of(part[2])
        if unit in UNITS_MONTHS:
            months += round(count * UNITS_MONTHS[unit])
        else:
            ms += count * UNITS_MS[unit]
    if not end or text[end:].strip():
        raise ValueError(f"{text!r} is no interval: write `1 hour`, `2 days 3 minutes`")
    return months, round(ms)


def moment(ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=ms)


def milliseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


def add_months(ms: int, months: int) -> int:
    """The same day of another month, or its last where it is shorter."""
    at = moment(ms)
    year, month = divmod(at.year * 12 + at.month - 1 + months, 12)
    day = min(at.day, calendar.monthrange(year, month + 1)[1])
    return milliseconds(at.replace(year=year, month=month + 1, day=day))


def trunc(unit: str, ms: int) -> int:
    """The beginning of the unit that a moment lies in; weeks begin on Monday."""
    unit = unit_of(unit)
    if unit == "week":
        return bin_of(UNITS_MS["week"], ms, 4 * UNITS_MS["day"])
    if unit in UNITS_MS:
        return bin_of(UNITS_MS[unit], ms, 0)
    at = moment(ms)
    first, months = at.year * 12 + at.month - 1, UNITS_MONTHS[unit]
    year, month = divmod(first // months * months, 12)
    return milliseconds(datetime(max(year, 1), month + 1, 1, tzinfo=UTC))


def bin_of(step_ms: int, ms: int, origin_ms: int) -> int:
    """The beginning of the step that a moment lies in, counted from `origin_ms`."""
    if step_ms <= 0:
        raise ValueError("a step of time is more than nothing")
    return origin_ms + (ms - origin_ms) // step_ms * step_ms


def part(unit: str, ms: int) -> float | int:
    """A part of a moment: `year`, `dow`, `epoch`."""
    at = moment(ms)
    match unit.lower():
        case "epoch":
            return ms / 1000
        case "dow":
            return at.isoweekday() % 7
        case "isodow":
            return at.isoweekday()
        case "doy":
            return at.timetuple().tm_yday
        case "week":
            return at.isocalendar().week
        case "quarter":
            return (at.month + 2) // 3
        case word:
            name = unit_of(word)
            if name == "millisecond":
                return at.second * 1000 + ms % 1000
            if name in ("second", "minute", "hour", "day", "month", "year"):
                return getattr(at, name)
            raise ValueError(f"a moment has no part {unit!r}")
