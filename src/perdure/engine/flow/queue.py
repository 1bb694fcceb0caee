"""The invocations of one lane that wait for a slot, in order: by urgency, then those that have begun, then by age."""

from functools import cache
from typing import TypeAlias

from perdure.engine.flow.numbers import Numbers

BEGUN, FRESH = 0, 1  # the two kinds: an invocation that has begun goes before the others, and takes no permit of a rate
_PRIORITY_MAX = 100
_NUMBER_BITS = 52
_URGENCY_AT = _NUMBER_BITS + 1  # between number and urgency is the kind

Offers: TypeAlias = tuple[int | None, int | None]
"""How urgent the first invocation is that could start, of those that have begun and of the fresh ones: the smaller the
number, the more urgent; None where none could."""
NOTHING: Offers = (None, None)


class Queue:
    """Where one invocation waits alone, only its standing is kept, a whole number: there may be a million lanes, with
    one invocation in each."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: int | tuple[Numbers, Numbers] | None = None

    def __bool__(self) -> bool:
        waiting = self._waiting
        return any(waiting) if isinstance(waiting, tuple) else waiting is not None

    def counts(self) -> tuple[int, int]:
        """How many invocations wait that have begun, and how many fresh ones."""
        waiting = self._waiting
        if isinstance(waiting, tuple):
            return len(waiting[BEGUN]), len(waiting[FRESH])
        kind = None if waiting is None else _kind(waiting)
        return int(kind == BEGUN), int(kind == FRESH)

    def first(self) -> Offers:
        """How urgent the first invocation of each kind is."""
        waiting = self._waiting
        if isinstance(waiting, tuple):
            begun, fresh = waiting
            return (
                begun.first() >> _URGENCY_AT if begun else None,
                fresh.first() >> _URGENCY_AT if fresh else None,
            )
        return NOTHING if waiting is None else _alone(waiting >> _URGENCY_AT, _kind(waiting))

    def add(self, number: int, priority: int, *, begun: bool) -> bool:
        """An invocation comes to wait; whether it is the first of its kind by that."""
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
        """An invocation waits no longer; whether it did."""
        standing = _standing(number, priority, begun=begun)
        waiting = self._waiting
        if isinstance(waiting, tuple):
            return waiting[BEGUN if begun else FRESH].remove(standing)
        if waiting != standing:
            return False
        self._waiting = None
        return True

    def pop(self, *, begun: bool) -> int:
        """The first invocation of a kind, which waits no longer; there must be one."""
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
        """How many invocations go before one that waits here."""
        standing = _standing(number, priority, begun=begun)
        waiting = self._waiting
        return sum(numbers.before(standing) for numbers in waiting) if isinstance(waiting, tuple) else 0

    def take_over(self, other: "Queue") -> None:
        """All invocations that wait in the other queue wait here; the other is not used any more."""
        self._waiting = other._waiting


@cache
def _alone(urgency: int, kind: int) -> Offers:
    """The offers of a queue in which one invocation waits: the same object for all that are equal, to save memory."""
    return (urgency, None) if kind == BEGUN else (None, urgency)


def _standing(number: int, priority: int, *, begun: bool) -> int:
    """The number by which invocations are ordered; from its high bits to the low ones: urgency, kind, age."""
    return (_PRIORITY_MAX - priority) << _URGENCY_AT | (BEGUN if begun else FRESH) << _NUMBER_BITS | number


def _kind(standing: int) -> int:
    return standing >> _NUMBER_BITS & 1
