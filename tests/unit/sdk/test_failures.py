"""Whatever user code raises, and whatever texts it uses, the attempt ends with a terminal message that can be sent."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from perdure.errors import RetryableError, TerminalError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import Envelope, MessageType
from perdure.sdk.capabilities.run_options import RunOptions
from perdure.sdk.context import Context, WorkflowContext
from perdure.sdk.failures import MESSAGE_CHARACTERS_MAX, STACKTRACE_CHARACTERS_MAX, decisive, error_message, failure
from perdure.sdk.serde import Serde
from perdure.sdk.service import Service
from perdure.sdk.workflow import Workflow
from tests.unit.sdk.journal_engine import JournalEngine, answer_nothing

HALF = "half of a character: \ud83d"
HOUR = timedelta(hours=1)


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Unreadable(SyntaxError):
    """traceback cannot format it."""

    def __init__(self) -> None:
        super().__init__("bad", ("file", 1, 1, "text"))
        self.text = 5  # type: ignore[assignment]


def circle() -> Exception:
    error = ValueError("round")
    error.__cause__ = error
    return error


def with_code(code: object) -> Exception:
    return RetryableError("busy", status_code=code)  # type: ignore[arg-type]


ODD: dict[str, Callable[[], BaseException]] = {
    "surrogate": lambda: ValueError(HALF),
    "broken_str": Unspeakable,
    "broken_fields": Unreadable,
    "circle": circle,
    "negative_code": lambda: with_code(-1),
    "huge_code": lambda: with_code(2**70),
    "code_that_is_text": lambda: with_code("429"),
    "delay_that_is_a_number": lambda: RetryableError("busy", retry_after=5),  # type: ignore[arg-type]
    "longest_delay": lambda: RetryableError("busy", retry_after=timedelta.max),
    "an_object_as_message": lambda: RetryableError(Unspeakable()),
    "system_exit": lambda: SystemExit("usage: ..."),
    "keyboard_interrupt": KeyboardInterrupt,
    "generator_exit": GeneratorExit,
    "base_exception": lambda: BaseException("mine"),
    "enormous": lambda: ValueError("x" * 40_000_000),
}


async def ending(fn: Any, service: Service | None = None, **settings: Any) -> Envelope:
    service = service or Service("Test")
    service.handler("run")(fn)
    engine = JournalEngine(service.handlers["run"], answer=answer_nothing, **settings)
    attempt = engine.begin()
    last = await engine.ended()
    assert len(last.message.SerializeToString()) < 64 * 1024
    assert attempt.task is not None
    await asyncio.wait([attempt.task])
    return engine.sent[-2] if last.type == MessageType.END else last


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
async def test_a_handler_that_raises_anything_fails_the_attempt(odd: Callable[[], BaseException]) -> None:
    async def raises(ctx: Context) -> None:
        raise odd()

    assert (await ending(raises)).type == MessageType.ERROR


@pytest.mark.parametrize("name", sorted(ODD.keys() - {"generator_exit"}))
async def test_a_plain_handler_that_raises_anything_fails_the_attempt(name: str) -> None:
    def raises(ctx: Context) -> None:
        raise ODD[name]()

    assert (await ending(raises)).type == MessageType.ERROR


@pytest.mark.parametrize("limits", [RunOptions[None](), RunOptions[None](max_attempts=1)], ids=["retried", "last"])
@pytest.mark.parametrize("plain", [False, True], ids=["coroutine", "thread"])
@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
async def test_a_run_that_raises_anything_ends_the_attempt(
    odd: Callable[[], BaseException], plain: bool, limits: RunOptions[None]
) -> None:
    def step() -> None:
        raise odd()

    async def async_step() -> None:
        raise odd()

    async def runs(ctx: Context) -> None:
        await ctx.run_typed("step", step if plain else async_step, limits)

    last = await ending(runs)
    assert last.type == (MessageType.OUTPUT if limits.max_attempts else MessageType.ERROR)


@pytest.mark.parametrize("in_run", [False, True])
@pytest.mark.parametrize(
    ("raised", "code", "message"),
    [
        (lambda: TerminalError(HALF), 500, "half of a character: ?"),
        (lambda: TerminalError(ValueError("caught")), 500, "caught"),
        (lambda: TerminalError(Unspeakable()), 500, "<Unspeakable whose str() fails>"),
        (lambda: TerminalError("no", status_code=-4), 500, "no"),
        (lambda: TerminalError("no", status_code=2**40), 500, "no"),
        (lambda: TerminalError("no", status_code=418, metadata={HALF: 5}), 418, "no"),  # type: ignore[dict-item]
    ],
    ids=["surrogate", "exception", "broken_str", "negative", "huge", "metadata"],
)
async def test_a_terminal_error_is_terminal_whatever_it_is_made_of(
    raised: Callable[[], TerminalError], code: int, message: str, in_run: bool
) -> None:
    async def refuses(ctx: Context) -> None:
        async def step() -> None:
            raise raised()

        await (ctx.run_typed("step", step) if in_run else step())

    output = (await ending(refuses)).message
    assert isinstance(output, pb.OutputCommandMessage)
    assert (output.failure.code, output.failure.message) == (code, message)


def test_enormous_messages_keep_their_beginning_and_stacks_their_end() -> None:
    assert len(failure("x" * 10**6, 500).message) == MESSAGE_CHARACTERS_MAX
    error = error_message(ValueError("a" * 10**6 + "end"))
    assert error.message.startswith("ValueError: aaa")
    assert (len(error.message), len(error.stacktrace)) == (MESSAGE_CHARACTERS_MAX, STACKTRACE_CHARACTERS_MAX)
    assert error.stacktrace.endswith("end\n")


def test_of_what_a_group_holds_the_terminal_error_decides() -> None:
    terminal, retryable, other = TerminalError("no"), RetryableError("busy"), ValueError("x")
    assert decisive(ExceptionGroup("", [other, retryable, ExceptionGroup("", [terminal])])) is terminal
    assert decisive(ExceptionGroup("", [other, retryable])) is retryable
    assert decisive(ExceptionGroup("", [other])) is None
    wrapped = RuntimeError("wrapped")
    wrapped.__cause__ = ExceptionGroup("", [terminal])
    assert decisive(wrapped) is terminal


async def test_a_serde_that_gives_no_bytes_fails_the_attempt() -> None:
    class Broken(Serde[int]):
        def serialize(self, obj: int | None) -> bytes:
            return "text"  # type: ignore[return-value]

        def deserialize(self, buf: bytes) -> int | None: ...

    async def runs(ctx: Context) -> None:
        async def one() -> int:
            return 1

        await ctx.run_typed("one", one, RunOptions(serde=Broken()))

    error = (await ending(runs)).message
    assert isinstance(error, pb.ErrorMessage)
    assert "Broken.serialize gave a str, not bytes" in error.message


async def test_a_run_that_ended_badly_does_not_keep_its_attempt_from_ending() -> None:
    async def runs(ctx: Context) -> None:
        async def one() -> None:
            await asyncio.sleep(0)

        ctx.run_typed("one", one, RunOptions(max_attempts="three"))  # type: ignore[arg-type]
        ctx.run_typed("two", lambda: 1 / 0, RunOptions(max_attempts="three"))  # type: ignore[arg-type]
        await ctx.sleep(HOUR)

    assert (await ending(runs, half_closed=True)).type == MessageType.ERROR


# ---- texts that no message can hold ----

TEXTS: dict[str, Callable[[WorkflowContext, Any], Any]] = {
    "the name of a run": lambda ctx, text: ctx.run_typed(text, lambda: None),
    "the name of a sleep": lambda ctx, text: ctx.sleep(HOUR, name=text),
    "the name of a signal": lambda ctx, text: ctx.signal(text),
    "the name of a signal that is sent": lambda ctx, text: ctx.resolve_signal("inv_x", text, 1),
    "an invocation id": lambda ctx, text: ctx.attach_invocation(text),
    "an awakeable id": lambda ctx, text: ctx.resolve_awakeable(text, 1),
    "the name of a promise": lambda ctx, text: ctx.promise(text),
    "the name of a state": lambda ctx, text: ctx.get(text),
    "the name of a state that is written": lambda ctx, text: ctx.set(text, 1),
    "the name of a service": lambda ctx, text: ctx.generic_call(text, "run", b""),
    "the name of a handler": lambda ctx, text: ctx.generic_send("A", text, b""),
    "a key": lambda ctx, text: ctx.generic_call("A", "run", b"", key=text),
    "an idempotency key": lambda ctx, text: ctx.generic_call("A", "run", b"", idempotency_key=text),
    "the name of a header": lambda ctx, text: ctx.generic_call("A", "run", b"", headers={text: "x"}),
    "header x": lambda ctx, text: ctx.generic_call("A", "run", b"", headers={"x": text}),
    "a scope": lambda ctx, text: ctx.generic_call("A", "run", b"", scope=text),
    "a limit key": lambda ctx, text: ctx.generic_call("A", "run", b"", scope="s", limit_key=text),
}


@pytest.mark.parametrize("what", TEXTS)
async def test_a_text_that_cannot_be_written_is_refused_by_what_it_is(what: str) -> None:
    for text, why in ((HALF, "UTF-8"), (5, "must be a str")):
        workflow = Workflow("Flow")

        @workflow.main()
        async def uses(ctx: WorkflowContext, text: Any = text) -> None:
            future = TEXTS[what](ctx, text)
            await (future or ctx.sleep(HOUR))

        engine = JournalEngine(workflow.handlers["uses"], answer=answer_nothing, half_closed=True, key="k")
        engine.begin()
        error = (await engine.ended()).message
        assert isinstance(error, pb.ErrorMessage), error
        assert f"UsageError: {what.split(' that ')[0]}" in error.message
        assert why in error.message
