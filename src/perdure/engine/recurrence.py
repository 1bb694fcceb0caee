"""When a schedule is due next: a cron expression in a time zone, or every so many milliseconds.

Pure: the moment to go on from is given. Cron is read and followed by `cronsim`, with Debian's rules for the hours at
which clocks change. Where both minute and hour are fixed, what is due is due once a day: at a time that the change
leaves out, right after it; at a time that it repeats, the first of the two. All else follows what the clock shows.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from perdure.errors import UsageError

EVERY_MS_MIN = 1_000
CRON_LENGTH_MAX = 200


def next_due_ms(cron: str | None, every_ms: int | None, timezone: str, anchor_ms: int, after_ms: int) -> int | None:
    """The first time after `after_ms`; None when there is none within 50 years.

    Without `cron`, times are whole multiples of `every_ms` from `anchor_ms`.
    """
    if cron is None:
        assert every_ms is not None, "a schedule has a cron expression or an interval"
        return anchor_ms + ((after_ms - anchor_ms) // every_ms + 1) * every_ms
    after = datetime.fromtimestamp(after_ms // 1000, ZoneInfo(timezone))
    for moment in _fixed_times(cron, after) if _is_fixed(cron) else CronSim(cron, after):
        due_ms = int(moment.timestamp()) * 1000
        if due_ms > after_ms:
            return due_ms
    return None


def check(cron: str | None, every_ms: int | None, timezone: str) -> None:
    """Raises `UsageError` where the three do not say when a schedule is due; the message says what to write."""
    if (cron is None) == (every_ms is None):
        raise UsageError("a schedule has either `cron`, such as `0 9 * * MON-FRI`, or `every`, such as `15m`")
    if every_ms is not None and every_ms < EVERY_MS_MIN:
        raise UsageError("every: shorter than a second: for that, a handler with a loop and `ctx.sleep` is the way")
    try:
        ZoneInfo(timezone)
    except (KeyError, OSError, ValueError):  # unknown names, folders of names, and what is no name at all
        raise UsageError(
            f"timezone: no time zone {timezone!r}: expected `UTC` or a name such as `Europe/Berlin`"
        ) from None
    if cron is None:
        return
    if len(cron) > CRON_LENGTH_MAX:
        raise UsageError(f"cron: longer than {CRON_LENGTH_MAX} characters: several schedules say the same")
    try:
        CronSim(cron, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise UsageError(
            f"cron: {cron!r} is no cron expression ({str(error).lower()}): five fields, minute to day of week, or six "
            "with the second first, as in `0 9 * * MON-FRI`"
        ) from None
    if next_due_ms(cron, None, timezone, 0, 0) is None:
        raise UsageError(f"cron: {cron!r} never comes: no day is like that")


def _is_fixed(cron: str) -> bool:
    minute, hour = cron.split()[-5:-3]
    return not minute.startswith("*") and not hour.startswith("*")


def _fixed_times(cron: str, after: datetime) -> Iterator[datetime]:
    """By the calendar alone, then to where that is in the time zone; around a change not all are after `after`."""
    for named in CronSim(cron, after.replace(tzinfo=None)):
        moment = named.replace(tzinfo=after.tzinfo)
        while moment.astimezone(UTC).astimezone(after.tzinfo).replace(tzinfo=None) != named:
            named = named.replace(second=0) + timedelta(minutes=1)  # the clock never shows this: on to when it goes on
            moment = named.replace(tzinfo=after.tzinfo)
        yield moment
