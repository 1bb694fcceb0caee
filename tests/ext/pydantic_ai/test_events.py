"""Events of a run: each is given to the handler once, inside of a step."""

from collections.abc import AsyncIterable
from typing import Any

import pytest
from pydantic_ai import AgentRunResultEvent, RunContext
from pydantic_ai.messages import AgentStreamEvent, FunctionToolCallEvent, FunctionToolResultEvent, PartDeltaEvent

from perdure.ext.pydantic_ai import DurableAgent, PerdureDurability
from perdure.testing import Harness
from perdure.testing.model import ChatRequest, Reply, ScriptedModel
from tests.ext.pydantic_ai.agents import Asking, assistant

pytestmark = pytest.mark.asyncio(loop_scope="session")


def script(request: ChatRequest) -> Reply:
    return Reply("a rather long answer, in many pieces") if request.results else Reply.calling(("look", {}))


def look() -> str:
    return "seen"


async def test_events_are_delivered_as_they_come_and_never_again(model: ScriptedModel) -> None:
    model.script = script
    seen: list[AgentStreamEvent] = []

    async def watch(run: RunContext[Any], events: AsyncIterable[AgentStreamEvent]) -> None:
        seen.extend([event async for event in events])

    agent = DurableAgent(assistant(tools=[look]), event_stream_handler=watch)

    async def do(question: str) -> str:
        return (await agent.run(question)).output

    asked = Asking(do)
    async with Harness(asked.service, always_replay=True) as h:
        sent = await h.send(asked.ask, "?")
        assert await h.attach(asked.ask, sent) == "a rather long answer, in many pieces"
        assert "deliver event" in h.journal(sent).names("run")
    assert sum(isinstance(event, FunctionToolCallEvent) for event in seen) == 1
    assert sum(isinstance(event, FunctionToolResultEvent) for event in seen) == 1
    assert sum(isinstance(event, PartDeltaEvent) for event in seen) > 2


async def test_a_run_with_events_is_the_same_after_a_crash_at_any_step(model: ScriptedModel) -> None:
    model.script = script

    async def watch(run: RunContext[Any], events: AsyncIterable[AgentStreamEvent]) -> None:
        async for _ in events:
            pass

    agent = DurableAgent(assistant(tools=[look]), event_stream_handler=watch)

    async def do(question: str) -> str:
        return (await agent.run(question)).output

    asked = Asking(do)
    async with Harness(asked.service) as h:
        await h.crash_at_every_step(asked.ask, "?", model=model)


async def test_the_handler_of_a_single_run_sees_what_is_recorded(model: ScriptedModel) -> None:
    """It is part of the handler's code, so it is repeated with it, as a step is not."""
    model.script = script
    kinds: list[str] = []

    async def watch(run: RunContext[Any], events: AsyncIterable[AgentStreamEvent]) -> None:
        kinds.extend([event.event_kind async for event in events])

    agent = DurableAgent(assistant(tools=[look]))

    async def do(question: str) -> str:
        return (await agent.run(question, event_stream_handler=watch)).output

    asked = Asking(do)
    async with Harness(asked.service) as h:
        sent = await h.send(asked.ask, "?")
        assert await h.attach(asked.ask, sent) == "a rather long answer, in many pieces"
        assert "deliver event" not in h.journal(sent).names("run")
        assert kinds.count("function_tool_result") == 1
        await h.crash_at_every_step(asked.ask, "?", model=model)


@pytest.mark.parametrize("method", ["run_stream", "run_stream_events"])
async def test_with_the_capability_alone_a_stream_comes_in_one_piece(method: str, model: ScriptedModel) -> None:
    model.script = script
    agent = assistant(tools=[look], capabilities=[PerdureDurability()])

    async def do(question: str) -> str:
        if method == "run_stream":
            async with agent.run_stream(question) as stream:
                return await stream.get_output()
        async with agent.run_stream_events(question) as events:
            async for event in events:
                if isinstance(event, AgentRunResultEvent):
                    return event.result.output
        raise AssertionError

    asked = Asking(do)
    async with Harness(asked.service) as h:
        assert await h.call(asked.ask, "?") == "a rather long answer, in many pieces"
        await h.crash_at_every_step(asked.ask, "?", model=model)
