"""Tools of an MCP server, with OpenAI Agents: the list of its tools is recorded, and so is each call of one."""

import sys
from pathlib import Path

from agents import Agent
from agents.mcp import MCPServerStdio

import perdure
from perdure.ext.openai import DurableRunner

tools = perdure.Service("Tools")

# It is started by the first step that needs it. A replay that needs no answer of it starts none.
shop = MCPServerStdio(
    name="shop",
    params={"command": sys.executable, "args": [str(Path(__file__).with_name("server.py"))]},
)

agent = Agent(
    name="ShopAgent",
    model="gpt-4o-mini",
    instructions="Answer questions with the help of your tools.",
    mcp_servers=[shop],
)


@tools.handler()
async def ask(ctx: perdure.Context, question: str) -> str:
    """Answer a question with the help of the server's tools."""
    result = await DurableRunner.run(agent, question)
    return result.final_output


app = perdure.app([tools])
