"""The shop's MCP server, asked from a step: started for its length, so that a step tried again finds a fresh one."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mcp import ClientSession, StdioServerParameters, stdio_client

SERVER = StdioServerParameters(command=sys.executable, args=[str(Path(__file__).with_name("server.py"))])


async def list_tools() -> list[dict[str, Any]]:
    """The server's tools, as they are offered to a model."""
    async with session() as shop:
        listed = [each.model_dump(by_alias=True) for each in (await shop.list_tools()).tools]
    return [
        {
            "type": "function",
            "function": {"name": each["name"], "description": each["description"], "parameters": each["inputSchema"]},
        }
        for each in listed
    ]


async def call_tool(name: str, arguments: dict[str, Any]) -> str:
    """What a tool of the server says."""
    async with session() as shop:
        result = await shop.call_tool(name, arguments)
    return "\n".join(each.text for each in result.content if each.type == "text")


@asynccontextmanager
async def session() -> AsyncIterator[ClientSession]:
    """A connection to the server, for a few requests."""
    async with stdio_client(SERVER) as (reader, writer), ClientSession(reader, writer) as shop:
        await shop.initialize()
        yield shop
