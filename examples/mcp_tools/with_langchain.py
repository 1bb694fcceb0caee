"""Tools of an MCP server, with LangChain: the list of its tools is recorded, and so is each call of one."""

import sys
from pathlib import Path

from langchain.agents import create_agent
from langchain_mcp_adapters.client import MultiServerMCPClient

import perdure
from perdure.ext.langchain import DurableMiddleware, durable_mcp_tools

tools = perdure.Service("Tools")

# It is started anew for each step that needs it. A replay starts none.
client = MultiServerMCPClient(
    {
        "shop": {
            "transport": "stdio",
            "command": sys.executable,
            "args": [str(Path(__file__).with_name("server.py"))],
        }
    }
)


@tools.handler()
async def ask(ctx: perdure.Context, question: str) -> str:
    """Answer a question with the help of the server's tools."""
    agent = create_agent(
        "openai:gpt-4o-mini",
        await durable_mcp_tools(client),
        system_prompt="Answer questions with the help of your tools.",
        middleware=[DurableMiddleware()],
    )
    result = await agent.ainvoke({"messages": [{"role": "user", "content": question}]})
    return result["messages"][-1].text


app = perdure.app([tools])
