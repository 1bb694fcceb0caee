"""Agents of `create_agent` with the middleware: what is recorded, what runs at the same time, what survives crashes."""

import json
from asyncio import BaseEventLoop
from datetime import timedelta
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ModelFallbackMiddleware, ToolErrorMiddleware, before_model, wrap_model_call
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

import perdure
from perdure.errors import NotInHandler, TerminalError, UsageError
from perdure.ext.langchain import DurableMiddleware, current_context
from perdure.sdk.context import context_var
from perdure.sdk.progress import run_key_var
from perdure.testing import Harness
from perdure.testing.model import ChatRequest, Reply, ScriptedModel
from perdure.testing.virtual_time import StandsStill


def asking(agent: Any) -> tuple[perdure.Service, Any]:
    """A service whose handler asks the agent."""
    service = perdure.Service("Agent")

    @service.handler()
    async def ask(ctx: perdure.Context, question: str) -> str:
        result = await agent.ainvoke({"messages": [{"role": "user", "content": question}]})
        return result["messages"][-1].text

    return service, ask


def results(h: Harness, handler: Any) -> list[Any]:
    """What the steps of the only invocation of a handler recorded."""
    [seen] = h.invocations(handler)
    found = (each.message for each in h.envelopes(seen.id))
    return [json.loads(each.value.content) for each in found if type(each).__name__ == "NotificationMessage"]


async def slow(x: int) -> str:
    """Takes three seconds."""
    ctx = current_context()
    await ctx.sleep(timedelta(seconds=3))
    return await ctx.run_typed("slow", lambda: f"slow {x}")


async def quick(x: int) -> str:
    """Takes a second."""
    ctx = current_context()
    await ctx.sleep(timedelta(seconds=1))
    return await ctx.run_typed("quick", lambda: f"quick {x}")


def plain(x: int) -> str:
    """Takes no time."""
    return f"plain {x}"


def all_three(request: ChatRequest) -> Reply:
    if request.results:
        return Reply(" | ".join(request.results.values()))
    return Reply.calling(("slow", {"x": 1}), ("quick", {"x": 2}), ("plain", {"x": 3}))


async def test_each_model_call_is_recorded_with_what_is_new_of_it(chat: ChatOpenAI, model: ScriptedModel) -> None:
    model.script = lambda request: Reply("done") if request.results else Reply.calling(("plain", {"x": 3}))
    agent = create_agent(chat, [plain], system_prompt="Be brief.", middleware=[DurableMiddleware()], name="Clerk")
    service, ask = asking(agent)
    async with Harness(service) as h:
        await h.call(ask, "go")
        first, tool, second = results(h, ask)
    assert first["model_call"]["agent"] == "Clerk"
    assert first["model_call"]["instructions"] == "Be brief."
    assert first["model_call"]["messages"] == [{"role": "user", "content": "go"}]
    assert [each["name"] for each in first["model_call"]["tools"]] == ["plain"]
    assert first["model_call"]["usage"]["output_tokens"] > 0
    assert first["model_call"]["finish_reason"] == "tool_calls"
    assert tool["tool_call"]["arguments"] == {"x": 3}
    assert tool["result"]["returned"]["data"]["content"] == "plain 3"
    assert second["model_call"]["follows"] == {"call": 1, "messages": 2}
    assert [each["role"] for each in second["model_call"]["messages"]] == ["tool"]


async def test_tools_of_one_answer_run_at_the_same_time(chat: ChatOpenAI, model: ScriptedModel) -> None:
    model.script = all_three
    service, ask = asking(create_agent(chat, [slow, quick, plain], middleware=[DurableMiddleware()]))
    async with Harness(service) as h:
        began = h.now
        assert await h.call(ask, "go") == "slow 1 | quick 2 | plain 3"
        assert timedelta(seconds=3) <= h.now - began < timedelta(seconds=4)


async def test_tools_at_the_same_time_survive_a_crash_at_every_step(chat: ChatOpenAI, model: ScriptedModel) -> None:
    model.script = all_three
    service, ask = asking(create_agent(chat, [slow, quick, plain], middleware=[DurableMiddleware()]))
    async with Harness(service) as h:
        await h.crash_at_every_step(ask, "go", model=model)


async def test_messages_have_the_same_ids_on_every_attempt(chat: ChatOpenAI, model: ScriptedModel) -> None:
    service = perdure.VirtualObject("Notes")
    agent = create_agent(chat, [plain], middleware=[DurableMiddleware()])
    model.script = lambda request: Reply("done") if request.results else Reply.calling(("plain", {"x": 3}))

    @service.handler()
    async def ask(ctx: perdure.ObjectContext, question: str) -> int:
        result = await agent.ainvoke({"messages": [{"role": "user", "content": question}]})
        ids = [each.id for each in result["messages"]]
        ctx.set("ids", ids)  # compared on replay
        await ctx.sleep(timedelta(seconds=1))
        return len(set(ids))

    async with Harness(service) as h:
        await h.crash_at_every_step(ask, "go", key="k")
        assert await h.call(ask, "go", key="other") == 4


