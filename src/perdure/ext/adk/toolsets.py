"""Toolsets: the tools that they offer are durable as well, and what is asked of an MCP server is recorded."""

import copy
from typing import Any

from perdure.ext.adk.mcp_servers import RecordedServer, is_mcp
from perdure.ext.adk.tools import durable_tool
from perdure.ext.missing import needs
from perdure.sdk.capabilities.run_options import RunOptions

with needs("google-adk", extra="adk"):
    from google.adk.agents.readonly_context import ReadonlyContext
    from google.adk.tools.base_tool import BaseTool
    from google.adk.tools.base_toolset import BaseToolset


def durable_toolset(toolset: BaseToolset, invocation_id: str, options: RunOptions[Any] | None) -> BaseToolset:
    """The toolset's durable twin, for one invocation of ADK."""
    source = copy.copy(toolset)
    if is_mcp(toolset):
        RecordedServer(toolset, invocation_id, options).put_into(source)

    async def get_tools_with_prefix(readonly_context: ReadonlyContext | None = None) -> list[BaseTool]:
        return [durable_tool(each, options) for each in await source.get_tools_with_prefix(readonly_context)]

    twin = copy.copy(toolset)
    twin.get_tools_with_prefix = get_tools_with_prefix  # pyright: ignore[reportAttributeAccessIssue]  final for classes
    return twin
