"""What others wrote and a handler cannot read: a TerminalError (400) that names it, wherever the journal is cut."""

from collections.abc import Callable, Iterable
from typing import Any

import httpx
import msgspec
import pydantic
import pytest
from google.protobuf.message import Message

from perdure.errors import RetryableError, TerminalError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import Envelope, MessageType
from perdure.sdk.context import Context, WorkflowContext
from perdure.sdk.definition import HandlerDefinition
from perdure.sdk.futures import DurableFuture
from perdure.sdk.outcomes import all_settled, all_succeeded, first_succeeded
from perdure.sdk.serde import Serde, read, serde_for
from perdure.sdk.service import Service
from perdure.sdk.workflow import Workflow
from tests.unit.sdk.journal_engine import JournalEngine, callee_id, completion, signal

INT = b"7"

other = Service("Other")
flow = Workflow("Flow")


@other.handler()
async def said(ctx: Context) -> str: ...


def answer_with_ints(engine: JournalEngine, type: int, command: Message) -> Iterable[Envelope]:
    """Whatever is asked, the answer is a number."""
    match command:
        case pb.CallCommandMessage():
            yield callee_id(command.invocation_id_notification_idx)
            yield completion(MessageType.CALL_COMPLETION, command.result_completion_id, INT)
        case pb.AttachInvocationCommandMessage():
            yield completion(MessageType.ATTACH_INVOCATION_COMPLETION, command.result_completion_id, INT)
        case pb.GetPromiseCommandMessage():
            yield completion(MessageType.GET_PROMISE_COMPLETION, command.result_completion_id, INT)
        case pb.PeekPromiseCommandMessage():
            yield completion(MessageType.PEEK_PROMISE_COMPLETION, command.result_completion_id, b'"')
        case pb.RunCommandMessage(name="signals are here"):
            here = sum(entry.type == MessageType.SIGNAL for entry in engine.journal)
            yield from [signal(17, INT), signal("go", INT), signal("go", b'"a word"')][here:]
        case _:
            return


@flow.main()
async def reads_all(ctx: WorkflowContext) -> list[Any]:
    id, awakeable = ctx.awakeable(type_hint=str)
    await ctx.run_typed("signals are here", lambda: 1)
    promise = ctx.promise("verdict", type_hint=str)
    go = ctx.signal("go", type_hint=str)
    seen: list[Any] = []
    for what in (
        awakeable,
        awakeable,  # for the second time
        go,
        promise,
        promise.peek(),
        ctx.service_call(said, None),
        ctx.attach_invocation("inv_1x", type_hint=str),
    ):
        try:
            await what
        except TerminalError as error:
            seen.append([error.status_code, error.message.replace(id, "sign_1...")])
            await ctx.run_typed("caught", lambda: len(seen))
    return [*seen, await ctx.signal("go", type_hint=str)]


WRONG = "Expected `str`, got `int`"
SAID = [
    [400, f"the value of awakeable sign_1... cannot be read: {WRONG}"],
    [400, f"the value of awakeable sign_1... cannot be read: {WRONG}"],
    [400, f"the value of signal 'go' cannot be read: {WRONG}"],
    [400, f"the value of promise 'verdict' cannot be read: {WRONG}"],
    [400, "the value of promise 'verdict' cannot be read: Input data was truncated"],
    [400, f"the result of Other/said cannot be read: {WRONG}"],
    [400, f"the result of invocation inv_1x cannot be read: {WRONG}"],
    "a word",
]
"""The awakeable was asked for twice, and twice it raised."""


@pytest.mark.parametrize("version", [5, 7])
async def test_it_is_caught_and_named_and_again_on_replay(version: int) -> None:
    def engine() -> JournalEngine:
        return JournalEngine(flow.handlers["reads_all"], answer=answer_with_ints, version=version, key="k")

    calm = engine()
    assert msgspec.json.decode((await calm.run()).value.content) == SAID
    for half_closed in (False, True):
        for cut in range(1, len(calm.journal) + 1):
            crashed = engine()
            crashed.half_closed = half_closed
            crashed.journal = calm.journal[:cut]
            assert msgspec.json.decode((await crashed.run()).value.content) == SAID, (half_closed, cut)
            assert crashed.commands() == calm.commands(), (half_closed, cut)


async def test_uncaught_it_ends_the_invocation() -> None:
    async def run(ctx: Context) -> str:
        return await ctx.service_call(said, None)

    output = await JournalEngine(handler(run), answer=answer_with_ints).run()
    assert (output.failure.code, output.failure.message) == (400, SAID[5][1])


