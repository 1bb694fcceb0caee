"""Combinators: what each gives, when, and in which order."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.message import Message

from perdure.errors import TerminalError, UsageError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import Envelope, MessageType
from perdure.sdk.combinators import as_completed, gather, select, wait_completed
from perdure.sdk.context import Context
from perdure.sdk.service import Service
from tests.unit.sdk.journal_engine import JournalEngine, completion

HOUR = timedelta(hours=1)
TIMER = MessageType.SLEEP_COMPLETION


async def value_of(fn: Any, *notifications: Envelope, after: int = 0) -> bytes:
    """What a handler gives to which these notifications come, once it has made `after` commands."""

    def answer(engine: JournalEngine, type: int, command: Message) -> Iterable[Envelope]:
        return notifications if len(engine.commands()) == 1 + after else ()

    service = Service("Test")
    service.handler("run")(fn)
    engine = JournalEngine(service.handlers["run"], answer=answer)
    engine.begin()
    await engine.ended()
    output = engine.sent[-2].message
    assert isinstance(output, pb.OutputCommandMessage), engine.sent
    assert output.HasField("value"), output
    return output.value.content


async def test_gather_waits_for_all_and_gives_the_futures() -> None:
    async def all_of(ctx: Context) -> list[Any]:
        one, two = ctx.generic_call("A", "run", b""), ctx.sleep(HOUR)
        both = gather(one, two)
        first, second = await both
        assert [first, second] == [one, two] == await both
        with pytest.raises(TerminalError, match="broken"):
            await first
        return [await second, await gather()]

    failure = completion(MessageType.CALL_COMPLETION, 2, failure=pb.Failure(code=500, message="broken"))
    assert await value_of(all_of, completion(TIMER, 3), failure, after=2) == b"[null,[]]"


async def test_select_gives_name_and_value_of_the_first() -> None:
    async def first_of(ctx: Context) -> list[Any]:
        return await select(slow=ctx.sleep(HOUR), quick=ctx.generic_call("A", "run", b"", key="k"))

    called = completion(MessageType.CALL_COMPLETION, 3, b"1")

    async def decoded(ctx: Context) -> list[Any]:
        name, value = await first_of(ctx)
        return [name, value.decode()]

    assert await value_of(decoded, called, completion(TIMER, 1), after=2) == b'["quick","1"]'


async def test_select_raises_what_the_first_failed_with() -> None:
    async def first_of(ctx: Context) -> str:
        with pytest.raises(TerminalError, match="broken"):
            await select(call=ctx.generic_call("A", "run", b""))
        return "raised"

    failure = completion(MessageType.CALL_COMPLETION, 2, failure=pb.Failure(code=500, message="broken"))
    assert await value_of(first_of, failure, after=1) == b'"raised"'


async def test_wait_completed_parts_the_done_from_the_others_in_the_order_given() -> None:
    async def some(ctx: Context) -> list[list[int]]:
        timers = [ctx.sleep(HOUR) for _ in range(3)]
        seen: list[list[int]] = []
        pending = timers
        while pending:
            done, pending = await wait_completed(*pending)
            seen += [[timers.index(one) for one in done], [timers.index(one) for one in pending]]
        assert await wait_completed() == ([], [])
        return seen

    notifications = [completion(TIMER, id) for id in (2, 3, 1)]
    assert await value_of(some, *notifications, after=3) == b"[[1],[0,2],[2],[0],[0],[]]"


async def test_as_completed_gives_each_as_it_completes() -> None:
    async def order(ctx: Context) -> list[int]:
        timers = [ctx.sleep(HOUR) for _ in range(4)]
        return [timers.index(timer) async for timer in as_completed(*timers)]

    assert await value_of(order, *(completion(TIMER, id) for id in (3, 1, 4, 2)), after=4) == b"[2,0,3,1]"


async def test_what_was_completed_before_is_given_at_once() -> None:
    async def late(ctx: Context) -> list[int]:
        timers = [ctx.sleep(HOUR) for _ in range(3)]
        await timers[0]  # sees the notification of the second on its way
        done, _ = await wait_completed(*timers)
        return [timers.index(one) for one in done]

    assert await value_of(late, completion(TIMER, 2), completion(TIMER, 1), completion(TIMER, 3), after=3) == b"[0,1]"


async def test_a_future_can_be_awaited_often_and_by_several_tasks() -> None:
    async def often(ctx: Context) -> list[bytes]:
        call = ctx.generic_call("A", "run", b"")

        async def wait() -> str:
            return (await call).decode()

        return [*await asyncio.gather(wait(), wait()), (await call).decode()]  # type: ignore[list-item]

    assert await value_of(often, completion(MessageType.CALL_COMPLETION, 2, b"1"), after=1) == b'["1","1","1"]'


async def test_only_futures_of_one_context_can_be_combined() -> None:
    async def wrong(ctx: Context) -> None:
        with pytest.raises(UsageError, match="not Future"):
            gather(ctx.sleep(HOUR), asyncio.get_running_loop().create_future())  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="at least one"):
            select()
        others.append(ctx.sleep(HOUR))

    others: list[Any] = []
    await value_of(wrong)

    async def mixed(ctx: Context) -> None:
        with pytest.raises(UsageError, match="one context"):
            gather(ctx.sleep(HOUR), *others)

    await value_of(mixed)


async def test_a_wait_that_is_cancelled_leaves_the_others_in_order() -> None:
    async def with_timeout(ctx: Context) -> list[str]:
        seen: list[str] = []
        slow = asyncio.ensure_future(ctx.sleep(HOUR))
        await asyncio.sleep(0)
        slow.cancel()
        try:
            await slow
        except asyncio.CancelledError:
            seen.append("gave up")
        await ctx.sleep(HOUR)
        return [*seen, "went on"]

    assert await value_of(with_timeout, completion(TIMER, 1), completion(TIMER, 2), after=2) == b'["gave up","went on"]'
