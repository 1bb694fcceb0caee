"""Tools of an MCP server, with Pydantic AI: what it offers is recorded, and so is each call of a tool."""

import sys
from pathlib import Path

from fastmcp.client.transports import StdioTransport
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset

import perdure
from perdure.ext.pydantic_ai import DurableAgent

tools = perdure.Service("Tools")

# Its process is started when a step needs it, and ends with the run.
SERVER = StdioTransport(sys.executable, [str(Path(__file__).with_name("server.py"))], keep_alive=False)

shop_agent = DurableAgent(
    Agent(
        "openai:gpt-4o-mini",
        name="ShopAgent",
        instructions="You answer questions about a shop with the help of its tools.",
        toolsets=[MCPToolset(SERVER, id="shop")],
    )
)


@tools.handler()
async def ask(ctx: perdure.Context, question: str) -> str:
    """Answer a question with the help of the server's tools."""
    result = await shop_agent.run(question)
    return result.output


app = perdure.app([tools])