async def test_combinators_take_it_for_a_failure() -> None:
    async def run(ctx: Context) -> list[Any]:
        wrong: DurableFuture[Any] = ctx.service_call(said)
        right: DurableFuture[Any] = ctx.generic_call("Other", "said")
        settled = [type(each).__name__ for each in await all_settled(wrong, right)]
        first = await first_succeeded(wrong, right)
        with pytest.raises(TerminalError, match="result of Other/said cannot be read"):
            await all_succeeded(wrong, right)
        return [settled, first.decode(), wrong.has_failed(), ctx.service_call(said, None).has_failed()]

    output = await JournalEngine(handler(run), answer=answer_with_ints).run()
    assert output.value.content == b'[["Failed","Succeeded"],"7",true,false]'


async def test_a_completed_one_says_that_it_has_failed_before_it_is_taken() -> None:
    async def run(ctx: Context) -> list[bool]:
        one, two = ctx.signal("go", type_hint=str), ctx.signal("go", type_hint=str)
        await ctx.run_typed("signals are here", lambda: 1)
        await ctx.run_typed("settle", lambda: 1)
        seen = [one.has_failed(), two.has_failed()]
        with pytest.raises(TerminalError):
            await one
        await two
        return [*seen, two.has_failed()]

    output = await JournalEngine(handler(run), answer=answer_with_ints).run()
    assert output.value.content == b"[true,true,false]"


class Distant(Serde[str]):
    """A serde that asks elsewhere for what it needs."""

    def __init__(self, error: Exception) -> None:
        self.errors = [error]

    def deserialize(self, buf: bytes) -> str:
        if self.errors:
            raise self.errors.pop()
        return "read"

    def serialize(self, obj: str | None) -> bytes:
        return b"..."


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError("no route to the keys"),
        RetryableError("the keys are locked"),
        httpx.ConnectError("no route to the keys"),  # which is no OSError
        MemoryError(),
    ],
)
async def test_what_a_serde_lacks_for_now_is_retried(error: Exception) -> None:
    serde = Distant(error)

    async def run(ctx: Context) -> str:
        return await ctx.attach_invocation("inv_1x", serde)

    engine = JournalEngine(handler(run), answer=answer_with_ints)
    assert (await engine.run(retries_max=1)).value.content == b'"read"'
    assert engine.attempts == 2


class Shape(pydantic.BaseModel):
    sides: int


@pytest.mark.parametrize(
    ("serde", "body"),
    [
        (serde_for(Shape), b'{"sides": "many"}'),
        (serde_for(str), b'"\xff"'),
        (serde_for(Any), b"[" * 100_000),
        (Distant(ValueError("no checksum")), b""),
        (Distant(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")), b""),
    ],
)
def test_whatever_says_that_bytes_are_no_value_is_terminal(serde: Serde[Any], body: bytes) -> None:
    with pytest.raises(TerminalError, match="the value cannot be read: ") as caught:
        read("the value", serde, body)
    assert caught.value.status_code == 400


async def test_a_combination_does_not_wait_for_others_instead() -> None:
    serde = Distant(ConnectionError("no route to the keys"))

    async def run(ctx: Context) -> str:
        _, never = ctx.awakeable()
        return await first_succeeded(ctx.attach_invocation("inv_1x", serde), never)

    engine = JournalEngine(handler(run), answer=answer_with_ints)
    assert (await engine.run(retries_max=1)).value.content == b'"read"'
    assert engine.attempts == 2


@pytest.mark.parametrize("combine", [all_succeeded, all_settled])
async def test_a_combination_of_all_is_retried_too(combine: Callable[..., DurableFuture[Any]]) -> None:
    serde = Distant(RetryableError("the keys are locked"))

    async def run(ctx: Context) -> int:
        return len(await combine(ctx.attach_invocation("inv_1x", serde), ctx.generic_call("Other", "said")))

    engine = JournalEngine(handler(run), answer=answer_with_ints)
    assert (await engine.run(retries_max=1)).value.content == b"2"
    assert engine.attempts == 2


async def test_what_a_handler_wrote_itself_is_retried() -> None:
    serde = Distant(ValueError("written by an older version of this code"))

    async def run(ctx: Context) -> str:
        return await ctx.run("old", lambda: "", serde)

    engine = JournalEngine(handler(run))
    assert (await engine.run(retries_max=1)).value.content == b'"read"'
    assert engine.attempts == 2


def handler(fn: Callable[..., Any]) -> HandlerDefinition:
    service = Service("Test")
    service.handler("run")(fn)
    return service.handlers["run"]
