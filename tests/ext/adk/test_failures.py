"""What fails with ADK's agents, and how."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from google.adk import Workflow
from google.adk.agents.invocation_context import LlmCallsLimitExceededError
from google.adk.agents.run_config import RunConfig
from google.adk.tools import AgentTool, FunctionTool
from google.genai.types import UserContent
from pydantic import BaseModel

import perdure
from perdure import RunOptions, TerminalError
from perdure.ext.adk import current_context
from perdure.testing import Harness
from perdure.testing.call_log import Fate
from perdure.testing.model import ChatRequest, Fault, Reply, ScriptedModel
from tests.ext.adk.asking import SESSION, USER, Asking, assistant, journal_of

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.filterwarnings("ignore:The `plugins` argument is deprecated:DeprecationWarning"),  # by AgentTool
]


async def test_a_rate_limit_is_waited_for_as_long_as_the_provider_says(model: ScriptedModel) -> None:
    model.faults.append(Fault(status=429, retry_after=7))
    asking = Asking(assistant())
    async with Harness([asking.service]) as h:
        began = h.now
        assert await h.call(asking.ask_once, "hello") == "You asked: hello"
        assert timedelta(seconds=7) <= h.now - began < timedelta(seconds=9)
    assert len(model.log.calls) == 2


@pytest.mark.parametrize("fault", [Fault(status=500), Fault(status=503), Fault(cut=True), Fault(hang_up=True)])
async def test_what_may_pass_is_tried_again(model: ScriptedModel, fault: Fault) -> None:
    model.faults.append(fault)
    asking = Asking(assistant())
    async with Harness([asking.service]) as h:
        assert await h.call(asking.ask_once, "hello") == "You asked: hello"
    assert len(model.log.calls) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_what_cannot_succeed_ends_it_with_the_providers_words(model: ScriptedModel, status: int) -> None:
    model.faults.append(Fault(status=status, message="this will not do"))
    asking = Asking(assistant())
    async with Harness([asking.service]) as h:
        with pytest.raises(TerminalError, match="this will not do") as raised:
            await h.call(asking.ask_once, "hello")
    assert raised.value.status_code == status
    assert len(model.log.calls) == 1


async def test_the_options_say_how_often_a_model_is_asked(model: ScriptedModel) -> None:
    model.usually = Fault(status=500, message="down")
    try:
        asking = Asking(assistant(), run_options=RunOptions(max_attempts=2))
        async with Harness([asking.service]) as h:
            with pytest.raises(TerminalError, match="down"):
                await h.call(asking.ask_once, "hello")
    finally:
        model.usually = Fault()
    assert len(model.log.calls) == 2


async def test_a_filtered_question_has_no_answer(model: ScriptedModel) -> None:
    model.faults.append(Fault(filtered=True, message="not to be said"))
    asking = Asking(assistant())
    async with Harness([asking.object]) as h:
        with pytest.raises(TerminalError, match="SAFETY not to be said"):
            await h.call(asking.ask, "hello", key="ada")
    assert len(model.log.calls) == 1


async def test_a_call_has_its_time(model: ScriptedModel) -> None:
    model.faults.append(Fault(delay_s=30))
    asking = Asking(assistant(), run_options=RunOptions(timeout=timedelta(seconds=0.5)))
    async with Harness([asking.service]) as h:
        with pytest.raises(TerminalError, match="was not done"):
            await h.call(asking.ask_once, "hello")


async def test_too_many_calls_of_a_model_are_final(model: ScriptedModel) -> None:
    def again() -> str:
        return "go on"

    model.script = lambda request: Reply.calling(("again", {}))
    asking = Asking(assistant(tools=[again]), run_config=RunConfig(max_llm_calls=3))

    caught = perdure.Service("Caught")

    @caught.handler()
    async def ask(ctx: perdure.Context) -> str:
        try:
            return await asking.answer("Go")
        except LlmCallsLimitExceededError:
            return "caught by its type"

    async with Harness([asking.service, caught]) as h:
        with pytest.raises(TerminalError, match="LlmCallsLimitExceededError"):
            await h.call(asking.ask_once, "Go")
        assert await h.call(ask) == "caught by its type"
    assert len(model.log.calls) == 6


class Verdict(BaseModel):
    approved: bool


async def test_an_answer_that_is_not_of_the_schema_is_final(model: ScriptedModel) -> None:
    model.script = lambda request: Reply('{"approved": "perhaps"}')
    asking = Asking(assistant(output_schema=Verdict, output_key="verdict"))
    async with Harness([asking.service]) as h:
        with pytest.raises(TerminalError, match="Verdict"):
            await h.call(asking.ask_once, "Go")
    assert len(model.log.calls) == 1


class Stumbling:
    """A tool with the context that fails when it is first there."""

    def __init__(self) -> None:
        self.tried = 0

    async def __call__(self) -> str:
        """Stumbles."""
        await current_context().sleep(timedelta(hours=1))
        self.tried += 1
        if self.tried == 1:
            raise ConnectionError("the first time")
        return "stumbled"

    @property
    def tool(self) -> FunctionTool:
        async def stumbles() -> str:
            return await self()

        return FunctionTool(stumbles)


@pytest.mark.parametrize("below", [False, True], ids=["a tool", "a tool of an agent that is a tool"])
async def test_an_error_that_passes_leaves_nothing_behind(model: ScriptedModel, below: bool) -> None:
    stumbling = Stumbling()

    def works() -> str:
        return "worked"

    def script(request: ChatRequest) -> Reply:
        done = request.results.values()
        return Reply(" and ".join(done)) if done else Reply.calling(*((name, {}) for name in request.offered))

    model.script = script
    tool = AgentTool(assistant("expert", tools=[stumbling.tool])) if below else stumbling.tool
    asking = Asking(assistant(tools=[works, tool]))
    async with Harness([asking.object]) as h:
        assert await h.call(asking.ask, "Go", key="ada") == "worked and stumbled"
        state = h.state("Tested", "ada")
    events = [value["event"] for name, value in state.items() if "/0" in name]
    assert [each.get("errorCode") for each in events] == [None] * 4
    assert stumbling.tried > 1


async def test_a_node_that_fails_in_passing_leaves_nothing_behind() -> None:
    stumbling = Stumbling()

    async def stumbles(node_input: str) -> str:
        return await stumbling()

    asking = Asking(Workflow(name="flow", edges=[("START", stumbles)]))
    async with Harness([asking.object]) as h:
        await h.call(asking.ask, "Go", key="ada")
        state = h.state("Tested", "ada")
    events = [value["event"] for name, value in sorted(state.items()) if "/0" in name]
    assert [(each.get("errorCode"), each.get("output")) for each in events] == [(None, None), (None, "stumbled")]


async def cancelled_while(h: Harness, asking: Asking, model: ScriptedModel, calls: int) -> Any:
    """Cancels an invocation once the model was asked so often; how it ends."""
    sent = await h.send(asking.ask_once, "Go")
    await asyncio.to_thread(model.log.wait_for, calls)
    await h.cancel(sent.invocation_id)
    return await h.outcome(sent.invocation_id)


async def test_a_cancel_ends_the_call_that_is_in_flight(model: ScriptedModel) -> None:
    model.faults.append(Fault(delay_s=60))
    asking = Asking(assistant())
    async with Harness([asking.service]) as h:
        ended = await cancelled_while(h, asking, model, 1)
        assert ended.failure is not None
        assert ended.failure.code == 409
    model.log.wait_until(lambda calls: calls[0].fate is Fate.ABANDONED)
    assert len(model.log.calls) == 1


@pytest.mark.parametrize("mode", ["single_turn", None])
async def test_a_cancel_is_no_answer_of_an_agent_that_is_a_tool(model: ScriptedModel, mode: str | None) -> None:
    def script(request: ChatRequest) -> Reply:
        return Reply.calling(("expert", {"request": "?"})) if "expert" in request.offered else Reply("yes")

    model.script = script
    model.aim(Fault(delay_s=60), at=lambda request: "expert" not in request.offered)
    expert = assistant("expert", mode=mode)
    agent = assistant(sub_agents=[expert]) if mode else assistant(tools=[AgentTool(expert)])
    asking = Asking(agent)
    async with Harness([asking.service]) as h:
        ended = await cancelled_while(h, asking, model, 2)
        assert ended.failure is not None
        assert ended.failure.code == 409
    assert len(model.log.calls) == 2


async def test_a_cancel_reaches_the_agents_below(model: ScriptedModel) -> None:
    remote = Asking(assistant("remote"))

    async def ask_remote() -> str:
        return await current_context().object_call(remote.ask, "its-key", "hello")

    def script(request: ChatRequest) -> Reply:
        return Reply.calling(("ask_remote", {})) if request.tools else Reply("yes")

    model.script = script
    model.aim(Fault(delay_s=60), at="hello")
    asking = Asking(assistant(tools=[ask_remote]))
    async with Harness([asking.service, remote.object]) as h:
        ended = await cancelled_while(h, asking, model, 2)
        assert ended.failure is not None
        [below] = h.invocations("Tested/ask")
        assert (await h.outcome(below.id)).failure.code == 409
        assert journal_of(h).names("call") == ["Tested/its-key/ask"]


async def test_a_tool_that_raises_another_error_from_a_cancel_ends_the_run_by_it(
    model: ScriptedModel, wait_until: Callable[..., Awaitable[None]]
) -> None:
    class BookingFailed(Exception):
        pass

    async def book() -> str:
        try:
            await current_context().sleep(timedelta(days=1))
        except TerminalError as error:
            raise BookingFailed from error
        return "booked"

    model.script = lambda request: Reply.calling(("book", {}))
    asking = Asking(assistant(tools=[book]))
    async with Harness([asking.service]) as h:
        sent = await h.send(asking.ask_once, "Go")
        await wait_until(lambda: "sleep" in h.journal(sent).types(), "the tool sleeps")
        await h.cancel(sent.invocation_id)
        ended = await h.outcome(sent)
    assert ended.failure is not None
    assert ended.failure.code == 409
    assert len(model.log.calls) == 1


async def test_what_a_cancelled_handler_does_after_it_still_works(model: ScriptedModel) -> None:
    asking = Asking(assistant())
    tidy = perdure.Service("Passing")

    @tidy.handler("ask")
    async def ask(ctx: perdure.Context, question: str) -> str:
        try:
            return await asking.answer("slow")
        except TerminalError:
            run = asking.runner.run_async(user_id=USER, session_id=SESSION, new_message=UserContent("say goodbye"))
            return [event async for event in run][-1].content.parts[0].text

    model.aim(Fault(delay_s=60), at="slow")
    asking.ask_once = ask
    async with Harness([tidy]) as h:
        ended = await cancelled_while(h, asking, model, 1)
        assert b"goodbye" in (ended.value or b"")
