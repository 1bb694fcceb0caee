"""The functions that SQLite lacks, registered on the connection that answers a query.

They run in the query's own process: what they cost, the engine does not pay. A function that is given null gives null.
"""

# SQLite's values have no types that a checker could know.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

import base64
import hashlib
import math
import re
import statistics
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol, cast

import msgspec
from google.protobuf.message import DecodeError

from perdure import times
from perdure.engine.answers import Failure
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.failure_codes import JOURNAL_MISMATCH, PROTOCOL_VIOLATION
from perdure.protocol.ids import parse_invocation_id
from perdure.server.query import entries, moments
from perdure.server.query.entries import JsonObject
from perdure.server.query.problems import BadQuery

Value = Any  # what SQLite holds: None, int, float, str or bytes
_INT64_MAX = 2**63 - 1
_MADE_CHARS_MAX = 1_000_000


class Connection(Protocol):
    def create_scalar_function(
        self, name: str, callable: Callable[..., Any], numargs: int = -1, *, deterministic: bool = False
    ) -> None: ...

    def create_aggregate_function(self, name: str, factory: Callable[[], Any], numargs: int = -1) -> None: ...


def register(connection: Connection) -> None:
    """All but those that ask the engine."""
    for name, function in {**_STORED, **_STRICT}.items():
        connection.create_scalar_function(name, _strict(function), deterministic=True)
    for name, function in _LENIENT.items():
        connection.create_scalar_function(name, function, deterministic=True)
    for name, aggregate in _AGGREGATES.items():
        connection.create_aggregate_function(name, aggregate)


def _strict(function: Callable[..., Value]) -> Callable[..., Value]:
    def checked(*values: Value) -> Value:
        if not values or values[0] is None:
            return None
        return function(*values)

    return checked


# ---- what the store holds encoded ----


def partition_of(invocation_id: str) -> int:
    return int.from_bytes(parse_invocation_id(invocation_id)[:8], "little", signed=True)


def partition_of_key(scope: str, key: str) -> int:
    return int.from_bytes(hashlib.sha256((scope or key).encode()).digest()[:8], "little", signed=True)


def _failure_text(failure: pb.Failure) -> str:
    return str(Failure(failure.code, failure.message))


def result_of(output: bytes) -> str:
    return "failure" if pb.OutputCommandMessage.FromString(output).HasField("failure") else "success"


def failure_of(output: bytes) -> str | None:
    message = pb.OutputCommandMessage.FromString(output)
    return _failure_text(message.failure) if message.HasField("failure") else None


def promise_value(result: bytes) -> bytes | None:
    message = pb.NotificationMessage.FromString(result)
    return message.value.content if message.HasField("value") else None


def promise_failure(result: bytes) -> str | None:
    message = pb.NotificationMessage.FromString(result)
    return _failure_text(message.failure) if message.HasField("failure") else None


def error_code(code: int) -> str:
    """The open interface's code for an attempt's failure."""
    return {JOURNAL_MISMATCH: "RT0016", PROTOCOL_VIOLATION: "RT0012"}.get(code, "RT0007")


