"""Tools of agents written by hand: how they are offered, run, recorded, and what becomes of their failures."""

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

import perdure
from perdure.errors import TerminalError
from perdure.ext.litellm import as_step, call_tools, completion, current_context, remote_tool, with_context
from perdure.testing import Harness
from perdure.testing.model import ChatRequest, Reply, ScriptedModel

pytestmark = pytest.mark.asyncio(loop_scope="session")

MODEL = "openai/gpt-4o-mini"


class Place(BaseModel):
    """Where one may go."""

    city: str
    days: int = 1


class Weather(BaseModel):
    city: str
    degrees: int


def agent(*tools: Any, tell_errors: bool = False) -> tuple[perdure.Service, Any]:
    """An agent with these tools."""
    agents = perdure.Service("Agents")

    @agents.handler()
    async def ask(ctx: perdure.Context, question: str) -> str:
        messages: list[Any] = [{"role": "user", "content": question}]
        while True:
            response = await completion(MODEL, messages, tools=tools)
            messages.append(response.choices[0].message)
            if not response.choices[0].message.tool_calls:
                return str(response.choices[0].message.content)
            messages += await call_tools(response, tools, tell_errors=tell_errors)

    return agents, ask


def calls(*called: tuple[str, Any]) -> Any:
    """A model that calls these at once, and then says what they gave."""

    def script(request: ChatRequest) -> Reply:
        said = [str(each["content"]) for each in request.messages if each["role"] == "tool"]
        return Reply(" | ".join(said)) if said else Reply.calling(*called)

    return script


async def test_a_plain_function_is_a_step_that_holds_arguments_and_result(model: ScriptedModel) -> None:
    def forecast(place: Place) -> Weather:
        """The weather in a place."""
        return Weather(city=place.city, degrees=20 + place.days)

    model.script = calls(("forecast", {"place": {"city": "Oslo", "days": "2"}}))
    agents, ask = agent(forecast)
    async with Harness(agents) as h:
        sent = await h.send(ask, "?")
        assert await h.attach(ask, sent) == '{"city":"Oslo","degrees":22}'
        entry = h.journal(sent).runs("tool forecast")[0].value
    assert entry["tool_call"]["arguments"] == {"place": {"city": "Oslo", "days": "2"}}
    assert entry["result"] == {"city": "Oslo", "degrees": 22}
    [offered] = model.log.calls[0].request.tools or []
    assert (offered.function.name, offered.function.description) == ("forecast", "The weather in a place.")


async def test_an_async_function_that_only_computes_runs_once(model: ScriptedModel) -> None:
    charged: list[int] = []

    async def charge(cents: int) -> int:
        charged.append(cents)
        return len(charged)

    model.script = calls(("charge", {"cents": 500}))
    agents, ask = agent(charge)
    async with Harness(agents, always_replay=True) as h:
        sent = await h.send(ask, "?")
        assert await h.attach(ask, sent) == "1"
        [entry] = h.journal(sent).runs("tool charge, call 1")
    assert charged == [500]
    assert (entry.value["tool_call"]["arguments"], entry.value["result"]) == ({"cents": 500}, 1)


async def test_a_tool_may_give_nothing(model: ScriptedModel) -> None:
    paid: list[str] = []

    def pay(cents: int) -> None:
        paid.append("step")

    async def book(cents: int) -> str | None:
        return await current_context().run_typed("book", lambda: paid.append("with the context"))

    model.script = calls(("pay", {"cents": 5}), ("book", {"cents": 5}))
    agents, ask = agent(pay, book)
    async with Harness(agents, always_replay=True) as h:
        assert await h.call(ask, "?") == "null | null"
    assert sorted(paid) == ["step", "with the context"]


async def test_a_tool_that_is_offered_as_a_dict_is_not_for_call_tools(model: ScriptedModel) -> None:
    def double(n: int) -> int:
        return 2 * n

    offered = {"type": "function", "function": {"name": "search", "parameters": {"type": "object"}}}
    agents, ask = agent(offered, double)
    async with Harness(agents, disable_retries=True) as h:
        model.script = calls(("double", {"n": 21}))
        assert await h.call(ask, "?") == "42"
        model.script = calls(("search", {}))
        with pytest.raises(AssertionError, match="tool 'search' is offered as a dict"):
            await h.call(ask, "!")


async def test_tools_of_one_answer_run_at_the_same_time(model: ScriptedModel) -> None:
    met = asyncio.Barrier(3)

    @as_step
    async def meets(who: str) -> str:
        await asyncio.wait_for(met.wait(), 50)  # comes to an end only if all three are there
        return f"{who} met"

    model.script = calls(*(("meets", {"who": who}) for who in "abc"))
    agents, ask = agent(meets)
    async with Harness(agents) as h:
        assert await h.call(ask, "?") == "a met | b met | c met"


