"""Aggregates that SQLite lacks."""

import math
import statistics
from collections.abc import Callable
from typing import Any

from perdure.server.query.values import Value


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


AGGREGATES: dict[str, Callable[[], Any]] = {
    "pg_first": _First,
    "median": lambda: _Values(lambda values, _: statistics.median(values)),
    "pg_percentile": lambda: _Values(_percentile),
    "stddev": lambda: _Values(lambda values, _: statistics.stdev(values), 2),
    "stddev_pop": lambda: _Values(lambda values, _: statistics.pstdev(values)),
    "variance": lambda: _Values(lambda values, _: statistics.variance(values), 2),
}
