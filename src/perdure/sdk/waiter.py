"""A wait of user code: for what, and whether what has come is enough to wake it."""

import asyncio
from collections.abc import Iterable
from concurrent.futures import Future as ThreadFuture
from typing import Any

from perdure.protocol import wire_pb2 as pb
from perdure.sdk.awaiting import Handle
from perdure.sdk.notifications import Notifications


class Waiter:
    """One piece of user code that waits. `combinator` is None for a single handle."""

    __slots__ = ("combinator", "future", "missing", "task")

    def __init__(
        self,
        combinator: "pb.CombinatorType | None",
        missing: Iterable[Handle],
        future: "asyncio.Future[None] | ThreadFuture[None]",
        task: "asyncio.Task[Any] | None",
    ) -> None:
        self.combinator = combinator
        self.missing = dict.fromkeys(missing)
        self.future = future
        self.task = task

    def notice_any(self, handles: Iterable[Handle], notifications: Notifications) -> bool:
        """Takes note of handles that became ready; says whether the wait is over."""
        return any(self._notice(handle, notifications) for handle in handles)

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
