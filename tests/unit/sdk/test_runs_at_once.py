"""Runs that are executed at the same time: what one of them has done is recorded before another's failure ends all."""

import asyncio
from datetime import timedelta

import perdure
from perdure.testing import Harness


async def test_a_failing_run_does_not_cost_what_runs_beside_it() -> None:
    asked: list[str] = []
    service = perdure.Service("Agents")

    async def slow() -> str:
        asked.append("slow")
        await asyncio.sleep(1)
        return "slow"

    async def fails_twice() -> str:
        asked.append("fails")
        if asked.count("fails") < 3:
            raise ConnectionError("the provider is away")
        return "at last"

    @service.handler()
    async def both(ctx: perdure.Context) -> list[str]:
        futures = [ctx.run_typed("slow", slow), ctx.run_typed("fails", fails_twice)]
        return [await each for each in await perdure.gather(*futures)]

    async with Harness(service) as h:
        assert await h.call(both) == ["slow", "at last"]
    assert asked.count("slow") == 1
    assert asked.count("fails") == 3


async def test_the_delay_that_a_provider_asks_for_counts_from_its_answer() -> None:
    service = perdure.Service("Agents")
    tried_at: list[float] = []

    async def slow() -> None:
        await asyncio.sleep(20)

    async def limited() -> str:
        tried_at.append(asyncio.get_running_loop().time())
        if len(tried_at) == 1:
            raise perdure.RetryableError("too many requests", 429, timedelta(seconds=30))
        return "in turn"

    @service.handler()
    async def both(ctx: perdure.Context) -> str:
        futures = [ctx.run_typed("slow", slow), ctx.run_typed("limited", limited)]
        await perdure.gather(*futures)
        return await futures[1]  # type: ignore[return-value]

    async with Harness(service) as h:
        assert await h.call(both) == "in turn"
    assert 30 <= tried_at[1] - tried_at[0] < 31


async def test_two_that_fail_are_both_tried_again() -> None:
    service = perdure.Service("Agents")
    tried = {"a": 0, "b": 0}

    @service.handler()
    async def both(ctx: perdure.Context) -> list[int]:
        def attempt(name: str) -> int:
            tried[name] += 1
            if tried[name] < 2:
                raise ConnectionError(name)
            return tried[name]

        futures = [ctx.run_typed(name, attempt, perdure.RunOptions(), name) for name in tried]
        return [await each for each in await perdure.gather(*futures)]

    async with Harness(service) as h:
        assert await h.call(both) == [2, 2]
