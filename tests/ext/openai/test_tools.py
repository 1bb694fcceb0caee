"""Tools: how their calls are recorded, what becomes of their errors, and that several run at the same time."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from agents import (
    FunctionTool,
    RunContextWrapper,
    ToolOutputImage,
    ToolTimeoutError,
    default_tool_error_function,
    function_tool,
)
from pydantic import BaseModel

import perdure
from perdure import RunOptions, TerminalError
from perdure.errors import Cancelled
from perdure.ext.openai import (
    DurableRunner,
    Step,
    WithContext,
    as_step,
    current_context,
    durable_function_tool,
    propagate_cancellation,
    remote_tool,
)
from perdure.testing import Harness
from perdure.testing.model import ScriptedModel
from tests.ext.openai.asking import IN_ONE_LOOP, Asking, ann, calling, using

pytestmark = IN_ONE_LOOP


async def test_a_plain_function_is_one_step_whose_body_runs_once(model: ScriptedModel) -> None:
    times: list[int] = []

    def double(n: int) -> int:
        times.append(n)
        return 2 * n

    model.script = calling(("double", {"n": 21}))
    tested = using(function_tool(double))
    async with Harness(tested.service, always_replay=True) as h:
        sent = await h.send(tested.ask, "?")
        assert await h.attach(tested.ask, sent) == "42"
        [call] = h.journal(sent.invocation_id).runs("tool double")
    assert times == [21]
    assert call.value["tool_call"]["arguments"] == {"n": 21}
    assert call.value["result"] == 42


async def test_an_async_function_runs_with_the_context(model: ScriptedModel) -> None:
    async def nap(hours: int) -> str:
        await current_context().sleep(timedelta(hours=hours))
        return await current_context().run_typed("look", lambda: "rested")

    model.script = calling(("nap", {"hours": 8}))
    journal = await using(function_tool(nap)).journal(always_replay=True)
    assert "look" in journal.names("run")
    assert "tool nap" not in journal.names("run")


async def test_an_async_function_that_only_computes_runs_once(model: ScriptedModel) -> None:
    charged: list[int] = []

    async def charge(cents: int) -> int:
        charged.append(cents)
        return len(charged)

    model.script = calling(("charge", {"cents": 500}))
    journal = await using(function_tool(charge)).journal(always_replay=True)
    [call] = journal.runs("tool charge, call 1")
    assert charged == [500]
    assert (call.value["tool_call"]["arguments"], call.value["result"]) == ({"cents": 500}, 1)


async def test_a_tool_may_give_nothing(model: ScriptedModel) -> None:
    paid: list[int] = []

    def pay(cents: int) -> None:
        paid.append(cents)

    model.script = calling(("pay", {"cents": 500}))
    [call] = (await using(function_tool(pay)).journal(always_replay=True)).runs("tool pay")
    assert (paid, call.value["result"]) == ([500], None)


async def test_an_async_function_can_be_one_step(model: ScriptedModel) -> None:
    async def fetch() -> str:
        await asyncio.sleep(0)
        return "fetched"

    model.script = calling(("fetch", {}))
    assert (await using(function_tool(as_step(fetch))).journal()).runs("tool fetch")
    assert (await using(durable_function_tool(fetch, recorded=Step())).journal()).runs("tool fetch")


async def test_with_the_context_any_other_await_is_reported_with_its_line(model: ScriptedModel) -> None:
    async def fetch() -> str:
        await asyncio.sleep(0.01)
        return "fetched"

    model.script = calling(("fetch", {}))
    with pytest.raises(AssertionError, match=r"tool 'fetch' awaits something other.*test_tools\.py"):
        await using(durable_function_tool(fetch)).comes_to()


async def test_what_a_tool_returns_keeps_its_type(model: ScriptedModel) -> None:
    class Answer(BaseModel):
        n: int

    seen: list[Any] = []

    def answer() -> Answer:
        return Answer(n=42)

    def picture() -> ToolOutputImage:
        return ToolOutputImage(image_url="data:image/png;base64,AA==")

    async def do(question: str) -> str:
        agent = ann(tools=[function_tool(answer), function_tool(picture)])
        result = await DurableRunner.run(agent, question)
        seen.append([item.output for item in result.new_items if item.type == "tool_call_output_item"])
        return "done"

    model.script = calling(("answer", {}), ("picture", {}))
    await Asking(do).comes_to(always_replay=True)
    assert all(outputs == [Answer(n=42), picture()] for outputs in seen)


async def test_parameters_may_have_any_name(model: ScriptedModel) -> None:
    def tell(*, context: str, function: str, self: str = "me") -> str:
        return f"{context} {function} {self}"

    model.script = calling(("tell", {"context": "a", "function": "b", "self": "c"}))
    assert await using(function_tool(tell)).comes_to() == "a b c"


async def test_the_users_run_context_is_handed_to_tools_of_both_kinds(model: ScriptedModel) -> None:
    def read(notes: RunContextWrapper[list[str]]) -> str:
        return notes.context[0]

    async def write(notes: RunContextWrapper[list[str]], note: str) -> str:
        notes.context.append(note)
        return "written"

    lists: list[list[str]] = []

    async def do(question: str) -> str:
        lists.append(notes := ["first"])
        agent = ann(tools=[function_tool(read), durable_function_tool(write)])
        return (await DurableRunner.run(agent, question, context=notes)).final_output

    model.script = calling(("read", {}), ("write", {"note": "second"}))
    assert await Asking(do).comes_to(always_replay=True) == "first | written"
    assert lists[-1] == ["first", "second"]


async def test_parallel_calls_are_under_way_at_the_same_time(model: ScriptedModel) -> None:
    both = asyncio.Barrier(2)

    @function_tool
    @as_step
    async def one() -> str:
        await both.wait()
        return "one"

    @function_tool
    @as_step
    async def two() -> str:
        await both.wait()
        return "two"

    model.script = calling(("one", {}), ("two", {}))
    assert await using(one, two).comes_to() == "one | two"


def naps(name: str, *hours: int) -> FunctionTool:
    """A tool that does something after each of some naps."""

    async def nap() -> str:
        for each in hours:
            await current_context().sleep(timedelta(hours=each))
            await current_context().run_typed(f"{name} after {each} h", lambda: None)
        return f"{name} done"

    return durable_function_tool(nap, name_override=name)


async def test_parallel_calls_are_replayed_in_whatever_order_they_ended(model: ScriptedModel) -> None:
    model.script = calling(("a", {}), ("b", {}), ("c", {}))
    tested = using(naps("a", 3, 1), naps("b", 1, 5), naps("c", 2, 1))
    assert await tested.comes_to(always_replay=True) == "a done | b done | c done"


async def test_parallel_calls_survive_a_crash_anywhere(model: ScriptedModel) -> None:
    model.script = calling(("a", {}), ("b", {}))
    tested = using(naps("a", 2), naps("b", 1))
    async with Harness(tested.service) as h:
        await h.crash_at_every_step(tested.ask, "?", model=model)


async def test_a_steps_error_is_retried_and_then_told_to_the_model(model: ScriptedModel) -> None:
    times: list[int] = []

    def fails() -> str:
        times.append(1)
        raise ValueError("no luck")

    model.script = calling(("fails", {}))
    tested = using(function_tool(fails, failure_error_function=lambda ctx, error: f"told: {error}"))
    async with Harness(tested.service) as h:
        assert "told: " in await h.call(tested.ask, "?")
    assert len(times) == 3


async def test_the_sdks_own_failure_function_is_kept(model: ScriptedModel) -> None:
    def fails() -> str:
        raise TerminalError("no luck")

    model.script = calling(("fails", {}))
    assert await using(function_tool(fails)).comes_to() == default_tool_error_function(None, ValueError())  # type: ignore[arg-type]


async def test_a_durable_tools_terminal_error_ends_the_invocation_with_its_words(model: ScriptedModel) -> None:
    async def fails() -> str:
        raise TerminalError("never", status_code=418)

    model.script = calling(("fails", {}))
    with pytest.raises(TerminalError, match=r"^never$") as raised:
        await using(durable_function_tool(fails)).comes_to()
    assert raised.value.status_code == 418


async def test_a_handler_catches_a_tools_own_terminal_error(model: ScriptedModel) -> None:
    async def fails() -> str:
        raise TerminalError("never", status_code=418)

    async def do(question: str) -> int:
        try:
            await DurableRunner.run(ann(tools=[durable_function_tool(fails)]), question)
        except TerminalError as error:
            return error.status_code
        return 0

    model.script = calling(("fails", {}))
    assert await Asking(do).comes_to() == 418


async def test_a_durable_tools_other_errors_are_retried_with_the_attempt(model: ScriptedModel) -> None:
    times: list[int] = []

    async def fails_once() -> str:
        times.append(1)
        if len(times) == 1:
            raise ValueError("a slip")
        return "worked"

    model.script = calling(("fails_once", {}))
    tested = using(durable_function_tool(fails_once))
    async with Harness(tested.service) as h:
        assert await h.call(tested.ask, "?") == "worked"


async def test_a_durable_tool_tells_the_model_of_arguments_that_do_not_fit(model: ScriptedModel) -> None:
    def double(n: int) -> int:
        return 2 * n

    model.script = calling(("double", {"n": "many"}))
    assert "do not fit" in await using(durable_function_tool(double)).comes_to()


class BookingFailed(Exception):
    """What a tool makes of whatever its call fails with."""


async def wait_for_days() -> str:
    await current_context().sleep(timedelta(days=1))
    return "waited"


async def wait_and_wrap() -> str:
    try:
        return await wait_for_days()
    except TerminalError as error:
        raise BookingFailed("the booking did not come through") from error


@pytest.mark.parametrize("wait", [wait_for_days, wait_and_wrap])
@pytest.mark.parametrize("make", [function_tool, durable_function_tool])
async def test_a_cancel_is_no_answer_for_the_model(make: Any, wait: Any, model: ScriptedModel, wait_until: Any) -> None:
    told: list[str] = []

    def answer(ctx: Any, error: Exception) -> str:
        told.append(str(error))
        return "never mind"

    model.script = calling(("wait", {}))
    tested = using(make(wait, name_override="wait", failure_error_function=answer))
    async with Harness(tested.service, disable_retries=True) as h:
        sent = await h.send(tested.ask, "?")
        await wait_until(lambda: "sleep" in h.journal(sent.invocation_id).types(), "it waits")
        await h.cancel(sent.invocation_id)
        outcome = await h.outcome(sent.invocation_id)
    assert outcome.failure is not None
    assert outcome.failure.code == 409
    assert told == []


async def test_a_failure_function_can_let_a_cancel_pass() -> None:
    answer = propagate_cancellation(lambda ctx, error: "told")
    assert answer(None, ValueError()) == "told"  # type: ignore[arg-type]
    with pytest.raises(Cancelled):
        answer(None, Cancelled())  # type: ignore[arg-type]


async def test_a_time_limit_is_a_durable_timer(model: ScriptedModel) -> None:
    async def slow() -> str:
        await current_context().sleep(timedelta(hours=1))
        return "slow"

    model.script = calling(("slow", {}))
    tested = using(durable_function_tool(slow, timeout=600.0))
    assert "timed out after 600 seconds" in await tested.comes_to(always_replay=True)
    assert await using(durable_function_tool(slow, timeout=7200.0)).comes_to(always_replay=True) == "slow"


async def test_a_time_limit_may_end_the_invocation(model: ScriptedModel) -> None:
    caught: list[Exception] = []

    async def slow() -> str:
        await current_context().sleep(timedelta(hours=1))
        return "slow"

    async def do(question: str) -> Any:
        tool = durable_function_tool(slow, timeout=600.0, timeout_behavior="raise_exception")
        try:
            return await DurableRunner.run(ann(tools=[tool]), question)
        except ToolTimeoutError as error:
            caught.append(error)
            raise

    model.script = calling(("slow", {}))
    with pytest.raises(TerminalError, match="timed out"):
        await Asking(do).comes_to()
    assert caught


async def test_a_tool_made_by_hand_is_recorded_too(model: ScriptedModel) -> None:
    times: list[str] = []

    @as_step
    async def invoke(ctx: Any, arguments: str) -> str:
        times.append(arguments)
        await asyncio.sleep(0)
        return "by hand"

    model.script = calling(("made", {"n": 1}))
    tool = FunctionTool("made", "", {"type": "object", "properties": {}}, invoke, strict_json_schema=False)
    assert await using(tool).comes_to(always_replay=True) == "by hand"
    assert len(times) == 1


async def test_a_handler_elsewhere_is_a_tool(model: ScriptedModel) -> None:
    class Order(BaseModel):
        number: int

    desk = perdure.Service("Desk")

    @desk.handler()
    async def look_up(ctx: perdure.Context, order: Order) -> str:
        """Look an order up."""
        return f"order {order.number} is on its way"

    model.script = calling(("look_up", {"order": {"number": 7}}))
    tested = using(durable_function_tool(remote_tool(look_up)))
    async with Harness([tested.service, desk]) as h:
        assert await h.call(tested.ask, "?") == "order 7 is on its way"
        assert h.invocations("Desk/look_up")


async def test_the_users_agent_and_tools_stay_as_they_are(model: ScriptedModel) -> None:
    def double(n: int) -> int:
        return 2 * n

    tool = function_tool(double, timeout=None)
    invoke, agent = tool.on_invoke_tool, ann(tools=[tool])
    model.script = calling(("double", {"n": 1}))
    await Asking(lambda question: _final(agent, question)).comes_to()
    assert tool.on_invoke_tool is invoke
    assert agent.tools == [tool]


async def test_tools_that_say_how_they_are_recorded(model: ScriptedModel) -> None:
    def unsure() -> str:
        return "a thread is not the context"

    model.script = calling(("unsure", {}))
    with pytest.raises(AssertionError, match="awaits something other"):
        await using(durable_function_tool(unsure, recorded=WithContext())).comes_to()
    tried: list[int] = []

    def fails() -> str:
        tried.append(1)
        raise ValueError("no luck")

    model.script = calling(("fails", {}))
    tested = using(durable_function_tool(fails, recorded=Step(RunOptions(max_attempts=5))))
    async with Harness(tested.service) as h:
        with pytest.raises(TerminalError, match="no luck"):
            await h.call(tested.ask, "?")
    assert len(tried) == 5


async def test_a_programs_mistake_is_not_final(model: ScriptedModel) -> None:
    async def do(question: str) -> Any:
        raised.append(1)
        if len(raised) > 1:
            return "mended"
        return await DurableRunner.run(ann(model="nobody/knows"), question)

    raised: list[int] = []
    tested = Asking(do)
    async with Harness(tested.service) as h:
        assert await h.call(tested.ask, "?") == "mended"


async def _final(agent: Any, question: str) -> Any:
    return (await DurableRunner.run(agent, question)).final_output
