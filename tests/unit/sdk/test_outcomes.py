"""Combining by how futures end: who wins is decided by the order of the journal, at once, and again on replay."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from perdure.errors import AllFailed, TerminalError, UsageError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import Envelope, MessageType
from perdure.sdk.context import Context
from perdure.sdk.definition import HandlerDefinition
from perdure.sdk.outcomes import Failed, Succeeded, all_settled, all_succeeded, first_succeeded
from perdure.sdk.service import Service
from tests.unit.sdk.journal_engine import JournalEngine, answer_nothing, completion, signal

HOUR = timedelta(hours=1)


def handler(fn: Any) -> HandlerDefinition:
    service = Service("Test")
    service.handler("run")(fn)
    return service.handlers["run"]


def came(n: int, value: bytes) -> Envelope:
    """The result of the n-th call, counted from 0."""
    return completion(MessageType.CALL_COMPLETION, 2 * n + 2, value)


def failed(n: int, code: int = 500) -> Envelope:
    return completion(MessageType.CALL_COMPLETION, 2 * n + 2, failure=pb.Failure(code=code, message=f"no {n}"))


def calls(ctx: Context, count: int) -> list[Any]:
    return [ctx.generic_call("Other", "run", b"") for _ in range(count)]


async def value_of(fn: Any, calls_made: int, *notifications: Envelope, version: int = 7) -> bytes:
    def answer(engine: JournalEngine, type: int, command: Message) -> Iterable[Envelope]:
        return notifications if len(engine.commands()) == 1 + calls_made else ()

    engine = JournalEngine(handler(fn), answer=answer, version=version)
    engine.begin()
    await engine.ended()
    output = engine.sent[-2].message
    assert isinstance(output, pb.OutputCommandMessage), engine.sent
    assert output.HasField("value"), output
    again = JournalEngine(handler(fn), answer=answer_nothing, version=version)
    again.journal = engine.journal[:-1]
    assert (await again.run()).value == output.value
    return output.value.content


async def test_the_first_success_wins_and_failures_before_it_do_not_count() -> None:
    async def first(ctx: Context) -> str:
        return (await first_succeeded(*calls(ctx, 3))).decode()

    assert await value_of(first, 3, failed(0), came(2, b"two"), came(1, b"one")) == b'"two"'


async def test_when_all_fail_the_error_lists_them() -> None:
    async def first(ctx: Context) -> list[Any]:
        with pytest.raises(AllFailed) as failure:
            await first_succeeded(*calls(ctx, 2))
        error = failure.value
        assert isinstance(error, TerminalError)
        return [error.status_code, error.message, [each.message for each in error.failures]]

    told = b'[%d,"all 2 failed: %d no 0; 404 no 1",["no 0","no 1"]]'
    assert await value_of(first, 2, failed(1, 404), failed(0, 404)) == told % (404, 404)
    assert await value_of(first, 2, failed(1, 404), failed(0, 409)) == told % (500, 409)


async def test_all_values_come_in_the_order_given() -> None:
    async def everything(ctx: Context) -> list[str]:
        one, two, three = await all_succeeded(*calls(ctx, 3))
        return [one.decode(), two.decode(), three.decode()]

    assert await value_of(everything, 3, came(2, b"c"), came(0, b"a"), came(1, b"b")) == b'["a","b","c"]'


async def test_the_first_failure_is_raised_at_once() -> None:
    async def everything(ctx: Context) -> str:
        with pytest.raises(TerminalError, match="no 1") as failure:
            await all_succeeded(*calls(ctx, 3))
        return failure.value.message

    assert await value_of(everything, 3, came(0, b"a"), failed(1)) == b'"no 1"'


async def test_what_came_of_each_is_told_and_no_failure_raised() -> None:
    async def settled(ctx: Context) -> list[str]:
        shown: list[str] = []
        for outcome in await all_settled(*calls(ctx, 3)):
            match outcome:
                case Succeeded(value):
                    shown.append(value.decode())
                case Failed(error):
                    shown.append(error.message)
        return shown

    assert await value_of(settled, 3, failed(1), came(2, b"c"), came(0, b"a")) == b'["a","no 1","c"]'


async def test_what_is_there_already_is_not_waited_for() -> None:
    async def late(ctx: Context) -> list[Any]:
        one, two, three = calls(ctx, 3)
        await all_settled(one, two)
        with pytest.raises(TerminalError, match="no 0"):
            await all_succeeded(one, three)
        return [
            (await first_succeeded(three, one, two)).decode(),
            list(await all_settled()),
            list(await all_succeeded()),
        ]

    assert await value_of(late, 3, failed(0), came(1, b"b")) == b'["b",[],[]]'


async def test_two_waits_for_one_signal_need_two_signals() -> None:
    async def both(ctx: Context) -> list[int]:
        one, two = ctx.signal("go", type_hint=int), ctx.signal("go", type_hint=int)
        timer = ctx.sleep(HOUR)
        first, second, _ = await all_succeeded(one, two, timer)
        return [first, second]

    timer = completion(MessageType.SLEEP_COMPLETION, 1)
    assert await value_of(both, 1, signal("go", b"1"), timer, signal("go", b"2")) == b"[1,2]"


async def test_none_to_choose_from_is_refused() -> None:
    with pytest.raises(UsageError, match="at least one"):
        first_succeeded()


async def test_a_plain_handler_blocks_for_them() -> None:
    def plain(ctx: Context) -> list[Any]:
        one, two = calls(ctx, 2)
        settled = all_settled(one, two).result()
        return [first_succeeded(one, two).result().decode(), [type(each).__name__ for each in settled]]

    assert await value_of(plain, 2, failed(0), came(1, b"b")) == b'["b",["Failed","Succeeded"]]'


COMBINATORS = {
    first_succeeded: pb.FIRST_SUCCEEDED_OR_ALL_FAILED,
    all_succeeded: pb.ALL_SUCCEEDED_OR_FIRST_FAILED,
    all_settled: pb.ALL_COMPLETED,
}


@pytest.mark.parametrize("combine", COMBINATORS, ids=lambda combine: combine.__name__)
async def test_an_engine_is_told_what_is_left_to_wait_for(combine: Any) -> None:
    """What is settled, and did not end the wait, is cut off."""

    async def waits(ctx: Context) -> None:
        await combine(*calls(ctx, 3))

    for version in (5, 7):
        engine = JournalEngine(handler(waits), answer=answer_nothing, version=version, half_closed=True)
        engine.begin()
        await engine.ended()
        engine.journal.append(failed(0) if combine is first_succeeded else came(0, b"a"))
        engine.begin()
        suspension = (await engine.ended()).message
        assert isinstance(suspension, pb.SuspensionMessage)
        if version == 5:
            assert (suspension.waiting_completions, suspension.waiting_signals) == ([4, 6], [1])
            continue
        left = pb.Future(waiting_completions=[4, 6], combinator_type=COMBINATORS[combine])
        assert suspension.awaiting_on == pb.Future(
            waiting_signals=[1], combinator_type=pb.FIRST_COMPLETED, nested_futures=[left]
        )


@given(outcomes=st.permutations([(0, True), (1, False), (2, True), (3, False)]), cut=st.integers(5, 9))
def test_the_winner_is_the_journals_first_whatever_was_replayed(outcomes: list[tuple[int, bool]], cut: int) -> None:
    """Results come in any order; after a cut, those that had come are replayed, and the others come again."""
    import asyncio

    async def winners(ctx: Context) -> list[Any]:
        made = calls(ctx, 4)
        first = (await first_succeeded(*made)).decode()
        try:
            await all_succeeded(*made)
        except TerminalError as error:
            return [first, error.message]
        return [first]

    async def check() -> None:
        results = [came(n, b"%d" % n) if succeeded else failed(n) for n, succeeded in outcomes]
        seen: list[bytes] = []
        for replayed in (0, cut - 5):
            engine = JournalEngine(handler(winners), answer=answer_nothing)
            engine.begin()
            for result in results[:replayed]:
                engine.notify(result)
            await asyncio.sleep(0)
            if engine.sent[-1].type != MessageType.END:
                engine.attempt.abort()  # type: ignore[union-attr]
                engine.begin()
                for result in results[replayed:]:
                    engine.notify(result)
                await engine.ended()
            output = next(sent.message for sent in engine.journal if sent.type == MessageType.OUTPUT)
            assert isinstance(output, pb.OutputCommandMessage)
            seen.append(output.value.content)
        first = next(n for n, succeeded in outcomes if succeeded)
        assert seen[0] == seen[1]
        assert seen[0].startswith(b'["%d"' % first)

    asyncio.run(check())
