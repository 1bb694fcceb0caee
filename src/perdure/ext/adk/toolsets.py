"""Toolsets: what they offer is durable as well, and what an MCP server lists is recorded.

An MCP server may be away, or offer something else, when a handler is replayed. So its list is a step; the tools on it
connect when they are called, each call a step too.
"""

import copy
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from perdure.errors import TerminalError
from perdure.ext.adk.failures import Unheeded
from perdure.ext.adk.tools import durable_tool
from perdure.ext.codecs import Codec
from perdure.ext.durable_here import durable_here, in_step
from perdure.ext.missing import needs
from perdure.ext.steps import Entry, step
from perdure.ext.tool_calls import TOOL_OPTIONS
from perdure.sdk.capabilities.runs import RunOptions

with needs("google-adk", extra="adk"):
    from google.adk.agents.readonly_context import ReadonlyContext
    from google.adk.tools.base_tool import BaseTool
    from google.adk.tools.base_toolset import BaseToolset
    from pydantic import BaseModel


def durable_toolset(toolset: BaseToolset, invocation_id: str, options: RunOptions[Any] | None) -> BaseToolset:
    """The toolset's durable twin, for one invocation of ADK."""
    source = copy.copy(toolset)
    if _is_mcp(toolset):
        # All that an McpToolset asks of its server goes by this method; its tools have a way of their own.
        session = toolset._execute_with_session  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType, reportAttributeAccessIssue]
        source._execute_with_session = _Asking(session, invocation_id, options)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType]

    async def get_tools_with_prefix(readonly_context: ReadonlyContext | None = None) -> list[BaseTool]:
        return [durable_tool(each, options) for each in await source.get_tools_with_prefix(readonly_context)]

    twin = copy.copy(toolset)
    twin.get_tools_with_prefix = get_tools_with_prefix  # pyright: ignore[reportAttributeAccessIssue]  final for classes
    return twin


def _is_mcp(toolset: BaseToolset) -> bool:
    """Asked by name, since the class itself needs the package `mcp`, which need not be there."""
    return any(each.__module__.startswith("google.adk.tools.mcp_tool.") for each in type(toolset).__mro__)


class _Asking:
    """`_execute_with_session` of an McpToolset whose tools are listed in a step."""

    def __init__(
        self, session: Callable[..., Awaitable[BaseModel]], invocation_id: str, options: RunOptions[Any] | None
    ) -> None:
        self._session = session
        self._invocation_id = invocation_id
        self._options = options

    async def __call__(self, ask: Callable[[Any], Awaitable[Any]], *args: Any, **kwargs: Any) -> BaseModel:
        if in_step():  # one of its tools, which is a step already
            return await self._session(ask, *args, **kwargs)
        ctx = durable_here("an McpToolset")
        unheeded = ctx.attached(Unheeded)
        unheeded.check(self._invocation_id)  # ADK asks twice
        try:
            listing = partial(self._session, ask, *args, **kwargs)
            return await step(ctx, "list mcp tools", listing, _TOOLS, self._options or TOOL_OPTIONS)
        except TerminalError as error:
            unheeded.insist(self._invocation_id, error)
            raise


def _from_json(listed: Any) -> BaseModel:
    from mcp.types import ListToolsResult  # who has an McpToolset has the package

    return ListToolsResult.model_validate(listed)


_TOOLS: Entry[BaseModel] = Entry(
    "mcp_tools",
    lambda listed: {"tools": [each.name for each in getattr(listed, "tools", [])]},
    "response",
    Codec(lambda listed: listed.model_dump(mode="json", by_alias=True, exclude_none=True), _from_json),
)
