"""Runs one after another: each has its own tries."""

import perdure
from perdure.testing import Harness


async def test_what_an_earlier_run_needed_is_not_counted_against_the_next() -> None:
    service = perdure.Service("Agents")
    tried = {"a": 0, "b": 0}

    def attempt(name: str) -> int:
        tried[name] += 1
        if tried[name] < 3:
            raise ConnectionError(name)
        return tried[name]

    @service.handler()
    async def both(ctx: perdure.Context) -> list[int]:
        options = perdure.RunOptions[int](max_attempts=3)
        return [await ctx.run_typed(name, attempt, options, name) for name in tried]

    async with Harness(service) as h:
        assert await h.call(both) == [3, 3]


async def test_a_run_is_tried_no_more_often_than_it_says() -> None:
    service = perdure.Service("Agents")
    tried: list[str] = []

    def fails(name: str) -> None:
        tried.append(name)
        raise ConnectionError(name)

    @service.handler()
    async def one(ctx: perdure.Context) -> None:
        await ctx.run_typed("before", lambda: None)
        try:
            await ctx.run_typed("a", fails, perdure.RunOptions(max_attempts=3), "a")
        except perdure.TerminalError:
            await ctx.run_typed("b", fails, perdure.RunOptions(max_attempts=2), "b")

    async with Harness(service) as h:
        sent = await h.send(one)
        assert (await h.outcome(sent)).failure is not None
    assert tried == ["a", "a", "a", "b", "b"]
