"""Waits: that many cost no more each than few, and in which order those who wait go on."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.message import Message

from perdure.errors import Cancelled
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import Envelope, MessageType
from perdure.sdk.combinators import as_completed, select
from perdure.sdk.context import Context
from perdure.sdk.futures import DurableFuture
from perdure.sdk.service import Service
from tests.unit.sdk.journal_engine import JournalEngine, callee_id, cancel, completion, signal
from tests.unit.sdk.lines_run import lines_run

HOUR = timedelta(hours=1)
TIMER = MessageType.SLEEP_COMPLETION


async def outcome(fn: Any, *notifications: Envelope, after: int, then: Iterable[Envelope] = ()) -> bytes:
    """What a handler gives to which these come once it has made `after` commands, and others after one more."""

    def answer(engine: JournalEngine, type: int, command: Message) -> Iterable[Envelope]:
        return {after: notifications, after + 1: then}.get(len(engine.commands()) - 1, ())

    service = Service("Test")
    service.handler("run")(fn)
    engine = JournalEngine(service.handlers["run"], answer=answer)
    engine.begin()
    await engine.ended()
    output = engine.sent[-2].message
    assert isinstance(output, pb.OutputCommandMessage), engine.sent
    return output.value.content


async def one_task_each(ctx: Context, count: int) -> None:
    async def one() -> None:
        await ctx.sleep(HOUR)

    await asyncio.gather(*(one() for _ in range(count)))


async def one_task_within_another_each(ctx: Context, count: int) -> None:
    async def one() -> None:
        await ctx.sleep(HOUR)

    async def other() -> None:
        await asyncio.create_task(one())

    await asyncio.gather(*(other() for _ in range(count)))


async def one_select_each(ctx: Context, count: int) -> None:
    async def one() -> None:
        await select(time=ctx.sleep(HOUR), signal=ctx.signal("never"))

    await asyncio.gather(*(one() for _ in range(count)))


async def one_signal_with_a_limit_each(ctx: Context, count: int) -> None:
    async def one(n: int) -> None:
        await ctx.signal(f"signal{n}", timeout=HOUR)

    await asyncio.gather(*(one(n) for n in range(count)))


async def all_as_they_complete(ctx: Context, count: int) -> None:
    async for timer in as_completed(*(ctx.sleep(HOUR) for _ in range(count))):
        await timer


def timer_over(n: int) -> Envelope:
    return completion(TIMER, n + 1)


def signal_here(n: int) -> Envelope:
    return signal(f"signal{n}", b"1")


@pytest.mark.parametrize(
    ("program", "notification"),
    [
        (one_task_each, timer_over),
        (one_task_within_another_each, timer_over),
        (one_select_each, timer_over),
        (one_signal_with_a_limit_each, signal_here),
        (all_as_they_complete, timer_over),
    ],
)
async def test_waiting_for_many_costs_as_much_each_as_for_few(
    program: Callable[[Context, int], Coroutine[Any, Any, None]], notification: Callable[[int], Envelope]
) -> None:
    async def lines_of(count: int) -> int:
        async def run(ctx: Context) -> None:
            await program(ctx, count)

        with lines_run() as lines:
            await outcome(run, *map(notification, reversed(range(count))), after=count)
        return lines.count

    assert await lines_of(320) < 9 * await lines_of(40)


async def test_who_waits_for_the_same_goes_on_in_the_order_of_beginning_to_wait() -> None:
    async def run(ctx: Context) -> list[int]:
        timers: list[DurableFuture[None]] = [ctx.sleep(HOUR) for _ in range(2)]
        seen: list[int] = []

        async def one(n: int) -> None:
            await timers[0]
            seen.append(n)

        async def each(n: int) -> None:
            async for timer in as_completed(*timers):
                await timer
                seen.append(n)

        await asyncio.gather(each(0), one(1), each(2), one(3))
        return seen

    assert await outcome(run, completion(TIMER, 1), completion(TIMER, 2), after=2) == b"[0,1,2,3,0,2]"


async def test_what_completes_while_one_is_dealt_with_comes_in_the_order_given() -> None:
    async def run(ctx: Context) -> list[int]:
        timers: list[DurableFuture[None]] = [ctx.sleep(HOUR) for _ in range(4)]
        seen: list[int] = []
        async for timer in as_completed(*timers):
            seen.append(timers.index(timer))
            if len(seen) == 1:
                await timers[3]
        return seen

    assert await outcome(run, *(completion(TIMER, id) for id in (2, 3, 1, 4)), after=4) == b"[1,0,2,3]"


async def test_a_future_that_is_given_twice_comes_twice() -> None:
    async def run(ctx: Context) -> int:
        timer = ctx.sleep(HOUR)
        return len([each async for each in as_completed(timer, timer)])

    assert await outcome(run, completion(TIMER, 1), after=1) == b"2"


async def test_a_signal_that_another_took_is_waited_for_again() -> None:
    async def run(ctx: Context) -> list[int]:
        mine, others = ctx.signal("go", type_hint=int), ctx.signal("go", type_hint=int)
        seen: list[int] = []

        async def other() -> None:
            seen.append(await others)

        async def each() -> None:
            futures: list[DurableFuture[Any]] = [mine, ctx.sleep(HOUR)]
            seen.extend([await one or 0 async for one in as_completed(*futures)])

        await asyncio.gather(other(), each())
        return seen

    notifications = [signal("go", b"1"), completion(TIMER, 1), signal("go", b"2")]
    assert await outcome(run, *notifications, after=1) == b"[1,0,2]"


async def test_what_became_visible_behind_a_cancel_is_given_too() -> None:
    async def run(ctx: Context) -> list[int]:
        timers: list[DurableFuture[None]] = [ctx.sleep(HOUR), ctx.sleep(HOUR)]
        seen: list[int] = []
        async for timer in as_completed(*timers):
            seen.append(timers.index(timer))
            if len(seen) == 1:
                with pytest.raises(Cancelled):
                    await ctx.generic_call("A", "run")
        return seen

    # the cancel waits until the callee's id has come, and the second timer is over by then
    then = [cancel(), completion(TIMER, 2), callee_id(3)]
    assert await outcome(run, completion(TIMER, 1), after=2, then=then) == b"[0,1]"


async def test_in_a_plain_handler_too_each_comes_as_it_completes() -> None:
    def run(ctx: Context) -> list[Any]:
        timers: list[DurableFuture[None]] = [ctx.sleep(HOUR) for _ in range(3)]
        first = next(iter(as_completed(*timers)))
        rest = [timers.index(each) for each in as_completed(*timers)]
        (rejected,) = as_completed(ctx.signal("go"))
        return [timers.index(first), rest, rejected.has_failed()]

    rejected = signal("go", failure=pb.Failure(code=500, message="rejected"))
    notifications = [*(completion(TIMER, id) for id in (3, 1, 2)), rejected]
    assert await outcome(run, *notifications, after=3) == b"[2,[2,0,1],true]"
