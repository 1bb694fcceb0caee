"""What went wrong on the way to a service, in sentences that say what to do about it."""

import asyncio

import msgspec
import pyqwest
from msgspec import Struct

from perdure.errors import ProtocolError, RemoteProtocolError, TransportError
from perdure.retry_after import retry_after_s
from perdure.times import DELAY_MS_MAX, bounded_ms

BROKEN = (OSError, TimeoutError, pyqwest.ReadError, pyqwest.WriteError, pyqwest.RemoteProtocolError)
"""What the HTTP client raises where an exchange fails."""

_BODY_BYTES_SHOWN = 500
_BODY_TIMEOUT_S = 1.0


class _Explained(Struct):
    message: str


_REFUSALS = {
    404: "it does not have the handler: was the service redeployed without it?",
    413: "the request is too large for it",
    415: "it no longer speaks this version of the service protocol",
    429: "it is being asked too often",
    502: "it is not available",
    503: "it is not available",
    504: "it is not available",
}


def explain(error: Exception, uri: str) -> Exception:
    """Turns what the HTTP client raised into an error of ours. Our own errors, and bugs, are returned as they are."""
    match error:
        case ProtocolError() | TransportError():
            return error
        case pyqwest.ConnectTimeout():
            said = f"no connection to {uri} in time: is the host up, and the port open?"
        case ConnectionError() if "Connection refused" in str(error):
            said = f"nothing listens at {uri}: is `perdure serve` running there?"
        case ConnectionError() if "dns error" in str(error):
            said = f"the host of {uri} has no known address: is its name right?"
        case ConnectionError():
            said = f"{uri} cannot be reached: {_cause(error)}"
        case TimeoutError():
            said = f"{uri} did not answer in time"
        case pyqwest.StreamError():
            said = f"{uri} reset the stream: {error.code.name}"
        case pyqwest.RemoteProtocolError() | pyqwest.ReadError() | pyqwest.WriteError() | OSError():
            said = f"the connection to {uri} broke: {_cause(error)}"
        case _:
            return error
    return TransportError(said)


def spoils_connection(error: Exception) -> bool:
    """Whether other attempts would suffer on the connection on which this happened.

    A response that is dropped in the middle may fill the peer's memory for this connection: Node's HTTP/2 server then
    resets every other stream on it.
    """
    calm = isinstance(error, pyqwest.StreamError) and error.code.name == "ENHANCE_YOUR_CALM"
    return calm or isinstance(error, ProtocolError)


def _cause(error: Exception) -> str:
    """The innermost cause in what the HTTP client says."""
    return str(error).rpartition(": ")[2]


def unauthenticated(identity_key: str | None) -> str:
    """What to do about a 401, as a sentence. `identity_key`: the public key of those that this engine signs with."""
    if identity_key is None:
        advice = (
            "If it takes only signed requests, start this engine with `--request-identity-key`, and give the service "
            "the public key that it then prints, as one of its `identity_keys`."
        )
    else:
        advice = (
            f"This engine signs as {identity_key}: is that one of the service's `identity_keys`, and are the clocks of "
            "both right?"
        )
    return f"{advice} If it wants other credentials, additional headers (`--header`) carry them."


async def refusal(response: pyqwest.Response, uri: str, identity_key: str | None, now_s: float) -> TransportError:
    """What a status other than 2xx means for an attempt; `identity_key` is that of the requests' signatures."""
    status = response.status
    body = shown(await _beginning(response))
    if status == 401:
        return TransportError(f"{uri} answered 401{f' ({body})' if body else ''}. {unauthenticated(identity_key)}")
    reason = _REFUSALS.get(status, "an attempt expects 200")
    return TransportError(
        f"{uri} answered {status}: {reason}" + (f" ({body})" if body else ""),
        retry_after_ms=retry_after_ms(response.headers.get("retry-after"), now_s) if status in (429, 503) else None,
    )


def check_content_type(response: pyqwest.Response, expected: str, uri: str) -> None:
    """Raises `RemoteProtocolError` where it differs in a single byte, as the protocol has it."""
    content_type = response.headers.get("content-type")
    if content_type != expected:
        raise RemoteProtocolError(f"{uri} answered with content type {content_type!r}, expected {expected!r}")


def retry_after_ms(value: str | None, now_s: float) -> int | None:
    """The delay of a Retry-After header; None where there is none, or it cannot be read."""
    seconds = None if value is None else retry_after_s(value, now_s)
    return None if seconds is None else bounded_ms(int(min(seconds * 1000, DELAY_MS_MAX)))


async def _beginning(response: pyqwest.Response) -> bytes:
    """The first bytes of a body, as many as are shown, of those that come within a second."""
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            async for chunk in response.content:
                body += chunk
                if len(body) >= _BODY_BYTES_SHOWN:
                    break
    except BROKEN:
        pass  # what came of it is all there is to show
    return bytes(body)


def shown(body: bytes) -> str:
    """A body for people: the message in it, if it is an error of our SDK, else its beginning; on one line."""
    try:
        text = msgspec.json.decode(body, type=_Explained).message
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        text = body[:_BODY_BYTES_SHOWN].decode(errors="replace")
    return " ".join(text[:_BODY_BYTES_SHOWN].split())
