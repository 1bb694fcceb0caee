"""How tools are recorded: as one step, with the context, or as the call of a handler."""

import asyncio
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import pytest

import perdure
from perdure.errors import UsageError
from perdure.ext.codecs import codec_of
from perdure.ext.remote_tools import remote_tool
from perdure.ext.tool_calls import Step, WithContext, as_step, how_recorded, tool_call, with_context
from perdure.testing import Harness

UNMARKED = how_recorded(asyncio.sleep)
"""How an `async def` is recorded that does not say it."""


@dataclass
class Claim:
    amount: int


def plain() -> None: ...


async def asynchronous() -> None: ...


@as_step
async def marked_as_step() -> None: ...


OPTIONS = perdure.RunOptions[Any](max_attempts=7)


@as_step(options=OPTIONS)
async def marked_with_options() -> None: ...


@with_context
async def marked_with_context() -> None: ...


class Callable_:
    async def __call__(self) -> None: ...

    async def method(self) -> None: ...

    @as_step
    async def step_method(self) -> None: ...


@functools.wraps(marked_as_step)
async def wrapping() -> None: ...


@pytest.mark.parametrize(
    ("fn", "recording"),
    [
        (plain, Step()),
        (asynchronous, UNMARKED),
        (marked_as_step, Step()),
        (marked_with_options, Step(OPTIONS)),
        (marked_with_context, WithContext()),
        (Callable_(), UNMARKED),
        (Callable_().method, UNMARKED),
        (Callable_().step_method, Step()),
        (wrapping, Step()),
        (functools.partial(marked_as_step), Step()),
        (len, Step()),
    ],
)
def test_a_function_says_how_it_is_recorded(fn: Any, recording: Step | WithContext) -> None:
    assert how_recorded(fn) == recording


def test_a_plain_function_cannot_be_run_with_the_context() -> None:
    with pytest.raises(UsageError, match="plain must be `async def`"):
        with_context(plain)


def calling(body: Any) -> tuple[perdure.Service, Any]:
    tools = perdure.Service("Tools")

    @tools.handler()
    async def call(ctx: perdure.Context) -> Any:
        return await body(ctx)

    return tools, call


async def test_a_step_runs_once_and_its_entry_holds_arguments_and_result() -> None:
    ran: list[int] = []

    async def look_up() -> Claim:
        ran.append(1)
        return Claim(12)

    async def body(ctx: perdure.Context) -> int:
        found = await tool_call("look_up", look_up, arguments={"id": 7}, codec=codec_of(Claim), call_id="call_1")
        await ctx.run_typed("later", lambda: None)
        assert isinstance(found, Claim)
        return found.amount

    tools, call = calling(body)
    async with Harness(tools, always_replay=True) as h:
        sent = await h.send(call)
        assert await h.attach(call, sent) == 12
        value = h.journal(sent).runs("tool look_up")[0].value
    assert ran == [1]
    assert value["tool_call"] | {"latency_ms": 0} == {
        "name": "look_up",
        "arguments": {"id": 7},
        "call_id": "call_1",
        "latency_ms": 0,
    }
    assert value["result"] == {"amount": 12}


@pytest.mark.parametrize("hint", [None, str | None, Claim | None, Any, inspect.Parameter.empty])
@pytest.mark.parametrize("recording", [Step(), UNMARKED])
async def test_a_tool_may_give_nothing(hint: Any, recording: Step | WithContext) -> None:
    paid: list[int] = []

    async def pay() -> None:
        paid.append(1)

    async def body(ctx: perdure.Context) -> str:
        gave = await tool_call("pay", pay, recording, codec=codec_of(hint))
        await ctx.run_typed("later", lambda: None)
        return repr(gave)

    tools, call = calling(body)
    async with Harness(tools, always_replay=True) as h:
        assert await h.call(call) == "None"
    assert paid == [1]


async def test_a_step_whose_result_cannot_be_written_is_not_done_again() -> None:
    paid: list[int] = []

    async def pay() -> bytes:
        paid.append(1)
        return b"receipt"

    tools, call = calling(lambda ctx: tool_call("pay", pay, codec=codec_of(bytes)))
    async with Harness(tools) as h:
        with pytest.raises(perdure.TerminalError, match="what it gave cannot be recorded as JSON: bytes are no JSON"):
            await h.call(call)
    assert paid == [1]


