"""Watches code that may await nothing but its context, and reports where it awaits something else.

What comes from elsewhere (a socket, a thread, `asyncio.sleep`) comes at another time on replay, so that what the code
does next, beside others that run at the same time, would no longer follow from the journal.
"""

import asyncio
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import ContextVar
from functools import partial
from typing import Any, Final, TypeVar

from perdure.errors import SdkInternalException

T = TypeVar("T")

_BETWEEN_TASKS: Final = (asyncio.locks.__file__, asyncio.queues.__file__)
"""Locks, events and queues: what they wait for is done by other tasks, which are watched too."""


class DurableWait(asyncio.Future[None]):
    """What a task awaits while it waits for the journal; no other kind of future is the context's."""


class Watch:
    """One piece of code that is watched, with all tasks that it starts.

    `waits_for_own`: whether what a task awaits is a task of the handler, or the end of those that it started itself.
    `report`: is given the coroutine, as it stands at the await that is foreign; it ends the attempt.
    """

    __slots__ = ("_report", "_waits_for_own")

    def __init__(
        self,
        waits_for_own: Callable[[asyncio.Future[Any]], bool],
        report: Callable[[Coroutine[Any, Any, Any]], None],
    ) -> None:
        self._waits_for_own = waits_for_own
        self._report = report

    async def over(self, body: Callable[[], Awaitable[T]]) -> T:
        """Awaits the body under watch. Raises what it raises, or `SdkInternalException` where it was reported."""

        async def awaited() -> T:
            return await body()

        token = watch_var.set(self)
        try:
            return await driven(awaited(), self)
        finally:
            watch_var.reset(token)

    async def over_task(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The same for a task that watched code starts."""
        return await driven(coroutine, self)

    def is_foreign(self, awaited: Any, coroutine: Coroutine[Any, Any, Any]) -> bool:
        """Whether what the coroutine awaits is neither the context's nor that of tasks beside it."""
        if not asyncio.isfuture(awaited) or isinstance(awaited, DurableWait) or self._waits_for_own(awaited):
            return False
        return _innermost_file(coroutine) not in _BETWEEN_TASKS

    def report(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._report(coroutine)


@types.coroutine
def driven(coroutine: Coroutine[Any, Any, T], watch: Watch) -> Generator[Any, Any, T]:
    """Drives a coroutine as its task would, and looks at each thing that it awaits."""
    step: Callable[[], Any] = partial(coroutine.send, None)
    while True:
        try:
            awaited = step()
        except StopIteration as done:
            return done.value
        if watch.is_foreign(awaited, coroutine):
            watch.report(coroutine)
            step = partial(coroutine.throw, SdkInternalException("the attempt ends here; let this exception pass"))
            continue
        try:
            value = yield awaited
        except GeneratorExit:
            coroutine.close()
            raise
        except BaseException as error:  # noqa: BLE001  it is the coroutine's, whatever it is
            step = partial(coroutine.throw, error)
        else:
            step = partial(coroutine.send, value)


def awaited_by(coroutine: Any) -> Any:
    """What a coroutine, or the driver of one, is suspended in; None at the end of the chain."""
    frame = getattr(coroutine, "gi_frame", None)
    if frame is not None:
        return frame.f_locals["coroutine"] if frame.f_code is driven.__code__ else coroutine.gi_yieldfrom
    return getattr(coroutine, "cr_await", None)


def _innermost_file(coroutine: Any) -> str | None:
    file: str | None = None
    while (frame := getattr(coroutine, "cr_frame", None)) is not None:
        file = frame.f_code.co_filename
        coroutine = coroutine.cr_await
    return file


watch_var: ContextVar[Watch | None] = ContextVar("perdure_watch", default=None)
"""What watches the current task."""
