"""Local MCP servers: the list of their tools and each call of one are steps of the journal.

A server that is connected is used as it is. One that is not is connected inside of the first step that needs it: a
replay that needs no answer of it starts none.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import Context
from typing import Any, Final

from agents import AgentBase, RunContextWrapper
from agents.mcp import MCPServer
from mcp.types import CallToolResult, GetPromptResult, ListPromptsResult, Tool
from pydantic import TypeAdapter

from perdure.ext.codecs import Codec
from perdure.ext.openai.escape import escaping
from perdure.ext.openai.recorded import recorded
from perdure.ext.openai.run import run_var
from perdure.ext.tool_calls import tool_step

LINGER_S: Final = 60.0
"""How long a server stays connected that nobody uses."""


class Connection:
    """The time for which a server is connected, by a task of its own: who connects must be who disconnects.

    All invocations in the process that use the same server share it. It stays for a while after the last has ended.
    """

    def __init__(self, server: MCPServer, before: "Connection | None") -> None:
        self._server = server
        self._users = 0
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._over = asyncio.Event()
        self._retired = False
        self._expiry: asyncio.TimerHandle | None = None
        # It outlives the step that is the first to need it: it must not keep what that step knows, nor go on with it.
        self._task = self._loop.create_task(self._hold(before), context=Context())
        self._task.add_done_callback(self._forget, context=Context())

    @classmethod
    def to(cls, server: MCPServer) -> "Connection":
        """One more use of the server's connection, to be released."""
        connection = _connections.get(server)
        if connection is None or not connection.usable:
            connection = _connections[server] = cls(server, connection)
        connection._users += 1
        if connection._expiry is not None:
            connection._expiry.cancel()
        return connection

    async def ready(self) -> None:
        """Returns when it is there. Raises what keeps it from that."""
        await asyncio.shield(self._ready)

    def release(self) -> None:
        """One use less."""
        self._users -= 1
        if self._users == 0 and self._here():
            delay_s = 0 if self._retired else LINGER_S
            self._expiry = self._loop.call_later(delay_s, self._over.set, context=Context())

    def retire(self) -> None:
        """Something failed by it: nobody else begins to use it."""
        self._retired = True

    @property
    def usable(self) -> bool:
        """Whether it is there, or about to be."""
        return self._here() and not self._retired and not self._over.is_set()

    def _here(self) -> bool:
        return not self._task.done() and self._loop is asyncio.get_running_loop()

    def _forget(self, _: object) -> None:
        if _connections.get(self._server) is self:
            del _connections[self._server]

    async def _hold(self, before: "Connection | None") -> None:
        if before is not None and before._here():
            await asyncio.wait((before._task,))
        try:
            await self._server.connect()
        except Exception as error:  # noqa: BLE001  it is the waiting step's, whatever it is
            self._ready.set_exception(error)
            return
        self._ready.set_result(None)
        try:
            await self._over.wait()
        finally:
            await self._server.cleanup()


_connections: dict[MCPServer, Connection] = {}
"""Those that are there, or about to be."""


class DurableServer(MCPServer):
    """A server whose answers are recorded. What else it has is the user's server's."""

    def __init__(self, wrapped: MCPServer) -> None:
        self.wrapped = wrapped  # and not the base's fields: those of the user's server are found by `__getattr__`
        self._connection: Connection | None = None
        self._listed: Any = None  # what the last recorded list holds

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wrapped, name)

    @property
    def name(self) -> str:
        """The user's server's."""
        return self.wrapped.name

    async def connect(self) -> None:
        """Nothing: the step that needs it connects."""

    async def cleanup(self) -> None:
        """Nothing, either: what a step connected is released when the run ends."""

    def _release(self) -> None:
        if self._connection is not None:
            self._connection.release()
            self._connection = None

    async def list_tools(
        self, run_context: RunContextWrapper[Any] | None = None, agent: AgentBase | None = None
    ) -> list[Tool]:
        """The server's tools, recorded; a list that is as before is not recorded again."""

        async def list_them() -> Any:
            async with self._connected():
                listed = _TOOLS.dump_python(
                    await self.wrapped.list_tools(run_context, agent), mode="json", by_alias=True
                )
            return {"as_before": True} if listed == self._listed else {"tools": listed}

        with escaping():
            answer = await recorded("mcp_tools", f"tools of {self.name}", list_them)
        self._listed = answer.get("tools", self._listed)
        return _TOOLS.validate_python(self._listed)

    async def call_tool(
        self, tool_name: str, arguments: dict[str, Any] | None, meta: dict[str, Any] | None = None
    ) -> CallToolResult:
        """One call, as one step."""

        async def call() -> CallToolResult:
            async with self._connected():
                if meta is None:
                    return await self.wrapped.call_tool(tool_name, arguments)
                return await self.wrapped.call_tool(tool_name, arguments, meta)

        with escaping():
            return await tool_step(tool_name, arguments, call, _RESULT)

    async def list_prompts(self) -> ListPromptsResult:
        """Not recorded: no run asks for it."""
        return await self.wrapped.list_prompts()

    async def get_prompt(self, name: str, arguments: dict[str, Any] | None = None) -> GetPromptResult:
        """Not recorded: no run asks for it."""
        return await self.wrapped.get_prompt(name, arguments)

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[None]:
        """Inside a step: the server is connected, by whoever connected it."""
        if self.wrapped not in _connections and getattr(self.wrapped, "session", self.wrapped) is not None:
            yield  # by the user
            return
        if self._connection is None or not self._connection.usable:
            self._release()
            self._connection = Connection.to(self.wrapped)
            run = run_var.get()
            if run is not None:
                run.releases.append(self._release)
        connection = self._connection
        try:
            await connection.ready()
            yield
        except Exception:
            connection.retire()
            raise


_TOOLS = TypeAdapter(list[Tool])
_RESULT: Codec[CallToolResult] = Codec(
    lambda result: json.loads(result.model_dump_json(by_alias=True, exclude_none=True)), CallToolResult.model_validate
)
