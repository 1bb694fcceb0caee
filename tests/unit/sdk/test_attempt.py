"""One handler, one connection: what goes out for what the handler does, in each version of the protocol."""

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from perdure.errors import NotInHandler, RetryableError, SuspendedException, TerminalError, UsageError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import Envelope, MessageType, envelope
from perdure.sdk import progress
from perdure.sdk.attempt import Attempt
from perdure.sdk.capabilities.run_options import RunOptions
from perdure.sdk.capabilities.runs import run_key
from perdure.sdk.combinators import gather, select
from perdure.sdk.context import (
    Context,
    ObjectContext,
    WorkflowContext,
    current_context,
    current_object_context,
)
from perdure.sdk.definition import HandlerDefinition
from perdure.sdk.service import Service
from perdure.sdk.virtual_object import VirtualObject
from perdure.sdk.workflow import Workflow
from perdure.transport.connection import InvokeRequest
from tests.unit.sdk.journal_engine import (
    ID,
    VOID,
    JournalEngine,
    answer_nothing,
    callee_id,
    cancel,
    completion,
    signal,
)

VERSIONS = [5, 6, 7]
HOUR = timedelta(hours=1)


def handler(fn: Any, service: Service | VirtualObject | None = None) -> HandlerDefinition:
    service = service or Service("Test")
    service.handler()(fn)
    return service.handlers[fn.__name__]


async def value_of(fn: Any, body: bytes = b"", **settings: Any) -> bytes:
    output = await JournalEngine(handler(fn), body, **settings).run()
    assert output.HasField("value"), output
    return output.value.content


def types(sent: list[Envelope]) -> list[str]:
    return [MessageType(one.type).name for one in sent]


# ---- the simplest life ----


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_handler_that_returns_sends_its_output_and_then_the_end(version: int) -> None:
    async def echo(ctx: Context, text: str) -> str:
        return text

    engine = JournalEngine(handler(echo), b'"hi"', version=version)
    assert (await engine.run()).value.content == b'"hi"'
    assert types(engine.sent) == ["OUTPUT", "END"]


async def test_no_result_is_an_output_with_an_empty_value() -> None:
    async def nothing(ctx: Context) -> None:
        return None

    engine = JournalEngine(handler(nothing))
    assert (await engine.run()).SerializeToString() == b"\x72\x00"


async def test_input_that_cannot_be_read_fails_the_invocation_with_400() -> None:
    async def double(ctx: Context, number: int) -> int:
        return number * 2

    output = await JournalEngine(handler(double), b'"two"').run()
    assert output.failure.code == 400
    assert "Test/double" in output.failure.message


async def test_an_output_that_is_recorded_already_is_not_sent_again() -> None:
    async def echo(ctx: Context, text: str) -> str:
        return text

    engine = JournalEngine(handler(echo), b'"hi"')
    await engine.run()
    await engine.run()
    assert types(engine.sent) == ["END"]


# ---- failures ----


async def test_a_terminal_error_is_the_output_also_when_it_was_wrapped() -> None:
    async def refuse(ctx: Context) -> None:
        try:
            raise TerminalError("no", status_code=418, metadata={"why": "teapot"})
        except TerminalError as error:
            raise RuntimeError("wrapped by a framework") from error

    failure = (await JournalEngine(handler(refuse)).run()).failure
    assert (failure.code, failure.message) == (418, "no")
    assert [(entry.key, entry.value) for entry in failure.metadata] == [("why", "teapot")]
    assert not (await JournalEngine(handler(refuse), version=5).run()).failure.metadata


async def test_any_other_exception_fails_the_attempt_with_its_type_and_stack() -> None:
    async def broken(ctx: Context) -> None:
        raise KeyError("missing")

    engine = JournalEngine(handler(broken))
    engine.begin()
    error = (await engine.ended()).message
    assert isinstance(error, pb.ErrorMessage)
    assert (error.code, error.message) == (500, "KeyError: 'missing'")
    assert "test_attempt.py" in error.stacktrace


async def test_a_retryable_error_carries_its_delay() -> None:
    async def later(ctx: Context) -> None:
        raise RetryableError("busy", status_code=429, retry_after=timedelta(seconds=3))

    engine = JournalEngine(handler(later))
    engine.begin()
    error = (await engine.ended()).message
    assert isinstance(error, pb.ErrorMessage)
    assert (error.code, error.next_retry_delay) == (429, 3000)


