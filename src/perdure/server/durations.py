"""Reads durations: ISO 8601 (`PT10S`, `P1DT2H`) or as people write it (`60ms`, `1 day`, `1h 30m`, `01:30:00`)."""

import math
import re
from decimal import Decimal
from typing import NoReturn

from perdure.errors import UsageError
from perdure.times import DELAY_MS_MAX

_TEXT_LENGTH_MAX = 100

_NUMBER = r"\d{1,18}(?:[.,]\d{1,9})?"
_ISO = re.compile(
    rf"P(?!$)(?:(?P<w>{_NUMBER})W)?(?:(?P<d>{_NUMBER})D)?"
    rf"(?:T(?=\d)(?:(?P<h>{_NUMBER})H)?(?:(?P<m>{_NUMBER})M)?(?:(?P<s>{_NUMBER})S)?)?",
    re.ASCII | re.IGNORECASE,
)
_FRIENDLY_PART = re.compile(rf"\s*({_NUMBER})\s*([a-zµμ]+)\s*,?", re.ASCII)  # `10M` is nothing: not even 10 months
_CALENDAR = re.compile(r"P[^T]*\d[YM]|\d\s*(?:mo|months?|y|yrs?|years?)\b", re.ASCII | re.IGNORECASE)
_CLOCK = re.compile(r"\s*(?P<h>\d{1,9}):(?P<m>[0-5]\d):(?P<s>[0-5]\d(?:[.,]\d{1,9})?)", re.ASCII)

_UNITS_MS = {
    name: Decimal(unit_ms)
    for unit_ms, names in (
        ("0.000001", ("ns", "nsec", "nsecs", "nano", "nanos", "nanosecond", "nanoseconds")),
        ("0.001", ("us", "µs", "μs", "usec", "usecs", "micro", "micros", "microsecond", "microseconds")),
        ("1", ("ms", "msec", "msecs", "milli", "millis", "millisecond", "milliseconds")),
        ("1000", ("s", "sec", "secs", "second", "seconds")),
        ("60000", ("m", "min", "mins", "minute", "minutes")),
        ("3600000", ("h", "hr", "hrs", "hour", "hours")),
        ("86400000", ("d", "day", "days")),
        ("604800000", ("w", "wk", "wks", "week", "weeks")),
    )
    for name in names
}


def parse_duration_ms(text: str) -> int:
    """A duration in whole milliseconds, rounded up: what is asked to come later never comes at once.

    Raises:
        UsageError: it is not a duration, is negative, or is longer than 7,000 years. Months and years are refused,
            since they differ in length.
    """
    stripped = text.strip().removeprefix("+")
    if not stripped or len(stripped) > _TEXT_LENGTH_MAX:
        _reject(text)
    total_ms = _iso_ms(stripped) if stripped[0] in "Pp" else _friendly_ms(stripped)
    if total_ms is None:
        _reject(text)
    duration_ms = math.ceil(total_ms)
    if duration_ms > DELAY_MS_MAX:
        raise UsageError(f"{text!r} is longer than 7,000 years")
    return duration_ms


def field_ms(name: str, text: str | None) -> int | None:
    """What a field of a request says, if it says anything; the message of a `UsageError` begins with its name."""
    try:
        return None if text is None else parse_duration_ms(text)
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from None


def _iso_ms(text: str) -> Decimal | None:
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    parts = [(number, unit) for unit, number in match.groupdict().items() if number]
    return sum((_ms(number, unit) for number, unit in parts), Decimal(0))


def _friendly_ms(text: str) -> Decimal | None:
    total_ms, position = Decimal(0), 0
    while position < len(text):
        clock = _CLOCK.fullmatch(text, position)
        if clock is not None:
            return sum((_ms(number, unit) for unit, number in clock.groupdict().items()), total_ms)
        part = _FRIENDLY_PART.match(text, position)
        if part is None or part[2] not in _UNITS_MS:
            return None
        total_ms += _ms(part[1], part[2])
        position = part.end()
    return total_ms


def _ms(number: str, unit: str) -> Decimal:
    return Decimal(number.replace(",", ".")) * _UNITS_MS[unit]


def _reject(text: str) -> NoReturn:
    why = "; months and years differ in length: say days" if _CALENDAR.search(text[:_TEXT_LENGTH_MAX]) else ""
    raise UsageError(
        f"{text[:_TEXT_LENGTH_MAX]!r} is not a duration: expected one like `10s`, `1h 30m` or `PT10S`{why}"
    )
