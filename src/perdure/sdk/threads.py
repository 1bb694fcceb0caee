"""Worker threads for plain functions: handlers have theirs, runs have theirs, so that neither starves the other.

The loop's default executor would not do: a handler may block its thread for as long as what it waits for takes.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache
from typing import TypeVar

T = TypeVar("T")

HANDLER_THREADS_MAX = 1024
RUN_THREADS_MAX = 1024


@cache
def _executor(name: str, threads_max: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads_max, thread_name_prefix=f"perdure-{name}")


async def in_handler_thread(function: Callable[[], T]) -> T:
    """Calls a plain handler, in the current context variables."""
    return await _call(_executor("handler", HANDLER_THREADS_MAX), function)


async def in_run_thread(function: Callable[[], T]) -> T:
    """Calls a plain function that a run executes, in the current context variables."""
    return await _call(_executor("run", RUN_THREADS_MAX), function)


async def _call(executor: ThreadPoolExecutor, function: Callable[[], T]) -> T:
    def call() -> tuple[T | None, BaseException | None]:
        try:
            return function(), None
        except BaseException as error:  # noqa: BLE001  handed over as a value: futures refuse StopIteration
            return None, error

    value, error = await asyncio.get_running_loop().run_in_executor(executor, copy_context().run, call)
    if error is not None:
        raise error
    return value  # pyright: ignore[reportReturnType]  the function's own None included
