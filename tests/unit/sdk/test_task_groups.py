"""Task groups wrap what their tasks raise: cancel, terminal errors, retries and suspension come through."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from perdure.errors import RetryableError, TerminalError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import MessageType
from perdure.sdk.context import Context
from perdure.sdk.definition import HandlerDefinition
from perdure.sdk.service import Service
from tests.unit.sdk.journal_engine import JournalEngine, answer_nothing, cancel

HOUR = timedelta(hours=1)

Piece = Callable[[Context], Awaitable[Any]]


@pytest.fixture(autouse=True)
async def reported() -> AsyncIterator[list[str]]:
    """What asyncio reports of tasks that nobody asked; nothing, at the end of each test."""
    reports: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context["message"]))
    yield reports
    gc.collect()
    assert reports == []


async def naps(ctx: Context) -> None:
    await ctx.sleep(HOUR)


async def naps_in_a_task(ctx: Context) -> None:
    await asyncio.create_task(naps(ctx))


async def naps_in_a_group(ctx: Context) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(naps(ctx))
        group.create_task(naps_in_a_task(ctx))


def grouped(*pieces: Piece) -> HandlerDefinition:
    service = Service("Test")

    @service.handler()
    async def run(ctx: Context) -> str:
        async with asyncio.TaskGroup() as group:
            for piece in pieces:
                group.create_task(piece(ctx))  # type: ignore[arg-type]
        return "done"

    return service.handlers["run"]


NAPPING = [naps, naps_in_a_task, naps_in_a_group]


async def finished(engine: JournalEngine) -> None:
    assert engine.attempt is not None
    assert engine.attempt.task is not None
    await asyncio.wait([engine.attempt.task])


async def test_a_cancel_ends_the_invocation() -> None:
    engine = JournalEngine(grouped(*NAPPING), answer=answer_nothing)
    engine.begin()
    engine.notify(cancel())
    assert (await engine.ended()).type == MessageType.END
    output = engine.sent[-2].message
    assert isinstance(output, pb.OutputCommandMessage)
    assert (output.failure.code, output.failure.message) == (409, "cancelled")
    await finished(engine)


async def test_a_terminal_error_ends_the_invocation() -> None:
    async def refuses(ctx: Context) -> None:
        await asyncio.sleep(0)
        raise TerminalError("no", status_code=403)

    engine = JournalEngine(grouped(naps, refuses, naps_in_a_group), answer=answer_nothing)
    failure = (await engine.run()).failure
    assert (failure.code, failure.message) == (403, "no")
    await finished(engine)


async def test_a_terminal_error_in_a_group_within_a_run_is_its_result() -> None:
    service = Service("Test")

    @service.handler()
    async def run(ctx: Context) -> int:
        async def refuse() -> None:
            raise TerminalError("no", status_code=403)

        async def step() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(refuse())

        try:
            await ctx.run_typed("step", step)
        except TerminalError as error:
            return error.status_code
        return 0

    assert (await JournalEngine(service.handlers["run"]).run()).value.content == b"403"


async def test_a_retryable_error_is_retried_with_its_delay() -> None:
    async def busy(ctx: Context) -> None:
        raise RetryableError("busy", status_code=429, retry_after=timedelta(seconds=3))

    engine = JournalEngine(grouped(naps, busy), answer=answer_nothing)
    engine.begin()
    error = (await engine.ended()).message
    assert isinstance(error, pb.ErrorMessage)
    assert (error.code, error.next_retry_delay) == (429, 3000)
    await finished(engine)


@pytest.mark.parametrize("piece", NAPPING)
async def test_suspension_unwinds_without_a_report(piece: Piece) -> None:
    engine = JournalEngine(grouped(piece, piece), answer=answer_nothing, half_closed=True)
    engine.begin()
    assert (await engine.ended()).type == MessageType.SUSPENSION
    await finished(engine)


async def test_suspension_unwinds_tasks_that_nobody_awaits_without_a_report() -> None:
    service = Service("Test")
    tasks: list[asyncio.Task[None]] = []

    @service.handler()
    async def run(ctx: Context) -> None:
        tasks.extend(asyncio.create_task(piece(ctx)) for piece in NAPPING)
        await ctx.sleep(HOUR)

    engine = JournalEngine(service.handlers["run"], answer=answer_nothing, half_closed=True)
    engine.begin()
    assert (await engine.ended()).type == MessageType.SUSPENSION
    await finished(engine)
    await asyncio.wait(tasks)
    tasks.clear()


async def test_a_group_goes_on_after_suspension() -> None:
    assert (await JournalEngine(grouped(*NAPPING), half_closed=True).run()).value.content == b'"done"'
