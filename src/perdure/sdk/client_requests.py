"""What a client can send, and how it is sent again: requests, and the steps to their answers. Sending is not done here.

The steps are a generator, so that blocking and asynchronous clients have the same ones: it yields what to send and how
long to pause, and is sent the answer, or thrown what broke the connection.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Generic, TypeAlias, TypeVar
from urllib.parse import quote, urlsplit

import pyqwest

from perdure.errors import UsageError
from perdure.protocol.scopes import check_scope
from perdure.sdk.client_errors import FROM_INGRESS, HttpError, InvocationFailed, http_error, unreadable

T = TypeVar("T")

ATTEMPTS_MAX: Final = 6
PAUSE_FIRST_S: Final = 0.1
PAUSE_MAX_S: Final = 2.0
RETRY_AFTER_MAX: Final = timedelta(minutes=1)
"""Asked to wait longer than this, a client gives up, and hands on when to come back."""

FAULTS: Final = (OSError, pyqwest.ReadError, pyqwest.WriteError, pyqwest.RemoteProtocolError)
"""How a connection breaks. Whether the request was taken is not known then."""

_TOO_MANY: Final = 429
_CONFLICT: Final = 409
_UNAVAILABLE: Final = frozenset((_TOO_MANY, 502, 503, 504))


@dataclass(frozen=True, slots=True)
class Exchange(Generic[T]):
    """A request, and how its answer is read."""

    method: str
    url: str
    read: Callable[[pyqwest.FullResponse], T]
    headers: Mapping[str, str]
    body: bytes = b""
    repeatable: bool = False
    """Whether it may be sent again when it is not known what became of it."""
    expected: int | None = None
    """An error status that is an answer like others."""
    if_taken: "Exchange[T] | None" = None
    """What to send instead, once a repetition was answered by a conflict: the one before it was taken."""


@dataclass(frozen=True, slots=True)
class Pause:
    """To be slept before the next step."""

    seconds: float


Steps: TypeAlias = Generator["Exchange[T] | Pause", pyqwest.FullResponse | None, T]


def steps(exchange: Exchange[T], draw: Callable[[], float]) -> Steps[T]:
    """The way from a request to what it is answered with. `draw` gives random numbers from 0 to 1.

    Raises:
        HttpError: the answer is an error, or cannot be read.
        OSError: the connection broke.
    """
    broke = False
    attempt = 0
    while True:
        attempt += 1
        try:
            answer = yield exchange
        except FAULTS as fault:
            if not exchange.repeatable or attempt >= ATTEMPTS_MAX:
                raise _unreachable(exchange, fault) from fault
            broke = True
            yield Pause(draw() * _longest_pause_s(attempt))
            continue
        assert answer is not None, "what was sent is answered"
        if answer.status < 400 or answer.status == exchange.expected:
            return _read(exchange, answer)
        if broke and answer.status == _CONFLICT and exchange.if_taken is not None:
            exchange = exchange.if_taken
            continue
        error = http_error(answer)
        pause_s = _pause_after(error, exchange, attempt, draw)
        if pause_s is None:
            raise error
        yield Pause(pause_s)


def _read(exchange: Exchange[T], answer: pyqwest.FullResponse) -> T:
    try:
        return exchange.read(answer)
    except Exception as error:  # serdes raise what they like
        raise unreadable(answer, error) from error


def _pause_after(error: HttpError, exchange: Exchange[T], attempt: int, draw: Callable[[], float]) -> float | None:
    """How long to wait before the same is sent again; None if it must not be."""
    if attempt >= ATTEMPTS_MAX or isinstance(error, InvocationFailed):
        return None
    said_by_ingress = error.source == FROM_INGRESS
    if exchange.repeatable:
        may = error.status_code in _UNAVAILABLE or (said_by_ingress and error.status_code >= 500)
    else:
        may = error.status_code == _TOO_MANY and said_by_ingress  # refused before anything was taken
    if not may:
        return None
    if error.retry_after is None:
        return draw() * _longest_pause_s(attempt)
    return error.retry_after.total_seconds() if error.retry_after <= RETRY_AFTER_MAX else None


def _longest_pause_s(attempt: int) -> float:
    return min(PAUSE_MAX_S, PAUSE_FIRST_S * 2 ** (attempt - 1))


def _unreachable(exchange: Exchange[T], fault: Exception) -> OSError:
    if isinstance(fault, OSError):
        return fault
    return ConnectionError(f"the connection broke during {exchange.method} {exchange.url}: {fault}")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a client's requests go, and what goes with each."""

    ingress_url: str
    admin_url: str | None
    headers: Mapping[str, str]
    scope: str | None = None

    def scoped(self, scope: str) -> "Address":
        """The same, within a scope."""
        check_scope(scope, None)
        return replace(self, scope=scope)

    def ingress(self, *parts: str | None) -> str:
        """The URL of a path of the ingress; a part that is None is left out."""
        return f"{self.ingress_url}/restate/{_path(parts)}"

    def scoped_ingress(self, *parts: str | None) -> str:
        """Like `ingress`, in the scope if there is one."""
        return self.ingress(*parts) if self.scope is None else self.ingress("scope", self.scope, *parts)

    def admin(self, *parts: str) -> str:
        """The URL of a path of the admin port.

        Raises:
            UsageError: the client was not told where that is.
        """
        if self.admin_url is None:
            raise UsageError(
                "cancel and kill are asked of the admin port, and this client does not know where it is: "
                'give its address when you create the client, as in admin_url="http://localhost:9070"'
            )
        return f"{self.admin_url}/{_path(parts)}"

    def with_own(self, headers: Mapping[str, str]) -> dict[str, str]:
        """The headers of one request, over those that go with each."""
        return {**self.headers, **headers}


def address_of(ingress_url: str, admin_url: str | None, headers: Mapping[str, str] | None) -> Address:
    """Where a client's requests go, checked.

    Raises:
        UsageError: one is no address.
    """
    _check_url("ingress_url", ingress_url, "http://localhost:8080")
    if admin_url is not None:
        _check_url("admin_url", admin_url, "http://localhost:9070")
    return Address(ingress_url.rstrip("/"), admin_url.rstrip("/") if admin_url else None, headers or {})


def _check_url(name: str, url: str, example: str) -> None:
    try:
        parts = urlsplit(url)
        is_base = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        good = is_base and not (parts.query or parts.fragment)
    except (ValueError, AttributeError):  # no port, or no text at all
        good = False
    if not good:
        raise UsageError(f'{name} must be an address such as "{example}", not {url!r}')


def _path(parts: tuple[str | None, ...]) -> str:
    return "/".join(quote(written(part), safe="") for part in parts if part is not None)


def written(text: str) -> bytes:
    """A text as a request carries it.

    Raises:
        UsageError: it is no text, or half of a character is in it.
    """
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UsageError(f"names, keys and ids are text, and not {text!r}")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"this cannot be written as UTF-8, it holds half of a character: {text[:200]!a}") from None


def nothing(answer: pyqwest.FullResponse) -> None:
    """Reads an answer that says nothing but that it was done."""