async def test_a_handler_that_cancels_itself_fails_the_attempt() -> None:
    async def odd(ctx: Context) -> None:
        raise asyncio.CancelledError("own doing")

    engine = JournalEngine(handler(odd))
    engine.begin()
    assert (await engine.ended()).type == MessageType.ERROR


# ---- runs ----


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("half_closed", [False, True])
async def test_a_run_is_executed_once_whatever_the_version_and_mode(version: int, half_closed: bool) -> None:
    executed: list[str] = []

    async def once(ctx: Context) -> str:
        async def step(name: str, *, mark: str) -> str:
            executed.append(run_key())
            return name + mark

        return await ctx.run_typed("step", step, RunOptions(), "a", mark="!")

    engine = JournalEngine(handler(once), version=version, half_closed=half_closed)
    assert (await engine.run()).value.content == b'"a!"'
    assert executed == [f"{ID}-1"]
    assert engine.attempts == (2 if half_closed else 1)


async def test_runs_go_on_at_the_same_time() -> None:
    async def both(ctx: Context) -> str:
        met = asyncio.Barrier(2)

        async def meet() -> str:
            await met.wait()
            return "met"

        first, second = ctx.run_typed("first", meet), ctx.run_typed("second", meet)
        return await first + await second

    assert await value_of(both) == b'"metmet"'


async def test_a_plain_function_runs_in_a_thread_and_keeps_its_key() -> None:
    async def threaded(ctx: Context) -> list[Any]:
        loop_thread = threading.get_ident()

        def step() -> list[Any]:
            return [threading.get_ident() != loop_thread, run_key()]

        return await ctx.run_typed("step", step)

    assert await value_of(threaded) == f'[true,"{ID}-1"]'.encode()


async def test_a_plain_function_that_gives_a_coroutine_is_awaited() -> None:
    async def ask() -> str:
        return "answer"

    async def lazy(ctx: Context) -> str:
        return await ctx.run_typed("ask", lambda: ask())

    assert await value_of(lazy) == b'"answer"'


async def test_a_terminal_error_in_a_run_is_recorded_as_its_result() -> None:
    executed = 0

    async def refused(ctx: Context) -> str:
        async def refuse() -> str:
            nonlocal executed
            executed += 1
            raise TerminalError("no", status_code=403)

        try:
            return await ctx.run_typed("refuse", refuse)
        except TerminalError as error:
            return f"{error.status_code} {error.message}"

    engine = JournalEngine(handler(refused), half_closed=True)
    assert (await engine.run()).value.content == b'"403 no"'
    assert executed == 1


async def test_a_run_gives_up_after_its_attempts_and_asks_for_growing_delays() -> None:
    async def gives_up(ctx: Context) -> str:
        async def broken() -> None:
            raise ValueError("boom")

        options = RunOptions[None](max_attempts=3, initial_retry_interval=timedelta(milliseconds=100))
        try:
            await ctx.run_typed("bad", broken, options)
        except TerminalError as error:
            return error.message
        return "no error"

    engine = JournalEngine(handler(gives_up))
    delays: list[int] = []
    for _ in range(2):
        engine.begin()
        error = (await engine.ended()).message
        assert isinstance(error, pb.ErrorMessage)
        assert (error.related_command_index, error.related_command_name) == (1, "bad")
        assert error.related_command_type == MessageType.RUN
        delays.append(error.next_retry_delay)
        engine.retries += 1
    assert delays == [100, 200]
    assert (await engine.run()).value.content == b'"ValueError: boom"'


async def test_a_run_without_limits_leaves_the_delay_to_the_engine() -> None:
    async def broken(ctx: Context) -> None:
        async def fails() -> None:
            raise ValueError("boom")

        await ctx.run_typed("bad", fails)

    engine = JournalEngine(handler(broken))
    engine.begin()
    error = (await engine.ended()).message
    assert isinstance(error, pb.ErrorMessage)
    assert not error.HasField("next_retry_delay")


