"""The tasks of a handler, and whether one of them is still on its way.

A task factory is the one place where asyncio lets all starts of tasks be seen: `create_task`, `gather`, `wait_for`,
task groups. Ours passes each on to the factory that was there before, and looks only at who starts it.
"""

import asyncio
from asyncio import AbstractEventLoop
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from perdure.sdk.foreign_awaits import watch_var

T = TypeVar("T")

_OURS = "perdure_task_factory"


class HandlerTasks:
    """A handler's own task, and all that it and they start. `on_change` is told when one is started or has ended."""

    __slots__ = ("_going", "_on_change", "_perhaps_on_way", "_woken", "main", "over", "several")

    def __init__(self, on_change: Callable[[], None]) -> None:
        self.main: asyncio.Task[Any] | None = None
        """The handler's own task."""
        self.several = False
        """Whether more than one piece of user code was ever on its way."""
        self.over = False
        """Whether the attempt has ended, so that nobody need ask for what the tasks raise from now on."""
        self._on_change = on_change
        self._going: set[asyncio.Task[Any]] = set()  # those that do not wait for the journal
        self._perhaps_on_way: set[asyncio.Task[Any]] = set()  # of these, all that were not seen to wait for others
        self._woken = False  # whether one that was seen so has gone on since

    def start_main(self, loop: AbstractEventLoop, coroutine: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Starts the handler."""
        previous = loop.get_task_factory()
        if not hasattr(previous, _OURS):
            loop.set_task_factory(_factory(previous))
        task = self.main = start(loop, coroutine)
        _owners[task] = self
        task.add_done_callback(_owners.pop)
        self.goes_on(task)
        return task

    def add(self, task: "asyncio.Task[Any]") -> None:
        """Another task, which runs user code of this handler."""
        self.several = True
        self.goes_on(task)
        _owners[task] = self
        task.add_done_callback(self._finished)
        self._on_change()

    def owns(self, task: "asyncio.Task[Any]") -> bool:
        """Whether it is one of them."""
        return _owners.get(task) is self

    def waits(self, task: "asyncio.Task[Any]") -> None:
        """A task waits for the journal from now on."""
        if task is not self.main and task not in _owners:  # started by a callback: the factory knows not for whom
            self.add(task)
        self._going.discard(task)

    def goes_on(self, task: "asyncio.Task[Any]") -> None:
        """A task does not wait for the journal, or no longer."""
        self._going.add(task)
        self._perhaps_on_way.add(task)

    def on_its_way(self) -> bool:
        """Whether one of them goes on in the loop's next turn, without any event from outside."""
        if self._woken:
            self._woken = False
            return True
        while self._perhaps_on_way:
            task = self._perhaps_on_way.pop()
            if task not in self._going or task.done():
                continue
            blocker = _blocker(task)
            if blocker is None or blocker.done():
                self._perhaps_on_way.add(task)
                return True
            blocker.add_done_callback(partial(self._wakes, task))
        return False

    def _wakes(self, task: "asyncio.Task[Any]", blocker: "asyncio.Future[Any]") -> None:
        self._perhaps_on_way.add(task)
        self._woken = True

    def _finished(self, task: "asyncio.Task[Any]") -> None:
        _owners.pop(task, None)
        self._going.discard(task)
        if not self.over:
            self._on_change()
        elif not task.cancelled():
            task.exception()  # else asyncio would report that nobody asked for what the attempt's end raised in it


_owners: dict["asyncio.Task[Any]", HandlerTasks] = {}


def is_of_handler(task: "asyncio.Task[Any]") -> bool:
    """Whether it is a handler's own task, or one that handler code started; those of its runs are not."""
    return task in _owners


def start(loop: AbstractEventLoop, coroutine: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
    """Starts a task that the SDK accounts for itself."""
    return asyncio.Task(coroutine, loop=loop)


def _blocker(task: "asyncio.Task[Any]") -> "asyncio.Future[Any] | None":
    """What a task waits for; None if it goes on in the loop's next turn."""
    # Private, but the only way to know. Tasks of a foreign factory may lack it: they are held to be blocked until done.
    return getattr(task, "_fut_waiter", task)


def _factory(previous: Any) -> Any:  # Any: what a factory takes has grown with Python's versions
    make: Any = _task if previous is None else previous

    def factory(loop: AbstractEventLoop, coroutine: Any, **settings: Any) -> Any:
        starter = asyncio.current_task(loop)
        if starter not in _owners:
            return make(loop, coroutine, **settings)
        watch = watch_var.get()
        task = make(loop, coroutine if watch is None else watch.over_task(coroutine), **settings)
        _owners[starter].add(task)
        return task

    setattr(factory, _OURS, True)
    return factory


def _task(loop: AbstractEventLoop, coroutine: Any, **settings: Any) -> "asyncio.Task[Any]":
    return asyncio.Task(coroutine, loop=loop, **settings)
