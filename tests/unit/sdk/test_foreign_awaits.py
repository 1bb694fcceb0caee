"""Code that may await nothing but its context: what is let pass, and what is reported, with its line."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

import perdure
from perdure.testing import Harness, StandsStill

Body = Callable[[perdure.Context], Awaitable[str]]


async def step(ctx: perdure.Context, value: str) -> str:
    return await ctx.run_typed(f"step {value}", lambda: value)


async def its_steps(ctx: perdure.Context) -> str:
    return await step(ctx, "a") + await step(ctx, "b")


async def steps_at_once(ctx: perdure.Context) -> str:
    return "".join(await asyncio.gather(step(ctx, "a"), step(ctx, "b")))


async def a_task_group(ctx: perdure.Context) -> str:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(step(ctx, value)) for value in "ab"]
    return "".join(task.result() for task in tasks)


async def a_lock_between_its_tasks(ctx: perdure.Context) -> str:
    lock = asyncio.Lock()

    async def locked(value: str) -> str:
        async with lock:
            return await step(ctx, value)

    return "".join(await asyncio.gather(locked("a"), locked("b")))


async def a_turn_of_the_loop(ctx: perdure.Context) -> str:
    await asyncio.sleep(0)
    return await its_steps(ctx)


async def io_inside_a_step(ctx: perdure.Context) -> str:
    async def slow() -> str:
        await asyncio.sleep(0.01)
        return "ab"

    return await ctx.run_typed("slow", slow)


async def a_shielded_step(ctx: perdure.Context) -> str:
    return await asyncio.shield(its_steps(ctx))


async def whichever_is_first(ctx: perdure.Context) -> str:
    tasks = [asyncio.create_task(step(ctx, value)) for value in "ab"]
    await asyncio.wait(tasks, return_when=asyncio.ALL_COMPLETED)
    return "".join(task.result() for task in tasks)


async def each_as_it_comes(ctx: perdure.Context) -> str:
    tasks = [asyncio.create_task(step(ctx, value)) for value in "ab"]
    return "".join(sorted([await each for each in asyncio.as_completed(tasks)]))


async def tasks_that_have_ended(ctx: perdure.Context) -> str:
    tasks = [asyncio.create_task(step(ctx, value)) for value in "ab"]
    together = asyncio.gather(*tasks)
    await ctx.sleep(timedelta(seconds=1))
    await asyncio.wait([together])
    return "".join(await asyncio.gather(*tasks))


async def within_a_limit(ctx: perdure.Context) -> str:
    return await asyncio.wait_for(its_steps(ctx), 3600)


async def a_task_beside_which_it_sleeps(ctx: perdure.Context) -> str:
    beside = asyncio.create_task(step(ctx, "a"))
    await asyncio.sleep(0.01)  # reported here
    return await beside


async def a_future_beside_a_task(ctx: perdure.Context) -> str:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[str] = loop.create_future()
    beside = asyncio.create_task(step(ctx, "a"))
    loop.call_later(0.01, future.set_result, "ab")
    await asyncio.wait_for(future, 10)  # reported here
    return await beside


async def a_sleep(ctx: perdure.Context) -> str:
    await asyncio.sleep(0.01)  # reported here
    return await its_steps(ctx)


async def a_thread(ctx: perdure.Context) -> str:
    return await asyncio.to_thread(str, "ab")  # reported here


async def a_sleep_in_a_task(ctx: perdure.Context) -> str:
    await asyncio.gather(step(ctx, "a"), asyncio.sleep(0.01))
    return "ab"


async def a_sleep_in_a_task_of_its_own(ctx: perdure.Context) -> str:
    async def napping() -> str:
        await asyncio.sleep(0.01)  # reported here
        return "ab"

    return await asyncio.create_task(napping())


async def a_sleep_that_is_swallowed(ctx: perdure.Context) -> str:
    try:
        await asyncio.sleep(0.01)  # reported here
    except Exception:  # noqa: BLE001  as frameworks do with what tools raise
        return "swallowed"
    return "ab"


def service(body: Body) -> tuple[perdure.Service, Any]:
    tools = perdure.Service("Tools")

    @tools.handler()
    async def call(ctx: perdure.Context) -> str:
        return await ctx.alone("tool 'look up'", lambda: body(ctx))

    return tools, call


FINE = [
    its_steps,
    steps_at_once,
    a_task_group,
    a_lock_between_its_tasks,
    a_turn_of_the_loop,
    io_inside_a_step,
    a_shielded_step,
    whichever_is_first,
    each_as_it_comes,
    within_a_limit,
    tasks_that_have_ended,
]
FOREIGN = [
    a_sleep,
    a_thread,
    a_sleep_in_a_task,
    a_sleep_in_a_task_of_its_own,
    a_sleep_that_is_swallowed,
    a_task_beside_which_it_sleeps,
    a_future_beside_a_task,
]


@pytest.mark.parametrize("body", FINE)
async def test_what_is_the_contexts_passes(body: Body) -> None:
    tools, call = service(body)
    async with Harness(tools) as h:
        assert await h.call(call) == "ab"
        await h.crash_at_every_step(call)


@pytest.mark.parametrize("body", FOREIGN)
async def test_what_comes_from_elsewhere_is_reported(body: Body) -> None:
    tools, call = service(body)
    async with Harness(tools, disable_retries=True) as h:
        with pytest.raises((StandsStill, AssertionError), match="awaits something other than its context") as caught:
            await h.call(call)
    told = str(caught.value)
    assert "tool 'look up'" in told
    if body is not a_sleep_in_a_task:
        assert "test_foreign_awaits.py:" in told


async def test_the_line_is_the_one_that_awaits() -> None:
    tools, call = service(a_sleep)
    line = a_sleep.__code__.co_firstlineno + 1
    async with Harness(tools, disable_retries=True) as h:
        with pytest.raises(AssertionError, match=rf"test_foreign_awaits\.py:{line}\)"):
            await h.call(call)


async def test_a_mismatch_inside_watched_code_names_its_line() -> None:
    names = iter(("first", "second", "third"))

    async def differs(ctx: perdure.Context) -> str:
        return await ctx.run_typed(next(names), lambda: "ab")

    tools, call = service(differs)
    async with Harness(tools, always_replay=True) as h:
        with pytest.raises(StandsStill, match=r"no longer follows its journal") as caught:
            await h.call(call)
    assert f"test_foreign_awaits.py:{differs.__code__.co_firstlineno + 1}" in str(caught.value)


async def test_where_a_library_starts_tasks_the_line_is_still_ones_own() -> None:
    async def as_a_library_does(ctx: perdure.Context) -> str:
        exec(compile(LIBRARY, "<library>", "exec"), namespace := {"asyncio": asyncio})
        return await namespace["fetch"]()

    tools, call = service(as_a_library_does)
    line = as_a_library_does.__code__.co_firstlineno + 2
    async with Harness(tools, disable_retries=True) as h:
        with pytest.raises(AssertionError, match=rf"test_foreign_awaits\.py:{line}\)"):
            await h.call(call)


LIBRARY = """
async def connect():
    await asyncio.sleep(1)

async def fetch():
    await asyncio.create_task(connect())
"""


async def test_a_cancel_ends_code_that_awaits_something_else() -> None:
    cleaned: list[str] = []

    async def body(ctx: perdure.Context) -> str:
        await ctx.run_typed("first", lambda: None)
        try:
            await asyncio.sleep(1)
        except perdure.Cancelled:
            cleaned.append(await ctx.run_typed("clean up", lambda: "cleaned"))
            raise
        return "ab"

    tools, call = service(body)
    async with Harness(tools) as h:
        sent = await h.send(call)
        await h.settle()  # it backs off
        await h.cancel(sent.invocation_id)
        outcome = await h.outcome(sent)
    assert outcome.failure is not None
    assert outcome.failure.code == 409
    assert cleaned == ["cleaned"]
