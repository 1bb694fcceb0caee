"""What user code waits for: each wait, and which of them are over when something becomes visible.

Finding the waits for a handle costs the same however many there are. Those that are over at the same time are given in
the order in which they began, which follows from the journal: so does the order in which user code goes on (R1).
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future as ThreadFuture
from typing import Any

from perdure.protocol import wire_pb2 as pb
from perdure.sdk.awaiting import Handle
from perdure.sdk.notifications import Notifications


class Waiter:
    """One piece of user code that waits for handles. `combinator` is None for a single one."""

    __slots__ = ("begun", "combinator", "future", "missing", "task", "unwatched")

    repeats = False
    """Whether it may wait again once its wait is over, and has its handles watched meanwhile."""
    future: "asyncio.Future[None] | ThreadFuture[None]"
    """What the code awaits, or the thread blocks on."""
    task: "asyncio.Task[Any] | None"
    """The task that waits; None where it is a thread."""
    begun: int
    """How many waits had begun before this one."""

    def __init__(self, combinator: "pb.CombinatorType | None", missing: Iterable[Handle]) -> None:
        self.combinator = combinator
        self.missing = dict.fromkeys(missing)
        self.unwatched = list(self.missing)
        """Those of them that `Waits` does not watch yet."""

    def notice_any(self, handles: Iterable[Handle], notifications: Notifications) -> bool:
        """Takes note of handles that became ready; says whether the wait is over."""
        for handle in handles:  # noqa: SIM110  half as long as `any` takes
            if self._notice(handle, notifications):
                return True
        return False

    def _notice(self, handle: Handle, notifications: Notifications) -> bool:
        if handle not in self.missing:
            return False
        combinator = self.combinator
        if combinator is None or combinator == pb.FIRST_COMPLETED:
            return True
        if combinator != pb.ALL_COMPLETED:
            decided_by_failure = combinator == pb.ALL_SUCCEEDED_OR_FIRST_FAILED
            if notifications.failed(handle) == decided_by_failure:
                return True
        del self.missing[handle]
        return not self.missing

    def wake(self, error: BaseException | None = None) -> None:
        if self.future.done():  # its task was cancelled meanwhile
            return
        if error is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(error)


class RepeatedWaiter(Waiter):
    """Waits for any of its handles, again and again: n times for the next of n handles does not cost n * n."""

    __slots__ = ("arrived",)

    repeats = True

    def __init__(self, missing: Iterable[Handle]) -> None:
        super().__init__(pb.FIRST_COMPLETED, missing)
        self.arrived: deque[Handle] = deque()
        """Handles to look at, since something may have come under them. They are not watched."""
        self.look_at_all()

    def look_at_all(self) -> None:
        """Something may have come under any of its handles."""
        self.unwatched.clear()
        self.arrived.extend(list(self.missing))

    def notice_any(self, handles: Iterable[Handle], notifications: Notifications) -> bool:
        self.arrived.extend(handle for handle in handles if handle in self.missing)
        return bool(self.arrived)

    def watch_again(self, handle: Handle) -> None:
        """There is nothing under a handle that was looked at, or no longer."""
        self.unwatched.append(handle)

    def drop(self, handle: Handle) -> None:
        """A handle is waited for no longer."""
        del self.missing[handle]


class Waits:
    """All waits of one attempt; `waiting` has them in the order in which they began."""

    __slots__ = ("_begun", "_by_handle", "waiting")

    def __init__(self) -> None:
        self.waiting: dict[Waiter, None] = {}
        self._by_handle: dict[Handle, dict[Waiter, None]] = {}
        self._begun = 0

    def begin(self, waiter: Waiter) -> None:
        """It waits from now on."""
        waiter.begun = self._begun
        self._begun += 1
        self.waiting[waiter] = None
        self.watch(waiter)

    def watch(self, waiter: Waiter) -> None:
        """It is to take note of what comes under its handles, from now on."""
        for handle in waiter.unwatched:
            if handle in waiter.missing:
                self._by_handle.setdefault(handle, {})[waiter] = None
        waiter.unwatched.clear()

    def end(self, waiter: Waiter) -> None:
        """It waits no longer."""
        del self.waiting[waiter]
        if not waiter.repeats:
            self.forget(waiter)

    def forget(self, waiter: Waiter) -> None:
        """It does not wait, and takes note of nothing any more."""
        by_handle = self._by_handle
        for handle in waiter.missing:
            waiters = by_handle.get(handle)
            if waiters is not None:
                waiters.pop(waiter, None)
                if not waiters:
                    del by_handle[handle]

    def notice(self, handles: Sequence[Handle], notifications: Notifications) -> list[Waiter]:
        """Takes note of handles that became ready. Gives those who wait no longer by that, in the order they began."""
        noticing: dict[Waiter, None] = {}
        for handle in handles:
            if handle in self._by_handle:
                noticing |= self._by_handle.pop(handle)
        if not noticing:
            return []
        over = [each for each in noticing if each.notice_any(handles, notifications) and each in self.waiting]
        for waiter in over:
            self.end(waiter)
        if len(over) > 1:
            over.sort(key=_begun)
        return over

    def look_at_all(self) -> None:
        """More has become visible than was noticed, as happens behind a cancel that waits for the id of a callee."""
        watching = {waiter for waiters in self._by_handle.values() for waiter in waiters}
        for waiter in watching:
            if isinstance(waiter, RepeatedWaiter):
                self.forget(waiter)
                waiter.look_at_all()

    def end_all(self) -> list[Waiter]:
        """All who wait, in the order they began; nobody does any more."""
        ended = list(self.waiting)
        for waiter in ended:
            self.end(waiter)
        return ended


def _begun(waiter: Waiter) -> int:
    return waiter.begun
