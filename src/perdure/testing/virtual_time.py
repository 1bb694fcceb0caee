"""Virtual time for an event loop: its clock stands still while anything runs, and jumps to the next timer when nothing
does.

Where a keeper says that something outside is on its way (a request, a thread), the loop waits as any other does, and
the clock goes at the pace of the real one until that is over.
"""

import asyncio
import selectors
import time
from typing import Any, Protocol
from weakref import WeakSet

from perdure.errors import UsageError
from perdure.sdk.progress import run_key_var

_ATTRIBUTE = "_perdure_virtual_time"
_REAL_WAIT_S = 1.0  # how long one real wait may be before the keepers are asked again


class StandsStill(AssertionError):
    """Nothing runs, no timer is set, and somebody still waits."""


class Keeper(Protocol):
    """Somebody who wants time to be virtual, and says when it may jump."""

    def holds(self) -> bool:
        """Whether something outside is on its way, so that time must not jump."""
        ...

    def only_waits(self, task: "asyncio.Task[Any]") -> bool:
        """Whether a task is known to have a thread that waits for what happens in this loop."""
        ...

    def waited(self, real_s: float) -> None:
        """Told how long it has been held by now, in real time."""
        ...

    def stands_still(self) -> bool:
        """Asked before each jump, and where there is no timer to jump to; true if whoever waits was told."""
        ...


class VirtualTime:
    """The clock of one loop. It is virtual for as long as it has a keeper, and goes on from there with real time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        selector = getattr(loop, "_selector", None)
        if not isinstance(loop, asyncio.BaseEventLoop) or selector is None:
            raise UsageError(
                f"time cannot be virtual in a {type(loop).__module__}.{type(loop).__qualname__}: use asyncio's own "
                "event loop in tests (with pytest-asyncio: no `event_loop_policy` of another library)"
            )
        self._selector: Any = selector
        self._keepers: list[Keeper] = []
        self._settling: list[asyncio.Future[None]] = []
        self._now_s = 0.0
        self._ahead_s = loop.time() - time.monotonic()
        self._forced_until_s = 0.0
        self._held_s = 0.0
        self.jumps = 0
        """How often time has jumped."""
        self.left_by_runs: WeakSet[asyncio.Task[Any]] = WeakSet()
        """Tasks that a run has started, and these in turn: as they keep a connection open, they may outlive it."""
        self.loop = loop
        if loop.get_task_factory() is None:
            loop.set_task_factory(self._task)
        loop._selector = _Selector(selector, self)  # type: ignore[attr-defined]  # pyright: ignore
        loop.time = self.now_s
        # A timer fires when it is due within this. The real clock's nanosecond is lost in a float after some months,
        # and a timer that is due right now would never fire.
        loop._clock_resolution = 1e-6  # type: ignore[attr-defined]  # pyright: ignore
        setattr(loop, _ATTRIBUTE, self)

    @staticmethod
    def of(loop: asyncio.AbstractEventLoop) -> "VirtualTime":
        """The clock of a loop, which has one from then on.

        Raises:
            UsageError: it is not one of asyncio's own.
        """
        return getattr(loop, _ATTRIBUTE, None) or VirtualTime(loop)

    def now_s(self) -> float:
        """The loop's time."""
        return self._now_s if self._keepers else time.monotonic() + self._ahead_s

    def keep(self, keeper: Keeper) -> None:
        """Time is virtual from here on."""
        if not self._keepers:
            self._now_s = time.monotonic() + self._ahead_s
        self._keepers.append(keeper)

    def let_go(self, keeper: Keeper) -> None:
        """This keeper no longer needs it."""
        self._keepers.remove(keeper)
        if not self._keepers:
            self._ahead_s = self._now_s - time.monotonic()

    def begin_at(self, now_s: float) -> None:
        """Sets the clock; for a loop in which nothing was started yet."""
        self._now_s = now_s

    def _task(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **settings: Any) -> "asyncio.Task[Any]":
        task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **settings)
        if run_key_var.get() is not None or asyncio.current_task(loop) in self.left_by_runs:
            self.left_by_runs.add(task)
        return task

    def only_waits(self, task: "asyncio.Task[Any]") -> bool:
        """Whether one of the keepers knows that a task's thread waits for what happens in this loop."""
        return any(keeper.only_waits(task) for keeper in self._keepers)

    async def settle(self) -> None:
        """Returns when all has happened that can happen without time passing."""
        future: asyncio.Future[None] = self.loop.create_future()
        self._settling.append(future)
        await future

    async def advance(self, seconds: float) -> None:
        """Lets that much time pass at once, whatever is on its way outside, with all that falls due in it."""
        self._forced_until_s = max(self._forced_until_s, self._now_s + seconds)
        await asyncio.sleep(seconds)
        await self.settle()

    def select(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        """What the loop waits with, once it has nothing to do."""
        if not self._keepers:
            return self._selector.select(timeout)
        events = self._selector.select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        if self._now_s >= self._forced_until_s and any(keeper.holds() for keeper in self._keepers):
            return self._wait(timeout)
        self._held_s = 0.0
        if self._settling:
            settling, self._settling = self._settling, []
            for future in settling:
                if not future.done():
                    future.set_result(None)
            return []
        if any(keeper.stands_still() for keeper in self._keepers):
            return []
        if timeout is None:
            return self._wait(None)
        self._now_s += timeout
        self.jumps += 1
        return []

    def _wait(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        """In real time, as any loop."""
        started = time.monotonic()
        events = self._selector.select(_REAL_WAIT_S if timeout is None else min(timeout, _REAL_WAIT_S))
        waited_s = time.monotonic() - started
        self._now_s += waited_s
        self._held_s += waited_s
        for keeper in self._keepers:
            keeper.waited(self._held_s)
        return events


class _Selector:
    """What the loop takes for its selector."""

    def __init__(self, selector: Any, virtual: VirtualTime) -> None:
        self._selector = selector
        self._virtual = virtual

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return self._virtual.select(timeout)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._selector, name)
