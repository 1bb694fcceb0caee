"""What the engine is told of errors, in a shape that messages can hold: the one door from exceptions to the wire.

Nothing here raises, whatever exceptions are made of. A message that could not be built would leave the engine waiting
for the attempt's end.
"""

import traceback
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final, cast

from perdure.errors import RetryableError, TerminalError, text_of
from perdure.protocol import wire_pb2 as pb
from perdure.sdk.asked_delays import retry_after_of

INTERNAL_ERROR: Final = 500

MESSAGE_CHARACTERS_MAX: Final = 8 * 1024
STACKTRACE_CHARACTERS_MAX: Final = 32 * 1024
_CUT: Final = " [...] "

_CODE_MAX: Final = 65_535
_DELAY_MS_MAX: Final = 2**63 - 1


def failure(message: object, code: object, metadata: Mapping[str, str] | None = None) -> pb.Failure:
    """A failure to be recorded: of a run, a handler, an awakeable, a promise or a signal."""
    entries = [pb.FailureMetadata(key=_text(key), value=_text(value)) for key, value in (metadata or {}).items()]
    return pb.Failure(code=_code(code), message=_text(message), metadata=entries)


def error_message(error: BaseException) -> pb.ErrorMessage:
    """What the engine is told of an exception that the attempt failed with; it is retried."""
    message = pb.ErrorMessage(
        code=INTERNAL_ERROR,
        message=_text(describe_exception(error)),
        stacktrace=_text(_stacktrace(error), keep_end=True),
    )
    if isinstance(error, RetryableError):
        message.code = _code(error.status_code)
        if isinstance(error.retry_after, timedelta):
            message.next_retry_delay = clamp_delay_ms(error.retry_after.total_seconds() * 1000)
            return message
    asked = retry_after_of(error)
    if asked is not None:
        message.next_retry_delay = clamp_delay_ms(asked.total_seconds() * 1000)
    return message


def describe_exception(error: BaseException) -> str:
    """`Type: message`, as a traceback ends."""
    try:
        return "".join(traceback.format_exception_only(error)).strip()
    except Exception:  # noqa: BLE001  it reads attributes of the exception, which are user code's
        return type(error).__name__


def decisive(error: BaseException) -> TerminalError | RetryableError | None:
    """What decides how an attempt ends: the exception, or what it was raised from, or what a group holds.

    Task groups wrap what their tasks raise. Of several, one that is terminal decides.
    """
    found = list(_deciding(error, set()))
    return next((each for each in found if isinstance(each, TerminalError)), found[0] if found else None)


def _deciding(error: BaseException | None, seen: set[int]) -> Iterator[TerminalError | RetryableError]:
    while error is not None and id(error) not in seen:  # `raise error from error` makes a circle
        seen.add(id(error))
        if isinstance(error, (TerminalError, RetryableError)):
            yield error
            return
        if isinstance(error, BaseExceptionGroup):
            for each in cast("BaseExceptionGroup[BaseException]", error).exceptions:
                yield from _deciding(each, seen)
        error = error.__cause__


def clamp_delay_ms(delay_ms: float) -> int:
    """A delay that messages can hold."""
    return int(min(max(0.0, delay_ms), _DELAY_MS_MAX))


def _stacktrace(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))
    except Exception:  # noqa: BLE001  as in `describe_exception`
        return ""


def _text(value: object, *, keep_end: bool = False) -> str:
    """Text that protobuf takes and a journal can bear: without lone surrogates, and not of any length."""
    text = text_of(value).encode("utf-8", "replace").decode()
    longest = STACKTRACE_CHARACTERS_MAX if keep_end else MESSAGE_CHARACTERS_MAX
    if len(text) <= longest:
        return text
    kept = longest - len(_CUT)
    return _CUT + text[-kept:] if keep_end else text[:kept] + _CUT


def _code(value: object) -> int:
    """A status code; 500 where it is none."""
    return int(value) if isinstance(value, int) and 0 < value <= _CODE_MAX else INTERNAL_ERROR
