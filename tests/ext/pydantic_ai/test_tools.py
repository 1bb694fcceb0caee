"""How the tools of an agent are recorded, and that those of one answer run at the same time."""

import asyncio
import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from pydantic_ai import FunctionToolset, ModelRetry, RunContext, Tool
from pydantic_ai.exceptions import ToolFailed

import perdure
from perdure import RunOptions, TerminalError
from perdure.errors import UsageError
from perdure.ext.pydantic_ai import (
    DurableAgent,
    Step,
    WithContext,
    as_step,
    current_context,
    remote_tool,
    with_context,
)
from perdure.testing import Harness
from perdure.testing.model import ChatRequest, Reply, ScriptedModel
from tests.ext.pydantic_ai.agents import Asking, asking, assistant

pytestmark = pytest.mark.asyncio(loop_scope="session")


def call_all(request: ChatRequest) -> Reply:
    """Calls every tool at once, then says what they gave."""
    if request.results:
        return Reply(" | ".join(request.results.values()))
    return Reply.calling(*((name, {}) for name in request.offered))


async def test_a_plain_function_is_a_step_in_a_thread_of_its_own(model: ScriptedModel) -> None:
    model.script = call_all
    ours = threading.get_ident()

    def look_up() -> str:
        return "here" if threading.get_ident() == ours else "in a thread"

    asked = asking(assistant(tools=[look_up]))
    async with Harness(asked.service) as h:
        sent = await h.send(asked.ask, "?")
        assert await h.attach(asked.ask, sent) == "in a thread"
        assert h.journal(sent).names("run")[1] == "tool look_up"


async def test_an_async_function_uses_the_context_unmarked(model: ScriptedModel) -> None:
    model.script = call_all

    async def look_up() -> str:
        ctx = current_context()
        first = await ctx.run_typed("first", lambda: "one")
        await ctx.sleep(timedelta(days=1))
        return f"{first}, {await ctx.run_typed('second', lambda: 'two')}"

    asked = asking(assistant(tools=[look_up]))
    async with Harness(asked.service) as h:
        sent = await h.send(asked.ask, "?")
        assert await h.attach(asked.ask, sent) == "one, two"
        assert h.journal(sent).names("run")[1:3] == ["first", "second"]
        await h.crash_at_every_step(asked.ask, "?", model=model)


async def test_an_async_function_that_only_computes_runs_once(model: ScriptedModel) -> None:
    model.script = call_all
    charged: list[str] = []

    async def charge() -> int:
        charged.append("card")
        return len(charged)

    asked = asking(assistant(tools=[charge]))
    async with Harness(asked.service, always_replay=True) as h:
        sent = await h.send(asked.ask, "?")
        assert await h.attach(asked.ask, sent) == "1"
        assert h.journal(sent).names("run")[1] == "tool charge, call 1"
    assert charged == ["card"]


async def test_an_async_function_that_takes_the_runs_context_may_change_it(model: ScriptedModel) -> None:
    model.script = call_all
    lists: list[list[str]] = []

    async def put(run: RunContext[list[str]]) -> str:
        run.deps.append("put")
        return "done"

    agent = DurableAgent(assistant(tools=[put], deps_type=list))

    async def do(question: str) -> str:
        lists.append([])
        return (await agent.run(question, deps=lists[-1])).output

    asked = Asking(do)
    async with Harness(asked.service, always_replay=True) as h:
        await h.call(asked.ask, "?")
    assert len(lists) > 1
    assert lists[-1] == ["put"]


async def fetch() -> str:
    """What most async tools do: await something that is not the context."""
    await asyncio.sleep(0.001)
    return "fetched"


async def test_with_the_context_any_other_await_is_reported(model: ScriptedModel) -> None:
    model.script = call_all
    asked = asking(assistant(tools=[fetch]))
    async with Harness(asked.service, disable_retries=True) as h:
        with pytest.raises(AssertionError, match=r"tool 'fetch'(.|\n)*test_tools.py:\d+"):
            await h.call(asked.ask, "?")


@as_step(options=RunOptions(max_attempts=2))
async def marked() -> str:
    return await fetch()


@pytest.mark.parametrize(
    ("tools", "settings"),
    [
        ({"tools": [Tool(marked, name="fetch")]}, {}),
        ({"tools": [Tool(fetch, metadata={"perdure": Step()})]}, {}),
        ({"toolsets": [FunctionToolset([fetch]).with_metadata(perdure=Step())]}, {}),
        ({"tools": [fetch]}, {"recorded": {"fetch": Step()}}),
    ],
    ids=["a mark", "its metadata", "its toolset's metadata", "an argument"],
)
async def test_a_tool_is_made_a_step_by(tools: Any, settings: Any, model: ScriptedModel) -> None:
    model.script = call_all
    asked = asking(assistant(**tools), **settings)
    async with Harness(asked.service) as h:
        sent = await h.send(asked.ask, "?")
        assert await h.attach(asked.ask, sent) == "fetched"
        assert h.journal(sent).names("run")[1] == "tool fetch"


