"""When a provider says to come back: the delay that the HTTP response behind an exception asks for.

Found on whatever holds it, without knowing the library: openai, anthropic, litellm and httpx keep the response,
aiohttp and urllib the headers, Google's a `RetryInfo` in the body. Delays above `DELAY_MAX` count as `DELAY_MAX`.
"""

import math
import re
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final, cast

from perdure.retry_after import retry_after_s

DELAY_MAX: Final = timedelta(hours=1)

_HEADERS: Final = ("headers", "litellm_response_headers")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)s")


def retry_after_of(error: BaseException) -> timedelta | None:
    """What an exception, or what it was raised from, asks for; of several in a group, the longest. Never raises."""
    return max(_delays(error, set()), default=None)


def delay_asked_for(headers: Any) -> timedelta | None:
    """What the headers of a response ask for: `retry-after-ms`, or `retry-after` in seconds or as a date."""
    milliseconds = _number(_header(headers, "retry-after-ms"))
    if milliseconds is not None:
        return _bounded(milliseconds / 1000)
    asked = _header(headers, "retry-after")
    seconds = retry_after_s(asked, time.time()) if isinstance(asked, str) else _number(asked)
    return None if seconds is None else _bounded(seconds)


def _delays(error: BaseException | None, seen: set[int]) -> Iterator[timedelta]:
    while error is not None and id(error) not in seen:  # a chain of causes may be a circle
        seen.add(id(error))
        try:
            delay = _own_delay(error)
        except Exception:  # noqa: BLE001  it reads attributes of exceptions, which are user code's
            delay = None
        if delay is not None:
            yield delay
            return
        if isinstance(error, BaseExceptionGroup):
            for each in cast("BaseExceptionGroup[BaseException]", error).exceptions:
                yield from _delays(each, seen)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _own_delay(error: BaseException) -> timedelta | None:
    asked = getattr(error, "retry_after", None)
    if isinstance(asked, timedelta):
        return _bounded(asked.total_seconds())
    seconds = _number(asked)
    if seconds is not None:
        return _bounded(seconds)
    for holder in (getattr(error, "response", None), error):
        for name in _HEADERS:
            delay = delay_asked_for(getattr(holder, name, None))
            if delay is not None:
                return delay
    return _google_delay(getattr(error, "details", None))


def _google_delay(details: Any) -> timedelta | None:
    """`{"error": {"details": [{"@type": ".../google.rpc.RetryInfo", "retryDelay": "34s"}]}}`"""
    if isinstance(details, Mapping):
        body = cast("Mapping[str, Any]", details)
        details = cast("Mapping[str, Any]", body.get("error", body)).get("details")
    for detail in cast("list[Any]", details) if isinstance(details, list) else ():
        if isinstance(detail, Mapping):
            asked = _DURATION.fullmatch(str(cast("Mapping[str, Any]", detail).get("retryDelay")))
            if asked is not None:
                return _bounded(float(asked[1]))
    return None


def _header(headers: Any, name: str) -> Any:
    """A header, whatever its case, of any kind of mapping; None where there is none."""
    get = getattr(headers, "get", None)
    if get is None:
        return None
    value = get(name)
    return value if value is not None else get(name.title())


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _bounded(seconds: float) -> timedelta:
    return timedelta(seconds=max(0.0, min(seconds, DELAY_MAX.total_seconds())))
