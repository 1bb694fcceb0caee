"""Timers fire in order, whether they are in memory, on disk, or on their way there."""

from bisect import bisect_right, insort
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.engine import timers as module
from perdure.engine.timers import Timer, Timers


class Disk:
    def __init__(self) -> None:
        self.timers: list[Timer] = []

    def load(self, cursor: Timer, limit: int) -> Sequence[Timer]:
        start = bisect_right(self.timers, cursor)
        return self.timers[start : start + limit]


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=60), st.integers(1, 4))
def test_all_fire_in_order_and_once(steps: list[tuple[int, bool]], window: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "WINDOW", window)
        disk = Disk()
        timers = Timers(disk.load)
        fired: list[Timer] = []
        pending: list[Timer] = []
        now = 0
        for number, (due, advance) in enumerate(steps, 1):
            timer = (now + due, number, 1)
            insort(disk.timers, timer)
            insort(pending, timer)
            timers.add(timer)
            if advance:
                now += due // 2
                assert timers.next_due_ms() == pending[0][0]
                while (popped := timers.pop_due(now)) is not None:
                    assert popped == pending.pop(0)
                    disk.timers.remove(popped)
                    fired.append(popped)
                assert not pending or pending[0][0] > now
        while (popped := timers.pop_due(10**9)) is not None:
            assert popped == pending.pop(0)
            disk.timers.remove(popped)
        assert not pending


def test_retries_are_in_memory_only_and_fire_too() -> None:
    timers = Timers(Disk().load)
    timers.add((5, 1, -7))
    assert timers.pop_due(4) is None
    assert timers.pop_due(5) == (5, 1, -7)
    assert timers.next_due_ms() is None


def test_any_number_of_retries_is_kept() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "WINDOW", 10)
        timers = Timers(Disk().load)
        for number in range(100):
            timers.add((number, number, -1))
        assert [timers.pop_due(1_000) for _ in range(100)] == [(number, number, -1) for number in range(100)]


def test_many_far_timers_stay_on_disk() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "WINDOW", 10)
        disk = Disk()
        timers = Timers(disk.load)
        assert timers.next_due_ms() is None  # an empty disk was looked at: from here on, all is in memory
        for number in range(1_000):
            insort(disk.timers, (1_000 - number, number, 1))
            timers.add((1_000 - number, number, 1))
        assert len(timers) <= 41
        due = [popped[0] for _ in range(1_000) if (popped := timers.pop_due(2_000)) is not None]
        assert due == list(range(1, 1_001))
