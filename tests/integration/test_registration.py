"""Registering deployments: the real engine, and real endpoints to ask."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import perdure
from perdure.cli.http2_server import Http2Server
from perdure.engine.addresses import Address
from perdure.engine.config import EngineConfig
from perdure.engine.engine import Engine
from perdure.server.sockets import bind, url_of

greeter = perdure.Service("Greeter")


@greeter.handler()
async def greet(ctx: perdure.Context, name: str) -> str:
    return f"hello {name}"


@asynccontextmanager
async def endpoint() -> AsyncIterator[str]:
    """Serves the services; yields where."""
    listener = bind("127.0.0.1", 0)
    url = url_of(listener)
    server = Http2Server(perdure.app([greeter]), listener)
    serving = asyncio.ensure_future(server.serve())
    try:
        yield url
    finally:
        server.stop()
        await asyncio.wait([serving])


@asynccontextmanager
async def running_engine() -> AsyncIterator[Engine]:
    engine = Engine(EngineConfig(data_dir=None))
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop(1.0)


async def test_registrations_at_once_come_one_after_the_other() -> None:
    async with endpoint() as one, endpoint() as other, running_engine() as engine:
        registered = await asyncio.gather(
            *(engine.deployments.register(Address(uri)) for uri in (one, one, other, other))
        )
        deployments = list(engine.registry.deployments.values())
        assert sorted(deployment.uri for deployment in deployments) == sorted([f"{one}/", f"{other}/"])
        assert sorted(deployment.revisions["Greeter"] for deployment in deployments) == [1, 2]
        assert sorted(registration.outcome for registration in registered) == ["created", "created", "exists", "exists"]
        for registration in registered:
            assert engine.registry.deployment_at(registration.deployment.uri) == registration.deployment