async def test_the_attempts_that_start_counts_are_not_those_of_a_run_behind_new_commands() -> None:
    async def second_fails(ctx: Context) -> None:
        async def fails() -> None:
            raise ValueError("boom")

        await ctx.sleep(HOUR)
        await ctx.run_typed("bad", fails, RunOptions(max_attempts=2))

    engine = JournalEngine(handler(second_fails))
    engine.retries = 5
    engine.begin()
    assert (await engine.ended()).type == MessageType.ERROR


async def test_a_run_gives_up_when_its_time_is_over() -> None:
    async def gives_up(ctx: Context) -> str:
        async def broken() -> None:
            raise ValueError("boom")

        try:
            await ctx.run_typed("bad", broken, RunOptions(max_duration=timedelta(seconds=1)))
        except TerminalError:
            return "gave up"
        return "no error"

    engine = JournalEngine(handler(gives_up))
    engine.begin()
    assert (await engine.ended()).type == MessageType.ERROR
    engine.retries, engine.retried_for_ms = 1, 1000
    assert (await engine.run()).value.content == b'"gave up"'


async def test_the_context_inside_a_run_is_an_error_that_says_so() -> None:
    async def nested(ctx: Context) -> None:
        async def inner() -> None:
            await ctx.sleep(HOUR)

        await ctx.run_typed("outer", inner)

    engine = JournalEngine(handler(nested))
    engine.begin()
    error = (await engine.ended()).message
    assert isinstance(error, pb.ErrorMessage)
    assert error.message.startswith("perdure.errors.UsageError: the context was used inside a run")


def test_a_run_key_outside_of_a_run_is_refused() -> None:
    with pytest.raises(NotInHandler, match="inside of a run"):
        run_key()


async def test_a_run_that_cancels_itself_fails_the_attempt_instead_of_hanging() -> None:
    async def odd(ctx: Context) -> None:
        async def step() -> None:
            raise asyncio.CancelledError("own doing")

        await ctx.run_typed("step", step)

    engine = JournalEngine(handler(odd))
    engine.begin()
    assert (await engine.ended()).type == MessageType.ERROR


async def test_the_result_is_read_back_as_the_annotated_type() -> None:
    class NotHere:
        pass

    async def typed(ctx: Context) -> list[str]:
        async def numbers() -> tuple[int, ...]:
            return (1, 2)

        async def unknown() -> "NotHere":
            return 5  # type: ignore[return-value]

        one = await ctx.run_typed("typed", numbers)
        two = await ctx.run("untyped", lambda: (1, 2))
        three = await ctx.run("as", lambda: [1, 2], type_hint=tuple[int, ...])
        four = await ctx.run_typed("unknown", unknown)
        return [type(each).__name__ for each in (one, two, three, four)]

    assert await value_of(typed) == b'["tuple","list","tuple","int"]'


# ---- state, calls, promises, signals ----


@pytest.mark.parametrize("eager", [True, False])
async def test_state_is_read_and_written_eagerly_or_not(eager: bool) -> None:
    async def tour(ctx: ObjectContext) -> list[Any]:
        seen: list[Any] = [ctx.key(), await ctx.get("a", type_hint=str), await ctx.state_keys()]
        ctx.set("b", 2)
        ctx.clear("a")
        seen += [await ctx.get("a"), await ctx.get("b", type_hint=int), await ctx.get("c")]
        ctx.clear_all()
        seen += [await ctx.state_keys(), await ctx.get("b")]
        ctx.set("raw", b"\x00")
        return seen

    engine = JournalEngine(handler(tour, VirtualObject("Object")), key="k", state={b"a": b'"1"'}, eager=eager)
    assert (await engine.run()).value.content == b'["k","1",["a"],null,2,null,[],null]'
    assert engine.state == {b"raw": b"\x00"}
    lazy = [type for type in types(engine.journal) if "LAZY" in type and "COMPLETION" not in type]
    assert lazy == ([] if eager else ["GET_LAZY_STATE", "GET_LAZY_STATE_KEYS", "GET_LAZY_STATE"])


async def test_an_eager_read_takes_a_completion_id() -> None:
    async def reads(ctx: ObjectContext) -> None:
        await ctx.get("a")
        await ctx.state_keys()
        await ctx.sleep(HOUR)

    engine = JournalEngine(handler(reads, VirtualObject("Object")))
    await engine.run()
    sleep = next(entry.message for entry in engine.journal if isinstance(entry.message, pb.SleepCommandMessage))
    assert sleep.result_completion_id == 3


