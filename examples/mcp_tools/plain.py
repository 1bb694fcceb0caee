"""Tools of an MCP server: what it offers is asked once and recorded, and so is each call of a tool."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mcp import ClientSession, StdioServerParameters, stdio_client

import perdure
from perdure import RunOptions, TerminalError
from perdure.llm import Function, Message, llm_call

tools = perdure.Service("Tools")

SHOP = StdioServerParameters(command=sys.executable, args=[str(Path(__file__).with_name("server.py"))])
STEPS_MAX = 10


@tools.handler()
async def ask(ctx: perdure.Context, question: str) -> str:
    """Answer a question with the help of the server's tools."""
    offered = await ctx.run_typed("List the tools", list_tools)
    messages: list[Message] = [{"role": "user", "content": question}]
    for _ in range(STEPS_MAX):
        reply = await ctx.run_typed(
            "Ask the model", llm_call, RunOptions(max_attempts=3), messages=list(messages), tools=offered
        )
        if not reply.tool_calls:
            return reply.content or ""
        messages.append(reply.as_message())
        results = await asyncio.gather(
            *(
                ctx.run_typed(call.function.name, call_tool, RunOptions(max_attempts=3), call.function)
                for call in reply.tool_calls
            )
        )
        for call, result in zip(reply.tool_calls, results, strict=True):
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    raise TerminalError(f"the model still calls tools after {STEPS_MAX} steps")


@asynccontextmanager
async def shop() -> AsyncIterator[ClientSession]:
    """The server, started for the length of a step: a step that is tried again finds a fresh one."""
    async with stdio_client(SHOP) as (reader, writer), ClientSession(reader, writer) as session:
        await session.initialize()
        yield session


async def list_tools() -> list[dict[str, Any]]:
    """The server's tools, as they are offered to a model."""
    async with shop() as session:
        listed = [each.model_dump(by_alias=True) for each in (await session.list_tools()).tools]
    return [
        {
            "type": "function",
            "function": {"name": each["name"], "description": each["description"], "parameters": each["inputSchema"]},
        }
        for each in listed
    ]


async def call_tool(function: Function) -> str:
    """What a tool of the server says."""
    async with shop() as session:
        result = await session.call_tool(function.name, json.loads(function.arguments))
    return "\n".join(each.text for each in result.content if each.type == "text")


app = perdure.app([tools])
