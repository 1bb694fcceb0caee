"""Tools of a real MCP server, over stdio: what it offers is recorded, and each call is a step."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_openai import ChatOpenAI

import perdure
from perdure.errors import NotInHandler
from perdure.ext.langchain import DurableMiddleware, durable_mcp_tools
from perdure.testing import Harness
from perdure.testing.model import Reply, ScriptedModel

SERVER = '''
import sys
from pathlib import Path
from mcp.server.fastmcp import FastMCP

server = FastMCP("notes", log_level="WARNING")
log = Path(sys.argv[1])

@server.tool()
def note(text: str) -> str:
    """Writes a note."""
    with log.open("a") as file:
        file.write(text + "\\n")
    return f"noted {text}"

@server.tool()
def fail(text: str) -> str:
    """Fails."""
    raise ValueError(f"cannot {text}")

with log.open("a") as file:
    file.write("started\\n")
server.run()
'''


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where the server writes that it was started, and its notes."""
    (tmp_path / "server.py").write_text(SERVER)
    return tmp_path / "log"


def written(log: Path) -> list[str]:
    return log.read_text().split()


def client(log: Path) -> MultiServerMCPClient:
    command = {"transport": "stdio", "command": sys.executable, "args": [str(log.with_name("server.py")), str(log)]}
    return MultiServerMCPClient({"notes": command})  # type: ignore[dict-item]


def noting(chat: ChatOpenAI, log: Path) -> tuple[perdure.Service, Any]:
    servers = client(log)
    service = perdure.Service("Notes")

    @service.handler()
    async def ask(ctx: perdure.Context, question: str) -> str:
        agent = create_agent(chat, await durable_mcp_tools(servers), middleware=[DurableMiddleware()])
        return (await agent.ainvoke({"messages": [("user", question)]}))["messages"][-1].text

    return service, ask


async def test_replay_asks_the_server_nothing_again(chat: ChatOpenAI, model: ScriptedModel, log: Path) -> None:
    model.script = lambda request: (
        Reply(" ".join(request.results.values())) if request.results else Reply.calling(("note", {"text": "milk"}))
    )
    service, ask = noting(chat, log)
    async with Harness(service, always_replay=True) as h:
        assert "noted milk" in await h.call(ask, "go")
        [seen] = h.invocations(ask)
        found = [each.message for each in h.envelopes(seen.id)]
    assert written(log) == ["started", "started", "milk"]  # for the list, and for the call
    [listed, *_] = [json.loads(each.value.content) for each in found if type(each).__name__ == "NotificationMessage"]
    assert {**listed["tool_list"], "latency_ms": 0} == {"server": "notes", "tools": ["note", "fail"], "latency_ms": 0}
    assert [each["name"] for each in listed["response"]] == ["note", "fail"]
    assert [each.name for each in found if type(each).__name__ == "RunCommandMessage"][::2] == [
        "list tools of notes",
        "tool note",
    ]


async def test_what_a_servers_tool_refuses_is_told_to_the_model(
    chat: ChatOpenAI, model: ScriptedModel, log: Path
) -> None:
    model.script = lambda request: (
        Reply(" ".join(request.results.values())) if request.results else Reply.calling(("fail", {"text": "milk"}))
    )
    service, ask = noting(chat, log)
    async with Harness(service) as h:
        assert "cannot milk" in await h.call(ask, "go")
    assert written(log) == ["started", "started"]


async def test_tools_that_were_listed_before_are_steps_too(chat: ChatOpenAI, model: ScriptedModel, log: Path) -> None:
    model.script = lambda request: (
        Reply(" ".join(request.results.values())) if request.results else Reply.calling(("note", {"text": "milk"}))
    )
    agent = create_agent(chat, await client(log).get_tools(), middleware=[DurableMiddleware()])
    service = perdure.Service("Notes")

    @service.handler()
    async def ask(ctx: perdure.Context, question: str) -> str:
        return (await agent.ainvoke({"messages": [("user", question)]}))["messages"][-1].text

    async with Harness(service, always_replay=True) as h:
        assert "noted milk" in await h.call(ask, "go")
    assert written(log) == ["started", "started", "milk"]


async def test_outside_of_a_handler_it_says_so(log: Path) -> None:
    with pytest.raises(NotInHandler, match="durable_mcp_tools was called outside"):
        await durable_mcp_tools(client(log))
