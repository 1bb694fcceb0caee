"""Those of one lane that wait: the more urgent first, then what has begun, then the older."""

from functools import cache
from typing import TypeAlias

from perdure.engine.flow.numbers import Numbers

BEGUN, FRESH = 0, 1  # what has begun goes before what has not, and takes no permits of a rate
_PRIORITY_MAX = 100
_NUMBER_BITS = 52
_URGENCY_AT = _NUMBER_BITS + 1  # between number and urgency is the kind

Offers: TypeAlias = tuple[int | None, int | None]
"""The least urgency number of what could start, of the begun and of the fresh ones."""
NOTHING: Offers = (None, None)


class Queue:
    """One that waits alone is no more than its standing: there may be a million lanes, and one in each."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: int | tuple[Numbers, Numbers] | None = None

    def __bool__(self) -> bool:
        waiting = self._waiting
        return any(waiting) if isinstance(waiting, tuple) else waiting is not None

    def counts(self) -> tuple[int, int]:
        """How many begun and fresh ones wait."""
        waiting = self._waiting
        if isinstance(waiting, tuple):
            return len(waiting[BEGUN]), len(waiting[FRESH])
        kind = None if waiting is None else _kind(waiting)
        return int(kind == BEGUN), int(kind == FRESH)

    def first(self) -> Offers:
        """The urgencies of those that come first."""
        waiting = self._waiting
        if isinstance(waiting, tuple):
            begun, fresh = waiting
            return (
                begun.first() >> _URGENCY_AT if begun else None,
                fresh.first() >> _URGENCY_AT if fresh else None,
            )
        return NOTHING if waiting is None else _alone(waiting >> _URGENCY_AT, _kind(waiting))

    def add(self, number: int, priority: int, *, begun: bool) -> bool:
        """Takes one in; whether it is the first of its kind."""
        standing = _standing(number, priority, begun=begun)
        waiting = self._waiting
        if waiting is None:
            self._waiting = standing
            return True
        if isinstance(waiting, int):
            alone = waiting
            self._waiting = waiting = Numbers(), Numbers()
            waiting[_kind(alone)].add(alone)
        numbers = waiting[BEGUN if begun else FRESH]
        numbers.add(standing)
        return numbers.first() == standing

    def remove(self, number: int, priority: int, *, begun: bool) -> bool:
        """Takes one out; whether it was here."""
        standing = _standing(number, priority, begun=begun)
        waiting = self._waiting
        if isinstance(waiting, tuple):
            return waiting[BEGUN if begun else FRESH].remove(standing)
        if waiting != standing:
            return False
        self._waiting = None
        return True

    def pop(self, *, begun: bool) -> int:
        """Takes out the first of a kind; there must be one."""
        waiting = self._waiting
        if isinstance(waiting, tuple):
            standing = waiting[BEGUN if begun else FRESH].pop_first()
        else:
            assert waiting is not None, "nobody waits"
            standing, self._waiting = waiting, None
        return standing & ((1 << _NUMBER_BITS) - 1)

    def holds(self, number: int, priority: int, *, begun: bool) -> bool:
        standing = _standing(number, priority, begun=begun)
        waiting = self._waiting
        return standing in waiting[BEGUN if begun else FRESH] if isinstance(waiting, tuple) else waiting == standing

    def ahead_of(self, number: int, priority: int, *, begun: bool) -> int:
        """How many go before one that is here."""
        standing = _standing(number, priority, begun=begun)
        waiting = self._waiting
        return sum(numbers.before(standing) for numbers in waiting) if isinstance(waiting, tuple) else 0

    def take_over(self, other: "Queue") -> None:
        """All who wait in the other one wait here; the other is not used any more."""
        self._waiting = other._waiting


@cache
def _alone(urgency: int, kind: int) -> Offers:
    """What one that waits alone offers: the same object for all that are equal."""
    return (urgency, None) if kind == BEGUN else (None, urgency)


def _standing(number: int, priority: int, *, begun: bool) -> int:
    """What orders those who wait, from the high bits to the low ones: urgency, kind, age."""
    return (_PRIORITY_MAX - priority) << _URGENCY_AT | (BEGUN if begun else FRESH) << _NUMBER_BITS | number


def _kind(standing: int) -> int:
    return standing >> _NUMBER_BITS & 1
