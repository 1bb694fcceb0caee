"""Local MCP servers: the list of their tools and each call of one are steps of the journal."""

import json
from contextvars import ContextVar
from typing import Any, Final

from agents import AgentBase, RunContextWrapper
from agents.mcp import MCPServer, MCPToolMetaContext
from mcp.types import (
    CallToolResult,
    GetPromptResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ReadResourceResult,
    Tool,
)
from pydantic import TypeAdapter

from perdure.ext.codecs import Codec
from perdure.ext.durable_here import durable_here
from perdure.ext.openai.cancels import wrapping_cancels
from perdure.ext.openai.guardrails import durable_guardrail
from perdure.ext.openai.mcp_connections import connected
from perdure.ext.steps import Entry, step
from perdure.ext.tool_calls import tool_call

_call_id: Final[ContextVar[str | None]] = ContextVar("perdure_openai_mcp_call_id", default=None)
"""The model's id of the call that is about to be made."""


class DurableServer(MCPServer):
    """A server whose answers are recorded. What else it has is the user's server's."""

    def __init__(self, wrapped: MCPServer) -> None:
        self.wrapped = wrapped  # and not the base's fields: those of the user's server are found by `__getattr__`
        self.tool_input_guardrails = [durable_guardrail(each) for each in wrapped.tool_input_guardrails or ()]
        self.tool_output_guardrails = [durable_guardrail(each) for each in wrapped.tool_output_guardrails or ()]
        self._listed: Any = None  # what the last recorded list holds

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # that is Python's question, as when it copies an object that has no fields yet
            raise AttributeError(name)
        return getattr(self.wrapped, name)

    @property
    def name(self) -> str:
        """The user's server's."""
        return self.wrapped.name

    async def connect(self) -> None:
        """Nothing: a step that needs it connects, so that a replay that needs no answer of it starts no server."""

    async def cleanup(self) -> None:
        """Nothing, either: others may use what a step has connected."""

    async def list_tools(
        self, run_context: RunContextWrapper[Any] | None = None, agent: AgentBase | None = None
    ) -> list[Tool]:
        """The server's tools, recorded; a list that is as before is not recorded again."""
        before = self._listed

        async def list_them() -> Any:
            async with connected(self.wrapped):
                tools = await self.wrapped.list_tools(run_context, agent)
            return _TOOLS.dump_python(tools, mode="json", by_alias=True)

        def told(listed: Any) -> dict[str, Any]:
            return {"server": self.name, "tools": [tool["name"] for tool in listed]}

        codec = Codec[Any](
            lambda listed: {"as_before": True} if listed == before else {"tools": listed},
            lambda answer: answer.get("tools", before),
        )
        entry = Entry("tool_list", told, "result", codec)
        name = f"list tools of {self.name}"
        with wrapping_cancels():
            self._listed = await step(durable_here(name), name, list_them, entry)
        return _TOOLS.validate_python(self._listed)

    def tool_meta_resolver(self, asked: MCPToolMetaContext) -> Any:
        """What the user's gives. The SDK asks for it before each call, and tells nobody else which call it is."""
        _call_id.set(getattr(asked.run_context, "tool_call_id", None))
        resolve = getattr(self.wrapped, "tool_meta_resolver", None)
        return None if resolve is None else resolve(asked)

    async def call_tool(
        self, tool_name: str, arguments: dict[str, Any] | None, meta: dict[str, Any] | None = None
    ) -> CallToolResult:
        """One call, as one step."""

        async def call() -> CallToolResult:
            async with connected(self.wrapped):
                if meta is None:
                    return await self.wrapped.call_tool(tool_name, arguments)
                return await self.wrapped.call_tool(tool_name, arguments, meta)

        with wrapping_cancels():
            return await tool_call(tool_name, call, arguments=arguments, codec=_RESULT, call_id=_call_id.get())

    # Not recorded, as no run asks for it; `__getattr__` is not asked for what the base class has of its own.

    @property
    def cached_tools(self) -> list[Tool] | None:
        """The user's server's."""
        return self.wrapped.cached_tools

    async def list_prompts(self) -> ListPromptsResult:
        """The user's server's."""
        return await self.wrapped.list_prompts()

    async def get_prompt(self, name: str, arguments: dict[str, Any] | None = None) -> GetPromptResult:
        """The user's server's."""
        return await self.wrapped.get_prompt(name, arguments)

    async def list_resources(self, cursor: str | None = None) -> ListResourcesResult:
        """The user's server's."""
        return await self.wrapped.list_resources(cursor)

    async def list_resource_templates(self, cursor: str | None = None) -> ListResourceTemplatesResult:
        """The user's server's."""
        return await self.wrapped.list_resource_templates(cursor)

    async def read_resource(self, uri: str) -> ReadResourceResult:
        """The user's server's."""
        return await self.wrapped.read_resource(uri)


_TOOLS = TypeAdapter(list[Tool])
_RESULT: Codec[CallToolResult] = Codec(
    lambda result: json.loads(result.model_dump_json(by_alias=True, exclude_none=True)), CallToolResult.model_validate
)
