"""What a client raises when it gets no answer to what it asked: the request was refused, or the invocation failed."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import msgspec
import pyqwest

from perdure.errors import PerdureError
from perdure.sdk.asked_delays import delay_asked_for

ERROR_SOURCE_HEADER: Final = "x-restate-error-source"
INVOCATION_ID_HEADER: Final = "x-restate-id"
FROM_INGRESS: Final = "ingress"
FROM_INVOCATION: Final = "invocation"
_SHOWN_CHARS: Final = 80


class HttpError(PerdureError):
    """The request was answered with an error status. If it is an `InvocationFailed`, it was taken; else, refused.

    With a status below 400, it was answered by what cannot be read: a proxy's page, or a result of another type.
    """

    def __init__(
        self,
        status_code: int,
        message: str,
        body: str = "",
        *,
        metadata: Mapping[str, str] | None = None,
        source: str | None = None,
        invocation_id: str | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(f"{status_code}: {message}")
        self.status_code = status_code
        self.message = message
        self.body = body
        self.metadata = dict(metadata or {})
        """That of the terminal error that the handler raised."""
        self.source = source
        """Who says so: `"ingress"`, `"invocation"`, or None where it is not said, as by a proxy."""
        self.invocation_id = invocation_id
        self.retry_after = retry_after
        """When to ask again, where that is said."""


class InvocationFailed(HttpError):
    """The handler failed: the status is its terminal error's code. To ask again gives the same answer.

    A workflow that was submitted before gives one too, with 409: its one invocation is not run again.
    """


class _Body(msgspec.Struct):
    message: str
    source: str | None = None
    metadata: dict[str, str] | None = None


def http_error(answer: pyqwest.FullResponse) -> HttpError:
    """The error to raise for an answer with an error status."""
    try:
        body = msgspec.json.decode(answer.content, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        body = _Body(_text(answer))
    source = answer.headers.get(ERROR_SOURCE_HEADER) or body.source
    kind = InvocationFailed if source == FROM_INVOCATION else HttpError
    return kind(
        answer.status,
        body.message,
        _text(answer),
        metadata=body.metadata,
        source=source,
        invocation_id=answer.headers.get(INVOCATION_ID_HEADER),
        retry_after=delay_asked_for(answer.headers),
    )


def unreadable(answer: pyqwest.FullResponse, error: Exception) -> HttpError:
    """The error to raise for an answer that should be a result, by its status, and cannot be read as one."""
    begins = _text(answer)[:_SHOWN_CHARS]
    return HttpError(
        answer.status,
        f"the answer is not what was asked for ({error}); it begins with {begins!r}",
        _text(answer),
        invocation_id=answer.headers.get(INVOCATION_ID_HEADER),
    )


def _text(answer: pyqwest.FullResponse) -> str:
    """The body for a person to read, whatever the answer says of its encoding, which may be none that there is."""
    return answer.content.decode(errors="replace")
