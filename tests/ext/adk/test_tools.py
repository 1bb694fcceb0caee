"""Tools of ADK's agents: one step, with the context, or elsewhere; several at the same time."""

import asyncio
import threading
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from google.adk import Runner
from google.adk.agents.callback_context import CallbackContext
from google.adk.apps import App
from google.adk.apps.app import ResumabilityConfig
from google.adk.tools import BaseTool, FunctionTool, LongRunningFunctionTool, ToolContext
from google.adk.tools.google_search_tool import GoogleSearchTool
from google.genai import types
from pydantic import BaseModel

import perdure
from perdure import RunOptions, TerminalError
from perdure.ext.adk import DurablePlugin, DurableSessionService, as_step, current_context, remote_tool
from perdure.testing import Harness
from perdure.testing.model import ChatRequest, Reply, Script, ScriptedModel
from tests.ext.adk.asking import SESSION, USER, Asking, assistant, journal_of

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.filterwarnings("ignore:The `plugins` argument is deprecated:DeprecationWarning"),  # by AgentTool
    pytest.mark.filterwarnings(r"ignore:\[EXPERIMENTAL\]:UserWarning"),
]


def calls(*tools: tuple[str, dict[str, Any]]) -> Script:
    """Calls these tools in one answer, then says what they returned."""

    def script(request: ChatRequest) -> Reply:
        return Reply(" | ".join(request.results.values())) if request.results else Reply.calling(*tools)

    return script


async def test_a_plain_function_is_a_step_with_arguments_and_result(model: ScriptedModel) -> None:
    def double(number: int) -> int:
        return 2 * number

    model.script = calls(("double", {"number": 4}))
    asking = Asking(assistant(tools=[double]))
    async with Harness([asking.service]) as h:
        assert await h.call(asking.ask_once, "Go") == "8"
        [entry] = journal_of(h).runs("tool double")
    assert entry.value["tool_call"]["arguments"] == {"number": 4}
    assert entry.value["result"]["result"] == 8


async def test_tools_of_one_answer_run_at_the_same_time(model: ScriptedModel) -> None:
    both = threading.Barrier(2, timeout=20)
    meeting = asyncio.Event()

    def left() -> str:
        both.wait()
        return "left"

    def right() -> str:
        both.wait()
        return "right"

    @as_step
    async def waits() -> str:
        await asyncio.wait_for(meeting.wait(), 20)
        return "waited"

    @as_step
    async def comes() -> str:
        meeting.set()
        return "came"

    model.script = calls(("waits", {}), ("left", {}), ("right", {}), ("comes", {}))
    asking = Asking(assistant(tools=[left, right, waits, comes]))
    async with Harness([asking.service]) as h:
        assert await h.call(asking.ask_once, "Go") == "waited | left | right | came"


async def test_tools_with_the_context_run_at_the_same_time_and_follow_the_journal(model: ScriptedModel) -> None:
    async def nap(hours: int) -> str:
        ctx = current_context()
        await ctx.sleep(timedelta(hours=hours))
        return await ctx.run_typed(f"after {hours}", lambda: f"{hours}h")

    model.script = calls(("nap", {"hours": 3}), ("nap", {"hours": 1}), ("nap", {"hours": 2}))
    asking = Asking(assistant(tools=[nap]))
    async with Harness([asking.object]) as h:
        began = h.now
        await h.call(asking.ask, "Go", key="ada")
        assert h.now - began < timedelta(hours=3, minutes=1)
        runs = [name for name in journal_of(h, "Tested/ask").names("run") if name.startswith("after")]
        assert runs == ["after 1", "after 2", "after 3"]
        await h.crash_at_every_step(asking.ask, "Go", key="bob", model=model)


async def test_what_a_step_does_to_the_session_is_applied_on_each_attempt(model: ScriptedModel) -> None:
    tried: list[int] = []

    def remember(what: str, tool_context: ToolContext) -> str:
        tried.append(1)
        tool_context.state["half done" if len(tried) == 1 else "remembered"] = what
        tool_context.state["list"] = [*tool_context.state.get("list", []), what]
        if len(tried) == 1:
            raise ConnectionError("the first time")
        return f"noted {what}"

    def seen(callback_context: CallbackContext) -> types.Content:
        state = callback_context.state
        return types.ModelContent(f"{state.get('remembered')} {state.get('list')} {state.get('half done')}")

    model.script = calls(("remember", {"what": "trains"}))
    asking = Asking(assistant(tools=[remember], after_agent_callback=seen))
    async with Harness([asking.object], always_replay=True) as h:
        assert await h.call(asking.ask, "Go", key="ada") == "trains ['trains'] None"
    assert len(tried) == 2


