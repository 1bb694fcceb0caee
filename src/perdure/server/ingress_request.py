"""What the headers and the query of a call or send say, besides its body. Pure.

All headers go on to the handler, but for those of the connection and the idempotency key. Some of them say something
to us as well: the content type, the priority, the limit key.
"""

import re
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from urllib.parse import parse_qs

from msgspec import Struct
from starlette.types import Scope

from perdure.engine.registry import ResolvedHandler
from perdure.errors import UsageError
from perdure.protocol.priorities import PRIORITY_HEADER, PRIORITY_MAX
from perdure.server.durations import parse_duration_ms

LIMIT_KEY_HEADER = "x-restate-limit-key"

_KEPT_FROM_HANDLERS = frozenset(
    (b"connection", b"host", b"idempotency-key", b"keep-alive", b"transfer-encoding", b"x-restate-ingress-path")
)
_NOTED = _KEPT_FROM_HANDLERS | {b"content-type", PRIORITY_HEADER.encode(), LIMIT_KEY_HEADER.encode()}
_PARAMETERS = ("delay", "limit-key")
_SLIP_RATIO = 0.8  # `dealy`, `delay_ms`, `limitkey` are as near as this; `display` and `limit` are words of their own
_INTEGER = re.compile(r"[+-]?[0-9]{1,9}", re.ASCII)


class Modifiers(Struct):
    """`headers` are what the handler is given: where the call came in first, then the client's own.

    `delay_ms` is None where none was asked for; a delay of 0 is asked for, too.
    """

    headers: list[tuple[str, str]]
    content_type: str | None = None
    idempotency_key: str | None = None
    limit_key: str | None = None
    delay_ms: int | None = None


def read_modifiers(scope: Scope) -> Modifiers:
    """Raises `UsageError`, which names the header or the parameter that is malformed."""
    path: str = scope["raw_path"].decode("ascii")
    query: bytes = scope["query_string"]
    read = Modifiers([("x-restate-ingress-path", path)])
    if query:
        _read_query(query, read)
        read.headers[0] = ("x-restate-ingress-path", f"{path}?{query.decode()}")
    try:
        for name, value in scope["headers"]:
            if name not in _NOTED:
                read.headers.append((name.decode(), value.decode()))
            else:
                _note(read, name, value.decode())
    except UnicodeDecodeError:
        raise UsageError("a header of the request is not UTF-8") from None
    return read


def _note(read: Modifiers, name: bytes, value: str) -> None:
    if name not in _KEPT_FROM_HANDLERS:
        read.headers.append((name.decode(), value))
    match name:
        case b"content-type":
            read.content_type = value
        case b"idempotency-key":
            read.idempotency_key = value
        case b"x-restate-limit-key":
            read.limit_key = value or None
        case b"x-perdure-priority":
            check_priority_header(value)
        case _:
            pass


def _read_query(query: bytes, read: Modifiers) -> None:
    try:
        fields = parse_qs(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise UsageError("the query of the path is malformed") from None
    _check_parameters(fields)
    if "limit-key" in fields:
        read.limit_key = fields["limit-key"][0] or None
    if "delay" in fields:
        try:
            text = fields["delay"][0]
            # The official Python client leaves the unit out, and means milliseconds.
            read.delay_ms = parse_duration_ms(f"{text}ms" if text.isdecimal() else text)
        except UsageError as error:
            raise UsageError(f"bad delay query parameter: {error}") from None


def _check_parameters(fields: Mapping[str, Sequence[str]]) -> None:
    """Refuses what a slip of the pen made of our parameters, or says twice. All others are the handler's own."""
    for name, values in fields.items():
        if name in _PARAMETERS and len(values) > 1:
            raise UsageError(f"the query parameter {name} is there {len(values)} times: give it once")
        if name not in _PARAMETERS and (meant := _meant(name)) is not None:
            raise UsageError(
                f"no query parameter {name!r}: did you mean {meant}? There are {' and '.join(_PARAMETERS)}; others go "
                "to the handler as they are, unless they look like these"
            )


def _meant(name: str) -> str | None:
    """Which of our parameters a name is so near to that it can hardly be anything else."""
    plain = _plain(name)
    for parameter in _PARAMETERS:
        known = _plain(parameter)
        if plain[:1] == known[:1] and SequenceMatcher(None, plain, known).ratio() >= _SLIP_RATIO:
            return parameter
    return None


def _plain(name: str) -> str:
    return name[:50].lower().replace("-", "").replace("_", "")


def check_priority_header(value: str) -> None:
    """The engine reads it with the invocation; here, a client still hears of what it cannot mean: a `UsageError`."""
    if not _INTEGER.fullmatch(value) or abs(int(value)) > PRIORITY_MAX:
        raise UsageError(
            f"the header {PRIORITY_HEADER} is {value!r}: expected a whole number from -{PRIORITY_MAX} to {PRIORITY_MAX}"
        )


def check_idempotency_key(key: str, resolved: ResolvedHandler) -> None:
    """Raises `UsageError` where a key cannot be used, with why not."""
    if not key.strip():
        raise UsageError("the header idempotency-key is empty: leave it out, or give it a value")
    if resolved.handler_type == "WORKFLOW":
        raise UsageError(
            "cannot use the idempotency key with workflow handlers: the workflow's own key makes it run once already"
        )
