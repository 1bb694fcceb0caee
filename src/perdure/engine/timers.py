"""The due times: the nearest in a heap, the rest on disk until their time comes near.

A timer is (due, invocation number, completion id); completion 0 starts a scheduled invocation, 2^32 kills one. Retries
are timers too, but only in memory, with the negated attempt in place of the completion: after a crash they are not
needed. The timers of an invocation that has ended leave the store at once, and memory when they are due.
"""

import heapq
from collections.abc import Callable, Sequence
from typing import TypeAlias

Timer: TypeAlias = tuple[int, int, int]

WINDOW = 10_000
START = 0
KILL = 2**32  # beyond what a completion id can be


class Timers:
    """Timers up to a horizon are in memory; `load` gives the next ones beyond it, in order."""

    def __init__(self, load: Callable[[Timer, int], Sequence[Timer]]) -> None:
        self._load = load
        self._lasting: list[Timer] = []
        self._retries: list[Timer] = []
        self._horizon: Timer | None = (-1, 0, 0)  # the last timer taken from disk; None once disk holds no more

    def __len__(self) -> int:
        """How many are in memory."""
        return len(self._lasting) + len(self._retries)

    def add(self, timer: Timer) -> None:
        """Note a timer. One that lies beyond the horizon stays on disk only, where the caller writes it."""
        if timer[2] < START:
            heapq.heappush(self._retries, timer)
        elif self._horizon is None or timer <= self._horizon:
            heapq.heappush(self._lasting, timer)
            if len(self._lasting) > 4 * WINDOW:
                self._spill()

    def next_due_ms(self) -> int | None:
        """When the next timer is due; None if there is none."""
        heap = self._earliest()
        return heap[0][0] if heap else None

    def pop_due(self, now_ms: int) -> Timer | None:
        """The earliest timer if its time has come."""
        heap = self._earliest()
        return heapq.heappop(heap) if heap and heap[0][0] <= now_ms else None

    def _earliest(self) -> list[Timer]:
        """The heap that holds the earliest timer; empty if there is none."""
        while self._horizon is not None and (not self._lasting or self._lasting[0] > self._horizon):
            window = self._load(self._horizon, WINDOW)
            for timer in window:
                heapq.heappush(self._lasting, timer)
            self._horizon = window[-1] if len(window) == WINDOW else None
        if self._retries and (not self._lasting or self._retries[0] < self._lasting[0]):
            return self._retries
        return self._lasting

    def _spill(self) -> None:
        """Leave the far timers to the disk, where they are anyway."""
        self._lasting = heapq.nsmallest(WINDOW, self._lasting)
        self._horizon = self._lasting[-1]
