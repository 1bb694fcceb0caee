"""Results on the wire, read back by what others read them with."""

from typing import Any

import msgspec
import pyarrow as pa
import pytest
from pyarrow import ipc

from perdure.server.query.kinds import Kind
from perdure.server.query.results import ArrowEncoder, JsonEncoder
from perdure.server.query.translation import Output

KINDS = [kind for kind in Kind if kind is not Kind.REASON]  # that one is a text by then
OUTPUTS = [Output(kind.name.lower(), kind) for kind in KINDS]
ROW: dict[Kind, Any] = {
    Kind.TEXT: "é",
    Kind.BINARY: b"\xff",
    Kind.BOOLEAN: 1,
    Kind.UINT32: 7,
    Kind.UINT64: -1,
    Kind.INT64: -7,
    Kind.FLOAT64: 1.5,
    Kind.TIMESTAMP: 1,
    Kind.DATE: 86_400_000,
    Kind.DURATION: 1500,
    Kind.TEXTS: '["a","b"]',
    Kind.NUMBERS: "[1,2]",
    Kind.NULL: None,
    Kind.ANY: 3,
}
ROWS = [tuple(ROW[kind] for kind in KINDS), (None,) * len(ROW), tuple(ROW[kind] for kind in KINDS)]


def arrow(rows: list[Any]) -> pa.Table:
    encoder = ArrowEncoder(OUTPUTS)
    body = b"".join([*(encoder.rows(rows[n : n + 2]) for n in range(0, len(rows), 2)), encoder.end()])
    return ipc.open_stream(body).read_all()


def test_arrow_has_the_kinds_that_the_open_interface_has() -> None:
    types = {field.name: str(field.type) for field in arrow(ROWS).schema}
    assert types["timestamp"] == "timestamp[ms, tz=+00:00]"
    assert types["duration"] == "duration[ms]"
    assert types["text"] == "large_string"
    assert types["binary"] == "large_binary"
    assert types["uint64"] == "uint64"
    assert types["texts"] == "list<item: large_string>"


def test_arrow_holds_what_was_there_and_what_was_not() -> None:
    first, empty, last = arrow(ROWS).to_pylist()
    assert first == last
    assert set(empty.values()) == {None}
    assert first["uint64"] == 2**64 - 1
    assert first["texts"] == ["a", "b"]
    assert first["boolean"] is True
    assert first["any"] == "3"
    assert first["date"].isoformat() == "1970-01-02"


def test_a_result_without_rows_has_its_schema() -> None:
    table = arrow([])
    assert table.num_rows == 0
    assert len(table.schema) == len(OUTPUTS)


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_json_is_whole_however_it_is_cut(count: int) -> None:
    encoder = JsonEncoder([Output("a", Kind.INT64)])
    body = b"".join([*(encoder.rows([(n,)]) for n in range(count)), encoder.end()])
    assert msgspec.json.decode(body) == {"rows": [{"a": n} for n in range(count)]}


@pytest.mark.parametrize("count", [0, 2])
def test_json_names_the_columns_if_asked(count: int) -> None:
    encoder = JsonEncoder([Output("a", Kind.INT64), Output("b", Kind.TEXT)], named=True)
    body = b"".join([*(encoder.rows([(n, None)]) for n in range(count)), encoder.end()])
    assert msgspec.json.decode(body) == {"rows": [{"a": n} for n in range(count)], "columns": ["a", "b"]}


def test_json_shows_values_as_the_reference_server_does() -> None:
    encoder = JsonEncoder(OUTPUTS)
    [row] = msgspec.json.decode(encoder.rows(ROWS[:1]) + encoder.end())["rows"]
    assert row == {
        "text": "é",
        "binary": "ff",
        "boolean": True,
        "uint32": 7,
        "uint64": 2**64 - 1,
        "int64": -7,
        "float64": 1.5,
        "timestamp": "1970-01-01T00:00:00.001Z",
        "date": "1970-01-02",
        "duration": "PT1.500S",
        "texts": ["a", "b"],
        "numbers": [1, 2],
        "any": 3,
    }
