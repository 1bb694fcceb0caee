"""A server over the fake engine on real sockets, and clients for its two ports."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from msgspec import Struct

from perdure.server.app import HttpServer, ServerConfig
from tests.unit.server.fake_engine import FakeEngine

ANY_PORTS = ServerConfig(ingress_port=0, admin_port=0)


class Served(Struct):
    engine: FakeEngine
    server: HttpServer
    ingress: httpx.AsyncClient
    admin: httpx.AsyncClient


@asynccontextmanager
async def serve(engine: FakeEngine) -> AsyncIterator[Served]:
    server = HttpServer(engine, ANY_PORTS)
    await server.start()
    try:
        async with (
            httpx.AsyncClient(base_url=server.ingress_url, timeout=60) as ingress,
            httpx.AsyncClient(base_url=server.admin_url, timeout=60) as admin,
        ):
            yield Served(engine, server, ingress, admin)
    finally:
        await server.stop(grace_s=1.0)