async def test_a_tool_that_keeps_failing_ends_the_run_in_its_own_words(model: ScriptedModel) -> None:
    tried: list[int] = []

    def fail() -> str:
        tried.append(1)
        raise ValueError("no such thing")

    model.script = calls(("fail", {}))
    asking = Asking(assistant(tools=[fail]))
    async with Harness([asking.service]) as h:
        with pytest.raises(TerminalError, match="no such thing"):
            await h.call(asking.ask_once, "Go")
    assert len(tried) == 3


async def test_an_error_callback_of_the_agent_may_tell_the_model(model: ScriptedModel) -> None:
    @as_step(options=RunOptions(max_attempts=1))
    def fail() -> str:
        raise ValueError("no such thing")

    def told(tool: BaseTool, args: dict[str, Any], tool_context: ToolContext, error: Exception) -> dict[str, Any]:
        return {"result": f"sorry: {error}"}

    model.script = calls(("fail", {}))
    asking = Asking(assistant(tools=[fail], on_tool_error_callback=told))
    async with Harness([asking.service], always_replay=True) as h:
        assert (await h.call(asking.ask_once, "Go")).startswith("sorry: ")


async def test_a_tool_with_the_context_that_awaits_something_else_is_reported(model: ScriptedModel) -> None:
    async def fetch() -> str:
        await asyncio.sleep(0.01)
        return "fetched"

    model.script = calls(("fetch", {}))
    asking = Asking(assistant(tools=[fetch]))
    async with Harness([asking.service], disable_retries=True) as h:
        with pytest.raises(AssertionError, match=r"tool 'fetch'(.|\n)*test_tools\.py"):
            await h.call(asking.ask_once, "Go")


async def test_what_an_async_tool_gives_that_awaits_nothing_is_recorded(model: ScriptedModel) -> None:
    drawn: list[str] = []

    async def draw(tool_context: ToolContext) -> str:
        drawn.append(str(uuid4()))
        tool_context.state["drawn"] = drawn[-1]
        return drawn[-1]

    def seen(callback_context: CallbackContext) -> types.Content:
        return types.ModelContent(callback_context.state["drawn"])

    model.script = calls(("draw", {}))
    asking = Asking(assistant(tools=[draw], after_agent_callback=seen))
    async with Harness([asking.object], always_replay=True) as h:
        assert await h.call(asking.ask, "Go", key="ada") == drawn[0]
        assert journal_of(h, "Tested/ask").runs("tool draw, call 1")
    assert len(drawn) == 1


async def test_a_tool_that_the_model_made_up_is_told_to_it(model: ScriptedModel) -> None:
    model.script = calls(("teleport", {}))
    asking = Asking(assistant(tools=[lambda: None]))
    async with Harness([asking.service]) as h:
        assert "no tool with that name" in await h.call(asking.ask_once, "Go")


class Dice(BaseTool):
    """A tool by class: its `run_async` is an `async def`, so it runs with the context."""

    def __init__(self) -> None:
        super().__init__(name="dice", description="Throws a dice.")

    def _get_declaration(self) -> types.FunctionDeclaration:
        return types.FunctionDeclaration(name="dice", description=self.description)

    async def run_async(self, *, args: dict[str, Any], tool_context: ToolContext) -> str:
        return await current_context().run_typed("throw", lambda: "a four")


class Weather(Dice):
    """Another, which is one step."""

    @as_step
    async def run_async(self, *, args: dict[str, Any], tool_context: ToolContext) -> str:
        await asyncio.sleep(0.001)
        return "fine"


async def test_tools_by_class_say_how_they_are_recorded(model: ScriptedModel) -> None:
    model.script = calls(("dice", {}))
    for tool, run, answer in ((Dice(), "throw", "a four"), (Weather(), "tool dice", "fine")):
        asking = Asking(assistant(tools=[tool]))
        async with Harness([asking.service]) as h:
            assert await h.call(asking.ask_once, "Go") == answer
            assert journal_of(h).runs(run)


class Slow(Dice):
    """One of somebody else's library, which knows nothing of steps."""

    async def run_async(self, *, args: dict[str, Any], tool_context: ToolContext) -> str:
        await asyncio.sleep(0.001)
        return "slow"


async def test_a_tool_of_a_library_can_be_marked(model: ScriptedModel) -> None:
    model.script = calls(("dice", {}))
    asking = Asking(assistant(tools=[as_step(Slow())]))
    async with Harness([asking.service], always_replay=True) as h:
        assert await h.call(asking.ask_once, "Go") == "slow"