async def test_calls_and_sends_say_all_that_was_asked_for() -> None:
    service, counter = Service("Callee"), VirtualObject("Counter")

    @service.handler()
    async def greet(ctx: Context, name: str) -> str: ...

    @counter.handler()
    async def add(ctx: ObjectContext, amount: int) -> int: ...

    async def calls(ctx: Context) -> list[Any]:
        first = ctx.service_call(greet, "bob", idempotency_key="once", headers={"x": "1"})
        second = ctx.object_call(add, "k", 3)
        third = ctx.generic_call("Other", "run", b"raw", key="z")
        sent = ctx.object_send(add, "k", 4, send_delay=HOUR)
        scoped = ctx.scope("tenant").service_call(greet, "eve", limit_key="slow")
        return [await first, await second, (await third).decode(), await sent.invocation_id(), await scoped]

    engine = JournalEngine(handler(calls))
    assert (await engine.run()).value.content == b'["bob",3,"raw","inv_callee","eve"]'
    first, second, third, scoped = (
        entry.message for entry in engine.journal if isinstance(entry.message, pb.CallCommandMessage)
    )
    assert (first.service_name, first.handler_name, first.parameter) == ("Callee", "greet", b'"bob"')
    assert (first.idempotency_key, [(header.key, header.value) for header in first.headers]) == ("once", [("x", "1")])
    assert (first.invocation_id_notification_idx, first.result_completion_id) == (1, 2)
    assert (second.key, second.result_completion_id) == ("k", 4)
    assert (third.key, third.parameter) == ("z", b"raw")
    assert (scoped.scope, scoped.limit_key) == ("tenant", "slow")
    send = next(entry.message for entry in engine.journal if isinstance(entry.message, pb.OneWayCallCommandMessage))
    assert (send.key, send.invocation_id_notification_idx, send.invoke_time > 0) == ("k", 7, True)


async def test_scopes_before_version_7_are_refused() -> None:
    async def scoped(ctx: Context) -> None:
        with pytest.raises(UsageError, match="version 7"):
            ctx.scope("tenant").generic_call("Other", "run", b"")

    assert await value_of(scoped, version=6) == b""


async def test_a_call_of_the_wrong_kind_is_refused() -> None:
    order = Workflow("Order")

    @order.main()
    async def place(ctx: WorkflowContext, amount: int) -> int: ...

    basket = VirtualObject("Basket")

    @basket.handler()
    async def add(ctx: ObjectContext, amount: int) -> int: ...

    router = Service("Router")

    @router.handler()
    async def answer(ctx: Context, amount: int) -> int: ...

    async def calls(ctx: Context) -> None:
        with pytest.raises(UsageError, match="is a workflow: call it with workflow_call or workflow_send, and a key"):
            ctx.service_call(place, 1)
        with pytest.raises(UsageError, match="is a virtual object: call it with object_call or object_send, and a key"):
            ctx.object_call(add, None, 1)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match=r"is a service: call it with service_call or service_send$"):
            ctx.object_call(answer, "k", 1)
        with pytest.raises(UsageError, match="not a handler"):
            ctx.service_call(print, 1)
        with pytest.raises(UsageError, match="must not be empty"):
            ctx.generic_call("Other", "run", b"", idempotency_key="")

    assert await value_of(calls) == b""


async def test_what_was_called_or_sent_can_be_cancelled_and_attached_to() -> None:
    async def cancels(ctx: Context) -> str:
        call = ctx.generic_call("Other", "run", b"1")
        sent = ctx.generic_send("Other", "run", b"2")
        await call.cancel_invocation()
        await sent.cancel_invocation()
        ctx.cancel_invocation("inv_other")
        return await ctx.attach_invocation(await sent.invocation_id(), type_hint=str)

    engine = JournalEngine(handler(cancels))
    assert (await engine.run()).value.content == b'"attached"'
    cancelled = [entry.message for entry in engine.journal if isinstance(entry.message, pb.SendSignalCommandMessage)]
    assert [one.target_invocation_id for one in cancelled] == ["inv_callee2", "inv_callee", "inv_other"]
    assert all(one.idx == 1 and one.HasField("void") for one in cancelled)


