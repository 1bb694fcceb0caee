"""Tools of an MCP server, with Google ADK: the list of its tools is recorded, and so is each call of one."""

import sys
from pathlib import Path

from google.adk import Agent, Runner
from google.adk.apps import App
from google.adk.tools.mcp_tool import McpToolset, StdioConnectionParams
from google.genai.types import UserContent
from mcp import StdioServerParameters

import perdure
from perdure.ext.adk import DurablePlugin, DurableSessionService, final_answer

tools = perdure.Service("Tools")

server = StdioServerParameters(command=sys.executable, args=[str(Path(__file__).with_name("server.py"))])
# It is started by the first step that needs it. A replay that needs no answer of it starts none.
shop = McpToolset(connection_params=StdioConnectionParams(server_params=server, timeout=30))

agent = Agent(
    name="shop_agent",
    model="gemini-2.5-flash",
    instruction="Answer questions with the help of your tools.",
    tools=[shop],
)
runner = Runner(
    app=App(name="shop", root_agent=agent, plugins=[DurablePlugin()]), session_service=DurableSessionService()
)


@tools.handler()
async def ask(ctx: perdure.Context, question: str) -> str:
    """Answer a question with the help of the server's tools."""
    return await final_answer(runner.run_async(user_id="user", session_id="ask", new_message=UserContent(question)))


app = perdure.app([tools])
