"""Toolsets: those of MCP servers, those that a run brings along, dynamic ones, and people's own."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastmcp.client.transports import StdioTransport
from pydantic_ai import FunctionToolset, RunContext
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets import AbstractToolset, DynamicToolset, ToolsetTool
from pydantic_ai.toolsets.external import TOOL_SCHEMA_VALIDATOR

from perdure import TerminalError
from perdure.ext.pydantic_ai import DurableAgent, current_context
from perdure.sdk.context import context_var
from perdure.sdk.progress import run_key_var
from perdure.testing import Harness
from perdure.testing.model import ChatRequest, Reply, ScriptedModel
from tests.ext.pydantic_ai.agents import Asking, asking, assistant

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def shop(tmp_path: Path) -> Callable[..., MCPToolset[Any]]:
    """A toolset of a server that is a process of its own; what it did stands in `tmp_path / "diary"`."""

    def toolset(*tools: str, **settings: Any) -> MCPToolset[Any]:
        arguments = [str(Path(__file__).with_name("shop.py")), str(tmp_path / "diary"), *tools]
        return MCPToolset(StdioTransport(sys.executable, arguments, keep_alive=False), **settings)

    return toolset


def ask_for_prices(request: ChatRequest) -> Reply:
    if request.results:
        return Reply(" | ".join(request.results.values()))
    return Reply.calling(("price_of", {"product": "lamp"}), ("buy", {"product": "lamp", "count": 2}))


async def test_what_a_server_offers_and_each_call_are_steps_over_one_connection(
    shop: Callable[..., Any], model: ScriptedModel, tmp_path: Path
) -> None:
    model.script = ask_for_prices
    asked = asking(assistant(toolsets=[shop(id="shop")]))
    async with Harness(asked.service) as h:
        sent = await h.send(asked.ask, "?")
        assert await h.attach(asked.ask, sent) == '35 | {"lamp":2}'
        assert h.journal(sent).names("run") == [
            "list tools of shop",
            "Ann asks gpt-4o-mini",
            "tool price_of",
            "tool buy",
            "Ann asks gpt-4o-mini",
        ]
        [listed] = h.journal(sent).runs("list tools of shop")
        assert listed.value["tool_list"]["server"] == "shop"
        assert {"price_of", "buy"} <= set(listed.value["tool_list"]["tools"])
    assert sorted((tmp_path / "diary").read_text().splitlines()) == ["buy lamp", "price_of lamp", "started"]


async def test_a_replay_does_not_connect(shop: Callable[..., Any], model: ScriptedModel, tmp_path: Path) -> None:
    model.script = ask_for_prices
    agent = DurableAgent(assistant(toolsets=[shop()]))
    attempts: list[bool] = []

    async def do(question: str) -> str:
        output = (await agent.run(question)).output
        attempts.append(current_context().is_replaying)
        await current_context().run_typed("fail once", fail_once)
        return output

    def fail_once() -> None:
        if len(attempts) < 2:
            raise ConnectionError("once")

    asked = Asking(do)
    async with Harness(asked.service) as h:
        await h.call(asked.ask, "?")
    assert len(attempts) == 2
    assert (tmp_path / "diary").read_text().count("started") == 1


async def test_nobody_waits_for_a_connection_to_be_closed(
    shop: Callable[..., Any], model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How long that takes depends on the server, and on replay there is nothing to close."""
    may_close, closed = asyncio.Event(), asyncio.Event()
    close = MCPToolset.__aexit__

    async def close_slowly(toolset: MCPToolset[Any], *args: Any) -> None:
        last = toolset._running_count == 1  # each call enters it once more
        if last:
            await may_close.wait()
        await close(toolset, *args)
        if last:
            closed.set()

    monkeypatch.setattr(MCPToolset, "__aexit__", close_slowly)
    model.script = ask_for_prices
    asked = asking(assistant(toolsets=[shop()]))
    async with Harness(asked.service) as h:
        assert await h.call(asked.ask, "?") == '35 | {"lamp":2}'
        may_close.set()
        await closed.wait()


