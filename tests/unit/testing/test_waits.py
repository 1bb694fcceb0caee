"""What a task is seen to wait for: time may jump only while it is nothing outside of the process."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import pytest

import perdure
from perdure.testing import Harness
from perdure.testing.waits import Wait, waiting_of

_LIBRARY = """
async def works(queue):
    while True:
        await queue.get()

async def asks(event):
    await event.wait()
"""


def library() -> dict[str, Callable[[Any], Coroutine[Any, Any, None]]]:
    """A module that is installed, not the user's own."""
    module: dict[str, Any] = {}
    exec(compile(_LIBRARY, "/venv/lib/site-packages/library.py", "exec"), module)
    return module


async def asked_by_a_user() -> None:
    await library()["asks"](asyncio.Event())


@pytest.mark.parametrize(
    ("waits", "wait"),
    [
        (lambda: library()["works"](asyncio.Queue()), Wait.INSIDE),  # such as LiteLLM's, which logs
        (lambda: library()["asks"](asyncio.Event()), Wait.OUTSIDE),
        (asked_by_a_user, Wait.OUTSIDE),
    ],
    ids=["a worker of a library without work", "a task of a library", "a user's task in a library"],
)
async def test_a_library_waits_for_what_is_outside_but_its_idle_workers_do_not(
    waits: Callable[[], Coroutine[Any, Any, None]], wait: Wait
) -> None:
    task = asyncio.ensure_future(waits())
    await asyncio.sleep(0)
    try:
        assert waiting_of(task).wait is wait
    finally:
        task.cancel()


async def test_a_handler_in_a_librarys_lock_waits_for_its_other_tasks() -> None:
    """As with Pydantic AI, which runs an agent in several tasks that wait for each other."""
    service = perdure.Service("Locked")

    @service.handler()
    async def sleep(ctx: perdure.Context) -> None:
        woken = asyncio.Event()
        waiting = asyncio.ensure_future(library()["asks"](woken))
        await ctx.sleep(timedelta(days=30))
        woken.set()
        await waiting

    began = time.monotonic()
    async with Harness(service) as h:
        await h.call(sleep)
    assert time.monotonic() - began < 50, "it waited for the inactivity timeout"


async def test_a_wait_is_found_behind_an_async_generator_that_is_asked_for_more() -> None:
    async def waits() -> AsyncGenerator[None]:
        await asyncio.sleep(3600)
        yield

    async def asks() -> None:
        async with aclosing(waits()) as generator:
            await anext(generator, None)

    task = asyncio.ensure_future(asks())
    await asyncio.sleep(0)
    try:
        assert waiting_of(task).wait is Wait.INSIDE
    finally:
        task.cancel()
