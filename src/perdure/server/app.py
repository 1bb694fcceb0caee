"""Serves ingress and admin port inside the running event loop: binds, answers, stops.

Signals are the business of whoever starts us. Both ports are bound before either answers, so that one that cannot be
had leaves nothing half started.
"""

import asyncio
import socket
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn

from perdure.engine.engine import Engine
from perdure.errors import PerdureError, PortUnavailable
from perdure.server.admin.app import admin_app
from perdure.server.ingress import Ingress
from perdure.server.query.queries import Queries, QueryLimits
from perdure.server.sockets import bind, url_of

_QUERIES = QueryLimits()
_CLOSING_S = 1.0  # for answers of 503 to be written to those who still wait when the grace is over


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Where to listen; port 0 picks a free one."""

    host: str = "127.0.0.1"
    ingress_port: int = 8080
    admin_port: int = 9070
    queries: QueryLimits = _QUERIES


class HttpServer:
    """Both ports of one engine."""

    def __init__(self, engine: Engine, config: ServerConfig | None = None) -> None:
        self._engine = engine
        self._config = config or ServerConfig()
        self._bound: list[socket.socket] = []
        self._servers: list[_Server] = []
        self._serving: list[asyncio.Task[None]] = []
        self._queries: Queries | None = None
        self.ingress_url = ""
        """Known once bound, as is `admin_url`."""
        self.admin_url = ""

    def bind(self) -> None:
        """Takes both ports, before anything is begun that a busy one would be in the way of; `stop` leaves them.

        Raises:
            PortUnavailable: one of them cannot be bound; nothing is left open.
        """
        host = self._config.host
        ingress_socket = bind(host, self._config.ingress_port)
        try:
            admin_socket = bind(host, self._config.admin_port)
        except PortUnavailable:
            ingress_socket.close()
            raise
        self.ingress_url, self.admin_url = url_of(ingress_socket), url_of(admin_socket)
        self._bound = [ingress_socket, admin_socket]

    async def start(self) -> None:
        """Returns once both ports answer. Raises like `bind`, which it does itself where that was not done."""
        if not self._bound:
            self.bind()
        ingress_socket, admin_socket = self._bound
        admin = admin_app(self._engine, ingress_url=self.ingress_url, query_limits=self._config.queries)
        self._queries = admin.state.queries
        self._servers = [_Server(Ingress(self._engine), ingress_socket), _Server(admin, admin_socket)]
        self._bound = []  # they are closed by their servers from here on
        self._serving = [asyncio.create_task(server.serve()) for server in self._servers]
        try:
            for server, serving in zip(self._servers, self._serving, strict=True):
                await server.listens(serving)
        except BaseException:
            await self._end()
            raise

    async def stop(self, grace_s: float = 10.0) -> None:
        """Accepts nothing new, waits for the answers that are due, then gives those who still wait a 503."""
        for unused in self._bound:
            unused.close()
        self._bound = []
        if not self._serving:
            return
        for server in self._servers:
            server.should_exit = True
        _, late = await asyncio.wait(self._serving, timeout=grace_s)
        if late:
            for server in self._servers:
                server.give_up()
            _, late = await asyncio.wait(self._serving, timeout=_CLOSING_S)
        for error in await self._end():
            raise error

    async def _end(self) -> list[BaseException]:
        """Cuts off the requests that are left, and waits for both ports to end; the errors with which they did."""
        for server in self._servers:
            server.should_exit = server.force_exit = True
        ended = await asyncio.gather(*self._serving, return_exceptions=True)
        self._serving.clear()
        if self._queries is not None:
            await self._queries.close()
        return [error for error in ended if error is not None]


class _Server(uvicorn.Server):
    """One port. uvicorn's own ways with signals and logging are left out: they belong to the process."""

    def __init__(self, app: Any, bound: socket.socket) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http="httptools",
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
            )
        )
        self.servers: list[asyncio.Server] = []
        self._listening = asyncio.Event()
        self._bound = bound
        self._url = url_of(bound)

    async def listens(self, serving: asyncio.Task[None]) -> None:
        """Returns once the port answers. Raises what ended `serving`, its task, before."""
        listening = asyncio.ensure_future(self._listening.wait())
        await asyncio.wait((listening, serving), return_when=asyncio.FIRST_COMPLETED)
        if not self._listening.is_set():
            listening.cancel()
            await serving
            raise PerdureError(f"the server at {self._url} ended before it listened")

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().serve(sockets or [self._bound])
        finally:  # which uvicorn leaves open where it ends before it began
            for server in self.servers:
                server.close()
            self._bound.close()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listening.set()

    def give_up(self) -> None:
        """Cancels the requests that still wait, so that they are answered now."""
        for task in list(self.server_state.tasks):
            task.cancel()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield
