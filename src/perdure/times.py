"""Times and durations in writing, for people and programs. A time is milliseconds since the epoch; none is too far off.

Whatever integer a peer, a file or an older perdure gives, it can be shown: nothing here raises for one.
"""

import re
from datetime import UTC, datetime, timedelta

DELAY_MS_MAX = 7_000 * 366 * 86_400_000
"""The longest time that anything is put off or kept. What is due then is before the year 9999, in any calendar."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_ERA_YEARS = 400  # then the calendar repeats
_ERA_MS = 146_097 * 86_400_000
_FAR = re.compile(r"([+-]\d{6,})(-.+)")
_UNITS_MS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1))
_SPANS = (("days", 86_400), ("h", 3_600), ("min", 60))


def bounded_ms(delay_ms: int) -> int:
    """A delay as it can be waited for: not in the past, and no longer than `DELAY_MS_MAX`."""
    return min(max(delay_ms, 0), DELAY_MS_MAX)


def time_text(at_ms: int) -> str:
    """In ISO 8601: `2026-11-21T09:00:00.000Z`. A year that has not four digits has a sign and six, as in `+012978`."""
    eras, within_ms = divmod(at_ms, _ERA_MS)
    at = _EPOCH + within_ms * _MILLISECOND
    year = at.year + eras * _ERA_YEARS
    shown = f"{year:04}" if 0 < year <= 9999 else f"{year:+07}"
    return f"{shown}-{at:%m-%dT%H:%M:%S}.{at_ms % 1000:03}Z"


def date_text(at_ms: int) -> str:
    """The day alone: `2026-11-21`."""
    return time_text(at_ms).partition("T")[0]


def minute_text(at_ms: int) -> str:
    """To the minute, in a sentence: `2026-11-21 09:00 UTC`."""
    return f"{time_text(at_ms).rpartition(':')[0].replace('T', ' ')} UTC"


def time_ms(text: str) -> int:
    """The time that a text in ISO 8601 says, in UTC where it names no zone. Raises `ValueError`."""
    far, eras = _FAR.fullmatch(text), 0
    if far is not None:
        eras, year = divmod(int(far[1]) - 2000, _ERA_YEARS)
        text = f"{2000 + year}{far[2]}"
    at = datetime.fromisoformat(text)
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH) // _MILLISECOND + eras * _ERA_MS


def duration_text(duration_ms: int, *, rough: bool = False) -> str:
    """As people write it, and `parse_duration_ms` reads it: `1d`, `1m 30s`, `0s`. `rough`: its two largest units."""
    parts: list[str] = []
    rest_ms = abs(duration_ms)
    first = next((place for place, (_, unit_ms) in enumerate(_UNITS_MS) if rest_ms >= unit_ms), 0)
    for unit, unit_ms in _UNITS_MS[: first + 2] if rough else _UNITS_MS:
        count, rest_ms = divmod(rest_ms, unit_ms)
        if count:
            parts.append(f"{count}{unit}")
    return ("-" if duration_ms < 0 else "") + (" ".join(parts) or "0s")


def span_text(span_ms: int) -> str:
    """A length of time in a sentence, in a unit of which it has at least two, as far as there is one: `90 s`, `2 h`."""
    seconds, rest_ms = divmod(max(span_ms, 0), 1000)
    for name, length_s in _SPANS:
        if seconds >= 2 * length_s:
            return f"{seconds // length_s} {name}"
    return f"{seconds + rest_ms / 1000:.{0 if seconds >= 10 else 1}f} s"


def iso_duration(duration_ms: int) -> str:
    """`PT86400S`, `PT0.003S`: seconds alone, as the reference server writes it."""
    seconds, rest_ms = divmod(abs(duration_ms), 1000)
    fraction = f".{rest_ms:03d}" if rest_ms else ""
    return f"{'-' if duration_ms < 0 else ''}PT{seconds}{fraction}S"
