"""Local MCP servers, in processes of their own: what they say is recorded. Hosted ones: people approve what they do."""

import asyncio
import copy
import gc
import sys
import weakref
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from agents import HostedMCPTool, ToolGuardrailFunctionOutput, function_tool, tool_input_guardrail
from agents.mcp import MCPServer, MCPServerStdio
from agents.testing import ScriptedModel as InProcess
from agents.testing import assistant_message
from openai.types.responses.response_output_item import McpApprovalRequest

import perdure
from perdure.ext.openai import DurableRunner, as_step, mcp_connections
from perdure.ext.openai.mcp import DurableServer
from perdure.ext.openai.run import run_var
from perdure.sdk.context import context_var
from perdure.sdk.progress import run_key_var
from perdure.testing import Harness
from perdure.testing.model import Reply, ScriptedModel
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
        "list tools of counter", "Ann asks gpt-4o-mini", "tool count", "list tools of counter", "Ann asks gpt-4o-mini",
    ]  # fmt: skip
    first, second = journal.runs("list tools of counter")
    assert [tool["name"] for tool in first.value["result"]["tools"]] == ["count", "fail"]
    assert second.value["result"] == {"as_before": True}
    told = {"server": "counter", "tools": ["count", "fail"]}
    assert all(each.value["tool_list"].items() >= told.items() for each in (first, second))
    [call] = journal.runs("tool count")
    assert call.value["tool_call"]["call_id"].startswith("call_")


async def test_what_a_tool_of_a_server_fails_with_is_told_to_the_model(
    server: MCPServerStdio, model: ScriptedModel
) -> None:
    model.script = calling(("fail", {}))
    assert "Error executing tool fail" in await asking(ann(mcp_servers=[server])).comes_to()


async def test_guardrails_of_a_servers_tools_are_recorded(server: MCPServerStdio, model: ScriptedModel) -> None:
    times: list[str] = []

    @tool_input_guardrail
    def careful(data: Any) -> ToolGuardrailFunctionOutput:
        times.append("in")
        return ToolGuardrailFunctionOutput.allow()

    model.script = calling(("count", {}))
    server.tool_input_guardrails = [careful]
    assert "calls: 1" in await asking(ann(mcp_servers=[server])).comes_to(always_replay=True)
    assert times == ["in"]


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


class InMemory(MCPServerStdio):
    """A server that is no process; it notes which invocation its connection belongs to."""

    def __init__(self) -> None:
        super().__init__(params={"command": "none"})
        self.connected_in: list[Any] = []
        self.fails_to_connect: list[BaseException] = []
        self.fails_to_list: list[Exception] = []

    async def connect(self) -> None:
        assert self.session is None, "it is connected"
        if self.fails_to_connect:
            raise self.fails_to_connect.pop()
        self.connected_in.append((context_var.get(), run_key_var.get(), run_var.get()))
        self.session = object()  # type: ignore[assignment]

    async def cleanup(self) -> None:
        self.session = None

    async def list_tools(self, *args: Any, **more: Any) -> list[Any]:
        if self.fails_to_list:
            raise self.fails_to_list.pop()
        return []


async def test_nothing_is_left_of_a_server_that_came_with_a_run(
    model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_connections, "LINGER_S", 0)
    left: list[weakref.ref[Any]] = []

    async def do(question: str) -> str:
        server = InMemory()

        def look() -> str:
            return server.name + tool.name

        tool = function_tool(look)
        left.extend([weakref.ref(server), weakref.ref(tool.on_invoke_tool)])
        says = InProcess([[assistant_message("hello")]])  # connections of HTTP stay, with what they know
        agent = ann(model=says, mcp_servers=[server], tools=[tool])
        return (await DurableRunner.run(agent, question)).final_output

    tested = Asking(do)
    async with Harness(tested.service) as h:
        await h.call(tested.ask, "?")
    await asyncio.gather(
        *(each._task for server, each in mcp_connections._connections.items() if isinstance(server, InMemory))
    )
    for _ in range(100):  # what the loop still has on its list knows the run
        await asyncio.sleep(0)
    gc.collect()
    assert [ref() for ref in left] == [None, None]


async def test_a_connection_knows_nothing_of_the_invocation_that_was_the_first_to_need_it(
    model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_connections, "LINGER_S", 0)
    server = InMemory()
    await asking(ann(mcp_servers=[server])).comes_to()
    assert server.connected_in == [(None, None, None)]


async def test_a_run_that_is_idle_keeps_nobody_from_a_new_connection(model: ScriptedModel) -> None:
    server = InMemory()
    idle, go_on = asyncio.Event(), asyncio.Event()

    @function_tool
    @as_step
    async def idles() -> str:
        idle.set()
        await go_on.wait()
        return "it went on"

    model.script = lambda request: calling(("idles", {}))(request) if request.offered else Reply("hello")
    first = asking(ann(mcp_servers=[server], tools=[idles]))
    second = asking(ann(mcp_servers=[server]), name="Second")
    async with Harness(first.service, second.service) as h:
        sent = await h.send(first.ask, "?")
        await idle.wait()
        server.fails_to_list = [ConnectionError("it was cut")]
        began = h.now
        assert await h.call(second.ask, "?") == "hello"
        assert h.now - began < timedelta(seconds=5)
        go_on.set()
        assert await h.attach(first.ask, sent) == "it went on"
    assert len(server.connected_in) == 2


@pytest.mark.parametrize(
    "error", [ValueError("no"), asyncio.CancelledError(), BaseExceptionGroup("no", [asyncio.CancelledError()])]
)
async def test_a_server_that_could_not_be_connected_is_tried_again(error: BaseException, model: ScriptedModel) -> None:
    server = InMemory()
    server.fails_to_connect = [error]
    tested = asking(ann(mcp_servers=[server]))
    async with Harness(tested.service) as h:
        began = h.now
        assert await h.call(tested.ask, "hello") == "You asked: hello"
        assert h.now - began < timedelta(seconds=5)


async def test_a_durable_server_has_all_that_a_server_has_and_can_be_copied() -> None:
    server = InMemory()
    assert copy.copy(DurableServer(server)).wrapped is server
    named = {name for name in vars(MCPServer) if not name.startswith("_")}
    assert named <= vars(DurableServer).keys(), "the SDK's servers have something that a durable one does not forward"


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
