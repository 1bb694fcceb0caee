"""The invariants can fail: each finds the bug that is planted for it, at the commit at which it shows."""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from unittest.mock import patch

import pytest

from perdure.engine.flow.slots import Slots
from perdure.engine.keys import Keys, Queue
from perdure.engine.ledger import Ledger
from perdure.engine.timers import START, Timer, Timers
from tests.simulation.world import world_of

SEEDS_MAX = 60


def without_retries(add: Callable[[Timers, Timer], None]) -> Callable[[Timers, Timer], None]:
    return lambda timers, timer: None if timer[2] < START else add(timers, timer)


def without_far_timers(add: Callable[[Timers, Timer], None]) -> Callable[[Timers, Timer], None]:
    return lambda timers, timer: None if timer[2] == 1 else add(timers, timer)


def forgetful(_: Callable[..., None]) -> Callable[..., None]:
    return lambda *arguments: None


def hasty(_: Callable[..., bool]) -> Callable[[Keys, Any, int], bool]:
    """Whoever has a key is not asked, and keeps it."""

    def take(keys: Keys, key: Any, number: int) -> bool:
        keys._queues[key] = Queue(number, deque())
        return True

    return take


@pytest.mark.parametrize(
    ("says", "of", "method", "plant"),
    [
        ("backing-off, goes on", Timers, "add", without_retries),
        ("timers is", Timers, "add", without_far_timers),
        ("ready, goes on", Slots, "queue", forgetful),
        ("L2: a key has one holder", Keys, "take", hasty),
        ("L4", Ledger, "touch", lambda touch: lambda ledger, invocation: ledger.keep(invocation)),
    ],
    ids=["a lost retry", "a lost timer", "a lost place in line", "two holders", "rows"],
)
def test_a_planted_bug_is_found(says: str, of: type, method: str, plant: Callable[..., Any]) -> None:
    found: list[str] = []
    with patch.object(of, method, plant(getattr(of, method))):
        while len(found) < SEEDS_MAX and says not in "".join(found[-1:]):
            found.append(violation_of(len(found)))
    assert says in found[-1], found


def violation_of(seed: int) -> str:
    """What the invariants say of a seed."""
    with world_of(seed) as world:
        with suppress(Exception):  # a bug shows in many ways; the invariant's is wanted
            world.run()
        return str(world.violation)[:300]
