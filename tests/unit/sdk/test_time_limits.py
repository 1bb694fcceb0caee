"""Time limits: what does not come in time fails with 408, and does so again wherever the journal is cut."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.message import Message

from perdure.errors import TerminalError, TimedOut, UsageError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import Envelope, MessageType
from perdure.sdk.capabilities.run_options import RunOptions
from perdure.sdk.combinators import gather, select
from perdure.sdk.context import Context, WorkflowContext
from perdure.sdk.definition import HandlerDefinition
from perdure.sdk.outcomes import Failed, Succeeded, all_settled, all_succeeded, first_succeeded
from perdure.sdk.service import Service
from perdure.sdk.workflow import Workflow
from tests.unit.sdk.journal_engine import (
    Answer,
    JournalEngine,
    answer_at_once,
    answer_nothing,
    callee_id,
    completion,
    signal,
)

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


def handler(fn: Any) -> HandlerDefinition:
    service = Service("Test")
    service.handler("run")(fn)
    return service.handlers["run"]


def only_timers(engine: JournalEngine, type: int, command: Message) -> Iterable[Envelope]:
    """Limits are over at once, and nothing else ever answers, but for the ids of callees."""
    match command:
        case pb.SleepCommandMessage():
            yield completion(MessageType.SLEEP_COMPLETION, command.result_completion_id)
        case pb.CallCommandMessage():
            yield callee_id(command.invocation_id_notification_idx, "inv_callee")
        case _:
            return


def everything_but_limits(engine: JournalEngine, type: int, command: Message) -> Iterable[Envelope]:
    return () if isinstance(command, pb.SleepCommandMessage) else answer_at_once(engine, type, command)


async def value_of(fn: Any, answer: Answer = only_timers, version: int = 7) -> bytes:
    output = await JournalEngine(handler(fn), answer=answer, version=version, key="k").run()
    assert output.HasField("value"), output
    return output.value.content


# ---- one after the other: what times out, and what is said ----

flow = Workflow("Flow")


@flow.main()
async def waits_for_all(ctx: WorkflowContext) -> list[Any]:
    async def slow() -> None:
        await asyncio.Event().wait()

    waits: list[Any] = [
        lambda: ctx.generic_call("Other", "run", b"", timeout=SECOND),
        lambda: ctx.awakeable(timeout=SECOND)[1],
        lambda: ctx.promise("approval").value(timeout=2 * SECOND),
        lambda: ctx.signal("go", timeout=SECOND),
        lambda: ctx.attach_invocation("inv_1x", timeout=SECOND / 2),
        lambda: ctx.run_typed("slow", slow, RunOptions(timeout=SECOND / 1000)),
        lambda: ctx.run("slow too", slow, timeout=SECOND / 1000),
    ]
    seen: list[Any] = []
    for wait in waits:
        try:
            await wait()
        except TimedOut as error:
            seen.append([error.status_code, error.message])
    try:
        await gather(ctx.generic_call("Other", "run", b"", timeout=SECOND), ctx.sleep(HOUR))
        match await select(never=ctx.signal("never"), late=ctx.awakeable(timeout=SECOND)[1]):
            case _:
                seen.append("select gave a value")
    except TimedOut:
        seen.append("select")
    settled = await all_settled(ctx.signal("go", timeout=SECOND), ctx.sleep(HOUR))
    return [*seen, [type(outcome).__name__ for outcome in settled]]


SAID = (
    b'[[408,"Other/run gave no result within 1 s"],[408,"an awakeable was not completed within 1 s"],'
    b"[408,\"promise 'approval' was not completed within 2 s\"],[408,\"signal 'go' did not come within 1 s\"],"
    b'[408,"invocation inv_1x did not end within 0.5 s"],[408,"run \'slow\' was not done within 0.001 s"],'
    b'[408,"run \'slow too\' was not done within 0.001 s"],"select",["Failed","Succeeded"]]'
)


@pytest.mark.parametrize("version", [5, 6, 7])
async def test_a_journal_of_limits_cut_at_any_entry_is_continued_the_same_way(version: int) -> None:
    def engine() -> JournalEngine:
        return JournalEngine(flow.handlers["waits_for_all"], answer=only_timers, version=version, key="k")

    calm = engine()
    assert (await calm.run()).value.content == SAID
    for half_closed in (False, True):
        for cut in range(1, len(calm.journal) + 1):
            crashed = engine()
            crashed.half_closed = half_closed
            crashed.journal = calm.journal[:cut]
            output = await crashed.run()
            assert output.value.content == SAID, (half_closed, cut)
            assert crashed.commands() == calm.commands(), (half_closed, cut)


async def test_without_a_timeout_no_timer_is_set() -> None:
    async def untimed(ctx: WorkflowContext) -> None:
        await ctx.generic_call("Other", "run", b"")
        await ctx.run_typed("one", lambda: 1)
        await ctx.attach_invocation("inv_1x")
        ctx.awakeable()

    engine = JournalEngine(handler(untimed), answer=everything_but_limits)
    await engine.run()
    assert not [command for command in engine.commands() if command.startswith("SLEEP")]


async def test_what_comes_in_time_is_given_and_its_timer_changes_nothing_later() -> None:
    async def timed(ctx: Context) -> list[Any]:
        async def one() -> int:
            return 1

        call = ctx.generic_call("Other", "run", b"called", timeout=SECOND)
        run = ctx.run_typed("one", one, RunOptions(timeout=HOUR))
        seen = [(await call).decode(), await run]
        await ctx.sleep(HOUR)
        return [*seen, (await call).decode(), await run]

    def late_limits(engine: JournalEngine, type: int, command: Message) -> Iterable[Envelope]:
        if isinstance(command, pb.SleepCommandMessage) and not command.name:
            yield completion(MessageType.SLEEP_COMPLETION, 3)
        if not isinstance(command, pb.SleepCommandMessage) or not command.name:
            yield from answer_at_once(engine, type, command)

    assert await value_of(timed, late_limits) == b'["called",1,"called",1]'


async def test_a_failure_that_is_reported_is_no_time_out_even_with_its_code() -> None:
    async def timed(ctx: Context) -> str:
        try:
            await ctx.generic_call("Other", "run", b"", timeout=SECOND)
        except TimedOut:
            return "timed out"
        except TerminalError as error:
            return error.message
        return "came"

    def answer(engine: JournalEngine, type: int, command: Message) -> Iterable[Envelope]:
        if isinstance(command, pb.CallCommandMessage):
            failure = pb.Failure(code=408, message="the callee timed out")
            yield completion(MessageType.CALL_COMPLETION, command.result_completion_id, failure=failure)

    assert await value_of(timed, answer) == b'"the callee timed out"'


async def test_a_timeout_is_a_timedelta() -> None:
    async def wrong(ctx: Context) -> None:
        ctx.awakeable(timeout=5)  # type: ignore[arg-type]

    engine = JournalEngine(handler(wrong))
    engine.begin()
    error = (await engine.ended()).message
    assert isinstance(error, pb.ErrorMessage)
    assert "timeout must be a timedelta, not 5" in error.message


PAST = timedelta(seconds=-1.5)


@pytest.mark.parametrize(
    "ask",
    [
        lambda ctx: ctx.generic_call("Other", "run", b"", timeout=PAST),
        lambda ctx: ctx.awakeable(timeout=PAST),
        lambda ctx: ctx.promise("approval").value(timeout=PAST),
        lambda ctx: ctx.signal("go", timeout=PAST),
        lambda ctx: ctx.attach_invocation("inv_1x", timeout=PAST),
        lambda ctx: ctx.run("one", lambda: 1, timeout=PAST),
    ],
)
async def test_a_timeout_is_not_negative(ask: Callable[[Any], object]) -> None:
    async def run(ctx: WorkflowContext) -> str:
        with pytest.raises(UsageError, match=r"^timeout must be zero or more, not -1\.5 s$"):
            ask(ctx)
        return "refused"

    workflow = Workflow("Test")
    workflow.main()(run)
    engine = JournalEngine(workflow.handlers["run"], key="k")
    assert (await engine.run()).value.content == b'"refused"'
    assert [entry.type for entry in engine.journal] == [MessageType.INPUT, MessageType.OUTPUT]


async def test_a_timeout_may_be_zero_and_a_sleep_negative() -> None:
    async def run(ctx: Context) -> str:
        await ctx.sleep(PAST)
        try:
            await ctx.awakeable(timeout=timedelta(0))[1]
        except TimedOut as error:
            return error.message
        return ""

    assert await value_of(run) == b'"an awakeable was not completed within 0 s"'


# ---- what becomes of what is given up ----


def cancels(engine: JournalEngine) -> list[str]:
    return [
        entry.message.target_invocation_id
        for entry in engine.journal
        if isinstance(entry.message, pb.SendSignalCommandMessage) and entry.message.idx == 1
    ]


async def test_the_callee_of_a_call_that_times_out_is_cancelled_even_if_its_id_comes_later() -> None:
    async def calls(ctx: Context) -> str:
        call = ctx.generic_call("Other", "run", b"", timeout=SECOND)
        with pytest.raises(TimedOut):
            await call
        await ctx.sleep(HOUR)
        with pytest.raises(TimedOut):  # not what the callee said to being cancelled
            await call
        return "done"

    late = pb.Failure(code=409, message="cancelled")
    timer = completion(MessageType.SLEEP_COMPLETION, 3)
    nap = completion(MessageType.SLEEP_COMPLETION, 4)
    known = callee_id(1, "inv_callee")
    result = completion(MessageType.CALL_COMPLETION, 2, failure=late)
    for order in ([known, timer, result, nap], [timer, known, result, nap], [timer, result, known, nap]):
        engine = JournalEngine(handler(calls), answer=answer_nothing)
        engine.begin()
        for notification in order:
            engine.notify(notification)
        assert (await engine.ended()).type == MessageType.END
        assert cancels(engine) == ["inv_callee"]
        again = JournalEngine(handler(calls), answer=answer_nothing)
        again.journal = engine.journal[:-1]
        await again.run()
        assert again.commands() == engine.commands()


async def test_a_call_that_times_out_while_nobody_waits_for_it_is_cancelled_all_the_same() -> None:
    async def forgets(ctx: Context) -> None:
        ctx.generic_call("Other", "run", b"", timeout=SECOND)
        await ctx.sleep(HOUR)

    engine = JournalEngine(handler(forgets), answer=only_timers)
    await engine.run()
    assert cancels(engine) == ["inv_callee"]


async def test_a_signal_that_comes_after_the_limit_is_kept_for_the_next_wait() -> None:
    async def waits(ctx: Context) -> list[Any]:
        seen: list[Any] = []
        for _ in range(2):
            try:
                seen.append(await ctx.signal("go", type_hint=int, timeout=SECOND))
            except TimedOut:
                seen.append("timed out")
        return [*seen, await ctx.signal("go", type_hint=int)]

    engine = JournalEngine(handler(waits), answer=answer_nothing)
    engine.begin()
    for notification in (completion(MessageType.SLEEP_COMPLETION, 1), signal("go", b"1"), signal("go", b"2")):
        engine.notify(notification)
    await engine.ended()
    output = engine.sent[-2].message
    assert isinstance(output, pb.OutputCommandMessage)
    assert output.value.content == b'["timed out",1,2]'


# ---- runs ----


async def test_a_run_that_times_out_is_cancelled_and_never_executed_again() -> None:
    began, cancelled = asyncio.Event(), asyncio.Event()
    executions: list[str] = []

    async def stuck() -> None:
        executions.append("began")
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def runs(ctx: Context) -> str:
        with pytest.raises(TimedOut, match="run 'stuck' was not done within 3600 s"):
            await ctx.run_typed("stuck", stuck, RunOptions(timeout=HOUR))
        await ctx.sleep(HOUR)
        return "went on"

    engine = JournalEngine(handler(runs), answer=answer_nothing)
    engine.begin()
    await began.wait()
    engine.notify(completion(MessageType.SLEEP_COMPLETION, 2))
    await cancelled.wait()
    proposals = [sent.message for sent in engine.sent if sent.type == MessageType.PROPOSE_RUN_COMPLETION]
    assert [proposal.failure.code for proposal in proposals] == [408]  # type: ignore[attr-defined]
    engine.notify(completion(MessageType.SLEEP_COMPLETION, 3))
    await engine.ended()
    assert executions == ["began"]


async def test_a_limit_that_was_over_before_the_attempt_began_executes_nothing() -> None:
    async def stuck() -> None:
        raise AssertionError("executed")

    async def runs(ctx: Context) -> str:
        with pytest.raises(TimedOut):
            await ctx.run_typed("stuck", stuck, RunOptions(timeout=HOUR))
        return "went on"

    engine = JournalEngine(handler(runs), answer=answer_nothing)
    engine.journal += [
        Envelope(MessageType.RUN, pb.RunCommandMessage(name="stuck", result_completion_id=1)),
        Envelope(MessageType.SLEEP, pb.SleepCommandMessage(name="timeout of run 'stuck'", result_completion_id=2)),
        completion(MessageType.SLEEP_COMPLETION, 2),
    ]
    assert (await engine.run()).value.content == b'"went on"'


async def test_where_the_engine_can_send_nothing_the_loops_own_timer_ends_a_run() -> None:
    async def stuck() -> None:
        await asyncio.Event().wait()

    async def runs(ctx: Context) -> str:
        with pytest.raises(TimedOut):
            await ctx.run_typed("stuck", stuck, RunOptions(timeout=timedelta(milliseconds=1)))
        return "went on"

    engine = JournalEngine(handler(runs), answer=answer_nothing, half_closed=True)
    assert (await engine.run()).value.content == b'"went on"'


async def test_a_run_is_not_tried_again_later_than_its_limit() -> None:
    async def fails() -> None:
        raise ConnectionError("no route")

    async def runs(ctx: Context) -> None:
        options = RunOptions[None](timeout=2 * SECOND, initial_retry_interval=HOUR, max_retry_interval=HOUR)
        await ctx.run_typed("fails", fails, options)

    engine = JournalEngine(handler(runs), answer=answer_nothing)
    engine.begin()
    error = (await engine.ended()).message
    assert isinstance(error, pb.ErrorMessage)
    assert 1000 < error.next_retry_delay <= 2000


# ---- what an engine is told ----


async def suspended_on(fn: Callable[[Context], Any], version: int = 7) -> pb.SuspensionMessage:
    engine = JournalEngine(handler(fn), answer=answer_nothing, version=version, half_closed=True)
    engine.begin()
    suspension = (await engine.ended()).message
    assert isinstance(suspension, pb.SuspensionMessage)
    return suspension


def call(ctx: Context) -> Any:
    return ctx.generic_call("Other", "run", b"", timeout=SECOND)


TREES: dict[str, tuple[Callable[[Context], Any], pb.Future]] = {
    "alone": (
        call,
        pb.Future(waiting_completions=[2, 3], waiting_signals=[1], combinator_type=pb.FIRST_COMPLETED),
    ),
    "signal": (
        lambda ctx: ctx.signal("go", timeout=SECOND),
        pb.Future(
            waiting_completions=[1],
            waiting_signals=[1],
            waiting_named_signals=["go"],
            combinator_type=pb.FIRST_COMPLETED,
        ),
    ),
    "gather": (
        lambda ctx: gather(call(ctx), ctx.sleep(HOUR)),
        pb.Future(
            waiting_signals=[1],
            combinator_type=pb.FIRST_COMPLETED,
            nested_futures=[
                pb.Future(
                    waiting_completions=[4],
                    combinator_type=pb.ALL_COMPLETED,
                    nested_futures=[pb.Future(waiting_completions=[2, 3], combinator_type=pb.FIRST_COMPLETED)],
                )
            ],
        ),
    ),
    "first_succeeded": (
        lambda ctx: first_succeeded(call(ctx), ctx.sleep(HOUR)),
        pb.Future(
            waiting_signals=[1],
            combinator_type=pb.FIRST_COMPLETED,
            nested_futures=[
                pb.Future(
                    waiting_completions=[4],
                    combinator_type=pb.FIRST_SUCCEEDED_OR_ALL_FAILED,
                    nested_futures=[pb.Future(waiting_completions=[2, 3], combinator_type=pb.FIRST_COMPLETED)],
                )
            ],
        ),
    ),
    "all_succeeded": (  # the timer ends the wait; as one of those that must succeed, it would not
        lambda ctx: all_succeeded(call(ctx), ctx.sleep(HOUR)),
        pb.Future(
            waiting_completions=[3],
            waiting_signals=[1],
            combinator_type=pb.FIRST_COMPLETED,
            nested_futures=[pb.Future(waiting_completions=[2, 4], combinator_type=pb.ALL_SUCCEEDED_OR_FIRST_FAILED)],
        ),
    ),
}


@pytest.mark.parametrize("what", TREES)
async def test_the_tree_that_is_awaited_holds_the_timers(what: str) -> None:
    wait, tree = TREES[what]

    async def waits(ctx: Context) -> None:
        await wait(ctx)

    assert (await suspended_on(waits)).awaiting_on == tree
    flat = await suspended_on(waits, version=6)
    assert set(flat.waiting_completions) >= {1} if what == "signal" else {2, 3}


async def test_outcomes_tell_a_time_out_from_a_value() -> None:
    async def settles(ctx: Context) -> list[bool]:
        late, nap = await all_settled(ctx.generic_call("Other", "run", b"", timeout=SECOND), ctx.sleep(HOUR))
        assert isinstance(late, Failed)
        return [isinstance(late.error, TimedOut), isinstance(nap, Succeeded)]

    assert await value_of(settles) == b"[true,true]"
