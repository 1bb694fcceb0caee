"""Notices when a handler starts a task of its own: from then on, more than one piece of user code is on its way.

A task factory is the one place where asyncio lets all starts of tasks be seen: `create_task`, `gather`, `wait_for`,
task groups. Ours passes each on to the factory that was there before, and looks only at who starts it.
"""

import asyncio
from asyncio import AbstractEventLoop
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_handlers: dict["asyncio.Task[Any]", Callable[[], None]] = {}
_OURS = "perdure_task_factory"


def start_handler(
    loop: AbstractEventLoop, coroutine: Coroutine[Any, Any, T], on_start: Callable[[], None]
) -> "asyncio.Task[T]":
    """Starts a handler as a task; `on_start` is called when that task starts another."""
    previous = loop.get_task_factory()
    if not hasattr(previous, _OURS):
        loop.set_task_factory(_factory(previous))
    task = start(loop, coroutine)
    _handlers[task] = on_start
    task.add_done_callback(_handlers.pop)
    return task


def start(loop: AbstractEventLoop, coroutine: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
    """Starts a task that the SDK accounts for itself."""
    return asyncio.Task(coroutine, loop=loop)


def _factory(previous: Any) -> Any:  # Any: what a factory takes has grown with Python's versions
    make: Any = _task if previous is None else previous

    def factory(loop: AbstractEventLoop, coroutine: Any, **settings: Any) -> Any:
        starter = asyncio.current_task(loop)
        if starter in _handlers:
            _handlers[starter]()
        return make(loop, coroutine, **settings)

    setattr(factory, _OURS, True)
    return factory


def _task(loop: AbstractEventLoop, coroutine: Any, **settings: Any) -> "asyncio.Task[Any]":
    return asyncio.Task(coroutine, loop=loop, **settings)