async def test_a_promise_is_awaited_peeked_at_and_completed() -> None:
    workflow = Workflow("Flow")

    @workflow.main()
    async def main(ctx: WorkflowContext) -> list[Any]:
        promise = ctx.promise("approval", type_hint=str)
        seen: list[Any] = [await promise.peek()]
        await promise.resolve("yes")
        await promise.reject("no", 402)
        return [*seen, await promise, await promise.value()]

    engine = JournalEngine(workflow.handlers["main"], key="w")
    assert (await engine.run()).value.content == b'[null,"kept","kept"]'
    completions = [
        entry.message for entry in engine.journal if isinstance(entry.message, pb.CompletePromiseCommandMessage)
    ]
    assert [one.WhichOneof("completion") for one in completions] == ["completion_value", "completion_failure"]


async def test_awakeables_and_named_signals_make_no_command() -> None:
    async def waits(ctx: Context) -> list[Any]:
        id, first = ctx.awakeable(type_hint=str)
        _, second = ctx.awakeable(type_hint=str)
        assert id.startswith("sign_1")
        go = ctx.signal("go", type_hint=int)
        return [await second, await first, await go, await ctx.signal("go")]

    engine = JournalEngine(handler(waits))
    engine.begin()
    for notification in (signal(17, b'"a"'), signal("go", b"1"), signal("go", b"2"), signal(18, b'"b"')):
        engine.notify(notification)
    await engine.ended()
    assert (engine.sent[-2].message, engine.commands()[1:-1]) == (engine.journal[-1].message, [])
    assert (await engine.run()).value.content == b'["b","a",1,2]'


async def test_others_awakeables_and_signals_are_completed() -> None:
    async def completes(ctx: Context) -> None:
        ctx.resolve_awakeable("sign_1x", {"a": 1})
        ctx.reject_awakeable("sign_1y", "lost", 410)
        ctx.resolve_signal("inv_x", "go", b"raw")
        ctx.reject_signal("inv_x", "go", "stay", 403)

    engine = JournalEngine(handler(completes))
    await engine.run()
    one, two, three, four = (entry.message for entry in engine.journal[1:-1])
    assert isinstance(one, pb.CompleteAwakeableCommandMessage)
    assert one.value.content == b'{"a":1}'
    assert isinstance(two, pb.CompleteAwakeableCommandMessage)
    assert two.failure.code == 410
    assert isinstance(three, pb.SendSignalCommandMessage)
    assert (three.name, three.HasField("value")) == ("go", True)
    assert isinstance(four, pb.SendSignalCommandMessage)
    assert four.failure.message == "stay"


# ---- suspension ----

GATHER_V6 = bytes.fromhex("0a020204120101")
GATHER_V7 = bytes.fromhex("220d12010122060a02020428022801")


@pytest.mark.parametrize(("version", "payload"), [(5, GATHER_V6), (6, GATHER_V6), (7, GATHER_V7)])
async def test_a_gather_suspends_with_the_bytes_of_the_official_sdk(version: int, payload: bytes) -> None:
    async def both(ctx: Context) -> None:
        await gather(ctx.generic_call("A", "run", b""), ctx.generic_call("A", "run", b""))

    engine = JournalEngine(handler(both), version=version, answer=answer_nothing, half_closed=True)
    engine.begin()
    assert (await engine.ended()).message.SerializeToString() == payload


@pytest.mark.parametrize(("version", "payload"), [(6, "0a010112020111"), (7, "220f12010122080a010112011128012801")])
async def test_a_select_suspends_with_the_bytes_of_the_official_sdk(version: int, payload: str) -> None:
    async def either(ctx: Context) -> None:
        await select(approval=ctx.awakeable()[1], timeout=ctx.sleep(HOUR))

    engine = JournalEngine(handler(either), version=version, answer=answer_nothing, half_closed=True)
    engine.begin()
    assert (await engine.ended()).message.SerializeToString().hex() == payload


async def test_a_short_wait_is_not_worth_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "HINT_AFTER_S", 3600)

    async def waits(ctx: Context) -> None:
        await ctx.sleep(HOUR)

    engine = JournalEngine(handler(waits), answer=answer_nothing)
    attempt = engine.begin()
    await turns()
    assert types(engine.sent) == ["SLEEP"]
    attempt.abort()


