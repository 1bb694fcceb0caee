"""The runs that an attempt executes right now.

One that is to be tried again ends the attempt, and with it all others; so it waits until they have their results, or
have failed too. What they have done, and paid for, is recorded by then.
"""

import asyncio
from asyncio import AbstractEventLoop
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from perdure.protocol import wire_pb2 as pb
from perdure.sdk.failures import error_message
from perdure.sdk.proposals import Result
from perdure.sdk.tasks import start

Execution: TypeAlias = Callable[[], Coroutine[Any, Any, Result | pb.ErrorMessage]]
"""Executes a run: gives its result, or the error that the attempt is to fail with."""


class Executions:
    """Executes the runs of one attempt: `on_result` is given each result, `on_failure` the error that ends it."""

    __slots__ = ("_failed_at", "_failure", "_loop", "_on_failure", "_on_result", "_tasks")

    def __init__(
        self,
        loop: AbstractEventLoop,
        on_result: Callable[[int, Result], None],
        on_failure: Callable[[pb.ErrorMessage], None],
    ) -> None:
        self._loop = loop
        self._on_result = on_result
        self._on_failure = on_failure
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._failure: pb.ErrorMessage | None = None  # the first one's
        self._failed_at = 0.0

    @property
    def under_way(self) -> bool:
        """Whether any run is being executed."""
        return bool(self._tasks)

    def launch(self, handle: int, execution: Execution) -> None:
        """Executes a run as a task of its own."""
        self._tasks[handle] = start(self._loop, self._execute(handle, execution))

    def drop(self) -> None:
        """Cancels all runs; nobody is told of their results any more."""
        tasks, self._tasks = self._tasks, {}
        self._failure = None
        for task in tasks.values():
            task.cancel()

    async def _execute(self, handle: int, execution: Execution) -> None:
        try:
            outcome = await execution()
        except BaseException as error:
            self._ended(handle, error_message(error))
            if isinstance(error, asyncio.CancelledError):
                raise  # the task itself was cancelled; a SystemExit would end the loop
        else:
            self._ended(handle, outcome)

    def _ended(self, handle: int, outcome: Result | pb.ErrorMessage) -> None:
        if self._tasks.pop(handle, None) is None or self._loop.is_closed():
            return
        if not isinstance(outcome, pb.ErrorMessage):
            self._on_result(handle, outcome)
        elif self._failure is None:
            self._failure = outcome
            self._failed_at = self._loop.time()
        if self._failure is not None and not self._tasks:
            failure, self._failure = self._failure, None
            if failure.HasField("next_retry_delay"):
                waited_ms = int((self._loop.time() - self._failed_at) * 1000)
                failure.next_retry_delay = max(0, failure.next_retry_delay - waited_ms)
            self._on_failure(failure)
