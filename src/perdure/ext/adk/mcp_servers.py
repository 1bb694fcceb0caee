"""What agents ask of an MCP server, recorded: which tools it has, and what there is to read.

A server may be away, or offer something else, when a handler is replayed. Its tools connect when they are called, each
call a step of its own: see `tools.py`.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import PurePath
from typing import Any, TypeVar
from urllib.parse import urlsplit

from perdure.errors import TerminalError
from perdure.ext.adk.codecs import from_json, to_json
from perdure.ext.adk.failures import EndingErrors
from perdure.ext.codecs import PLAIN, Codec
from perdure.ext.durable_here import durable_here, in_step
from perdure.ext.missing import needs
from perdure.ext.steps import Entry, step
from perdure.ext.tool_calls import TOOL_OPTIONS
from perdure.sdk.capabilities.run_options import RunOptions

with needs("google-adk", extra="adk"):
    from google.adk.tools.base_toolset import BaseToolset

T = TypeVar("T")

_RUNNERS = ("python", "node", "npx", "uvx", "bunx")
"""Commands that are no server, but run the one that their first argument names, after these options:"""

_RUNNERS_OPTIONS = frozenset(("-m", "-u", "-y", "--yes"))


def is_mcp(toolset: BaseToolset) -> bool:
    """Asked by name, since the class itself needs the package `mcp`, which need not be there."""
    return any(each.__module__.startswith("google.adk.tools.mcp_tool.") for each in type(toolset).__mro__)


def name_of(toolset: Any) -> str:
    """What the journal calls an McpToolset's server: its prefix, host or program; nothing that may be a key."""
    if toolset.tool_name_prefix:
        return toolset.tool_name_prefix
    params = toolset.connection_params
    if hasattr(params, "url"):
        return urlsplit(str(params.url)).netloc.rpartition("@")[2]
    process = getattr(params, "server_params", params)
    program = PurePath(process.command).name
    arguments = (each for each in process.args if each not in _RUNNERS_OPTIONS)
    return PurePath(next(arguments, program)).name if program.startswith(_RUNNERS) else program


class RecordedServer:
    """Stands for the server of an McpToolset in one invocation of ADK."""

    def __init__(self, toolset: Any, invocation_id: str, options: RunOptions[Any] | None) -> None:
        self._toolset = toolset
        self._invocation_id = invocation_id
        self._options = options or TOOL_OPTIONS
        self._name = name_of(toolset)

    def put_into(self, twin: Any) -> None:
        """Has a copy of the toolset ask here."""
        twin._execute_with_session = self.list_tools  # of all that goes by it, only the list of tools is not below
        twin.list_resources = self.list_resources
        twin.read_resource = self.read_resource

    async def list_tools(self, ask: Callable[[Any], Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        listing: Callable[[], Awaitable[Any]] = partial(self._toolset._execute_with_session, ask, *args, **kwargs)
        if in_step():  # a tool of the user's own, which is one
            return await listing()

        def told(listed: Any) -> dict[str, Any]:
            return {"server": self._name, "tools": [each.name for each in listed.tools]}

        ending = durable_here("an McpToolset").attached(EndingErrors)
        ending.check(self._invocation_id)  # ADK asks twice
        try:
            return await self._step(
                f"list tools of {self._name}", listing, Entry("tool_list", told, "response", _TOOLS)
            )
        except TerminalError as error:
            ending.insist(self._invocation_id, error)
            raise

    async def list_resources(self, readonly_context: Any = None) -> list[str]:
        """As the toolset has it."""
        asking = partial(self._toolset.list_resources, readonly_context)
        entry = Entry[Any]("resource_list", lambda names: {"server": self._name, "resources": names}, "response", PLAIN)
        return await self._step(f"list resources of {self._name}", asking, entry)

    async def read_resource(self, name: str, readonly_context: Any = None) -> Any:
        """As the toolset has it."""
        asking = partial(self._toolset.read_resource, name, readonly_context)

        def told(contents: Any) -> dict[str, Any]:
            return {"server": self._name, "name": name}

        return await self._step(f"read {name} of {self._name}", asking, Entry("resource", told, "response", _CONTENTS))

    async def _step(self, name: str, asking: Callable[[], Awaitable[T]], entry: Entry[T]) -> T:
        ctx = durable_here("an McpToolset")
        try:
            return await step(ctx, name, asking, entry, self._options)
        except Exception as error:
            ctx.attached(EndingErrors).note(self._invocation_id, error)
            raise


def _tools(listed: Any) -> Any:
    from mcp.types import ListToolsResult  # who has an McpToolset has the package

    return from_json(ListToolsResult, listed)


def _contents(contents: Any) -> Any:
    from mcp.types import ReadResourceResult

    return from_json(ReadResourceResult, {"contents": contents}).contents


_TOOLS: Codec[Any] = Codec(to_json, _tools)
_CONTENTS: Codec[Any] = Codec(lambda contents: [to_json(each) for each in contents], _contents)
