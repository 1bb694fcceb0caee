"""Agents that run others, in one handler: each kind comes to the same with a crash at every step."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from google.adk import Workflow
from google.adk.agents import BaseAgent
from google.adk.agents.invocation_context import InvocationContext
from google.adk.agents.loop_agent import LoopAgent
from google.adk.agents.parallel_agent import ParallelAgent
from google.adk.agents.sequential_agent import SequentialAgent
from google.adk.events.event import Event
from google.adk.tools import AgentTool, FunctionTool, exit_loop
from google.adk.workflow import JoinNode
from google.genai import types

import perdure
from perdure.ext.adk import current_context
from perdure.testing import Harness
from perdure.testing.model import ChatRequest, Reply, ScriptedModel
from tests.ext.adk.asking import SESSION, USER, Asking, assistant, journal_of, runner_of

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.filterwarnings("ignore:The `plugins` argument is deprecated:DeprecationWarning"),  # by AgentTool
    pytest.mark.filterwarnings("ignore:(Sequential|Parallel|Loop)Agent is deprecated:DeprecationWarning"),
]


async def survives(asking: Asking, answer: str, model: ScriptedModel) -> None:
    """The agent gives this answer, whatever happens."""
    async with Harness([asking.object]) as h:
        assert await h.call(asking.ask, "Go", key="ada") == answer
        await h.crash_at_every_step(asking.ask, "Go", key="bob", model=model)


async def survives_in_any_order(asking: Asking, answer: str, model: ScriptedModel) -> None:
    """The same where it is left to chance who is first, so that nothing is to be left in a session."""
    async with Harness([asking.service]) as h:
        assert await h.call(asking.ask_once, "Go") == answer
        await h.crash_at_every_step(asking.ask_once, "Go", model=model)


def speaker(name: str, **settings: Any) -> Any:
    """An agent that the scripted model knows by its name."""
    return assistant(name, instruction=f"You are {name}.", output_key=name, **settings)


def speaking(request: ChatRequest) -> Reply:
    """Each says its name, and how much it has heard."""
    name = request.instructions.split("You are ")[1].split(".")[0]
    return Reply(f"{name} heard {len(request.messages) - 1}")


async def test_agents_one_after_another(model: ScriptedModel) -> None:
    model.script = speaking
    root = SequentialAgent(name="line", sub_agents=[speaker("first"), speaker("second")])
    await survives(Asking(root), "second heard 2", model)


async def test_agents_at_the_same_time(model: ScriptedModel) -> None:
    model.script = speaking
    both = ParallelAgent(name="both", sub_agents=[speaker("first"), speaker("second")])
    root = SequentialAgent(name="all", sub_agents=[both, speaker("last")])
    await survives_in_any_order(Asking(root), "last heard 3", model)


async def test_agents_in_turns_until_one_has_enough(model: ScriptedModel) -> None:
    def script(request: ChatRequest) -> Reply:
        said = "You are writer" in request.instructions
        if said or request.results:
            return Reply(f"draft {len(request.messages)}")
        return Reply.calling(("exit_loop", {})) if "draft 4" in str(request.messages) else Reply("not yet")

    model.script = script
    loop = LoopAgent(name="loop", sub_agents=[speaker("writer"), speaker("judge", tools=[exit_loop])], max_iterations=5)
    asking = Asking(loop)
    async with Harness([asking.object], always_replay=True) as h:
        await h.call(asking.ask, "Go", key="ada")
    assert 3 < len(model.log.calls) < 10
    assert not model.log.repeated


async def test_an_agent_hands_over_to_a_sub_agent_and_the_next_turn_goes_on_there(model: ScriptedModel) -> None:
    def script(request: ChatRequest) -> Reply:
        if "You are billing" in request.instructions:
            return Reply(f"billing heard {len(request.messages) - 1}")
        return Reply.calling(("transfer_to_agent", {"agent_name": "billing"}))

    model.script = script
    asking = Asking(assistant("router", sub_agents=[speaker("billing"), speaker("account")]))
    async with Harness([asking.object], always_replay=True) as h:
        assert await h.call(asking.ask, "one", key="ada") == "billing heard 3"
        assert await h.call(asking.ask, "two", key="ada") == "billing heard 5"
        assert journal_of(h, "Tested/ask").names("run")[-1].startswith("billing asks")
    assert len(model.log.calls) == 3


def consulting(request: ChatRequest) -> Reply:
    if "You are expert" in request.instructions:
        return Reply("the expert says yes")
    if request.results:
        return Reply(f"so: {' and '.join(request.results.values())}")
    return Reply.calling(("expert", {"request": "is it?"}))


async def test_an_agent_is_a_tool(model: ScriptedModel) -> None:
    model.script = consulting
    asking = Asking(assistant("asker", tools=[AgentTool(speaker("expert"))]))
    await survives(asking, "so: the expert says yes", model)


async def test_an_agent_of_a_single_turn_is_a_tool(model: ScriptedModel) -> None:
    model.script = consulting
    asking = Asking(assistant("asker", sub_agents=[speaker("expert", mode="single_turn")]))
    await survives(asking, "so: the expert says yes", model)


async def test_a_task_is_delegated_until_it_is_finished(model: ScriptedModel) -> None:
    def script(request: ChatRequest) -> Reply:
        if "finish_task" in request.offered:
            return Reply.calling(("finish_task", {"result": "done well"}))
        return (
            Reply(f"so: {request.results['expert']}")
            if request.results
            else Reply.calling(("expert", {"request": "?"}))
        )

    model.script = script
    asking = Asking(assistant("asker", sub_agents=[speaker("expert", mode="task")]))
    await survives(asking, "so: done well", model)


async def test_agents_as_tools_of_one_answer_run_at_the_same_time(model: ScriptedModel) -> None:
    def script(request: ChatRequest) -> Reply:
        if not request.tools:
            return speaking(request)
        if request.results:
            return Reply(" and ".join(request.results.values()))
        return Reply.calling(("left", {"request": "a"}), ("right", {"request": "b"}))

    model.script = script
    asking = Asking(assistant("asker", tools=[AgentTool(speaker("left")), AgentTool(speaker("right"))]))
    await survives_in_any_order(asking, "left heard 1 and right heard 1", model)


class Clerk(BaseAgent):
    """An agent that is written by hand."""

    async def _run_async_impl(self, ctx: InvocationContext) -> AsyncGenerator[Event, None]:
        number = await current_context().run_typed("draw a number", lambda: 7)
        yield Event(invocation_id=ctx.invocation_id, author=self.name, content=types.ModelContent(f"number {number}"))


async def test_an_agent_without_a_model(model: ScriptedModel) -> None:
    await survives(Asking(Clerk(name="clerk")), "number 7", model)


async def test_a_workflow_of_agents_functions_and_tools(model: ScriptedModel) -> None:
    thrown: list[int] = []

    def throw() -> int:
        """A tool, so a step."""
        thrown.append(4)
        return 4

    async def ask_someone(node_input: int) -> str:
        """A node, so a part of the handler."""
        return await current_context().run_typed("ask someone", lambda: f"someone says {node_input}")

    model.script = lambda request: Reply(f"agent heard {request.question}")
    agents = (speaker("first"), speaker("second"))
    root = Workflow(
        name="flow", edges=[("START", FunctionTool(throw), ask_someone, agents, JoinNode(name="put_together"))]
    )
    flow = perdure.Service("Flow")  # of the two agents it is left to chance who is first in a session
    runner = runner_of(root)

    @flow.handler()
    async def go(ctx: perdure.Context) -> Any:
        run = runner.run_async(user_id=USER, session_id=SESSION, new_message=types.UserContent("{}"))
        return [event async for event in run][-1].output

    async with Harness([flow]) as h:
        heard = "agent heard someone says 4"
        assert await h.call(go) == {"first": heard, "second": heard}
        await h.crash_at_every_step(go, model=model)
