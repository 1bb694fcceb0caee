"""Results on the wire: JSON as `{"rows": [...]}`, in which null is left out, or a stream of Arrow's IPC format."""

import math
from array import array
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec
import nanoarrow  # pyright: ignore[reportMissingTypeStubs]
from nanoarrow import ipc  # pyright: ignore[reportMissingTypeStubs]

from perdure import times
from perdure.server.query.kinds import LISTS, Kind
from perdure.server.query.translation import Output

na: Any = nanoarrow  # which says nothing of its types
_ipc: Any = ipc
Row = Sequence[Any]
ARROW_TYPE = "application/vnd.apache.arrow.stream"
JSON_TYPE = "application/json"
_DAY_MS = 86_400_000


class Encoder(Protocol):
    """Made for the columns of one result. Called for each batch of rows, then once for the end."""

    def rows(self, rows: Sequence[Row]) -> bytes: ...

    def end(self) -> bytes: ...


def _as_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _as_text(value: Any) -> str:
    return (
        value.decode(errors="replace") if isinstance(value, bytes) else value if isinstance(value, str) else str(value)
    )


def _as_utf8(value: Any) -> bytes:
    return _as_text(value).encode(errors="replace")


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def _whole(show: Callable[[int], str], value: Any) -> Any:
    """A time or duration in writing; what a query made of one may be no number, or no finite one."""
    is_number = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    return show(round(value)) if is_number else _plain(value)


_TO_JSON: dict[Kind, Callable[[Any], Any]] = {
    Kind.BOOLEAN: bool,
    Kind.BINARY: lambda value: _as_bytes(value).hex(),
    Kind.TIMESTAMP: lambda value: _whole(times.time_text, value),
    Kind.DATE: lambda value: _whole(times.date_text, value),
    Kind.DURATION: lambda value: _whole(times.iso_duration, value),
    Kind.UINT64: lambda value: value + 2**64 if isinstance(value, int) and value < 0 else _plain(value),
    Kind.TEXTS: lambda value: msgspec.Raw(_as_bytes(value)),
    Kind.NUMBERS: lambda value: msgspec.Raw(_as_bytes(value)),
}


class JsonEncoder:
    """`named`: the answer also says `columns`, since a column of nulls alone is in no row."""

    def __init__(self, outputs: Sequence[Output], *, named: bool = False) -> None:
        self._columns = [(output.name, _TO_JSON.get(output.kind, _plain)) for output in outputs]
        self._named = named
        self._begun = False

    def rows(self, rows: Sequence[Row]) -> bytes:
        columns = self._columns
        shown = [
            {name: show(value) for (name, show), value in zip(columns, row, strict=True) if value is not None}
            for row in rows
        ]
        text = msgspec.json.encode(shown)[1:-1]
        before = b"," if self._begun and text else b"" if self._begun else b'{"rows":['
        self._begun = True
        return before + text

    def end(self) -> bytes:
        names = msgspec.json.encode([name for name, _ in self._columns])
        after = b'],"columns":' + names + b"}" if self._named else b"]}"
        return after if self._begun else b'{"rows":[' + after


class _Pieces:
    """A file that is only written to, and emptied by whoever passes it on."""

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, data: Any) -> int:
        self._held += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._held)
        self._held.clear()
        return taken


_ARROW: dict[Kind, Any] = {
    Kind.TEXT: na.large_string(),
    Kind.ANY: na.large_string(),
    Kind.NULL: na.large_string(),
    Kind.BINARY: na.large_binary(),
    Kind.BOOLEAN: na.bool_(),
    Kind.UINT32: na.uint32(),
    Kind.UINT64: na.uint64(),
    Kind.INT64: na.int64(),
    Kind.FLOAT64: na.float64(),
    Kind.TIMESTAMP: na.timestamp("ms", timezone="+00:00"),
    Kind.DATE: na.date32(),
    Kind.DURATION: na.duration("ms"),
    Kind.TEXTS: na.list_(na.large_string()),
    Kind.NUMBERS: na.list_(na.uint32()),
}
_CODES = {
    Kind.UINT32: "I",
    Kind.UINT64: "Q",
    Kind.INT64: "q",
    Kind.FLOAT64: "d",
    Kind.TIMESTAMP: "q",
    Kind.DATE: "i",
    Kind.DURATION: "q",
}
_BOUNDS = {"I": (0, 2**32 - 1), "q": (-(2**63), 2**63 - 1), "i": (-(2**31), 2**31 - 1)}


class ArrowEncoder:
    def __init__(self, outputs: Sequence[Output]) -> None:
        self._outputs = outputs
        self._schema: Any = na.struct({output.name: _ARROW[output.kind] for output in outputs})
        self._pieces = _Pieces()
        self._writer: Any = _ipc.StreamWriter.from_writable(self._pieces)
        self._begun = False

    def rows(self, rows: Sequence[Row]) -> bytes:
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(self._outputs)
        children = [_column(output.kind, values) for output, values in zip(self._outputs, columns, strict=True)]
        self._writer.write_array(na.c_array_from_buffers(self._schema, len(rows), [None], children=children))
        self._begun = True
        return self._pieces.take()

    def end(self) -> bytes:
        head = b"" if self._begun else self.rows([])  # the schema is told even where there is no row
        self._writer.close()
        return head + self._pieces.take()


def _column(kind: Kind, values: Sequence[Any]) -> Any:
    """A column as Arrow holds it: a bit a value that says whether it is there, then the values."""
    there = [value is not None for value in values]
    validity = None if all(there) else _bits(there)
    missing = there.count(False)
    arrow = _ARROW[kind]
    if kind is Kind.BOOLEAN:
        return na.c_array_from_buffers(arrow, len(values), [validity, _bits(values)], null_count=missing)
    if kind in LISTS:
        lists: list[list[Any]] = [msgspec.json.decode(value) if value is not None else [] for value in values]
        offsets = array("i", _offsets(lists))
        inner = Kind.TEXT if kind is Kind.TEXTS else Kind.UINT32
        children = [_column(inner, [item for each in lists for item in each])]
        return na.c_array_from_buffers(arrow, len(values), [validity, offsets], children=children, null_count=missing)
    if (code := _CODES.get(kind)) is not None:
        numbers = array(code, [_number(kind, code, value) for value in values])
        return na.c_array_from_buffers(arrow, len(values), [validity, numbers], null_count=missing)
    to_bytes = _as_bytes if kind is Kind.BINARY else _as_utf8
    encoded = [to_bytes(value) if value is not None else b"" for value in values]
    buffers = [validity, array("q", _offsets(encoded)), b"".join(encoded)]
    return na.c_array_from_buffers(arrow, len(values), buffers, null_count=missing)


def _number(kind: Kind, code: str, value: Any) -> Any:
    if value is None:
        return 0
    if kind is Kind.FLOAT64:
        return float(value) if isinstance(value, int | float) else math.nan
    number = round(value) if isinstance(value, int | float) and math.isfinite(value) else 0
    if kind is Kind.UINT64:
        return number % 2**64
    if kind is Kind.DATE:
        number //= _DAY_MS
    low, high = _BOUNDS[code]
    return min(max(number, low), high)


def _bits(flags: Sequence[Any]) -> bytes:
    packed = bytearray((len(flags) + 7) // 8)
    for position, flag in enumerate(flags):
        if flag:
            packed[position >> 3] |= 1 << (position & 7)
    return bytes(packed)


def _offsets(items: Sequence[Any]) -> list[int]:
    offsets = [0]
    for item in items:
        offsets.append(offsets[-1] + len(item))
    return offsets
