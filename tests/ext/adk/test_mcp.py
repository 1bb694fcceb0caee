"""Tools of a real MCP server: what it lists is recorded, and so is each call."""

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from google.adk.tools.mcp_tool import McpToolset, StdioConnectionParams
from mcp import StdioServerParameters

from perdure import RunOptions, TerminalError
from perdure.testing import Harness
from perdure.testing.model import Reply, ScriptedModel
from tests.ext.adk.asking import Asking, assistant, journal_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

SERVER = '''
import os, pathlib
try:
    from mcp.server.mcpserver import MCPServer
except ImportError:
    from mcp.server.fastmcp import FastMCP as MCPServer

log = pathlib.Path(os.environ["LOG"])
with log.open("a") as file:
    file.write("started\\n")
server = MCPServer("counting", log_level="CRITICAL")

@server.tool()
def count(to: int) -> str:
    """Count to a number."""
    with log.open("a") as file:
        file.write(f"counted {to}\\n")
    return " ".join(str(n + 1) for n in range(to))

@server.resource("note://opening-hours")
def opening_hours() -> str:
    """When the shop is open."""
    with log.open("a") as file:
        file.write("read\\n")
    return "from nine to five"

@server.tool()
def fail() -> str:
    """Always fails."""
    raise ValueError("out of order")

server.run()
'''


class Server:
    """A server process, and what it did."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        (folder / "server.py").write_text(SERVER)
        self.log = folder / "log"
        command = StdioServerParameters(
            command=sys.executable, args=[str(folder / "server.py")], env={**os.environ, "LOG": str(self.log)}
        )
        self.toolset = McpToolset(
            connection_params=StdioConnectionParams(server_params=command, timeout=30), **settings
        )

    def did(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest_asyncio.fixture(loop_scope="session")
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    server = Server(tmp_path)
    yield server
    await server.toolset.close()


async def test_the_list_is_a_step_and_each_call_is_one(model: ScriptedModel, server: Server) -> None:
    calls = Reply.calling(("count", {"to": 2}), ("count", {"to": 3}))
    model.script = lambda request: Reply("counted") if request.results else calls
    asking = Asking(assistant(tools=[server.toolset]))
    async with Harness([asking.service]) as h:
        assert await h.call(asking.ask_once, "Go") == "counted"
        journal = journal_of(h)
        [listed] = journal.runs("list tools of server.py")
        assert listed.value["tool_list"]["server"] == "server.py"
        assert listed.value["tool_list"]["tools"] == ["count", "fail"]
        assert len(journal.runs("tool count")) == 2
        await h.crash_at_every_step(asking.ask_once, "Go", model=model)
    [offered, *_] = model.log.calls[0].request.tools or []
    assert "Count to a number." in offered.function.description


async def test_a_replay_that_has_all_answers_needs_no_server(model: ScriptedModel, server: Server) -> None:
    model.script = lambda request: Reply("counted") if request.results else Reply.calling(("count", {"to": 2}))
    asking = Asking(assistant(tools=[server.toolset]))
    async with Harness([asking.service], always_replay=True) as h:
        assert await h.call(asking.ask_once, "Go") == "counted"
    assert server.did() == ["started", "counted 2"]


async def test_what_a_tool_of_a_server_fails_with_is_told_to_the_model(model: ScriptedModel, server: Server) -> None:
    model.script = lambda request: (
        Reply(" ".join(request.results.values())) if request.results else Reply.calling(("fail", {}))
    )
    asking = Asking(assistant(tools=[server.toolset]))
    async with Harness([asking.service], always_replay=True) as h:
        assert "Error executing tool fail" in await h.call(asking.ask_once, "Go")


async def test_an_agent_does_not_go_on_without_its_server(model: ScriptedModel, tmp_path: Path) -> None:
    command = StdioServerParameters(command=sys.executable, args=[str(tmp_path / "not there.py")])
    toolset = McpToolset(connection_params=StdioConnectionParams(server_params=command, timeout=10))
    asking = Asking(assistant(tools=[toolset]), tool_options=RunOptions(max_attempts=2))
    async with Harness([asking.service]) as h:
        with pytest.raises(TerminalError):
            await h.call(asking.ask_once, "Go")
    assert not model.log.calls
    await toolset.close()


async def test_what_a_server_has_to_read_is_recorded_as_well(model: ScriptedModel, tmp_path: Path) -> None:
    server = Server(tmp_path, use_mcp_resources=True, tool_name_prefix="shop")
    load = Reply.calling(("shop_load_mcp_resource", {"resource_names": ["opening_hours"]}))
    model.script = lambda request: Reply("until five") if "from nine to five" in str(request.messages) else load
    asking = Asking(assistant(tools=[server.toolset]))
    async with Harness([asking.service], always_replay=True) as h:
        assert await h.call(asking.ask_once, "Go") == "until five"
        names = journal_of(h).names("run")
    assert "opening_hours" in model.log.calls[0].request.instructions
    assert {"list tools of shop", "list resources of shop", "read opening_hours of shop"} <= set(names)
    assert server.did() == ["started", "read"]
    await server.toolset.close()