async def test_the_hint_of_what_is_awaited_goes_out_in_version_7_once() -> None:
    async def waits(ctx: Context) -> None:
        await gather(ctx.sleep(HOUR), ctx.sleep(HOUR))

    for version, hints in ((6, []), (7, ["AWAITING_ON"])):
        engine = JournalEngine(handler(waits), version=version, answer=answer_nothing)
        attempt = engine.begin()
        await turns()
        assert types(engine.sent) == ["SLEEP", "SLEEP", *hints]
        attempt.closed(None)
        assert (await engine.ended()).type == MessageType.SUSPENSION


async def test_nothing_is_suspended_while_a_run_is_executed() -> None:
    released = asyncio.Event()

    async def slow(ctx: Context) -> None:
        async def step() -> None:
            await released.wait()

        run = ctx.run_typed("step", step)
        await select(timer=ctx.sleep(HOUR), run=run)

    engine = JournalEngine(handler(slow), version=6, answer=answer_nothing, half_closed=True)
    engine.begin()
    await turns()
    assert types(engine.sent) == ["RUN", "SLEEP"]
    released.set()
    assert (await engine.ended()).type == MessageType.SUSPENSION
    assert types(engine.sent) == ["RUN", "SLEEP", "PROPOSE_RUN_COMPLETION", "SUSPENSION"]


async def test_suspension_unwinds_the_handler_and_its_tasks() -> None:
    unwound: list[str] = []

    async def waits(ctx: Context) -> None:
        async def branch(name: str) -> None:
            try:
                await ctx.sleep(HOUR)
            except SuspendedException:
                unwound.append(name)
                raise

        try:
            await asyncio.gather(branch("one"), branch("two"))
        finally:
            with pytest.raises(SuspendedException):
                ctx.sleep(HOUR)
            unwound.append("handler")

    engine = JournalEngine(handler(waits), answer=answer_nothing, half_closed=True)
    attempt = engine.begin()
    await engine.ended()
    assert attempt.task is not None
    await asyncio.wait([attempt.task])
    assert sorted(unwound) == ["handler", "one", "two"]


async def test_a_handler_that_waits_for_something_else_is_cancelled_at_the_end() -> None:
    async def stuck(ctx: Context) -> None:
        task = asyncio.create_task(_sleeps(ctx))
        try:
            await asyncio.Event().wait()
        finally:
            task.cancel()

    engine = JournalEngine(handler(stuck), answer=answer_nothing, half_closed=True)
    attempt = engine.begin()
    assert (await engine.ended()).type == MessageType.SUSPENSION
    assert attempt.task is not None
    await asyncio.wait([attempt.task], timeout=5)
    assert attempt.task.done()


async def _sleeps(ctx: Context) -> None:
    await ctx.sleep(HOUR)


async def test_shutdown_suspends_and_a_lost_connection_says_nothing() -> None:
    async def waits(ctx: Context) -> None:
        finished = ctx.request().attempt_finished_event
        try:
            await ctx.sleep(HOUR)
        finally:
            ended.append(finished.is_set())

    ended: list[bool] = []
    engine = JournalEngine(handler(waits), answer=answer_nothing)
    attempt = engine.begin()
    attempt.shutdown()
    assert (await engine.ended()).type == MessageType.SUSPENSION

    attempt = engine.begin()
    await turns()
    attempt.closed(ConnectionError("gone"))
    assert attempt.task is not None
    await asyncio.wait([attempt.task], timeout=5)
    assert types(engine.sent) == ["AWAITING_ON"]
    assert ended == [True, True]


# ---- cancellation ----