async def test_metadata_that_says_something_else_is_refused(model: ScriptedModel) -> None:
    model.script = call_all
    asked = asking(assistant(tools=[Tool(fetch, metadata={"perdure": "step"})]))
    async with Harness(asked.service, disable_retries=True) as h:
        with pytest.raises(AssertionError, match=r"metadata 'perdure' of tool 'fetch' is 'step'.*Step\(\)"):
            await h.call(asked.ask, "?")


async def test_the_tools_of_one_answer_run_at_the_same_time(model: ScriptedModel) -> None:
    model.script = call_all
    both = threading.Barrier(2, timeout=50)

    def left() -> str:
        both.wait()
        return "left"

    def right() -> str:
        both.wait()
        return "right"

    asked = asking(assistant(tools=[left, right]))
    async with Harness(asked.service, disable_retries=True) as h:
        assert await h.call(asked.ask, "?") == "left | right"


async def test_sixty_runs_with_two_parallel_tools_come_through_whichever_ends_first(model: ScriptedModel) -> None:
    """The anchor's adapter stalled for a minute in 29 of 60 such runs: until the inactivity timeout."""
    model.script = call_all
    delays = [0.0, 0.0]

    @as_step
    async def left() -> str:
        await asyncio.sleep(delays[0])
        return "left"

    async def right() -> str:
        ctx = current_context()

        async def act() -> str:
            await asyncio.sleep(delays[1])
            return "right"

        first = await ctx.run_typed("first", act)
        return await ctx.run_typed("second", lambda: first)

    asked = asking(assistant(tools=[left, right]))
    for number in range(60):
        began = time.monotonic()
        delays[:] = [(number % 3) * 0.002, (number % 4) * 0.002]
        async with Harness(asked.service, always_replay=number % 2 == 1, disable_retries=True) as h:
            assert await h.call(asked.ask, "?") == "left | right"
        assert time.monotonic() - began < 50


async def test_parallel_tools_are_the_same_after_a_crash_at_any_step(model: ScriptedModel) -> None:
    model.script = call_all

    def plain() -> str:
        return "plain"

    async def stepping() -> str:
        ctx = current_context()
        return "-".join([await ctx.run_typed(name, lambda: "s") for name in ("a", "b")])

    async def sleeping() -> str:
        await current_context().sleep(timedelta(hours=1))
        return "slept"

    asked = asking(assistant(tools=[sleeping, stepping, plain]))
    async with Harness(asked.service) as h:
        assert await h.call(asked.ask, "?") == "slept | s-s | plain"
        await h.crash_at_every_step(asked.ask, "?", model=model)


async def test_a_remote_tool_is_a_durable_call(model: ScriptedModel) -> None:
    other = perdure.Service("Other")

    @other.handler()
    async def shout(ctx: perdure.Context, text: str) -> str:
        """Say it louder."""
        return text.upper()

    def script(request: ChatRequest) -> Reply:
        if request.results:
            return Reply(request.results["shout"])
        assert request.tools is not None
        assert request.tools[0].function.description == "Say it louder."
        return Reply.calling(("shout", {"text": "hey"}))

    model.script = script
    asked = asking(assistant(tools=[remote_tool(shout)]))
    async with Harness(asked.service, other) as h:
        sent = await h.send(asked.ask, "?")
        assert await h.attach(asked.ask, sent) == "HEY"
        assert h.journal(sent).names("call") == ["Other/shout"]


async def test_an_agent_in_a_tool_is_durable_as_well(model: ScriptedModel) -> None:
    def script(request: ChatRequest) -> Reply:
        if "expert" in request.instructions:
            return Reply("42")
        return Reply(request.results["ask_expert"]) if request.results else Reply.calling(("ask_expert", {}))

    model.script = script
    expert = DurableAgent(assistant(instructions="You are an expert."), name="Expert")

    async def ask_expert(run: RunContext[None]) -> str:
        return (await expert.run("Well?", usage=run.usage)).output

    asked = asking(assistant(tools=[ask_expert]))
    async with Harness(asked.service) as h:
        sent = await h.send(asked.ask, "?")
        assert await h.attach(asked.ask, sent) == "42"
        names = ["Ann asks gpt-4o-mini", "Expert asks gpt-4o-mini", "Ann asks gpt-4o-mini"]
        assert h.journal(sent).names("run") == names
        await h.crash_at_every_step(asked.ask, "?", model=model)


async def test_a_tool_has_the_dependencies_of_the_run(model: ScriptedModel) -> None:
    model.script = call_all

    @as_step
    def plain(run: RunContext[dict[str, str]]) -> str:
        return run.deps["plain"]

    async def durable(run: RunContext[dict[str, str]]) -> str:
        return run.deps["durable"]

    agent = DurableAgent(assistant(tools=[plain, durable], deps_type=dict))

    async def do(question: str) -> str:
        return (await agent.run(question, deps={"plain": "one", "durable": "two"})).output

    asked = Asking(do)
    async with Harness(asked.service, always_replay=True) as h:
        assert await h.call(asked.ask, "?") == "one | two"