async def test_a_connection_knows_nothing_of_the_run_that_opens_it(
    shop: Callable[..., Any], model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: list[Any] = []
    open_ = MCPToolset.__aenter__

    async def noting(toolset: MCPToolset[Any]) -> Any:
        if toolset._running_count == 0:
            known.append((context_var.get(), run_key_var.get()))
        return await open_(toolset)

    monkeypatch.setattr(MCPToolset, "__aenter__", noting)
    model.script = ask_for_prices
    asked = asking(assistant(toolsets=[shop()]))
    async with Harness(asked.service) as h:
        assert await h.call(asked.ask, "?") == '35 | {"lamp":2}'
    assert set(known) == {(None, None)}


async def test_servers_without_ids_are_told_apart(shop: Callable[..., Any], model: ScriptedModel) -> None:
    model.script = lambda request: (
        Reply(" | ".join(request.results.values())) if request.results else Reply.calling(("left", {}), ("right", {}))
    )
    asked = asking(assistant(toolsets=[shop("left"), shop("right")]))
    async with Harness(asked.service) as h:
        sent = await h.send(asked.ask, "?")
        assert await h.attach(asked.ask, sent) == "left | right"
        assert sorted(h.journal(sent).names("run")[:2]) == ["list tools of mcp", "list tools of mcp-2"]


async def test_the_instructions_of_a_server_are_recorded(shop: Callable[..., Any], model: ScriptedModel) -> None:
    model.script = lambda request: Reply(request.instructions)
    asked = asking(assistant(toolsets=[shop(include_instructions=True)]))
    async with Harness(asked.service) as h:
        sent = await h.send(asked.ask, "?")
        assert await h.attach(asked.ask, sent) == "Prices are in euros."
        assert "read instructions of mcp" in h.journal(sent).names("run")


@pytest.mark.parametrize("behaviour", ["retry", "error"])
async def test_an_error_of_a_server_goes_where_the_toolset_says(
    behaviour: Any, shop: Callable[..., Any], model: ScriptedModel
) -> None:
    def script(request: ChatRequest) -> Reply:
        if request.results:
            return Reply(str(request.results))
        return Reply.calling(("price_of", {"product": "sofa"}))

    model.script = script
    asked = asking(assistant(toolsets=[shop(tool_error_behavior=behaviour)]))
    async with Harness(asked.service) as h:
        if behaviour == "retry":
            assert "Error executing tool price_of" in await h.call(asked.ask, "?")
        else:
            with pytest.raises(TerminalError, match="Error executing tool price_of"):
                await h.call(asked.ask, "?")


async def test_toolsets_may_come_with_the_run(shop: Callable[..., Any], model: ScriptedModel) -> None:
    """They have no ids, and need none: steps run where the toolset is."""
    model.script = lambda request: (
        Reply(" | ".join(request.results.values()))
        if request.results
        else Reply.calling(("price_of", {"product": "lamp"}), ("now", {}), ("later", {}))
    )

    def now() -> str:
        return "now"

    async def later() -> str:
        return await current_context().run_typed("later", lambda: "later")

    agent = DurableAgent(assistant())

    async def do(question: str) -> str:
        return (await agent.run(question, toolsets=[shop(), FunctionToolset([now, later])])).output

    asked = Asking(do)
    async with Harness(asked.service) as h:
        sent = await h.send(asked.ask, "?")
        assert await h.attach(asked.ask, sent) == "35 | now | later"
        assert set(h.journal(sent).names("run")) >= {"list tools of mcp", "tool price_of", "tool now", "later"}


@pytest.mark.parametrize("per_run_step", [True, False])
async def test_a_dynamic_toolset_is_resolved_in_steps(per_run_step: bool, model: ScriptedModel) -> None:
    model.script = lambda request: (
        Reply(request.results["who"]) if request.results else Reply.calling((request.offered[0], {}))
    )

    def of_user(run: RunContext[str]) -> FunctionToolset[str]:
        def who() -> str:
            return f"I am {run.deps}"

        return FunctionToolset([who])

    agent = DurableAgent(assistant(deps_type=str, toolsets=[DynamicToolset(of_user, per_run_step=per_run_step)]))

    async def do(question: str) -> str:
        return (await agent.run(question, deps="Ada")).output

    asked = Asking(do)
    async with Harness(asked.service) as h:
        sent = await h.send(asked.ask, "?")
        assert await h.attach(asked.ask, sent) == "I am Ada"
        assert "tool who" in h.journal(sent).names("run")
        await h.crash_at_every_step(asked.ask, "?", model=model)


async def test_a_toolset_that_a_decorator_adds_is_recorded_as_well(model: ScriptedModel) -> None:
    model.script = lambda request: (
        Reply(request.results["who"]) if request.results else Reply.calling((request.offered[0], {}))
    )
    agent = assistant()

    @agent.toolset
    def of_run(run: RunContext[None]) -> FunctionToolset[None]:
        def who() -> str:
            return "me"

        return FunctionToolset([who])

    asked = asking(agent)
    async with Harness(asked.service) as h:
        sent = await h.send(asked.ask, "?")
        assert await h.attach(asked.ask, sent) == "me"
        assert "tool who" in h.journal(sent).names("run")


class Echoes(AbstractToolset[Any]):
    """A toolset of somebody's own."""

    def __init__(self) -> None:
        self.called = 0

    @property
    def id(self) -> str | None:
        return None

    async def get_tools(self, ctx: RunContext[Any]) -> dict[str, ToolsetTool[Any]]:
        definition = ToolDefinition(name="echo", parameters_json_schema={"type": "object", "properties": {}})
        return {
            "echo": ToolsetTool(toolset=self, tool_def=definition, max_retries=1, args_validator=TOOL_SCHEMA_VALIDATOR)
        }

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> Any:
        self.called += 1
        return f"echo {self.called}"


async def test_a_toolset_of_ones_own_has_steps_for_calls(model: ScriptedModel) -> None:
    model.script = lambda request: Reply(request.results["echo"]) if request.results else Reply.calling(("echo", {}))
    echoes = Echoes()
    asked = asking(assistant(toolsets=[echoes]))
    async with Harness(asked.service, always_replay=True) as h:
        sent = await h.send(asked.ask, "?")
        assert await h.attach(asked.ask, sent) == "echo 1"
        assert h.journal(sent).names("run")[1] == "tool echo"
    assert echoes.called == 1