async def test_a_call_that_is_to_be_confirmed_waits_for_a_later_turn(model: ScriptedModel) -> None:
    paid: list[int] = []

    def pay(amount: int) -> str:
        paid.append(amount)
        return f"paid {amount}"

    model.script = calls(("pay", {"amount": 3}))
    asking = Asking(assistant(tools=[FunctionTool(pay, require_confirmation=True)]))
    run = asking.runner.run_async

    @asking.object.handler()
    async def begin(ctx: perdure.ObjectContext) -> str:
        events = [event async for event in run(user_id=USER, session_id=SESSION, new_message=types.UserContent("Go"))]
        asked = [call for event in events for call in event.get_function_calls() if call.name.startswith("adk_")]
        return asked[0].id

    @asking.object.handler()
    async def confirm(ctx: perdure.ObjectContext, call_id: str) -> str:
        yes = types.FunctionResponse(id=call_id, name="adk_request_confirmation", response={"confirmed": True})
        message = types.Content(role="user", parts=[types.Part(function_response=yes)])
        events = [event async for event in run(user_id=USER, session_id=SESSION, new_message=message)]
        return str(events[-1].content.parts[0].text)

    async with Harness([asking.object], always_replay=True) as h:
        call_id = await h.call(begin, key="ada")
        assert paid == []
        assert "paid 3" in await h.call(confirm, call_id, key="ada")
        assert journal_of(h, "Tested/confirm").runs("tool pay")
    assert paid == [3]


async def test_googles_search_beside_other_tools_is_an_agent_of_its_own(model: ScriptedModel) -> None:
    def script(request: ChatRequest) -> Reply:
        if "google_search_agent" in request.offered:
            found = " ".join(request.results.values())
            return Reply(found) if found else Reply.calling(("google_search_agent", {"request": "perdure"}))
        return Reply("found it")

    model.script = script
    search = GoogleSearchTool(bypass_multi_tools_limit=True)
    asking = Asking(assistant(tools=[search, lambda: None]))
    async with Harness([asking.service], always_replay=True) as h:
        assert await h.call(asking.ask_once, "Go") == "found it"
        assert "google_search_agent asks" in str(journal_of(h).names("run"))


class City(BaseModel):
    name: str


async def test_a_handler_elsewhere_is_a_tool(model: ScriptedModel) -> None:
    weather = perdure.Service("Weather")

    @weather.handler()
    async def forecast(ctx: perdure.Context, city: City) -> str:
        """Say what the weather will be."""
        return f"sun in {city.name}"

    model.script = calls(("forecast", {"city": {"name": "Oslo"}}))
    asking = Asking(assistant(tools=[remote_tool(forecast)]))
    async with Harness([asking.service, weather]) as h:
        assert await h.call(asking.ask_once, "Go") == "sun in Oslo"
        assert journal_of(h).names("call") == ["Weather/forecast"]
    [offered] = model.log.calls[0].request.tools or []
    assert offered.function.description == "Say what the weather will be."


async def test_a_tool_may_give_media(model: ScriptedModel) -> None:
    kept: list[Any] = []

    def paint() -> list[types.Part]:
        return [types.Part.from_bytes(data=b"\x89PNG\xff", mime_type="image/png")]

    async def see(tool: BaseTool, args: dict[str, Any], tool_context: ToolContext, tool_response: Any) -> None:
        kept.append(tool_response)

    model.script = calls(("paint", {}))
    asking = Asking(assistant(tools=[paint], after_tool_callback=see))
    async with Harness([asking.service], always_replay=True) as h:
        await h.call(asking.ask_once, "Go")
    assert len(kept) > 1
    for [part] in kept:
        assert part.inline_data.data == b"\x89PNG\xff"


@pytest.mark.parametrize("resumable", [False, True])
async def test_a_long_running_tool_is_answered_in_a_later_turn(model: ScriptedModel, resumable: bool) -> None:
    def ask_the_boss(amount: int) -> None:
        """Ask, and do not wait."""

    model.script = calls(("ask_the_boss", {"amount": 3}))
    app = App(
        name="tested",
        root_agent=assistant(tools=[LongRunningFunctionTool(ask_the_boss)]),
        plugins=[DurablePlugin()],
        resumability_config=ResumabilityConfig(is_resumable=resumable),
    )
    asking = Asking(Runner(app=app, session_service=DurableSessionService()))
    boss = asking.object
    run = asking.runner.run_async

    @boss.handler()
    async def begin(ctx: perdure.ObjectContext) -> str:
        events = [event async for event in run(user_id=USER, session_id=SESSION, new_message=types.UserContent("Go"))]
        return next(id for event in events for id in event.long_running_tool_ids or ())

    @boss.handler()
    async def decide(ctx: perdure.ObjectContext, call_id: str) -> str:
        said = types.FunctionResponse(id=call_id, name="ask_the_boss", response={"result": "approved"})
        message = types.Content(role="user", parts=[types.Part(function_response=said)])
        events = [event async for event in run(user_id=USER, session_id=SESSION, new_message=message)]
        return " ".join(event.content.parts[0].text for event in events if event.content)

    async with Harness([boss], always_replay=True) as h:
        call_id = await h.call(begin, key="ada")
        assert "approved" in await h.call(decide, call_id, key="ada")
