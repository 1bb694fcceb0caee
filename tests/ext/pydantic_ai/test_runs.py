"""What a run of an agent leaves in the journal, and where one is refused."""

import asyncio
from importlib.util import find_spec, module_from_spec
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.durable_exec import BaseDurabilityCapability

import perdure
from perdure.errors import NotInHandler, UsageError
from perdure.ext.pydantic_ai import DurableAgent, PerdureDurability, current_context, current_object_context
from perdure.testing import Harness
from perdure.testing.model import ChatRequest, Reply, ScriptedModel
from tests.ext.pydantic_ai.agents import Asking, asking, assistant, model_named

pytestmark = pytest.mark.asyncio(loop_scope="session")


def call_double(request: ChatRequest) -> Reply:
    return (
        Reply(f"It is {request.results['double']}.") if request.results else Reply.calling(("double", {"number": 21}))
    )


def double(number: int) -> int:
    """Double a number."""
    return number * 2


async def test_each_request_and_each_tool_call_is_an_entry(model: ScriptedModel) -> None:
    model.script = call_double
    asked = asking(assistant(instructions="You calculate.", tools=[double]))
    async with Harness(asked.service) as h:
        sent = await h.send(asked.ask, "Double 21")
        assert await h.attach(asked.ask, sent) == "It is 42."
        first, tool, second = (entry.value for entry in h.journal(sent).runs())
        assert h.journal(sent).names("run") == ["Ann asks gpt-4o-mini", "tool double", "Ann asks gpt-4o-mini"]
    call = first["model_call"]
    assert call["messages"] == [{"role": "user", "content": "Double 21"}]
    assert call["instructions"] == "You calculate."
    assert [each["name"] for each in call["tools"]] == ["double"]
    assert call["finish_reason"] == "tool_call"
    assert call["usage"]["input_tokens"] > 0
    assert tool["tool_call"]["arguments"] == {"number": 21}
    # What the second call adds: what the tool gave. What the model said is part of the first call's entry.
    assert second["model_call"]["follows"] == {"call": 1, "messages": 2}
    assert [(each["role"], each["content"]) for each in second["model_call"]["messages"]] == [("tool", "42")]
    assert second["model_call"]["tools"] == {"as_in_call": 1}


async def test_no_crash_changes_what_it_comes_to_and_nothing_recorded_is_asked_again(model: ScriptedModel) -> None:
    model.script = call_double
    asked = asking(assistant(tools=[double]))
    async with Harness(asked.service) as h:
        await h.crash_at_every_step(asked.ask, "Double 21", model=model)


async def test_the_capability_alone_makes_an_agent_durable(model: ScriptedModel) -> None:
    model.script = call_double
    agent = assistant(tools=[double], capabilities=[PerdureDurability()])

    async def do(question: str) -> Any:
        return (await agent.run(question)).output

    asked = Asking(do)
    async with Harness(asked.service) as h:
        sent = await h.send(asked.ask, "Double 21")
        assert await h.attach(asked.ask, sent) == "It is 42."
        assert h.journal(sent).names("run") == ["Ann asks gpt-4o-mini", "tool double", "Ann asks gpt-4o-mini"]
        await h.crash_at_every_step(asked.ask, "Double 21", model=model)


@pytest.mark.parametrize("name", ["anthropic:claude-haiku-4-5", "google:gemini-2.5-flash", "openai:gpt-4o-mini"])
async def test_models_of_all_providers_are_recorded(model: ScriptedModel, name: str) -> None:
    model.script = call_double
    asked = asking(assistant(model=name, tools=[double]))
    async with Harness(asked.service) as h:
        assert await h.call(asked.ask, "Double 21") == "It is 42."
        await h.crash_at_every_step(asked.ask, "Double 21", model=model)


async def test_an_agent_may_be_driven_step_by_step(model: ScriptedModel) -> None:
    model.script = call_double
    agent = DurableAgent(assistant(tools=[double]))

    async def do(question: str) -> list[str]:
        async with agent.iter(question) as run:
            nodes = [type(node).__name__ async for node in run]
        assert run.result is not None
        return [*nodes, run.result.output]

    asked = Asking(do)
    async with Harness(asked.service) as h:
        assert (await h.call(asked.ask, "Double 21"))[-1] == "It is 42."
        await h.crash_at_every_step(asked.ask, "Double 21", model=model)


async def test_a_model_may_come_with_the_run(model: ScriptedModel) -> None:
    """Steps run in the handler's process: there is nothing to register."""
    agent = DurableAgent(Agent(name="Ann"))

    async def do(question: str) -> Any:
        models = (model_named("openai-chat:gpt-4o"), "openai-chat:gpt-4o-mini")
        return [(await agent.run(question, model=each)).output for each in models]

    asked = Asking(do)
    async with Harness(asked.service) as h:
        sent = await h.send(asked.ask, "Hi")
        assert await h.attach(asked.ask, sent) == ["You asked: Hi", "You asked: Hi"]
        assert h.journal(sent).names("run") == ["Ann asks gpt-4o", "Ann asks gpt-4o-mini"]