async def test_a_cancel_reaches_all_callees_and_then_the_handler_once() -> None:
    async def calls(ctx: Context) -> list[str]:
        finished = ctx.generic_call("A", "run", b"1")
        pending = ctx.generic_call("B", "run", b"2")
        ctx.generic_send("C", "run", b"3")
        seen = [(await finished).decode()]
        try:
            await pending
        except TerminalError as error:
            seen.append(f"{error.status_code} {error.message}")
        try:
            await ctx.sleep(HOUR)
        except TerminalError as error:
            seen.append(f"again {error.status_code}")
        return seen

    def answer(engine: JournalEngine, type: int, command: Any) -> Any:
        if isinstance(command, pb.CallCommandMessage):
            if command.service_name == "A":
                yield callee_id(1, "inv_a")
                yield completion(MessageType.CALL_COMPLETION, 2, b"1")
            else:
                yield cancel()

    engine = JournalEngine(handler(calls), answer=answer)
    engine.begin()
    await turns()
    assert types(engine.sent)[:3] == ["CALL", "CALL", "ONE_WAY_CALL"]
    awaited = engine.sent[-1].message
    assert isinstance(awaited, pb.AwaitingOnMessage)
    assert (list(awaited.awaiting_on.waiting_completions), list(awaited.awaiting_on.waiting_signals)) == ([3], [])

    engine.notify(callee_id(3, "inv_b"))
    await turns()
    cancelled = [one.message for one in engine.sent if isinstance(one.message, pb.SendSignalCommandMessage)]
    assert [one.target_invocation_id for one in cancelled] == ["inv_a", "inv_b"]
    engine.notify(cancel())
    await engine.ended()
    assert (await engine.run()).value.content == b'["1","409 cancelled","again 409"]'


async def test_an_uncaught_cancel_is_the_output() -> None:
    async def waits(ctx: Context) -> None:
        await ctx.sleep(HOUR)

    engine = JournalEngine(handler(waits), answer=answer_nothing)
    engine.begin()
    engine.notify(cancel())
    await engine.ended()
    output = engine.sent[-2].message
    assert output.SerializeToString() == bytes.fromhex("7a0e089903120963616e63656c6c6564")


async def test_a_cancel_that_came_after_the_result_hits_the_next_await() -> None:
    async def two(ctx: Context) -> str:
        await ctx.sleep(HOUR)
        try:
            await ctx.sleep(HOUR)
        except TerminalError:
            return "second"
        return "none"

    def answer(engine: JournalEngine, type: int, command: Any) -> Any:
        if isinstance(command, pb.SleepCommandMessage) and command.result_completion_id == 1:
            yield Envelope(MessageType.SLEEP_COMPLETION, pb.NotificationMessage(completion_id=1, void=VOID))
            yield cancel()

    engine = JournalEngine(handler(two), answer=answer)
    engine.begin()
    await engine.ended()
    engine.half_closed = True
    assert (await engine.run()).value.content == b'"second"'


# ---- plain handlers ----


@pytest.mark.parametrize("half_closed", [False, True])
async def test_a_plain_handler_runs_in_a_thread_where_result_blocks(half_closed: bool) -> None:
    def plain(ctx: Context, name: str) -> list[Any]:
        assert threading.current_thread() is not threading.main_thread()
        greeting = ctx.run_typed("greet", lambda: f"hello {name}").result()
        ctx.sleep(timedelta(milliseconds=1)).result()
        done = gather(ctx.generic_call("A", "run", b"1"), ctx.generic_call("A", "run", b"2")).result()
        return [greeting, [future.result().decode() for future in done], str(current_context() is ctx)]

    engine = JournalEngine(handler(plain), b'"bob"', half_closed=half_closed)
    assert (await engine.run()).value.content == b'["hello bob",["1","2"],"True"]'


async def test_a_plain_handler_is_unwound_by_suspension() -> None:
    unwound = threading.Event()

    def plain(ctx: Context) -> None:
        try:
            ctx.sleep(HOUR).result()
        except SuspendedException:
            unwound.set()
            raise

    engine = JournalEngine(handler(plain), answer=answer_nothing, half_closed=True)
    attempt = engine.begin()
    assert (await engine.ended()).type == MessageType.SUSPENSION
    assert attempt.task is not None
    await asyncio.wait([attempt.task], timeout=5)
    assert unwound.is_set()


async def test_result_on_the_event_loop_is_refused() -> None:
    async def blocks(ctx: Context) -> None:
        with pytest.raises(UsageError, match="await"):
            ctx.sleep(HOUR).result()

    assert await value_of(blocks) == b""


async def test_a_plain_handler_that_raises_stop_iteration_fails_the_attempt() -> None:
    def stops(ctx: Context) -> None:
        raise StopIteration

    engine = JournalEngine(handler(stops))
    engine.begin()
    assert (await engine.ended()).type == MessageType.ERROR


