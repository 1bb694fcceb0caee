"""Connections to local MCP servers: one is made for the first call that needs it, and stays for a while after the last.

All invocations in the process that use the same server share its connection. It is held for the length of a call, and
not of a run: a run that is idle keeps nobody else from a new one.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import Context
from typing import Final

from agents.mcp import MCPServer

LINGER_S: Final = 60.0
"""How long a server stays connected that nobody calls."""


@asynccontextmanager
async def connected(server: MCPServer) -> AsyncGenerator[None]:
    """For the length of a call, the server is connected; if the call fails, the next has a new connection.

    A server that the user has connected is used as it is.
    """
    if server not in _connections and getattr(server, "session", server) is not None:
        yield
        return
    connection = _Connection.to(server)
    try:
        await connection.ready()
        yield
    except Exception:
        connection.retire()
        raise
    finally:
        connection.release()


class _Connection:
    """The time for which a server is connected, by a task of its own: who connects must be who disconnects."""

    def __init__(self, server: MCPServer, before: "_Connection | None") -> None:
        self._server = server
        self._calls = 0
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._over = asyncio.Event()
        self._retired = False
        self._expiry: asyncio.TimerHandle | None = None
        # It outlives the step that is the first to need it: it must not keep what that step knows, nor go on with it.
        self._task = self._loop.create_task(self._hold(before), context=Context())
        self._task.add_done_callback(self._forget, context=Context())

    @classmethod
    def to(cls, server: MCPServer) -> "_Connection":
        """The server's connection for one more call, to be released after it."""
        connection = _connections.get(server)
        if connection is None or not connection._usable():
            connection = _connections[server] = cls(server, connection)
        connection._calls += 1
        if connection._expiry is not None:
            connection._expiry.cancel()
        return connection

    async def ready(self) -> None:
        """Returns when it is there. Raises what keeps it from that."""
        await asyncio.shield(self._ready)

    def release(self) -> None:
        """The call is over."""
        self._calls -= 1
        if self._calls == 0 and self._here():
            delay_s = 0 if self._retired else LINGER_S
            self._expiry = self._loop.call_later(delay_s, self._over.set, context=Context())

    def retire(self) -> None:
        """No other call begins to use it: it ends with those that are under way."""
        self._retired = True

    def _usable(self) -> bool:
        """Whether it is there, or about to be."""
        return self._here() and not self._retired and not self._over.is_set()

    def _here(self) -> bool:
        return not self._task.done() and self._loop is asyncio.get_running_loop()

    def _forget(self, _: object) -> None:
        if _connections.get(self._server) is self:
            del _connections[self._server]

    async def _hold(self, before: "_Connection | None") -> None:
        try:
            if before is not None and before._here():
                await asyncio.wait((before._task,))
            await self._server.connect()
        except Exception as error:  # noqa: BLE001  it is the waiting step's, whatever it is
            self._ready.set_exception(error)
            return
        except (asyncio.CancelledError, BaseExceptionGroup) as error:  # its own tasks were cancelled, or this one
            failure = ConnectionError(f"{self._server.name} could not be connected: {error!r}")
            failure.__cause__ = error
            self._ready.set_exception(failure)
            return
        self._ready.set_result(None)
        try:
            await self._over.wait()
        finally:
            await self._server.cleanup()


_connections: dict[MCPServer, _Connection] = {}
"""Those that are there, or about to be."""