async def test_ids_and_times_are_the_same_on_every_attempt(model: ScriptedModel) -> None:
    """The values of `ctx.set` are compared on replay, so this handler fails where anything in them differs."""
    agent = DurableAgent(assistant(system_prompt="Be kind.", tools=[double]))
    model.script = call_double
    notes = perdure.VirtualObject("Notes")

    @notes.handler()
    async def write(ctx: perdure.ObjectContext, question: str) -> None:
        result = await agent.run(question)
        current_object_context().set("messages", result.all_messages_json().decode())
        ctx.set("ids", [result.run_id, result.conversation_id])
        await current_context().run_typed("last", lambda: None)

    async with Harness(notes, always_replay=True) as h:
        await h.call(write, "Double 21", key="a")


async def test_outside_of_a_handler_it_says_so_and_stops(model: ScriptedModel) -> None:
    asked_before = len(model.log.calls)
    with pytest.raises(NotInHandler, match="agent 'Ann' was called outside of a handler"):
        await DurableAgent(assistant()).run("Hi")
    with pytest.raises(NotInHandler, match="outside of a handler"):
        await assistant(capabilities=[PerdureDurability()]).run("Hi")
    assert len(model.log.calls) == asked_before


async def test_the_agent_that_is_wrapped_stays_as_it_is(model: ScriptedModel) -> None:
    agent = assistant()
    DurableAgent(agent)
    assert (await agent.run("Hi")).output == "You asked: Hi"


async def test_inside_of_a_step_it_says_so_and_stops(model: ScriptedModel) -> None:
    agent = DurableAgent(assistant())

    async def do(question: str) -> None:
        async def ask() -> str:
            return (await agent.run(question)).output

        await current_context().run_typed("ask", ask)

    asked = Asking(do)
    async with Harness(asked.service, disable_retries=True) as h:
        with pytest.raises(Exception, match=r"agent 'Ann' .*inside a run"):
            await h.call(asked.ask, "Hi")


async def test_run_sync_needs_a_loop_of_its_own_and_so_is_refused(model: ScriptedModel) -> None:
    agent = DurableAgent(assistant())
    service = perdure.Service("Tested")

    @service.handler()
    def ask(ctx: perdure.Context, question: str) -> str:
        return agent.run_sync(question).output

    async with Harness(service, disable_retries=True) as h:
        with pytest.raises(Exception, match=r"agent 'Ann'.*(loop|thread)"):
            await h.call(ask, "Hi")


@pytest.mark.parametrize("method", ["run_stream", "run_stream_events", "run_stream_sync", "realtime_session"])
async def test_streaming_is_refused(method: str) -> None:
    with pytest.raises(UsageError, match=f"DurableAgent.{method} is not durable.*Use `run`"):
        getattr(DurableAgent(assistant()), method)("Hi")


async def test_timeouts_by_the_clock_are_refused(model: ScriptedModel) -> None:
    agent = DurableAgent(assistant())

    async def do(question: str) -> None:
        with pytest.raises(UsageError, match=r"run with a timeout.*RunOptions"):
            await agent.run(question, timeout=10)
        with pytest.raises(UsageError, match=r"request_timeout.*RunOptions"):
            await agent.run(question, model_settings={"request_timeout": 10})

    asked = Asking(do)
    async with Harness(asked.service) as h:
        await h.call(asked.ask, "Hi")


async def test_agents_beside_each_other(model: ScriptedModel) -> None:
    agents = [DurableAgent(Agent(model_named(), name=name)) for name in ("Ann", "Bob", "Cleo")]

    async def do(question: str) -> list[str]:
        results = await asyncio.gather(*(agent.run(f"{question}, {agent.name}") for agent in agents))
        return [result.output for result in results]

    asked = Asking(do)
    async with Harness(asked.service) as h:
        assert await h.call(asked.ask, "Hi") == [f"You asked: Hi, {name}" for name in ("Ann", "Bob", "Cleo")]
        await h.crash_at_every_step(asked.ask, "Hi", model=model)


async def test_two_engines_for_one_agent_are_refused(model: ScriptedModel) -> None:
    agent = DurableAgent(assistant(capabilities=[PerdureDurability()]))
    asked = Asking(agent.run)
    async with Harness(asked.service, disable_retries=True) as h:
        with pytest.raises(Exception, match="only one durable execution engine"):
            await h.call(asked.ask, "Hi")


async def test_what_is_not_installed_is_named() -> None:
    from perdure.ext.missing import needs

    with pytest.raises(ImportError, match=r"pip install 'perdure\[pydantic-ai\]'"), needs("x", extra="pydantic-ai"):
        raise ModuleNotFoundError("No module named 'pydantic_ai'")


async def test_a_version_that_would_not_record_all_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = find_spec("perdure.ext.pydantic_ai.durability")
    assert spec is not None
    assert spec.loader is not None
    monkeypatch.delattr(BaseDurabilityCapability, "_wrap_other_leaf_toolset")
    with pytest.raises(ImportError, match=r"another version .*_wrap_other_leaf_toolset.*perdure\[pydantic-ai\]"):
        spec.loader.exec_module(module_from_spec(spec))
