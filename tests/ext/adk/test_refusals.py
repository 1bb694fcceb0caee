"""What of ADK cannot be durable: it says so, and stops."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from google.adk import Runner, Workflow
from google.adk.agents import ManagedAgent
from google.adk.agents.run_config import RunConfig, StreamingMode
from google.adk.apps import App
from google.adk.code_executors import UnsafeLocalCodeExecutor
from google.adk.live import LiveRequestQueue
from google.adk.sessions import InMemorySessionService
from google.adk.tools import AgentTool
from google.genai.types import UserContent

import perdure
from perdure.errors import NotInHandler, UsageError
from perdure.ext.adk import DurablePlugin, DurableSessionService
from perdure.testing import Harness
from perdure.testing.model import Reply, ScriptedModel
from tests.ext.adk.asking import SESSION, USER, Asking, assistant, runner_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def refused(asking: Asking, saying: str) -> None:
    async with Harness([asking.service], disable_retries=True) as h:
        with pytest.raises(AssertionError, match=saying):
            await h.call(asking.ask_once, "Go")


@pytest.mark.parametrize("mode", [StreamingMode.SSE, StreamingMode.BIDI])
async def test_streaming(mode: StreamingMode) -> None:
    await refused(Asking(assistant(), run_config=RunConfig(streaming_mode=mode)), "streaming cannot be durable")


async def test_run_live() -> None:
    asking = Asking(assistant())

    async def live(question: str) -> str:
        run = asking.runner.run_live(user_id=USER, session_id=SESSION, live_request_queue=LiveRequestQueue())
        return str([event async for event in run])

    asking.answer = live
    await refused(asking, "run_live cannot be durable")


async def test_an_agent_that_runs_code_by_itself() -> None:
    await refused(Asking(assistant(code_executor=UnsafeLocalCodeExecutor())), "would not be recorded. Make it a tool")


async def test_an_agent_that_asks_another_system() -> None:
    await refused(Asking(ManagedAgent(name="managed", agent_id="some-agent")), "managed' is a ManagedAgent")


async def test_an_agent_as_a_tool_without_the_plugin(model: ScriptedModel) -> None:
    tool = AgentTool(assistant("expert"), include_plugins=False)
    await refused(Asking(assistant(tools=[tool])), "include_plugins=False")


async def test_an_agent_as_a_node_without_the_plugin(model: ScriptedModel) -> None:
    tool = AgentTool(assistant("expert"), include_plugins=False)
    asking = Asking(Workflow(name="flow", edges=[("START", tool)]))

    async def with_request(question: str) -> str:
        run = asking.runner.run_async(user_id=USER, session_id=SESSION, new_message=UserContent('{"request": "?"}'))
        return str([event async for event in run])

    asking.answer = with_request
    await refused(asking, "include_plugins=False")
    assert not model.log.calls


async def test_a_durable_session_without_the_plugin(model: ScriptedModel) -> None:
    app = App(name="tested", root_agent=assistant())
    asking = Asking(Runner(app=app, session_service=DurableSessionService()))
    await refused(asking, r"without DurablePlugin(.|\n)*plugins=\[DurablePlugin\(\)\]")
    assert not model.log.calls


async def test_a_refusal_is_retried_as_code_can_be_mended(model: ScriptedModel) -> None:
    model.script = lambda request: Reply("mended")
    asking = Asking(assistant(code_executor=UnsafeLocalCodeExecutor()))
    service = perdure.Service("Mending")

    @service.handler()
    async def ask(ctx: perdure.Context) -> str:
        try:
            return await asking.answer("Go")
        finally:
            asking.runner = runner_of(assistant())

    async with Harness([service]) as h:
        assert await h.call(ask) == "mended"


async def first_of(run: AsyncGenerator[Any, None]) -> Any:
    return [event async for event in run]


async def test_a_run_outside_of_a_handler(model: ScriptedModel) -> None:
    runner = runner_of(assistant())
    with pytest.raises(NotInHandler, match="outside of a handler"):
        await first_of(runner.run_async(user_id=USER, session_id=SESSION, new_message=UserContent("Go")))
    assert not model.log.calls


async def test_a_run_outside_of_a_handler_with_sessions_elsewhere(model: ScriptedModel) -> None:
    elsewhere = InMemorySessionService()
    app = App(name="tested", root_agent=assistant(), plugins=[DurablePlugin()])
    runner = Runner(app=app, session_service=elsewhere)
    await elsewhere.create_session(app_name="tested", user_id=USER, session_id=SESSION)
    with pytest.raises(RuntimeError, match="outside of a handler"):
        await first_of(runner.run_async(user_id=USER, session_id=SESSION, new_message=UserContent("Go")))
    assert not model.log.calls


async def test_a_run_in_a_thread_of_its_own(model: ScriptedModel) -> None:
    asking = Asking(assistant())
    said: list[str] = []

    async def in_thread(question: str) -> str:
        try:
            list(asking.runner.run(user_id=USER, session_id=SESSION, new_message=UserContent("Go")))
        except UsageError as error:
            said.append(str(error))
        return "refused"

    asking.answer = in_thread
    async with Harness([asking.service]) as h:
        assert await h.call(asking.ask_once, "Go") == "refused"
    assert "DurableSessionService.get_session" in said[0]
    assert not model.log.calls


async def test_a_run_inside_a_run(model: ScriptedModel) -> None:
    asking = Asking(assistant())
    said: list[str] = []
    service = perdure.Service("Inside")

    @service.handler()
    async def ask(ctx: perdure.Context) -> str:
        async def inside() -> str:
            try:
                return await asking.answer("Go")
            except UsageError as error:
                said.append(str(error))
                return "refused"

        return await ctx.run_typed("inside", inside)

    async with Harness([service]) as h:
        assert await h.call(ask) == "refused"
    assert "run" in said[0]
    assert not model.log.calls


async def test_with_sessions_elsewhere_a_run_is_as_durable(model: ScriptedModel) -> None:
    model.script = lambda request: Reply("ok") if request.results else Reply.calling(("look", {}))
    service = perdure.Service("Elsewhere")

    def look() -> str:
        return "seen"

    agent = assistant(tools=[look])

    @service.handler()
    async def ask(ctx: perdure.Context) -> list[str]:
        elsewhere = InMemorySessionService()
        await elsewhere.create_session(app_name="tested", user_id=USER, session_id=SESSION)
        app = App(name="tested", root_agent=agent, plugins=[DurablePlugin()])
        runner = Runner(app=app, session_service=elsewhere)
        events = await first_of(runner.run_async(user_id=USER, session_id=SESSION, new_message=UserContent("Go")))
        return [event.invocation_id for event in events]

    async with Harness([service]) as h:
        assert len(set(await h.call(ask))) == 1
        await h.crash_at_every_step(ask, model=model)
