"""Asks a running engine over HTTP, for the commands that are only its clients."""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from perdure.errors import PerdureError, UsageError

T = TypeVar("T")

CONNECT_TIMEOUT_S = 5.0
PASSES_WITHIN_S = 15.0


class EngineUnreachable(PerdureError):
    """Nothing answers where the engine should be, or the connection broke before the answer."""


class RequestRefused(PerdureError):
    """The engine answered with an error; the message is its own."""


class AskAgain(RequestRefused):
    """An error that may pass: the engine has too much to do, or a node of a cluster lacks its data for a moment."""


def patiently(ask: Callable[[], T]) -> T:
    """Asks again for a while where an error may pass: what goes on for minutes does not end with it.

    Only for what does no harm when it is done twice. Raises what `ask` does, `AskAgain` once the while is over.
    """
    deadline = time.monotonic() + PASSES_WITHIN_S
    while True:
        try:
            return ask()
        except AskAgain:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.2)


@dataclass(frozen=True, slots=True)
class Remote:
    """One of an engine's two doors, and the variable by which it is found."""

    variable: str
    default_url: str

    @property
    def url(self) -> str:
        return os.environ.get(self.variable) or self.default_url

    def ask(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> bytes:
        """Sends one request, and waits for its answer however long that takes.

        Raises:
            UsageError: a header that HTTP cannot carry.
            EngineUnreachable: no answer.
            RequestRefused: an answer of 400 or above.
        """
        door, host, port, prefix = self._address()
        connection = door(host, port, timeout=CONNECT_TIMEOUT_S)
        try:
            connection.connect()
        except OSError as error:
            raise EngineUnreachable(
                f"no engine answers at {self.url} ({_reason(error)}): "
                f"`perdure up` starts one, {self.variable} names another address"
            ) from error
        try:
            connection.sock.settimeout(None)
            encoded = {name: value.encode() for name, value in (headers or {}).items()}
            try:
                connection.request(method, prefix + path, body, encoded)
            except ValueError as error:
                raise UsageError(
                    f"a header cannot be sent, as with a line break in an idempotency key: {error}"
                ) from error
            response = connection.getresponse()
            answer = response.read()
        except (OSError, HTTPException) as error:
            raise EngineUnreachable(
                f"the connection to {self.url} broke before the answer came ({_reason(error)})"
            ) from error
        finally:
            connection.close()
        if response.status >= 400:
            kind = AskAgain if response.status == 429 or response.status >= 500 else RequestRefused
            raise kind(_message(answer) or f"{self.url} answers {response.status} {response.reason}")
        return answer

    def ask_json(self, method: str, path: str, body: Any = None) -> Any:
        """The same with JSON both ways; None where there is none."""
        encoded = None if body is None else json.dumps(body).encode()
        answer = self.ask(method, path, encoded, {"content-type": "application/json"} if encoded else None)
        if not answer:
            return None
        try:
            return json.loads(answer)
        except ValueError as error:
            raise RequestRefused(f"{self.url} is no engine: {path} does not answer with JSON") from error

    def _address(self) -> tuple[type[HTTPConnection], str, int | None, str]:
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError:
            parts = port = None
        if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"{self.variable} must be a URL such as {self.default_url}, not {self.url!r}")
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        return kind, parts.hostname, port, parts.path.rstrip("/")


INGRESS = Remote("PERDURE_INGRESS_URL", "http://127.0.0.1:8080")
ADMIN = Remote("PERDURE_ADMIN_URL", "http://127.0.0.1:9070")


def _reason(error: Exception) -> str:
    return ((error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__).lower()


def _message(answer: bytes) -> str | None:
    """The `message` of the open interface's error body."""
    try:
        decoded = json.loads(answer)
    except ValueError:
        return None
    if not isinstance(decoded, dict):
        return None
    message = cast("dict[str, Any]", decoded).get("message")
    return message if isinstance(message, str) else None
