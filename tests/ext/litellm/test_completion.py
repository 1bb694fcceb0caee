"""A durable completion: what is recorded, what is tried again, what is given up, with the real library."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

import perdure
from perdure import RunOptions
from perdure.errors import NotInHandler, TerminalError
from perdure.ext.litellm import completion
from perdure.testing import Harness
from perdure.testing.model import Answer, ChatRequest, Fate, Fault, Reply, ScriptedModel, Usage
from tests.ext.litellm.model_calls import recorded

pytestmark = pytest.mark.asyncio(loop_scope="session")

MODEL = "openai/gpt-4o-mini"


def asks(**settings: Any) -> tuple[perdure.Service, Any]:
    """An agent that asks once."""
    agents = perdure.Service("Agents")

    @agents.handler()
    async def ask(ctx: perdure.Context, question: str) -> str:
        response = await completion(MODEL, [{"role": "user", "content": question}], **settings)
        return str(response.choices[0].message.content)

    return agents, ask


def converses(turns: int, how: str = "object", clock: bool = False) -> tuple[perdure.Service, Any]:
    """An agent that asks many times, and keeps the model's messages in one form or another.

    With a clock, each of its requests begins with another system prompt.
    """
    agents = perdure.Service("Agents")

    @agents.handler()
    async def ask(ctx: perdure.Context, question: str) -> str:
        messages: list[Any] = [{"role": "system", "content": "Be brief. " * 20}]
        for turn in range(turns):
            if clock:
                messages[0] = {"role": "system", "content": f"Be brief. It is {turn // 60:02d}:{turn % 60:02d}."}
            messages.append({"role": "user", "content": f"{question} {turn}"})
            message = (await completion(MODEL, messages)).choices[0].message
            if how == "object":
                messages.append(message)
            elif how == "dump":
                messages.append(message.model_dump())
            else:
                messages.append({"role": "assistant", "content": message.content})
        return str(len(messages))

    return agents, ask


async def test_the_entry_holds_what_was_asked_and_said(model: ScriptedModel) -> None:
    model.script = lambda request: Answer(Reply("42"), usage=Usage(10, 5, 2))
    agents, ask = asks(agent="Router", temperature=0.5, api_key="secret", extra_headers={"x-key": "secret"})
    async with Harness(agents) as h:
        sent = await h.send(ask, "6 x 7?")
        assert await h.attach(ask, sent) == "42"
        journal = h.journal(sent)
    assert journal.names() == [f"Router asks {MODEL}"]
    record = journal.of("run")[0].value["model_call"]
    assert record["messages"] == [{"role": "user", "content": "6 x 7?"}]
    assert record["said"] == [{"role": "assistant", "content": "42"}]
    assert record["settings"] == {"temperature": 0.5}
    assert record["usage"] == {"input_tokens": 10, "output_tokens": 5, "cached_tokens": 2}
    assert record["finish_reason"] == "stop"
    assert "secret" not in str(journal.of("run")[0].value)


async def test_a_crash_at_any_entry_asks_nothing_again(model: ScriptedModel) -> None:
    agents, ask = converses(3)
    async with Harness(agents) as h:
        await h.crash_at_every_step(ask, "a question", model=model)


@pytest.mark.parametrize("how", ["object", "dump", "written"])
async def test_what_is_sent_back_is_known_in_whatever_form(model: ScriptedModel, how: str) -> None:
    agents, ask = converses(3, how)
    async with Harness(agents) as h:
        sent = await h.send(ask, "a question")
        await h.attach(ask, sent)
        records = recorded(h.journal(sent))
    assert [each.get("follows") for each in records] == [None, {"call": 1, "messages": 2}, {"call": 2, "messages": 4}]
    assert [len(each["messages"]) for each in records] == [1, 1, 1]


@pytest.mark.parametrize("clock", [False, True], ids=["the same prompt", "a prompt that changes"])
async def test_a_hundred_calls_are_recorded_in_space_that_grows_with_their_number(
    model: ScriptedModel, clock: bool
) -> None:
    agents, ask = converses(100, clock=clock)
    async with Harness(agents) as h:
        sent = await h.send(ask, "a question")
        assert await h.attach(ask, sent) == "201"
        sizes = [len(msgspec.json.encode(each.value)) for each in h.journal(sent).of("run")]
    assert len(sizes) == 100
    assert max(sizes[1:]) - min(sizes[1:]) < 50


async def test_a_response_is_the_same_from_the_journal(model: ScriptedModel) -> None:
    class Weather(BaseModel):
        city: str

    model.script = lambda request: Reply('{"city": "Oslo"}')
    agents = perdure.Service("Agents")
    seen: list[tuple[Any, Any]] = []

    @agents.handler()
    async def ask(ctx: perdure.Context) -> str:
        response = await completion(MODEL, [{"role": "user", "content": "?"}], response_format=Weather)
        seen.append((response.model_dump(), response._hidden_params["response_cost"]))
        await ctx.run_typed("another step", lambda: None)
        return Weather.model_validate_json(response.choices[0].message.content).city

    async with Harness(agents, always_replay=True) as h:
        sent = await h.send(ask)
        assert await h.attach(ask, sent) == "Oslo"
        assert recorded(h.journal(sent))[0]["settings"] == {"response_format": "Weather"}
    assert len(seen) > 1
    assert all(each == seen[0] for each in seen)
    assert len(model.log.calls) == 1


@pytest.mark.parametrize(
    "fault",
    [Fault(status=429), Fault(status=500), Fault(status=503), Fault(status=408), Fault(cut=True), Fault(hang_up=True)],
    ids=str,
)
async def test_what_may_pass_is_tried_again(model: ScriptedModel, fault: Fault) -> None:
    model.faults.extend([fault, fault])
    agents, ask = asks()
    async with Harness(agents) as h:
        assert await h.call(ask, "?") == "You asked: ?"
    assert len(model.log.calls) == 3


async def test_the_providers_delay_is_kept(model: ScriptedModel) -> None:
    model.faults.append(Fault(status=429, retry_after=17))
    agents, ask = asks()
    async with Harness(agents) as h:
        began = h.now
        await h.call(ask, "?")
        assert timedelta(seconds=17) <= h.now - began < timedelta(seconds=20)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
async def test_what_can_never_succeed_is_terminal_in_the_providers_words(model: ScriptedModel, status: int) -> None:
    model.faults.append(Fault(status=status, message="there is no such luck"))
    agents, ask = asks()
    async with Harness(agents) as h:
        with pytest.raises(TerminalError, match="there is no such luck") as caught:
            await h.call(ask, "?")
    assert caught.value.status_code == status
    assert len(model.log.calls) == 1


async def test_a_content_filter_is_terminal(model: ScriptedModel) -> None:
    model.faults.append(Fault(filtered=True, message="not about this"))
    agents, ask = asks()
    async with Harness(agents) as h:
        with pytest.raises(TerminalError, match=r"ContentPolicyViolationError.*not about this") as caught:
            await h.call(ask, "?")
    assert caught.value.status_code == 400


async def test_a_model_that_stays_away_is_given_up_after_so_many_tries_and_the_client_adds_none(
    model: ScriptedModel,
) -> None:
    model.aim(Fault(status=500, message="out of order"))
    agents, ask = asks(run_options=RunOptions(max_attempts=3))
    async with Harness(agents) as h:
        with pytest.raises(TerminalError, match="out of order"):
            await h.call(ask, "?")
    assert len(model.log.calls) == 3


async def test_all_tries_of_a_call_have_one_key_and_each_call_another(model: ScriptedModel) -> None:
    model.faults.append(Fault(status=500))
    agents, ask = converses(2)
    async with Harness(agents) as h:
        await h.call(ask, "a question")
    first, second, third = [call.key for call in model.log.calls]
    assert first is not None
    assert first == second != third


@pytest.mark.parametrize("setting", ["headers", "extra_headers"])
async def test_a_key_of_the_users_own_is_kept(model: ScriptedModel, setting: str) -> None:
    agents, ask = asks(**{setting: {"idempotency-key": "mine"}})
    async with Harness(agents) as h:
        await h.call(ask, "Hi")
    assert [call.key for call in model.log.calls] == ["mine"]


async def test_an_unknown_provider_is_terminal(model: ScriptedModel) -> None:
    agents = perdure.Service("Agents")

    @agents.handler()
    async def ask(ctx: perdure.Context) -> None:
        await completion("nobody-knows-this", [{"role": "user", "content": "?"}])

    async with Harness(agents) as h:
        with pytest.raises(TerminalError, match="LLM Provider NOT provided"):
            await h.call(ask)


async def test_a_timeout_of_litellm_ends_one_try(model: ScriptedModel) -> None:
    model.faults.append(Fault(delay_s=30))
    agents, ask = asks(timeout=1)
    async with Harness(agents) as h:
        assert await h.call(ask, "?") == "You asked: ?"
    fates = [each.fate for each in model.log.calls]
    assert (fates[0], fates[-1]) == (Fate.ABANDONED, Fate.ANSWERED)


async def test_a_timeout_of_the_step_ends_them_all(model: ScriptedModel) -> None:
    model.usually = Fault(delay_s=30)
    agents, ask = asks(run_options=RunOptions(timeout=timedelta(seconds=0.3)))
    try:
        async with Harness(agents) as h:
            with pytest.raises(TerminalError, match=r"was not done within 0\.3 s") as caught:
                await h.call(ask, "?")
    finally:
        model.usually = Fault()
    assert caught.value.status_code == 408


async def test_litellms_fallbacks_and_retries_are_inside_of_the_step(model: ScriptedModel) -> None:
    model.aim(Fault(status=500), at=lambda request: request.model == "gpt-4o-mini")
    agents, ask = asks(fallbacks=["openai/gpt-4o"])
    async with Harness(agents) as h:
        sent = await h.send(ask, "?")
        await h.attach(ask, sent)
        assert recorded(h.journal(sent))[0]["answered_by"] == "gpt-4o"
        assert len(recorded(h.journal(sent))) == 1
    assert {each.model for each in model.log.calls} == {"gpt-4o-mini", "gpt-4o"}


async def test_a_router_is_asked_in_the_place_of_litellm(model: ScriptedModel) -> None:
    from litellm import Router

    def deployment(name: str) -> dict[str, Any]:
        return {"model_name": name, "litellm_params": {"model": f"openai/{name}-deployed"}}

    router = Router(model_list=[deployment("first"), deployment("second")], fallbacks=[{"first": ["second"]}])
    model.aim(Fault(status=500), at=lambda request: request.model == "first-deployed")
    agents = perdure.Service("Agents")

    @agents.handler()
    async def ask(ctx: perdure.Context) -> str:
        response = await completion("first", [{"role": "user", "content": "?"}], router=router)
        return str(response.model)

    async with Harness(agents) as h:
        assert await h.call(ask) == "second-deployed"


async def test_a_cancel_ends_the_call_in_flight(model: ScriptedModel) -> None:
    async def never(request: ChatRequest) -> Reply:
        await asyncio.Event().wait()
        raise AssertionError

    model.script = never
    agents, ask = asks()
    async with Harness(agents) as h:
        sent = await h.send(ask, "?")
        await asyncio.to_thread(model.log.wait_for, 1)
        await h.cancel(sent.invocation_id)
        outcome = await h.outcome(sent)
        assert outcome.failure is not None
        assert outcome.failure.code == 409
        await asyncio.to_thread(model.log.wait_until, lambda calls: calls[0].fate is Fate.ABANDONED)


async def test_calls_at_the_same_time_are_one_entry_each(model: ScriptedModel) -> None:
    agents = perdure.Service("Agents")

    @agents.handler()
    async def ask(ctx: perdure.Context) -> list[str]:
        responses = await asyncio.gather(
            *(completion(MODEL, [{"role": "user", "content": f"question {n}"}]) for n in range(3))
        )
        return [str(each.choices[0].message.content) for each in responses]

    async with Harness(agents) as h:
        assert await h.call(ask) == [f"You asked: question {n}" for n in range(3)]
        await h.crash_at_every_step(ask, model=model)


@pytest.mark.parametrize("name", ["anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash"])
async def test_other_providers_are_recorded_in_the_same_form(model: ScriptedModel, name: str) -> None:
    model.script = lambda request: (
        Reply(f"it is {next(iter(request.results.values()))}")
        if request.results
        else Reply.calling(("get_weather", {"city": "Oslo"}))
    )
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}
    agents = perdure.Service("Agents")

    @agents.handler()
    async def ask(ctx: perdure.Context) -> str:
        messages: list[Any] = [{"role": "user", "content": "How is the weather in Oslo?"}]
        message = (await completion(name, messages, tools=[tool])).choices[0].message
        call = message.tool_calls[0]
        assert json.loads(call.function.arguments) == {"city": "Oslo"}
        messages += [message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
        return str((await completion(name, messages, tools=[tool])).choices[0].message.content)

    async with Harness(agents) as h:
        sent = await h.send(ask)
        assert await h.attach(ask, sent) == "it is sunny"
        first, second = recorded(h.journal(sent))
    [called] = first["said"]
    assert called["tool_calls"][0]["name"] == "get_weather"
    assert second["follows"] == {"call": 1, "messages": 2}
    assert [each["role"] for each in second["messages"]] == ["tool"]


WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}}


async def test_streaming_is_refused(model: ScriptedModel) -> None:
    agents, ask = asks(stream=True)
    async with Harness(agents, disable_retries=True) as h:
        with pytest.raises(AssertionError, match="leave out stream=True"):
            await h.call(ask, "?")
    assert not model.log.calls


async def test_outside_of_a_handler_and_inside_of_a_run_it_stops(model: ScriptedModel) -> None:
    with pytest.raises(NotInHandler, match="outside of a handler"):
        await completion(MODEL, [{"role": "user", "content": "?"}])
    agents = perdure.Service("Agents")

    @agents.handler()
    async def ask(ctx: perdure.Context) -> None:
        await ctx.run_typed("a step", lambda: completion(MODEL, [{"role": "user", "content": "?"}]))

    async with Harness(agents, disable_retries=True) as h:
        with pytest.raises(AssertionError, match="inside a run"):
            await h.call(ask)
    assert not model.log.calls
