"""What an HTTP answer says of asking again: whether that may help, by its status, and when, by its Retry-After."""

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

PASSING: Final = frozenset((408, 409, 425, 429))
"""Of the statuses below 500 those that another try may mend: timeout, conflict, too early, too many requests."""

_SECONDS = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*", re.ASCII | re.IGNORECASE)


def may_pass(status: int) -> bool:
    """Whether the same request may be answered otherwise later. `status`: of an error, so from 400."""
    return status >= 500 or status in PASSING


def retry_after_s(value: str, now_s: float) -> float | None:
    """The delay that a Retry-After header asks for, in seconds or as a date; None where it cannot be read.

    It is below 0 where the date has passed, and may be as long as any number, or infinite. `now_s`: since the epoch.
    """
    if _SECONDS.fullmatch(value):
        return float(value)
    try:
        when = parsedate_to_datetime(value)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - now_s  # "-0000" is read as no zone
    except (ValueError, OverflowError):
        return None
