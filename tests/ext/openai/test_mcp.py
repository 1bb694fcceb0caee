"""Local MCP servers, in processes of their own: what they say is recorded. Hosted ones: people approve what they do."""

import sys
from pathlib import Path
from typing import Any

import pytest
from agents import HostedMCPTool
from agents.mcp import MCPServerStdio
from agents.testing import ScriptedModel as InProcess
from agents.testing import assistant_message
from openai.types.responses.response_output_item import McpApprovalRequest

import perdure
from perdure.ext.openai import DurableRunner
from perdure.testing import Harness
from perdure.testing.model import ScriptedModel
from tests.ext.openai.asking import IN_ONE_LOOP, Asking, ann, asking, calling

pytestmark = IN_ONE_LOOP

SERVER = '''
import pathlib, sys
from mcp.server.mcpserver import MCPServer

server = MCPServer("counter", log_level="WARNING")
started = pathlib.Path(sys.argv[1])
with started.open("a") as file:
    file.write("started ")

@server.tool()
def count() -> str:
    """Count calls."""
    with started.open("a") as file:
        file.write("called ")
    return f"calls: {started.read_text().count('called')}"

@server.tool()
def fail() -> str:
    """Fail."""
    raise ValueError("out of order")

server.run()
'''


class Log:
    """What the server has written down of its life."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return self.path.read_text().strip()


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "log")


@pytest.fixture
def server(log: Log) -> MCPServerStdio:
    program = log.path.with_name("server.py")
    program.write_text(SERVER)
    params = {"command": sys.executable, "args": [str(program), str(log.path)]}
    return MCPServerStdio(params=params, name="counter", client_session_timeout_seconds=30)  # type: ignore[arg-type]


async def test_a_server_is_started_when_needed_and_each_call_happens_once(
    server: MCPServerStdio, log: Log, model: ScriptedModel
) -> None:
    model.script = calling(("count", {}))
    tested = asking(ann(mcp_servers=[server]))
    async with Harness(tested.service, always_replay=True) as h:
        sent = await h.send(tested.ask, "?")
        assert "calls: 1" in await h.attach(tested.ask, sent)
        journal = h.journal(sent.invocation_id)
    assert str(log) == "started called"
    assert journal.names("run") == [
        "tools of counter", "Ann asks gpt-4o-mini", "tool count", "tools of counter", "Ann asks gpt-4o-mini",
    ]  # fmt: skip
    first, second = journal.runs("tools of counter")
    assert [tool["name"] for tool in first.value["result"]["tools"]] == ["count", "fail"]
    assert second.value["result"] == {"as_before": True}


async def test_what_a_tool_of_a_server_fails_with_is_told_to_the_model(
    server: MCPServerStdio, model: ScriptedModel
) -> None:
    model.script = calling(("fail", {}))
    assert "Error executing tool fail" in await asking(ann(mcp_servers=[server])).comes_to()


async def test_a_server_that_the_user_connected_is_used_as_it_is(
    server: MCPServerStdio, log: Log, model: ScriptedModel
) -> None:
    model.script = calling(("count", {}))
    async with server:
        assert "calls: 1" in await asking(ann(mcp_servers=[server])).comes_to()
        assert "calls: 2" in await asking(ann(mcp_servers=[server])).comes_to()
    assert str(log).count("started") == 1


async def test_two_runs_share_a_server(server: MCPServerStdio, log: Log, model: ScriptedModel) -> None:
    model.script = calling(("count", {}), ("count", {}))
    tested = asking(ann(mcp_servers=[server]))
    async with Harness(tested.service) as h:
        both = [await h.send(tested.ask, "?") for _ in range(2)]
        for sent in both:
            await h.attach(tested.ask, sent)
    assert str(log).count("started") == 1
    assert str(log).count("called") == 4


async def test_a_hosted_servers_approval_is_waited_for(model: ScriptedModel) -> None:
    request = McpApprovalRequest(
        id="mcpr_1", arguments="{}", name="search", server_label="docs", type="mcp_approval_request"
    )
    ids: list[str] = []

    async def approve(asked: Any) -> Any:
        id, approved = perdure.current_context().awakeable(type_hint=bool)
        await perdure.current_context().run_typed("tell", lambda: ids.append(id))
        return {"approve": await approved}

    config: Any = {"type": "mcp", "server_label": "docs", "server_url": "https://docs.example/mcp"}
    tool = HostedMCPTool(tool_config=config, on_approval_request=approve)

    async def do(question: str) -> Any:
        answers = InProcess([[request], [assistant_message("found")]])
        if ids:
            answers = InProcess([[assistant_message("found")]])
        return (await DurableRunner.run(ann(model=answers, tools=[tool]), question)).final_output

    tested = Asking(do)
    async with Harness(tested.service) as h:
        sent = await h.send(tested.ask, "?")
        while not ids:
            await h.settle()
        await h.restart()
        await h.resolve_awakeable(ids[0], True)
        assert await h.attach(tested.ask, sent) == "found"
