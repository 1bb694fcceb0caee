"""What a value is: the types of columns and results, with the names that the open interface's schema uses."""

from enum import StrEnum


class Kind(StrEnum):
    """SQLite has few types, so a kind also says how a value is held there."""

    TEXT = "LargeUtf8"
    BINARY = "LargeBinary"
    BOOLEAN = "Boolean"
    """Held as 0 or 1."""
    UINT32 = "UInt32"
    UINT64 = "UInt64"
    """Held as a signed number of the same 64 bits."""
    INT64 = "Int64"
    FLOAT64 = "Float64"
    TIMESTAMP = 'Timestamp(ms, "+00:00")'
    """Held as milliseconds since the epoch; so is a date, of its midnight."""
    DATE = "Date32"
    DURATION = "Duration(ms)"
    """Held as milliseconds."""
    TEXTS = "List(LargeUtf8)"
    """Held as a JSON array, as are numbers."""
    NUMBERS = "List(UInt32)"
    REASON = "reason"
    """Held as an invocation's number: the engine is asked for the sentence when a row leaves the query."""
    NULL = "Null"
    ANY = "Utf8"
    """Not known before the value is: each value is shown as what it is."""


NUMERIC = frozenset({Kind.UINT32, Kind.UINT64, Kind.INT64, Kind.FLOAT64})
MOMENTS = frozenset({Kind.TIMESTAMP, Kind.DATE})
TIMES = MOMENTS | {Kind.DURATION}
LISTS = frozenset({Kind.TEXTS, Kind.NUMBERS})
