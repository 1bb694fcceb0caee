"""What the ingress answers: status, headers, body. Shapes and words are the open interface's own.

An error body is `{"code", "message", "source"}`: source `ingress` is the request's or the engine's fault, and nothing
ran; source `invocation` is how an invocation failed. The header `x-restate-error-source` says the same.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from perdure.engine.answers import Accepted, Failure, Outcome
from perdure.errors import Overloaded, PerdureError, TooLarge
from perdure.times import time_text

Headers = list[tuple[bytes, bytes]]

RETRY_AFTER_S = 1
_JSON = (b"content-type", b"application/json")


class Answer(Struct):
    status: int
    headers: Headers
    body: bytes = b""


class OutputHeaders(Struct, frozen=True):
    """The content type of a handler's output: with a body, and for an empty one."""

    full: Sequence[tuple[bytes, bytes]] = (_JSON,)
    empty: Sequence[tuple[bytes, bytes]] = ()


def output_answer(outcome: Outcome, headers: OutputHeaders, *, says_expiry: bool = False) -> Answer:
    """The result of an invocation, or how it failed; and until when that can be had again."""
    if outcome.failure is not None:
        answer = failure_answer(outcome.failure, outcome.invocation_id)
    else:
        value = outcome.value or b""
        answer = Answer(200, [_id_header(outcome.invocation_id), *(headers.full if value else headers.empty)], value)
    if says_expiry and outcome.kept_until_ms is not None:
        until = time_text(outcome.kept_until_ms).replace("Z", "+00:00")
        answer.headers.append((b"idempotency-expires", until.encode()))
    return answer


def failure_answer(failure: Failure, invocation_id: str) -> Answer:
    """An invocation failed. Its code is the status, where HTTP has such an error status."""
    status = failure.code if 400 <= failure.code <= 599 else 500
    body: dict[str, Any] = {"code": failure.code, "message": failure.message, "source": "invocation"}
    if failure.metadata:
        body["metadata"] = failure.metadata
    headers = [_id_header(invocation_id), (b"x-restate-error-source", b"invocation"), _JSON]
    return Answer(status, headers, msgspec.json.encode(body))


def accepted_answer(accepted: Accepted) -> Answer:
    """An invocation was taken in, and goes on by itself."""
    body = {
        "invocationId": accepted.invocation_id,
        "status": "Accepted" if accepted.new else "PreviouslyAccepted",
    }
    if accepted.executes_at_ms is not None:
        # Nanoseconds, as the open interface writes it.
        body["executionTime"] = time_text(accepted.executes_at_ms).replace("Z", "000000Z")
    return Answer(202, [_id_header(accepted.invocation_id), _JSON], msgspec.json.encode(body))


def lookup_answer(invocation_id: str) -> Answer:
    return Answer(200, [_JSON], msgspec.json.encode({"invocationId": invocation_id}))


def document_answer(document: bytes) -> Answer:
    return Answer(200, [_JSON], document)


def error_answer(error: PerdureError) -> Answer:
    """The request cannot be served; the error's class says the status."""
    if error.http_status == 503:
        return unavailable_answer(str(error))
    answer = refusal(error.http_status, str(error))
    match error:
        case TooLarge():  # the rest of the body is not read, so nothing can follow it
            answer.headers.append((b"connection", b"close"))
        case Overloaded(retry_after_ms=delay_ms):
            answer.headers.append((b"retry-after", b"%d" % max(1, -(-delay_ms // 1000))))
        case _:
            pass
    return answer


def unavailable_answer(message: str) -> Answer:
    """Not now: ask again. What was asked for may have begun; with an idempotency key, asking again is safe."""
    answer = refusal(503, message)
    answer.headers.append((b"retry-after", b"%d" % RETRY_AFTER_S))
    return answer


def not_allowed_answer(allowed: str) -> Answer:
    answer = refusal(405, f"method not allowed: this path takes {allowed}")
    answer.headers.append((b"allow", allowed.encode()))
    return answer


def refusal(status: int, message: str) -> Answer:
    body = {"code": status, "message": message, "source": "ingress"}
    return Answer(status, [(b"x-restate-error-source", b"ingress"), _JSON], msgspec.json.encode(body))


def health_answer(services: Sequence[str]) -> Answer:
    return Answer(200, [_JSON], msgspec.json.encode({"services": services}))


def preflight_answer(wanted: dict[bytes, bytes]) -> Answer:
    """What a browser asks before it lets a page call us: any page may, with any method and header, but no cookies."""
    return Answer(
        200,
        [
            (b"access-control-allow-methods", wanted.get(b"access-control-request-method", b"GET, POST")),
            (b"access-control-allow-headers", wanted.get(b"access-control-request-headers", b"*")),
            (b"access-control-max-age", b"86400"),
        ],
    )


CORS_HEADERS: Sequence[tuple[bytes, bytes]] = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"*"),
)


def _id_header(invocation_id: str) -> tuple[bytes, bytes]:
    return b"x-restate-id", invocation_id.encode()