@pytest.mark.parametrize(
    ("slip", "told"),
    [
        (lambda: as_step(cast("Any", OPTIONS)), r"@as_step\(options="),
        (lambda: Step(cast("Any", 5)), "takes RunOptions"),
        (lambda: as_step(Callable_().method), "cannot be marked"),
        (lambda: as_step(print), "cannot be marked"),
    ],
)
def test_slips_are_told_with_what_to_write(slip: Callable[[], Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        slip()


async def test_an_error_that_stays_is_terminal_after_three_tries() -> None:
    ran: list[int] = []

    async def fails() -> None:
        ran.append(1)
        raise ValueError("no such city")

    tools, call = calling(lambda ctx: tool_call("weather", fails))
    async with Harness(tools) as h:
        with pytest.raises(perdure.TerminalError, match="ValueError: no such city"):
            await h.call(call)
    assert len(ran) == 3


async def test_tools_at_once_run_at_once_and_replay_in_any_order() -> None:
    under_way: list[int] = []
    most: list[int] = []

    async def slow(seconds: float) -> float:
        under_way.append(1)
        most.append(len(under_way))
        await asyncio.sleep(seconds)
        under_way.pop()
        return seconds

    async def tool(seconds: float) -> float:
        return await tool_call(f"wait {seconds}", functools.partial(slow, seconds))

    async def body(ctx: perdure.Context) -> list[float]:
        waited = await asyncio.gather(*(tool(seconds) for seconds in (3.0, 1.0, 2.0)))
        await ctx.run_typed("sum up", lambda: None)
        return waited

    tools, call = calling(body)
    async with Harness(tools) as h:
        assert await h.call(call) == [3.0, 1.0, 2.0]
        assert max(most) == 3
        await h.crash_at_every_step(call)


async def test_a_tool_with_the_context_may_await_nothing_else() -> None:
    async def body(ctx: perdure.Context) -> None:
        await tool_call("weather", lambda: asyncio.sleep(1), WithContext())

    tools, call = calling(body)
    async with Harness(tools, disable_retries=True) as h:
        with pytest.raises(AssertionError, match="tool 'weather' awaits something other than its context"):
            await h.call(call)


async def test_what_a_tool_gives_that_only_computes_is_recorded() -> None:
    charged: list[int] = []

    async def charge() -> int:
        charged.append(1)
        return len(charged)

    async def body(ctx: perdure.Context) -> list[int]:
        def tool() -> Any:
            return tool_call("charge", charge, UNMARKED, arguments={"cents": 5}, call_id="call_1")

        results = await asyncio.gather(tool(), tool())
        await ctx.run_typed("later", lambda: None)
        return results

    tools, call = calling(body)
    async with Harness(tools, always_replay=True) as h:
        sent = await h.send(call)
        assert await h.attach(call, sent) == [1, 2]
        entries = [h.journal(sent).runs(f"tool charge, call {n}")[0] for n in (1, 2)]
    assert len(charged) == 2
    assert [entry.value["result"] for entry in entries] == [1, 2]
    assert entries[0].value["tool_call"]["arguments"] == {"cents": 5}


async def test_a_call_does_not_take_what_another_of_the_same_tool_gave() -> None:
    async def body(ctx: perdure.Context) -> list[str]:
        one_at_a_time = asyncio.Lock()

        async def look_up(city: str) -> str:
            if city == "oslo":
                return "known already"
            async with one_at_a_time:
                return await ctx.run_typed("fetch", functools.partial(fetch, city))

        def tool(city: str) -> Any:
            return tool_call("look_up", functools.partial(look_up, city), UNMARKED)

        found = await asyncio.gather(tool("bergen"), tool("tromso"), tool("oslo"))
        await ctx.run_typed("later", lambda: None)
        return found

    async def fetch(city: str) -> str:
        return f"fetched {city}"

    tools, call = calling(body)
    async with Harness(tools) as h:
        assert await h.call(call) == ["fetched bergen", "fetched tromso", "known already"]
        await h.crash_at_every_step(call)


async def test_what_a_tool_raises_that_only_computes_is_tried_and_recorded_as_a_step_is() -> None:
    charged: list[int] = []

    async def charge() -> int:
        charged.append(1)
        raise ValueError(f"declined, charge {len(charged)}")

    async def body(ctx: perdure.Context) -> str:
        try:
            await tool_call("charge", charge, UNMARKED)
        except perdure.TerminalError as error:
            await ctx.run_typed("later", lambda: None)
            return error.message
        return "charged"

    tools, call = calling(body)
    async with Harness(tools, always_replay=True) as h:
        assert await h.call(call) == "ValueError: declined, charge 3"
    assert len(charged) == 3


async def test_a_tool_that_is_marked_as_with_the_context_always_runs_again() -> None:
    basket: list[str] = []

    @with_context
    async def put() -> None:
        basket.append("lamp")

    async def body(ctx: perdure.Context) -> list[str]:
        basket.clear()
        await tool_call("put", put, how_recorded(put))
        await ctx.run_typed("later", lambda: None)
        return list(basket)

    tools, call = calling(body)
    async with Harness(tools, always_replay=True) as h:
        assert await h.call(call) == ["lamp"]


async def test_exceptions_that_steer_a_framework_are_not_recorded() -> None:
    class Elsewhere(Exception):
        pass

    async def go() -> None:
        raise Elsewhere

    async def body(ctx: perdure.Context) -> str:
        try:
            await tool_call("go", go, UNMARKED, control_flow=(Elsewhere,))
        except Elsewhere:
            await ctx.run_typed("later", lambda: None)
            return "went"
        return "stayed"

    tools, call = calling(body)
    async with Harness(tools, always_replay=True) as h:
        sent = await h.send(call)
        assert await h.attach(call, sent) == "went"
        assert h.journal(sent).names("run") == ["later"]


@pytest.mark.parametrize("use", ["step", "random", "awakeable", "turn"])
async def test_a_tool_that_uses_its_context_is_no_step(use: str) -> None:
    async def tool(ctx: perdure.Context) -> str:
        match use:
            case "step":
                return await ctx.run_typed("own", lambda: "done")
            case "random":
                return "done" if ctx.random().random() < 2 else ""
            case "awakeable":
                return ctx.awakeable()[0][:0] + "done"
            case _:
                await asyncio.sleep(0)
                return "done"

    async def body(ctx: perdure.Context) -> str:
        said = await tool_call("look_up", lambda: tool(ctx), UNMARKED)
        await ctx.run_typed("later", lambda: None)
        return said

    tools, call = calling(body)
    async with Harness(tools, always_replay=True) as h:
        sent = await h.send(call)
        assert await h.attach(call, sent) == "done"
        assert h.journal(sent).names("run")[-1:] == ["later"]
        assert "tool look_up, call 1" not in h.journal(sent).names()


async def test_a_handler_as_a_tool_has_its_shape_and_calls_it() -> None:
    fraud = perdure.Service("FraudAgent")

    @fraud.handler("run")
    async def check_fraud(ctx: perdure.Context, claim: Claim) -> str:
        """Says whether a claim looks fraudulent."""
        return f"{claim.amount} is fine"

    tool = remote_tool(check_fraud)
    assert tool.__name__ == "check_fraud"
    assert tool.__doc__ == "Says whether a claim looks fraudulent."
    assert tool.__annotations__ == {"claim": Claim, "return": str}
    assert how_recorded(tool) == WithContext()

    async def body(ctx: perdure.Context) -> str:
        return await tool_call("check_fraud", lambda: tool(claim=Claim(3)), WithContext())

    tools, call = calling(body)
    async with Harness(tools, fraud) as h:
        assert await h.call(call) == "3 is fine"
        assert h.journal(h.invocations(call)[0].id).types() == ["input", "call", "output"]


async def test_an_object_as_a_tool_needs_its_key() -> None:
    accounts = perdure.VirtualObject("Accounts")

    @accounts.handler()
    async def balance(ctx: perdure.ObjectContext) -> str:
        return f"that of {ctx.key()}"

    with pytest.raises(UsageError, match="is a handler of a virtual object: say which one by `key=`"):
        remote_tool(balance)
    tool = remote_tool(balance, key="mia", description="The customer's balance.")
    assert tool.__doc__ == "The customer's balance."
    tools, call = calling(lambda ctx: tool())
    async with Harness(tools, accounts) as h:
        assert await h.call(call) == "that of mia"


async def test_a_service_as_a_tool_has_no_key() -> None:
    service = perdure.Service("Service")

    @service.handler()
    async def run(ctx: perdure.Context) -> None: ...

    with pytest.raises(UsageError, match="it has no key"):
        remote_tool(run, key="mia")