# ---- what surrounds a handler ----


async def test_random_values_are_those_of_the_seed() -> None:
    async def values(ctx: Context) -> list[Any]:
        before = [str(ctx.uuid()), ctx.random().random(), await ctx.time()]
        await ctx.sleep(HOUR)
        return before

    def clock_apart(body: bytes) -> bytes:
        return body.rsplit(b",", 1)[0]

    first = await value_of(values, half_closed=True)
    assert clock_apart(first) == clock_apart(await value_of(values))
    assert clock_apart(first) != clock_apart(await value_of(values, version=5))


async def test_the_request_says_what_came() -> None:
    async def looks(ctx: Context, text: str) -> list[Any]:
        request = ctx.request()
        return [request.id, request.headers, dict(request.attempt_headers), request.body.decode(), request.scope]

    engine = JournalEngine(handler(looks), b'"hi"')
    message = engine.journal[0].message
    assert isinstance(message, pb.InputCommandMessage)
    message.headers.add(key="x", value="1")
    assert (await engine.run()).value.content == f'["{ID}",{{"x":"1"}},{{}},"\\"hi\\"",null]'.encode()


async def test_context_managers_surround_each_attempt() -> None:
    entered: list[str] = []
    database: contextvars.ContextVar[str] = contextvars.ContextVar("database")

    @asynccontextmanager
    async def session() -> AsyncIterator[None]:
        entered.append("in")
        database.set("open")
        try:
            yield
        finally:
            entered.append("out")

    service = Service("Managed", invocation_context_managers=[session])

    @service.handler()
    async def uses(ctx: Context) -> str:
        await ctx.sleep(HOUR)
        return database.get()

    engine = JournalEngine(service.handlers["uses"], half_closed=True)
    assert (await engine.run()).value.content == b'"open"'
    await turns()
    assert entered == ["in", "out"] * 2


async def test_the_current_context_is_found_and_says_if_it_is_none() -> None:
    async def looks(ctx: Context) -> str:
        with pytest.raises(NotInHandler, match="virtual object"):
            current_object_context()
        return str(current_context() is ctx)

    assert await value_of(looks) == b'"True"'
    with pytest.raises(NotInHandler):
        current_context()


# ---- an engine that breaks the protocol ----


class Peer:
    def __init__(self) -> None:
        self.sent: list[Envelope] = []
        self.closed = 0

    def send(self, sent: Envelope) -> None:
        self.sent.append(sent)

    def close(self) -> None:
        self.closed += 1

    def abort(self) -> None:
        self.closed += 1


START = envelope(pb.StartMessage(id=bytes(24), debug_id=ID, known_entries=1))
INPUT = envelope(pb.InputCommandMessage())
SLEEP = envelope(pb.SleepCommandMessage(result_completion_id=1))
TOO_FEW = envelope(pb.StartMessage(id=bytes(24), debug_id=ID, known_entries=0))
NO_RESULT = Envelope(MessageType.SIGNAL, pb.NotificationMessage(signal_id=1))
NO_ID = Envelope(MessageType.SIGNAL, pb.NotificationMessage(void=VOID))
ACK = envelope(pb.ProposeRunCompletionAckMessage(completion_id=1))


@pytest.mark.parametrize(
    "messages",
    [[INPUT], [TOO_FEW], [START, SLEEP], [START, INPUT, SLEEP], [START, INPUT, START], [START, INPUT, ACK],
     [START, INPUT, NO_RESULT], [START, INPUT, NO_ID], [START, None], [None]],
)  # fmt: skip
async def test_a_violation_ends_the_attempt_with_571(messages: list[Envelope | None]) -> None:
    async def waits(ctx: Context) -> None:
        await ctx.sleep(HOUR)

    peer = Peer()
    attempt = Attempt(handler(waits), InvokeRequest("Test", "waits", 7, ID), peer)
    for message in messages:
        attempt.closed(None) if message is None else attempt.message(message)
    await turns()
    error = peer.sent[-1].message
    assert isinstance(error, pb.ErrorMessage)
    assert (error.code, peer.closed) == (571, 1)


async def turns(count: int = 100) -> None:
    """Lets the loop turn: all that needs no outside event has happened then."""
    for _ in range(count):
        await asyncio.sleep(0)