def utf8(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def _json_text(value: object) -> str:
    return msgspec.json.encode(value).decode()


_STORED: dict[str, Callable[..., Value]] = {
    "partition_of": partition_of,
    "partition_of_key": partition_of_key,
    "result_of": result_of,
    "failure_of": failure_of,
    "promise_value": promise_value,
    "promise_failure": promise_failure,
    "error_code": error_code,
    "utf8": utf8,
    "awaited_json": entries.future_json,
    "awaited_completions": lambda stored: _json_text(entries.awaited(stored, "waiting_completions")),
    "awaited_signals": lambda stored: _json_text(entries.awaited(stored, "waiting_signals")),
    "entry_name": entries.entry_name,
    "called_target": entries.called_target,
    "wake_up_time": lambda payload: min(pb.SleepCommandMessage.FromString(payload).wake_up_time, _INT64_MAX),
    "promise_name": lambda type, payload: entries.decoded(type, payload).key,
    "invocation_id_of": lambda payload: pb.NotificationMessage.FromString(payload).invocation_id,
    "completion_of": lambda payload: pb.NotificationMessage.FromString(payload).completion_id,
    "invocation_id_completion_of": lambda type, payload: entries.decoded(type, payload).invocation_id_notification_idx,
    "entry_json": lambda *values: entries.entry_json(*values, lite=False),
    "entry_lite_json": lambda *values: entries.entry_json(*values, lite=True),
}

# ---- text ----


@lru_cache(512)
def _pattern(pattern: str, flags: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern, re.IGNORECASE if "i" in flags else 0)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error


@lru_cache(512)
def _like_pattern(pattern: str, flags: str, similar: bool) -> re.Pattern[str]:
    wild = {"%": ".*", "_": "."}
    out, escaped = "", False
    for letter in pattern:
        if escaped or (letter not in wild and letter != "\\"):
            out += letter if similar and not escaped else re.escape(letter)
            escaped = False
        elif letter == "\\":
            escaped = True
        else:
            out += wild[letter]
    return re.compile(f"(?:{out})", re.DOTALL | (re.IGNORECASE if "i" in flags else 0))


def like(text: Value, pattern: str | None, flags: str) -> int | None:
    return None if pattern is None else int(_like_pattern(pattern, flags, False).fullmatch(_text(text)) is not None)


def similar(text: Value, pattern: str | None) -> int | None:
    return None if pattern is None else int(_like_pattern(pattern, "", True).fullmatch(_text(text)) is not None)


def matches(text: Value, pattern: str | None, flags: str = "") -> int | None:
    return None if pattern is None else int(_pattern(pattern, flags).search(_text(text)) is not None)


def regexp_replace(text: str, pattern: str, replacement: str, flags: str = "") -> str:
    return _pattern(pattern, flags).sub(replacement, text, count=0 if "g" in flags else 1)


def regexp_match(text: str, pattern: str, flags: str = "") -> str | None:
    found = _pattern(pattern, flags).search(text)
    return None if found is None else _json_text(list(found.groups()) or [found.group()])


def split_part(text: str, separator: str, position: int) -> str:
    parts = text.split(separator)
    position = position - 1 if position > 0 else len(parts) + position
    return parts[position] if 0 <= position < len(parts) else ""


def _repeat(text: str, count: int) -> str:
    _check_length("repeat", len(text) * count)
    return text * count


def _pad(text: str, length: int, fill: str, left: bool) -> str:
    _check_length("lpad" if left else "rpad", length)
    missing = max(0, length - len(text))
    padding = (fill * missing)[:missing] if fill else ""
    return (padding + text if left else text + padding)[:length]


def _check_length(function: str, length: int) -> None:
    if length > _MADE_CHARS_MAX:
        raise BadQuery(f"{function} would make a text of {length} characters: {_MADE_CHARS_MAX} is the most")


def _bytes(value: Value) -> bytes:
    return value if isinstance(value, bytes) else _text(value).encode()


def _text(value: Value) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def translate(text: str, old: str, new: str) -> str:
    return text.translate({ord(letter): new[n] if n < len(new) else None for n, letter in enumerate(old)})


def encode(value: Value, how: str) -> str:
    match how.lower():
        case "hex":
            return _bytes(value).hex()
        case "base64":
            return base64.b64encode(_bytes(value)).rstrip(b"=").decode()
        case _:
            raise ValueError(f"encode knows 'hex' and 'base64', not {how!r}")


def decode(value: str, how: str) -> bytes:
    match how.lower():
        case "hex":
            return bytes.fromhex(value)
        case "base64":
            return base64.b64decode(value + "=" * (-len(value) % 4))
        case _:
            raise ValueError(f"decode knows 'hex' and 'base64', not {how!r}")


# ---- time ----


def to_moment(value: Value) -> int | None:
    """Text as a moment; a number stays what it is."""
    if isinstance(value, str):
        return moments.parse_moment(value)
    return int(value)


# ---- JSON ----


def _at(text: Value, path: tuple[Value, ...]) -> tuple[bool, Any]:
    """Whether there is something at the path in a JSON text, and what."""
    try:
        found: Any = msgspec.json.decode(text)
    except (msgspec.DecodeError, TypeError):
        return False, None
    for step in path:
        try:
            found = found[step]
        except (KeyError, IndexError, TypeError):
            return False, None
    return True, found


def json_text(text: Value, *path: Value) -> str | None:
    """As `->>`: text as it is, anything else as JSON."""
    found = _at(text, path)[1]
    return None if found is None else found if isinstance(found, str) else _json_text(found)


def json_raw(text: Value, *path: Value) -> str | None:
    """As `->`: JSON."""
    there, found = _at(text, path)
    return _json_text(found) if there else None


def json_get(text: Value, *path: Value) -> Value:
    """A scalar as itself, anything else as JSON."""
    found = _at(text, path)[1]
    return _json_text(cast(object, found)) if isinstance(found, dict | list) else found


def _typed(*types: type) -> Callable[..., Value]:
    def get(text: Value, *path: Value) -> Value:
        found = _at(text, path)[1]
        return found if type(found) in types else None

    return get


def json_list(text: Value, *path: Value) -> str | None:
    found = _at(text, path)[1]
    return _json_text([_json_text(each) for each in cast(list[Any], found)]) if isinstance(found, list) else None


def json_length(text: Value, *path: Value) -> int | None:
    found = _at(text, path)[1]
    return len(cast(list[Any], found)) if isinstance(found, list | dict) else None


def json_keys(text: Value, *path: Value) -> str | None:
    found = _at(text, path)[1]
    return _json_text(list(cast(JsonObject, found))) if isinstance(found, dict) else None


def _items(array: str) -> list[Any]:
    return msgspec.json.decode(array)


_STRICT: dict[str, Callable[..., Value]] = {
    "pg_like": like,
    "pg_similar": similar,
    "pg_matches": matches,
    "regexp_replace": regexp_replace,
    "regexp_match": regexp_match,
    "regexp_count": lambda text, pattern: len(_pattern(pattern, "").findall(text)),
    "split_part": split_part,
    "left": lambda text, count: text[:count],
    "right": lambda text, count: text[-count:] if count > 0 else text[abs(count) :] if count else "",
    "lpad": lambda text, length, fill=" ": _pad(text, length, fill, True),
    "rpad": lambda text, length, fill=" ": _pad(text, length, fill, False),
    "reverse": lambda text: text[::-1],
    "repeat": _repeat,
    "initcap": lambda text: text.title(),
    "starts_with": lambda text, start: int(text.startswith(start)),
    "ends_with": lambda text, end: int(text.endswith(end)),
    "translate": translate,
    "to_hex": lambda number: f"{number:x}",
    "md5": lambda value: hashlib.md5(_bytes(value), usedforsecurity=False).hexdigest(),
    "sha256": lambda value: hashlib.sha256(_bytes(value)).digest(),
    "pg_encode": encode,
    "pg_decode": decode,
    "pg_moment": to_moment,
    "pg_iso": lambda ms: times.time_text(round(ms)),
    "pg_iso_date": lambda ms: times.date_text(round(ms)),
    "pg_iso_duration": lambda ms: times.iso_duration(round(ms)),
    "pg_add_months": moments.add_months,
    "pg_trunc": lambda ms, unit: moments.trunc(unit, ms),
    "pg_bin": lambda ms, step, origin: moments.bin_of(step, ms, origin),
    "pg_part": lambda ms, unit: moments.part(unit, ms),
    "pg_json_text": json_text,
    "pg_json_raw": json_raw,
    "pg_json_get": json_get,
    "pg_json_str": _typed(str),
    "pg_json_int": _typed(int),
    "pg_json_float": _typed(float, int),
    "pg_json_bool": _typed(bool),
    "pg_json_list": json_list,
    "pg_json_length": json_length,
    "pg_json_keys": json_keys,
    "pg_json_contains": lambda text, *path: int(_at(text, path)[0]),
    "pg_item": lambda array, position: next(iter(_items(array)[position - 1 : position]), None) if position else None,
    "pg_has": lambda array, value: int(value in _items(array)),
    "array_to_string": lambda array, separator: separator.join(_text(item) for item in _items(array)),
    "array_length": lambda array, _=1: len(_items(array)),
}
_LENIENT: dict[str, Callable[..., Value]] = {
    "greatest": lambda *values: max((value for value in values if value is not None), default=None),
    "least": lambda *values: min((value for value in values if value is not None), default=None),
}


# ---- aggregates ----


class _First:
    """The value of the row that comes first: of those that have the least key, or of any if there is no key."""

    def __init__(self) -> None:
        self._rows = 0
        self._key: Value = None
        self._value: Value = None

    def step(self, value: Value, key: Value = 0, backwards: int = 0) -> None:
        ahead = self._key is None or (key is not None and (key > self._key if backwards else key < self._key))
        if not self._rows or ahead:
            self._key, self._value = key, value
        self._rows += 1

    def final(self) -> Value:
        return self._value


class _Values:
    """Gathers numbers for a figure that needs them all."""

    def __init__(self, figure: Callable[[list[float], float], Value], least: int = 1) -> None:
        self._figure = figure
        self._least = least
        self._values: list[float] = []
        self._argument = 0.0

    def step(self, value: Value, argument: float = 0.0) -> None:
        if value is not None:
            self._values.append(value)
            self._argument = argument

    def final(self) -> Value:
        return self._figure(self._values, self._argument) if len(self._values) >= self._least else None


def _percentile(values: list[float], share: float) -> float:
    values = sorted(values)
    place = min(max(share, 0.0), 1.0) * (len(values) - 1)
    low, rest = math.floor(place), place % 1
    return values[low] + (values[min(low + 1, len(values) - 1)] - values[low]) * rest


_AGGREGATES: dict[str, Callable[[], Any]] = {
    "pg_first": _First,
    "median": lambda: _Values(lambda values, _: statistics.median(values)),
    "pg_percentile": lambda: _Values(_percentile),
    "stddev": lambda: _Values(lambda values, _: statistics.stdev(values), 2),
    "stddev_pop": lambda: _Values(lambda values, _: statistics.pstdev(values)),
    "variance": lambda: _Values(lambda values, _: statistics.variance(values), 2),
}

BROKEN = (DecodeError, ValueError, TypeError, OverflowError)
"""What a function raises for values that it cannot read."""