async def test_nothing_is_put_into_threads_but_steps(
    chat: ChatOpenAI, model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What goes on when its thread is done goes on in another order on each attempt."""
    in_threads: list[Any] = []
    run_in_executor = BaseEventLoop.run_in_executor

    def noted(loop: Any, executor: Any, fn: Any, *args: Any) -> Any:
        if context_var.get() is not None and run_key_var.get() is None:
            in_threads.append(fn)
        return run_in_executor(loop, executor, fn, *args)

    monkeypatch.setattr(BaseEventLoop, "run_in_executor", noted)

    class Told(BaseCallbackHandler):
        def __init__(self) -> None:
            self.tools: list[str] = []

        def on_tool_start(self, serialized: dict[str, Any], input_str: str, **_: Any) -> None:
            self.tools.append(serialized["name"])

    told = Told()
    model.script = all_three
    agent = create_agent(chat, [slow, quick, plain], middleware=[DurableMiddleware()])
    service, ask = asking(agent.with_config({"callbacks": [told]}))
    async with Harness(service) as h:
        await h.call(ask, "go")
        await h.call(ask, "go")  # the first call of all tells of the graph in a thread, before anything is recorded
        assert {"slow", "quick", "plain"} == set(told.tools)
        del in_threads[:]
        await h.call(ask, "go")
    assert in_threads == []


class Verdict(BaseModel):
    """What is decided."""

    approved: bool
    why: str


@pytest.mark.parametrize("strategy", [ToolStrategy, ProviderStrategy])
async def test_structured_output_is_kept(strategy: Any, chat: ChatOpenAI, model: ScriptedModel) -> None:
    said = {"approved": True, "why": "small"}
    model.script = lambda request: Reply.calling(("Verdict", said)) if request.tools else Reply.of(said)
    agent = create_agent(chat, middleware=[DurableMiddleware()], response_format=strategy(Verdict))
    service = perdure.Service("Judge")

    @service.handler()
    async def judge(ctx: perdure.Context, claim: str) -> str:
        result = await agent.ainvoke({"messages": [{"role": "user", "content": claim}]})
        assert isinstance(result["structured_response"], Verdict)
        return result["structured_response"].why

    async with Harness(service) as h:
        assert await h.call(judge, "a claim") == "small"
        await h.crash_at_every_step(judge, "a claim", model=model)


async def test_output_that_does_not_fit_ends_the_handler_for_good(chat: ChatOpenAI, model: ScriptedModel) -> None:
    model.script = lambda request: Reply.calling(("Verdict", {"approved": "who knows"}))
    format = ToolStrategy(Verdict, handle_errors=False)
    service, ask = asking(create_agent(chat, middleware=[DurableMiddleware()], response_format=format))
    async with Harness(service) as h:
        with pytest.raises(TerminalError, match="StructuredOutputValidationError"):
            await h.call(ask, "a claim")


async def test_middleware_further_in_may_change_model_and_answer(chat: ChatOpenAI, model: ScriptedModel) -> None:
    """A fallback model is recorded like the first, and what other middleware does is done on each replay."""
    seen: list[str] = []

    @before_model
    async def look(state: Any, runtime: Any) -> None:
        seen.append(state["messages"][-1].text)

    @wrap_model_call
    async def shout(request: Any, handler: Any) -> Any:
        response = await handler(request)
        return AIMessage(response.result[0].text.upper(), id=response.result[0].id)

    def script(request: ChatRequest) -> Reply:
        if request.model == "gpt-4o-mini":
            raise LookupError("not this one")
        return Reply("hello")

    model.script = script
    other = ChatOpenAI(model="gpt-4.1", base_url=model.base_url, api_key="none")
    first = [look, DurableMiddleware(perdure.RunOptions(max_attempts=1)), shout, ModelFallbackMiddleware(other)]
    service, ask = asking(create_agent(chat, middleware=first))
    async with Harness(service) as h:
        assert await h.call(ask, "go") == "HELLO"
        [seen_invocation] = h.invocations(ask)
        names = [getattr(each.message, "name", "") for each in h.envelopes(seen_invocation.id)]
        assert [each for each in names if each] == ["ask gpt-4o-mini", "ask gpt-4.1"]
        await h.crash_at_every_step(ask, "go")
    assert "go" in seen


async def test_a_tool_that_the_model_made_up_is_told_to_it(chat: ChatOpenAI, model: ScriptedModel) -> None:
    model.script = lambda request: Reply(str(request.results)) if request.results else Reply.calling(("magic", {}))
    service, ask = asking(create_agent(chat, [plain], middleware=[DurableMiddleware()]))
    async with Harness(service) as h:
        assert "magic is not a valid tool" in await h.call(ask, "go")


async def test_errors_of_tools_reach_the_model_where_middleware_says_so(chat: ChatOpenAI, model: ScriptedModel) -> None:
    def fails(x: int) -> str:
        """Fails."""
        raise ConnectionError("down")

    answers = ToolErrorMiddleware(lambda error, request: f"sorry: {error}")
    model.script = lambda request: (
        Reply(str(request.results)) if request.results else Reply.calling(("fails", {"x": 1}))
    )
    service, ask = asking(create_agent(chat, [fails], middleware=[answers, DurableMiddleware()]))
    async with Harness(service) as h:
        assert await h.call(ask, "go") == "{'fails': 'sorry: ConnectionError: down'}"
        await h.crash_at_every_step(ask, "go")


async def test_an_agent_outside_of_a_handler_says_so(chat: ChatOpenAI) -> None:
    agent = create_agent(chat, middleware=[DurableMiddleware()])
    with pytest.raises(NotInHandler, match="outside of a handler"):
        await agent.ainvoke({"messages": [{"role": "user", "content": "go"}]})


async def test_an_agent_that_blocks_says_so(chat: ChatOpenAI) -> None:
    agent = create_agent(chat, middleware=[DurableMiddleware()])
    with pytest.raises(UsageError, match="await agent"):
        agent.invoke({"messages": [{"role": "user", "content": "go"}]})


async def test_an_agent_inside_a_step_says_so(chat: ChatOpenAI) -> None:
    agent = create_agent(chat, middleware=[DurableMiddleware()])
    service = perdure.Service("Nested")

    @service.handler()
    async def ask(ctx: perdure.Context, question: str) -> str:
        async def step() -> str:
            return str(await agent.ainvoke({"messages": [{"role": "user", "content": question}]}))

        return await ctx.run_typed("step", step)

    async with Harness(service, disable_retries=True) as h:
        with pytest.raises(StandsStill, match="was called inside a run"):
            await h.call(ask, "go")


async def test_updates_are_streamed_and_tokens_are_not(chat: ChatOpenAI, model: ScriptedModel) -> None:
    model.script = all_three
    agent = create_agent(chat, [slow, quick, plain], middleware=[DurableMiddleware()])
    service = perdure.Service("Streams")

    @service.handler()
    async def updates(ctx: perdure.Context, question: str) -> list[str]:
        asked = {"messages": [{"role": "user", "content": question}]}
        told = [each async for each in agent.astream(asked, stream_mode=["updates", "custom"])]
        return [next(iter(each)) for mode, each in told if mode == "updates"]

    @service.handler()
    async def tokens(ctx: perdure.Context, question: str) -> list[str]:
        asked = {"messages": [{"role": "user", "content": question}]}
        return [str(each) async for each in agent.astream(asked, stream_mode="messages")]

    async with Harness(service, disable_retries=True) as h:
        assert await h.call(updates, "go") == ["model", "tools", "tools", "tools", "model"]
        await h.crash_at_every_step(updates, "go")
        with pytest.raises(StandsStill, match="tokens cannot be streamed durably"):
            await h.call(tokens, "go")


async def test_agents_may_be_tools_of_agents_and_run_at_the_same_time(chat: ChatOpenAI, model: ScriptedModel) -> None:
    def script(request: ChatRequest) -> Reply:
        if "poet" in request.instructions or "painter" in request.instructions:
            return Reply(f"{request.instructions}: {request.question}")
        if request.results:
            return Reply(" | ".join(request.results.values()))
        return Reply.calling(("ask_poet", {"what": "rain"}), ("ask_painter", {"what": "snow"}))

    model.script = script
    poet = create_agent(chat, system_prompt="a poet", middleware=[DurableMiddleware()])
    painter = create_agent(chat, system_prompt="a painter", middleware=[DurableMiddleware()])

    async def ask_poet(what: str) -> str:
        """Asks the poet."""
        return (await poet.ainvoke({"messages": [("user", what)]}))["messages"][-1].text

    async def ask_painter(what: str) -> str:
        """Asks the painter."""
        return (await painter.ainvoke({"messages": [("user", what)]}))["messages"][-1].text

    service, ask = asking(create_agent(chat, [ask_poet, ask_painter], middleware=[DurableMiddleware()]))
    async with Harness(service) as h:
        assert await h.call(ask, "go") == "a poet: rain | a painter: snow"
        await h.crash_at_every_step(ask, "go", model=model)
