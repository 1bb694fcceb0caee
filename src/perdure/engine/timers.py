"""The due times: the nearest in a heap, the rest on disk until their time comes near.

A timer is (due, invocation number, completion id); completion 0 starts a scheduled invocation. Retries are timers
too, but only in memory, with the negated attempt in place of the completion: after a crash they are not needed.
"""

import heapq
from collections.abc import Callable, Sequence
from typing import TypeAlias

Timer: TypeAlias = tuple[int, int, int]

WINDOW = 10_000
START = 0


class Timers:
    """Timers up to a horizon are in memory; `load` gives the next ones beyond it, in order."""

    def __init__(self, load: Callable[[Timer, int], Sequence[Timer]]) -> None:
        self._load = load
        self._heap: list[Timer] = []
        self._horizon: Timer | None = (-1, 0, 0)  # the last timer taken from disk; None once disk holds no more

    def __len__(self) -> int:
        """How many are in memory."""
        return len(self._heap)

    def add(self, timer: Timer) -> None:
        """Note a timer. One that lies beyond the horizon stays on disk only, where the caller writes it."""
        if self._horizon is None or timer <= self._horizon or timer[2] < START:
            heapq.heappush(self._heap, timer)
            if len(self._heap) > 4 * WINDOW:
                self._spill()

    def next_due_ms(self) -> int | None:
        """When the next timer is due; None if there is none."""
        self._fill()
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now_ms: int) -> Timer | None:
        """The earliest timer if its time has come."""
        self._fill()
        if self._heap and self._heap[0][0] <= now_ms:
            return heapq.heappop(self._heap)
        return None

    def _fill(self) -> None:
        """Take the next window from disk once what is in memory may not be the earliest."""
        while self._horizon is not None and (not self._heap or self._heap[0] > self._horizon):
            window = self._load(self._horizon, WINDOW)
            for timer in window:
                heapq.heappush(self._heap, timer)
            self._horizon = window[-1] if len(window) == WINDOW else None

    def _spill(self) -> None:
        """Leave the far timers to the disk, where they are anyway."""
        ordered = sorted(self._heap)
        self._horizon = [timer for timer in ordered if timer[2] >= START][WINDOW]
        self._heap = [timer for timer in ordered if timer <= self._horizon or timer[2] < START]
