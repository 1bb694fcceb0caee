"""What a task waits for, read from its chain of awaits: for something in this process, or for something outside.

Time may jump only while nothing outside is on its way. There is no list of that anywhere, but each task says where it
waits: the innermost code of its chain of awaits is a sleep, a lock, the SDK, or somebody's I/O.
"""

import asyncio
import gc
from collections.abc import Iterator
from enum import Enum, auto
from pathlib import Path
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import Any, NamedTuple, cast

import perdure
from perdure.sdk.tasks import is_of_handler


class Wait(Enum):
    INSIDE = auto()
    """For what happens in this process: a timer, another task, the engine."""
    THREAD = auto()
    """For a thread of the SDK's, which runs a plain handler or run."""
    OUTSIDE = auto()
    """For what nobody here knows: I/O, somebody's thread."""


class Waiting(NamedTuple):
    """What a task waits for, and where."""

    wait: Wait
    where: str


_PERDURE = str(Path(perdure.__file__).parent)
_ASYNCIO = str(Path(asyncio.__file__).parent)
_INSTALLED = ("/site-packages/", "/dist-packages/", "\\site-packages\\")
_INSIDE = ("sdk/", "engine/", "testing/", "typed_calls.py", "embedded.py")
_LOCKS = ("locks.py", "queues.py")
_TASKS = ("tasks.py", "taskgroups.py", "timeouts.py")


def waiting_of(task: "asyncio.Task[Any]") -> Waiting:
    """Reads a task that is not running."""
    frames = list(_frames(task.get_coro()))
    if not frames:
        return Waiting(Wait.INSIDE, "")
    return Waiting(_wait_of(task, frames), _where(frames))


def _wait_of(task: "asyncio.Task[Any]", frames: list[FrameType]) -> Wait:
    innermost = frames[-1].f_code
    file = innermost.co_filename
    if file.startswith(_PERDURE):
        inside = Path(file).relative_to(_PERDURE).as_posix()
        if inside == "sdk/threads.py":
            return Wait.THREAD
        if inside.startswith(_INSIDE):
            return Wait.INSIDE
    elif file.startswith(_ASYNCIO):
        name = Path(file).name
        if name == "queues.py" and _is_library(frames[0].f_code.co_filename):
            return Wait.INSIDE  # a library's own worker, which has no work: who gives it some is looked at itself
        if name in _LOCKS and is_of_handler(task):
            return Wait.INSIDE  # whoever opens it, as another task of the framework, is looked at too
        if name in _LOCKS:
            # A lock of user code is opened by user code; one of a library, by what the library waits for.
            user = next((each for each in reversed(frames) if not each.f_code.co_filename.startswith(_ASYNCIO)), None)
            return Wait.OUTSIDE if user is not None and _is_library(user.f_code.co_filename) else Wait.INSIDE
        return Wait.INSIDE if name in _TASKS or innermost.co_name == "serve_forever" else Wait.OUTSIDE
    if innermost.co_qualname.endswith("TaskGroup.__aexit__"):
        return Wait.INSIDE
    return Wait.INSIDE if _is_of_tasks(getattr(task, "_fut_waiter", None)) else Wait.OUTSIDE


def _is_of_tasks(future: Any) -> bool:
    """Whether a future stands for tasks, which are looked at themselves: a task, `gather`, `shield`."""
    if future is None or isinstance(future, asyncio.Task) or hasattr(future, "_children"):
        return True
    callbacks: list[tuple[Any, Any]] = getattr(future, "_callbacks", None) or []
    return any(getattr(callback, "__qualname__", "").startswith("shield.") for callback, *_ in callbacks)


def _is_library(file: str) -> bool:
    return not file.startswith(_PERDURE) and any(part in file for part in _INSTALLED)


def _frames(awaited: Any) -> Iterator[FrameType]:
    """The frames of a chain of awaits, outermost first."""
    while awaited is not None:
        match awaited:
            case CoroutineType():
                frame, awaited = awaited.cr_frame, awaited.cr_await
            case GeneratorType():
                frame, awaited = awaited.gi_frame, cast(Any, awaited).gi_yieldfrom
            case AsyncGeneratorType():
                frame, awaited = awaited.ag_frame, awaited.ag_await
            case _:
                # What wraps one of these says nothing of it, except to the garbage collector.
                wrapped: list[Any] = gc.get_referents(awaited)
                awaited = next(filter(_is_chained, wrapped), None)
                continue
        if frame is not None:
            yield frame


_STEPS = ("async_generator_asend", "async_generator_athrow")
"""A step of an async generator, which `anext` with a default wraps once more. They have no name in Python."""


def _is_chained(wrapped: Any) -> bool:
    return isinstance(wrapped, (CoroutineType, GeneratorType, AsyncGeneratorType)) or type(wrapped).__name__ in _STEPS


def _where(frames: list[FrameType]) -> str:
    """The innermost line of user code."""
    for frame in reversed(frames):
        file = frame.f_code.co_filename
        if not file.startswith((_PERDURE, _ASYNCIO)) and not _is_library(file):
            return f"{file}:{frame.f_lineno}, in {frame.f_code.co_name}"
    frame = frames[-1]
    return f"{frame.f_code.co_filename}:{frame.f_lineno}, in {frame.f_code.co_name}"
