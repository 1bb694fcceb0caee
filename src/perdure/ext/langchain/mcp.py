"""Tools of MCP servers: the list of them is recorded, and each call is a step of its own."""

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from perdure.ext.codecs import PLAIN
from perdure.ext.durable_here import durable_here
from perdure.ext.steps import Entry, step
from perdure.ext.tool_calls import TOOL_OPTIONS
from perdure.sdk.capabilities.run_options import RunOptions

if TYPE_CHECKING:  # it is asked for only by who has such tools
    from langchain_core.tools import BaseTool
    from langchain_mcp_adapters.client import MultiServerMCPClient


async def durable_mcp_tools(
    client: "MultiServerMCPClient", *, server_name: str | None = None, run_options: RunOptions[Any] | None = None
) -> "list[BaseTool]":
    """The tools of a client's servers, as `client.get_tools()` has them; what the servers offer is recorded.

    So the agent has the same tools on every attempt, and a server is asked again only by the next invocation.
    """
    from langchain_mcp_adapters.tools import convert_mcp_tool_to_langchain_tool  # there, as there is a client of it
    from mcp.types import Tool

    ctx = durable_here("durable_mcp_tools")
    servers = [server_name] if server_name else list(client.connections)
    options = run_options or TOOL_OPTIONS
    lists = await asyncio.gather(
        *(step(ctx, f"list tools of {each}", partial(_listed, client, each), _entry(each), options) for each in servers)
    )
    return [
        convert_mcp_tool_to_langchain_tool(
            None,
            Tool.model_validate(tool),
            connection=client.connections[server],
            callbacks=client.callbacks,
            tool_interceptors=client.tool_interceptors,
            server_name=server,
            tool_name_prefix=client.tool_name_prefix,
            handle_tool_errors=client.handle_tool_errors,
        )
        for server, listed in zip(servers, lists, strict=True)
        for tool in listed
    ]


def _entry(server: str) -> Entry[list[dict[str, Any]]]:
    def told(tools: list[dict[str, Any]]) -> dict[str, Any]:
        return {"server": server, "tools": [each["name"] for each in tools]}

    return Entry("tool_list", told, "response", PLAIN)


async def _listed(client: "MultiServerMCPClient", server: str) -> list[dict[str, Any]]:
    from mcp.types import PaginatedRequestParams

    tools: list[dict[str, Any]] = []
    async with client.session(server) as session:
        cursor: str | None = None
        while True:
            page = await session.list_tools(params=PaginatedRequestParams(cursor=cursor))
            tools += [each.model_dump(mode="json", by_alias=True, exclude_none=True) for each in page.tools]
            cursor = page.nextCursor
            if not cursor:
                return tools
