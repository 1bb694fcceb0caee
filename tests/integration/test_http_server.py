"""Starting and stopping the two ports."""

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable

import httpx
import pytest

from perdure.errors import PortUnavailable
from perdure.server.app import HttpServer, ServerConfig
from tests.conformance.processes import free_ports
from tests.integration.server_fixtures import ANY_PORTS, serve
from tests.unit.server.fake_engine import FakeEngine


async def test_port_0_takes_free_ports_and_says_which() -> None:
    async with serve(FakeEngine()) as one, serve(FakeEngine()) as other:
        urls = {one.server.ingress_url, one.server.admin_url, other.server.ingress_url, other.server.admin_url}
        assert len(urls) == 4
        for url in (one.server.ingress_url, other.server.ingress_url):
            async with httpx.AsyncClient(timeout=60) as client:
                assert (await client.get(f"{url}/restate/health")).status_code == 200


@pytest.mark.parametrize("name", ["ingress", "admin"])
async def test_a_port_in_use_is_an_error_that_names_it_and_leaves_nothing_open(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        [free] = free_ports(1)
        ports = {"ingress": (port, free), "admin": (free, port)}[name]
        with pytest.raises(PortUnavailable, match=rf"127\.0\.0\.1:{port}.*another port"):
            await HttpServer(FakeEngine(), ServerConfig(ingress_port=ports[0], admin_port=ports[1])).start()
        socket.create_server(("127.0.0.1", free)).close()


@pytest.mark.parametrize("host", ["no-such-host.invalid", "203.0.113.1"])
async def test_a_host_that_is_not_ours_is_an_error_that_names_it(host: str) -> None:
    with pytest.raises(PortUnavailable, match=host):
        await HttpServer(FakeEngine(), ServerConfig(host=host, ingress_port=0, admin_port=0)).start()


async def test_a_server_on_all_addresses_names_one_that_can_be_reached() -> None:
    server = HttpServer(FakeEngine(), ServerConfig(host="0.0.0.0", ingress_port=0, admin_port=0))
    await server.start()
    assert server.ingress_url.startswith("http://127.0.0.1:")
    await server.stop()


async def test_signals_are_left_to_whoever_starts_the_server() -> None:
    before = (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))
    async with serve(FakeEngine()):
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


async def test_stop_waits_for_the_answers_that_are_due(wait_until: Callable[..., Awaitable[None]]) -> None:
    engine = FakeEngine()
    async with serve(engine) as served:
        asking = asyncio.create_task(served.ingress.post("/Echo/hang", content=b"late"))
        await wait_until(lambda: len(engine.asked) == 1, "the call has reached the engine")
        stopping = asyncio.create_task(served.server.stop(grace_s=30))
        await wait_until(lambda: _refuses(served.server.ingress_url), "nothing new is accepted")
        engine.release.set()
        response = await asking
        assert (response.status_code, response.content) == (200, b"late")
        await stopping


async def test_who_still_waits_after_the_grace_is_told_to_ask_again(wait_until: Callable[..., Awaitable[None]]) -> None:
    engine = FakeEngine()
    async with serve(engine) as served:
        asking = asyncio.create_task(served.ingress.post("/Echo/hang"))
        await wait_until(lambda: len(engine.asked) == 1, "the call has reached the engine")
        await served.server.stop(grace_s=0.05)
        response = await asking
        assert response.status_code == 503
        assert response.headers["retry-after"]
        assert response.headers["x-restate-error-source"] == "ingress"


async def test_stop_is_not_held_up_by_clients_that_say_nothing() -> None:
    server = HttpServer(FakeEngine(), ANY_PORTS)
    await server.start()
    url = httpx.URL(server.ingress_url)
    connections = [await asyncio.open_connection(url.host, url.port) for _ in range(3)]
    connections[0][1].write(b"POST /Echo/echo HTTP/1.1\r\nhost: x\r\ncontent-len")
    connections[1][1].write(b"POST /Echo/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n123")
    await connections[1][1].drain()
    await asyncio.wait_for(server.stop(grace_s=0.2), timeout=60)
    for _, writer in connections:
        writer.close()


async def test_a_server_that_never_started_or_has_stopped_can_be_stopped() -> None:
    server = HttpServer(FakeEngine(), ANY_PORTS)
    await server.stop()
    await server.start()
    await server.stop()
    await server.stop()


def _refuses(url: str) -> bool:
    parts = httpx.URL(url)
    with socket.socket() as probe:
        return probe.connect_ex((parts.host, parts.port)) != 0
