"""A budget: how many attempts one limit lets run at once, and how many begin in a time; which hold its slots, and how
many invocations wait for one."""

from typing import TypeAlias

from perdure.engine.flow.rules import Level, Rate, Rule

_RETRY_MS = 1_000
_RETRY_MS_MAX = 60_000
_NOBODY: dict[int, None] = {}
"""Shared by all budgets of which no attempt idles, which are most where each lane has its own; it stays empty."""


class Gate:
    """Lets through at most `rate`. In whole numbers: times are in units of 1/permits ms, so that a permit costs
    `per_ms` of them, and nothing is lost by rounding.

    `_paid_until` is where the permits given so far would last if they were used up evenly; it may run ahead of now
    by as much as the burst allows.
    """

    __slots__ = ("_paid_until", "rate")

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._paid_until = 0

    def due_ms(self, now_ms: int) -> int:
        """When there is a permit; `now_ms` or earlier if there is one."""
        ahead = (self.rate.at_once - 1) * self.rate.per_ms
        self._follow(now_ms)
        return -((ahead - self._paid_until) // self.rate.permits)

    def permits(self, now_ms: int) -> int:
        """How many there are now."""
        self._follow(now_ms)
        left = now_ms * self.rate.permits + self.rate.at_once * self.rate.per_ms - self._paid_until
        return max(0, left // self.rate.per_ms)

    def take(self, now_ms: int) -> None:
        """Takes a permit; there must be one."""
        self._follow(now_ms)
        self._paid_until += self.rate.per_ms

    def _follow(self, now_ms: int) -> None:
        """What was not used beyond the burst is lost; and a clock that was set back takes no more than the burst."""
        now = now_ms * self.rate.permits
        self._paid_until = min(max(self._paid_until, now), now + self.rate.at_once * self.rate.per_ms)


class Budget:
    """One limit and its use. Only the scheduler changes it.

    `waiting` counts the invocations that need a slot of it and wait, be it for this one or another's, `fresh` those of
    them that have not begun, and `arriving` those that will wait once their row is on disk. `idle` are the attempts
    that hold a slot and only wait for something, the longest first; `leaving` those of them that were asked to give it
    up.
    """

    __slots__ = (
        "arriving",
        "concurrency",
        "fresh",
        "gate",
        "idle",
        "leaving",
        "level",
        "name",
        "open",
        "rule",
        "used",
        "waiting",
    )

    def __init__(self, name: str, level: Level, concurrency: int | None, rule: Rule | None = None) -> None:
        self.name = name
        self.level = level
        self.concurrency = concurrency
        self.rule = rule
        rate = rule.limits.rate if rule is not None else None
        self.gate = Gate(rate) if rate is not None else None
        self.open = True
        self.used = 0
        self.waiting = 0
        self.fresh = 0
        self.arriving = 0
        self.idle = _NOBODY
        self.leaving = _NOBODY

    def idles(self, number: int) -> None:
        """An attempt that holds a slot only waits for something."""
        if self.idle is _NOBODY:
            self.idle = {}
        self.idle[number] = None

    def leaves(self, number: int) -> None:
        """An attempt that idles was asked to give up its slot."""
        if self.leaving is _NOBODY:
            self.leaving = {}
        self.idle.pop(number, None)
        self.leaving[number] = None

    @property
    def full(self) -> bool:
        return self.concurrency is not None and self.used >= self.concurrency

    @property
    def backlog(self) -> int | None:
        return self.rule.limits.backlog if self.rule is not None else None

    def at_rest(self, now_ms: int) -> bool:
        """Whether it can be forgotten, as a new one would be the same: nothing waits, and no slot or permit is used."""
        unused = self.gate is None or self.gate.permits(now_ms) >= self.gate.rate.at_once
        return unused and not (self.used or self.waiting or self.arriving)

    def retry_after_ms(self, now_ms: int) -> int:
        """When somebody who was refused may have more luck: with a rate that is known, else it is a guess."""
        return min(max(_RETRY_MS, self.gate.due_ms(now_ms) - now_ms if self.gate else 0), _RETRY_MS_MAX)

    def would_wait(self, now_ms: int) -> int:
        """How many invocations would wait to begin here if one more came."""
        free = self.concurrency - self.used if self.concurrency is not None else self.fresh + self.arriving + 1
        if self.gate is not None:
            free = min(free, self.gate.permits(now_ms))
        return self.fresh + self.arriving + 1 - max(0, free)


Way: TypeAlias = tuple[Budget, ...]
"""All budgets of which the invocations of a lane need a slot, from the one shared by most to the one shared by fewest.
"""


def used_up(way: Way, *, begun: bool) -> Budget | None:
    """The budget that keeps an invocation from starting, if one does: of several, the one shared by fewest."""
    return next((each for each in reversed(way) if each.full or not (begun or each.open)), None)
