"""A server that cannot begin says so, and leaves nothing behind."""

import asyncio
import socket
from typing import cast

import pytest
import uvicorn

from perdure.engine.engine import Engine
from perdure.errors import PerdureError
from perdure.server.app import HttpServer, ServerConfig
from tests.unit.server.fake_engine import FakeEngine


async def start() -> HttpServer:
    server = HttpServer(cast("Engine", FakeEngine()), ServerConfig(ingress_port=0, admin_port=0))
    server.bind()
    async with asyncio.timeout(60):
        with pytest.raises((OSError, PerdureError), match=r"too many open files|ended before"):
            await server.start()
    return server


async def check_nothing_listens(server: HttpServer) -> None:
    for url in (server.ingress_url, server.admin_url):
        host, _, port = url.removeprefix("http://").partition(":")
        with socket.socket() as again:
            assert again.connect_ex((host, int(port))) != 0
    await server.stop()


async def test_an_error_of_one_port_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[uvicorn.Server] = []
    startup = uvicorn.Server.startup

    async def breaks(server: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
        begun.append(server)
        if len(begun) == 2:
            raise OSError("too many open files")
        await startup(server, sockets)

    monkeypatch.setattr(uvicorn.Server, "startup", breaks)
    await check_nothing_listens(await start())


async def test_an_end_before_it_listens_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ends(server: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None: ...

    monkeypatch.setattr(uvicorn.Server, "serve", ends)
    await check_nothing_listens(await start())
