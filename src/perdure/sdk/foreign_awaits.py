"""Watches code that may await nothing but its context, and reports where it awaits something else.

What comes from elsewhere (a socket, a thread, `asyncio.sleep`) comes at another time on replay, so that what the code
does next, beside others that run at the same time, would no longer follow from the journal.
"""

import asyncio
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from types import FrameType
from typing import Any, Final, TypeVar

T = TypeVar("T")

_BETWEEN_TASKS: Final = (asyncio.locks.__file__, asyncio.queues.__file__, asyncio.taskgroups.__file__)
"""Locks, events, queues, groups: what they wait for is done by other tasks, which are watched too. (That nobody else
opens them, such as a timer of the loop, is not seen.)"""


class DurableWait(asyncio.Future[None]):
    """What a task awaits while it waits for the journal; no other kind of future is the context's."""


class Watch:
    """One piece of code that is watched, with all tasks that it starts.

    `owns`: whether a task is one of the handler's.
    `report`: gives what is raised at a foreign await. It is given the coroutine that awaits; then the body, if that
    awaits a task of the coroutine, for users may know the line there only.
    """

    __slots__ = ("_body", "_owns", "_report", "awaited")

    def __init__(
        self,
        owns: Callable[[asyncio.Task[Any]], bool],
        report: Callable[[Sequence[Coroutine[Any, Any, Any]]], BaseException],
    ) -> None:
        self._owns = owns
        self._report = report
        self._body: Coroutine[Any, Any, Any] | None = None
        self.awaited = False
        """Whether the body has awaited anything so far, so that others may have run meanwhile."""

    async def over(self, body: Callable[[], Awaitable[T]]) -> T:
        """Awaits the body under watch. Raises what it raises, or what `report` gave."""

        async def awaited() -> T:
            return await body()

        self._body = awaited()
        token = watch_var.set(self)
        try:
            return await driven(self._body, self)
        finally:
            watch_var.reset(token)

    async def over_task(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The same for a task that watched code starts."""
        return await driven(coroutine, self)

    def is_foreign(self, awaited: Any, coroutine: Coroutine[Any, Any, Any]) -> bool:
        """Whether what the coroutine awaits is neither the context's nor that of tasks beside it."""
        if not asyncio.isfuture(awaited) or not self._comes_from_elsewhere(awaited):
            return False
        frame = _innermost(coroutine)
        if frame is None:
            return True
        code = frame.f_code
        if code.co_filename in _BETWEEN_TASKS or code.co_qualname.endswith("TaskGroup.__aexit__"):  # anyio's, too
            return False
        waited_for = _waited_for(frame)  # `asyncio.wait` and `wait_for` await a future of their own
        return not waited_for or any(map(self._comes_from_elsewhere, waited_for))

    def _comes_from_elsewhere(self, future: asyncio.Future[Any]) -> bool:
        if future.done():
            return False
        if isinstance(future, asyncio.Task):
            return not self._owns(future)
        parts = _parts(future)
        return any(map(self._comes_from_elsewhere, parts)) if parts else not isinstance(future, DurableWait)

    def report(self, coroutine: Coroutine[Any, Any, Any]) -> BaseException:
        """What to raise at a foreign await in this coroutine: the body itself, or that of a task which it awaits."""
        body = self._body
        return self._report([coroutine] if body is None or body is coroutine else [coroutine, body])


@types.coroutine
def driven(coroutine: Coroutine[Any, Any, T], watch: Watch) -> Generator[Any, Any, T]:
    """Drives a coroutine as its task would, and looks at each thing that it awaits."""
    step: Callable[[], Any] = partial(coroutine.send, None)
    while True:
        try:
            awaited = step()
        except StopIteration as done:
            return done.value
        if watch_var.get() is watch and watch.is_foreign(awaited, coroutine):
            step = partial(coroutine.throw, watch.report(coroutine))
            continue
        watch.awaited = True
        try:
            value = yield awaited
        except GeneratorExit:
            coroutine.close()
            raise
        except BaseException as error:  # noqa: BLE001  it is the coroutine's, whatever it is
            step = partial(coroutine.throw, error)
        else:
            step = partial(coroutine.send, value)


@contextmanager
def unwatched() -> Generator[None]:
    """For what a framework awaits of its own accord, as where an agent runs in a tool; its tools are watched again."""
    token = watch_var.set(None)
    try:
        yield
    finally:
        watch_var.reset(token)


def awaited_by(coroutine: Any) -> Any:
    """What a coroutine, or the driver of one, is suspended in; None at the end of the chain."""
    frame = getattr(coroutine, "gi_frame", None)
    if frame is not None:
        return frame.f_locals["coroutine"] if frame.f_code is driven.__code__ else coroutine.gi_yieldfrom
    return getattr(coroutine, "cr_await", None)


def _innermost(coroutine: Any) -> FrameType | None:
    innermost: FrameType | None = None
    while (frame := getattr(coroutine, "cr_frame", None)) is not None:
        innermost = frame
        coroutine = coroutine.cr_await
    return innermost


# Private, but the only way to know of which futures one of asyncio's own is made. What is not recognised is held to
# come from elsewhere.


def _parts(future: asyncio.Future[Any]) -> list[asyncio.Future[Any]]:
    """What `asyncio.gather` and `asyncio.shield` have put into one future."""
    children: list[asyncio.Future[Any]] | None = getattr(future, "_children", None)
    if children is not None:
        return children
    callbacks: list[tuple[Any, Any]] = getattr(future, "_callbacks", None) or []
    shields = [each for each, *_ in callbacks if getattr(each, "__qualname__", "").startswith("shield.")]
    cells: list[Any] = [cell.cell_contents for each in shields for cell in each.__closure__ or ()]
    return [each for each in cells if asyncio.isfuture(each) and each is not future]


def _waited_for(frame: FrameType) -> list[asyncio.Future[Any]]:
    if frame.f_code.co_filename != asyncio.tasks.__file__:
        return []
    held: list[Any] = [frame.f_locals.get("fut"), *(frame.f_locals.get("fs") or ())]
    return [each for each in held if asyncio.isfuture(each)]


watch_var: ContextVar[Watch | None] = ContextVar("perdure_watch", default=None)
"""What watches the current task."""