async def test_a_tool_that_fails_is_tried_three_times_and_ends_the_run_with_its_words(model: ScriptedModel) -> None:
    model.script = call_all
    tries: list[int] = []

    def fail() -> str:
        tries.append(len(tries))
        raise ConnectionError("the shop is closed")

    asked = asking(assistant(tools=[fail]))
    async with Harness(asked.service) as h:
        with pytest.raises(TerminalError, match="ConnectionError: the shop is closed"):
            await h.call(asked.ask, "?")
    assert len(tries) == 3


async def test_a_terminal_error_of_a_tool_ends_the_run(model: ScriptedModel) -> None:
    model.script = call_all
    tries: list[int] = []

    def fail() -> str:
        tries.append(len(tries))
        raise TerminalError("no such city", status_code=404)

    asked = asking(assistant(tools=[fail]))
    async with Harness(asked.service) as h:
        with pytest.raises(TerminalError, match="no such city") as caught:
            await h.call(asked.ask, "?")
    assert caught.value.status_code == 404
    assert len(tries) == 1


@pytest.mark.parametrize("recorded", [Step(), WithContext()], ids=["a step", "with the context"])
async def test_the_model_hears_of_model_retry_and_tool_failed(recorded: Any, model: ScriptedModel) -> None:
    def script(request: ChatRequest) -> Reply:
        given = [str(message["content"]) for message in request.messages if message["role"] == "tool"]
        if not given:
            return Reply.calling(("guess", {"number": 1}))
        if len(given) == 1:
            assert "higher" in given[0]
            return Reply.calling(("guess", {"number": 2}))
        return Reply(given[-1])

    async def guess(number: int) -> str:
        if number == 1:
            raise ModelRetry("higher")
        raise ToolFailed("out of guesses")

    model.script = script
    asked = asking(assistant(tools=[Tool(guess, metadata={"perdure": recorded})]))
    async with Harness(asked.service) as h:
        assert "out of guesses" in await h.call(asked.ask, "?")
        await h.crash_at_every_step(asked.ask, "?", model=model)


async def test_arguments_that_do_not_fit_go_back_to_the_model(model: ScriptedModel) -> None:
    def script(request: ChatRequest) -> Reply:
        given = [str(message["content"]) for message in request.messages if message["role"] == "tool"]
        if not given:
            return Reply.calling(("add", {"a": "many", "b": 1}))
        return Reply.calling(("add", {"a": 1, "b": 1})) if len(given) == 1 else Reply(given[-1])

    def add(a: int, b: int) -> int:
        return a + b

    model.script = script
    asked = asking(assistant(tools=[add]))
    async with Harness(asked.service) as h:
        sent = await h.send(asked.ask, "?")
        assert await h.attach(asked.ask, sent) == "2"
        assert h.journal(sent).names("run").count("tool add") == 1


async def test_a_timeout_of_a_tool_holds_in_steps_and_is_refused_with_the_context(model: ScriptedModel) -> None:
    def script(request: ChatRequest) -> Reply:
        return Reply(next(iter(request.results.values()))) if request.results else call_all(request)

    async def wait() -> str:
        await asyncio.sleep(3600)
        return "?"

    model.script = script
    step = asking(assistant(tools=[Tool(as_step(wait), timeout=0.01)]))
    async with Harness(step.service) as h:
        assert "Timed out after 0.01 seconds" in await h.call(step.ask, "?")
    durable = asking(assistant(tools=[Tool(fetch, timeout=0.01)]))
    async with Harness(durable.service, disable_retries=True) as h:
        with pytest.raises(AssertionError, match=r"tool 'fetch' runs with the context and has a timeout of 0.01 s"):
            await h.call(durable.ask, "?")


async def test_what_cannot_be_recorded_is_said(model: ScriptedModel) -> None:
    model.script = call_all

    def strange() -> Any:
        return object()

    asked = asking(assistant(tools=[strange]))
    async with Harness(asked.service) as h:
        with pytest.raises(TerminalError, match="cannot be recorded as JSON"):
            await h.call(asked.ask, "?")


async def test_only_async_functions_run_with_the_context() -> None:
    with pytest.raises(UsageError, match="must be `async def`"):
        with_context(lambda: "?")


async def test_a_validator_of_arguments_is_a_step(model: ScriptedModel) -> None:
    def script(request: ChatRequest) -> Reply:
        given = [str(message["content"]) for message in request.messages if message["role"] == "tool"]
        return Reply(given[-1]) if len(given) == 2 else Reply.calling(("pay", {"amount": 1000 - 999 * len(given)}))

    def small(run: RunContext[Any], amount: int) -> None:
        if amount > 100:
            raise ModelRetry("too much")

    def pay(amount: int) -> str:
        return f"paid {amount}"

    model.script = script
    asked = asking(assistant(tools=[Tool(pay, args_validator=small)]))
    async with Harness(asked.service) as h:
        sent = await h.send(asked.ask, "?")
        assert await h.attach(asked.ask, sent) == "paid 1"
        assert h.journal(sent).names("run").count("validate arguments of pay") == 2
        assert h.journal(sent).names("run").count("tool pay") == 1
        await h.crash_at_every_step(asked.ask, "?", model=model)