async def test_parallel_tools_survive_a_crash_at_any_entry(model: ScriptedModel) -> None:
    other = perdure.Service("Other")

    @other.handler()
    async def greet(ctx: perdure.Context, name: str) -> str:
        """Greets."""
        return f"hello {name}"

    def step(text: str) -> str:
        return f"step {text}"

    async def durable(text: str) -> str:
        ctx = current_context()
        first = await ctx.run_typed("first", lambda: f"first {text}")
        return await ctx.run_typed("second", lambda: f"second of {first}")

    model.script = calls(("durable", {"text": "b"}), ("step", {"text": "a"}), ("greet", {"name": "ada"}))
    agents, ask = agent(step, durable, remote_tool(greet))
    async with Harness(agents, other) as h:
        assert await h.call(ask, "?") == "second of first b | step a | hello ada"
        await h.crash_at_every_step(ask, "?", model=model)


async def test_a_model_that_calls_wrongly_is_told_and_nothing_is_run(model: ScriptedModel) -> None:
    ran: list[str] = []

    def forecast(place: Place) -> str:
        ran.append("forecast")
        return ""

    model.script = calls(("forecast", {"place": {"days": "many"}}), ("missing", {}))
    agents, ask = agent(forecast)
    async with Harness(agents) as h:
        told = await h.call(ask, "?")
    assert "These arguments do not fit forecast: place.city: Field required" in told
    assert "There is no tool missing. There is: forecast." in told
    assert ran == []


async def test_a_tool_is_tried_three_times_then_the_run_ends(model: ScriptedModel) -> None:
    tries: list[str] = []

    def fails() -> str:
        tries.append("fails")
        raise ValueError("out of luck")

    model.script = calls(("fails", {}))
    agents, ask = agent(fails)
    async with Harness(agents) as h:
        with pytest.raises(TerminalError, match="out of luck"):
            await h.call(ask, "?")
    assert len(tries) == 3


async def test_the_model_hears_of_a_failure_if_it_is_to(model: ScriptedModel) -> None:
    def fails() -> str:
        raise TerminalError("out of luck")

    model.script = calls(("fails", {}))
    agents, ask = agent(fails, tell_errors=True)
    async with Harness(agents) as h:
        assert await h.call(ask, "?") == "fails failed: out of luck"


async def test_all_tools_have_ended_when_one_has_failed(model: ScriptedModel) -> None:
    done: list[str] = []

    def fails() -> str:
        raise TerminalError("out of luck")

    async def works() -> str:
        await current_context().run_typed("work", lambda: None)
        done.append("works")
        return ""

    model.script = calls(("fails", {}), ("works", {}))
    agents, ask = agent(fails, works)
    async with Harness(agents) as h:
        with pytest.raises(TerminalError, match="out of luck"):
            await h.call(ask, "?")
    assert done


class ReviewFailed(Exception):
    """What a tool raises from a cancel."""


@pytest.mark.parametrize("wrapped", [False, True], ids=["as it is", "as the cause of another error"])
async def test_a_cancel_is_never_told_to_the_model(wrapped: bool, model: ScriptedModel) -> None:
    waits = asyncio.Event()

    async def review() -> str:
        _, answer = current_context().awakeable(type_hint=str)
        waits.set()
        try:
            return await answer
        except TerminalError as error:
            if wrapped:
                raise ReviewFailed from error
            raise

    model.script = calls(("review", {}))
    agents, ask = agent(review, tell_errors=True)
    async with Harness(agents) as h:
        sent = await h.send(ask, "?")
        await waits.wait()
        await h.cancel(sent.invocation_id)
        outcome = await h.outcome(sent)
    assert outcome.failure is not None
    assert outcome.failure.code == 409
    assert len(model.log.calls) == 1


async def test_a_cancel_reaches_the_agents_below(model: ScriptedModel) -> None:
    other = perdure.Service("Other")
    waits = asyncio.Event()

    @other.handler()
    async def review(ctx: perdure.Context, amount: int) -> str:
        _, answer = ctx.awakeable(type_hint=str)
        waits.set()
        return await answer

    model.script = calls(("review", {"amount": 900}))
    agents, ask = agent(remote_tool(review))
    async with Harness(agents, other) as h:
        sent = await h.send(ask, "?")
        await waits.wait()
        await h.cancel(sent.invocation_id)
        outcomes = [await h.outcome(each.id) for each in h.invocations()]
    assert [each.failure.code for each in outcomes if each.failure is not None] == [409, 409]


async def test_a_tool_with_the_context_that_awaits_something_else_is_reported(model: ScriptedModel) -> None:
    @with_context
    async def dozes() -> str:
        await asyncio.sleep(1)
        return ""

    model.script = calls(("dozes", {}))
    agents, ask = agent(dozes)
    async with Harness(agents, disable_retries=True) as h:
        with pytest.raises(AssertionError, match="dozes"):
            await h.call(ask, "?")
