"""The functions that SQLite lacks, registered on the connection that answers a query.

They run in the query's own process: what they cost, the engine does not pay. A function that is given null gives null.
"""

# SQLite's values have no types that a checker could know.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from collections.abc import Callable
from typing import Any, Protocol

from google.protobuf.message import DecodeError

from perdure import times
from perdure.server.query import json_values, moments, stored_values, texts
from perdure.server.query.aggregates import AGGREGATES
from perdure.server.query.values import Value

BROKEN = (DecodeError, ValueError, TypeError, OverflowError)
"""What a function raises for values that it cannot read."""


class Connection(Protocol):
    def create_scalar_function(
        self, name: str, callable: Callable[..., Any], numargs: int = -1, *, deterministic: bool = False
    ) -> None: ...

    def create_aggregate_function(self, name: str, factory: Callable[[], Any], numargs: int = -1) -> None: ...


def register(connection: Connection) -> None:
    """All but those that ask the engine."""
    for name, function in _STRICT.items():
        connection.create_scalar_function(name, _strict(function), deterministic=True)
    for name, function in _LENIENT.items():
        connection.create_scalar_function(name, function, deterministic=True)
    for name, aggregate in AGGREGATES.items():
        connection.create_aggregate_function(name, aggregate)


def _strict(function: Callable[..., Value]) -> Callable[..., Value]:
    def checked(*values: Value) -> Value:
        if not values or values[0] is None:
            return None
        return function(*values)

    return checked


def to_moment(value: Value) -> int | None:
    """Text as a moment; a number stays what it is."""
    if isinstance(value, str):
        return moments.parse_moment(value)
    return int(value)


_TIMES: dict[str, Callable[..., Value]] = {
    "pg_moment": to_moment,
    "pg_iso": lambda ms: times.time_text(round(ms)),
    "pg_iso_date": lambda ms: times.date_text(round(ms)),
    "pg_iso_duration": lambda ms: times.iso_duration(round(ms)),
    "pg_add_months": moments.add_months,
    "pg_trunc": lambda ms, unit: moments.trunc(unit, ms),
    "pg_bin": lambda ms, step, origin: moments.bin_of(step, ms, origin),
    "pg_part": lambda ms, unit: moments.part(unit, ms),
}
_STRICT = stored_values.FUNCTIONS | texts.FUNCTIONS | json_values.FUNCTIONS | _TIMES
_LENIENT: dict[str, Callable[..., Value]] = {
    "greatest": lambda *values: max((value for value in values if value is not None), default=None),
    "least": lambda *values: min((value for value in values if value is not None), default=None),
}
