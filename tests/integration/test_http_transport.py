"""The HTTP transport against the servers that people run SDKs under."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from perdure.errors import DeploymentRejected, TransportError
from perdure.protocol.messages import MessageType
from perdure.transport.http import HttpTransport
from tests.conformance.processes import PEERS_PYTHON, ROOT, free_ports, official_endpoint
from tests.integration.attempts import SLEPT, Attempt, open_attempt
from tests.integration.h2_peer import Stream, h2_peer

ANSWER = [MessageType.OUTPUT, MessageType.END]
APP = "tests.integration.echo_endpoint:app"
COMMANDS = {
    "granian": "granian --interface asgi --http 2 --no-ws --log-level warning --host 127.0.0.1 --port {port} " + APP,
    "granian, both": "granian --interface asgi --no-ws --log-level warning --host 127.0.0.1 --port {port} " + APP,
    "hypercorn": "hypercorn --log-level warning --bind 127.0.0.1:{port} " + APP,
    "uvicorn": "uvicorn --log-level warning --port {port} " + APP,
}


@contextmanager
def serving(command: str) -> Iterator[str]:
    """Runs a server, yields its address once it listens, and stops it."""
    [port] = free_ports(1)
    program, *arguments = command.format(port=port).split()
    process = subprocess.Popen(
        [sys.executable, "-m", program, *arguments], cwd=ROOT, env={**os.environ, "PYTHONPATH": "."}
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None, f"{program} ended with {process.returncode}"
            assert time.monotonic() < deadline, f"{program} does not listen"
            with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=10):
                break
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="module", params=["granian", "hypercorn"])
def http_2(request: pytest.FixtureRequest) -> Iterator[str]:
    with serving(COMMANDS[request.param]) as uri:
        yield uri


@pytest.fixture(scope="module", params=["granian, both", "uvicorn"])
def http_11(request: pytest.FixtureRequest) -> Iterator[str]:
    with serving(COMMANDS[request.param]) as uri:
        yield uri


@pytest.fixture
async def transport(http_2: str) -> AsyncIterator[HttpTransport]:
    transport = HttpTransport(http_2)
    yield transport
    await transport.close()


async def test_both_directions_flow_at_once(transport: HttpTransport) -> None:
    attempt = open_attempt(transport, "wait")
    await attempt.news.wait()  # a command came while the request is open
    attempt.sender.send(SLEPT)
    assert await attempt.result() == ([MessageType.SLEEP, *ANSWER], None)


async def test_a_half_close_reaches_the_service(transport: HttpTransport) -> None:
    attempt = open_attempt(transport, "wait")
    await attempt.news.wait()
    attempt.sender.close()
    assert await attempt.result() == ([MessageType.SLEEP], None)


async def test_500_attempts_that_are_open_at_once_do_not_wait_for_each_other(transport: HttpTransport) -> None:
    """Servers allow 100 to 250 streams on a connection; agents that call each other would wait forever for one."""
    attempts = [open_attempt(transport, "wait") for _ in range(500)]
    async with asyncio.timeout(60):
        for attempt in attempts:
            await attempt.news.wait()
    for attempt in reversed(attempts):
        attempt.sender.send(SLEPT)
    for attempt in attempts:
        assert await attempt.result() == ([MessageType.SLEEP, *ANSWER], None)


async def test_a_server_that_limits_the_requests_on_a_connection_breaks_no_attempt(transport: HttpTransport) -> None:
    """Hypercorn ends a connection at its 1,001st request, with all that is open on it."""

    async def some() -> list[Exception | None]:
        return [(await open_attempt(transport).result())[1] for _ in range(120)]

    long = [open_attempt(transport, "wait") for _ in range(5)]
    for attempt in long:
        await attempt.news.wait()
    errors = [error for result in await asyncio.gather(*(some() for _ in range(20))) for error in result]
    assert errors == [None] * 2_400
    for attempt in long:
        attempt.sender.send(SLEPT)
        assert await attempt.result() == ([MessageType.SLEEP, *ANSWER], None)


async def test_over_http_11_the_request_goes_out_whole(http_11: str) -> None:
    transport = HttpTransport(http_11, use_http_11=True)
    attempt = open_attempt(transport, "wait", key="a/b c")
    attempt.sender.send(SLEPT)
    attempt.sender.close()
    assert await attempt.result() == ([MessageType.SLEEP, *ANSWER], None)

    aborted = open_attempt(transport)
    aborted.sender.abort()
    aborted.sender.close()
    many: list[Attempt] = [open_attempt(transport) for _ in range(50)]
    for attempt in many:
        attempt.sender.close()
    for attempt in many:
        assert await attempt.result() == (ANSWER, None)
    assert aborted.closed_with == []
    await transport.close()


async def test_an_endpoint_says_what_it_serves(transport: HttpTransport) -> None:
    manifest = await transport.discover()
    assert [service.name for service in manifest.services] == ["Echo"]
    assert manifest.protocol_mode == "BIDI_STREAM"


@pytest.mark.skipif(not PEERS_PYTHON.exists(), reason=f"the official SDK is not installed: {PEERS_PYTHON}")
async def test_the_official_sdk_says_what_it_serves(tmp_path: Path) -> None:
    with official_endpoint(tmp_path) as uri:
        transport = HttpTransport(uri)
        manifest = await transport.discover()
        assert manifest.protocol_mode == "BIDI_STREAM"
        assert "Plain" in [service.name for service in manifest.services]
        assert transport.sdk_version is not None
        assert transport.sdk_version.startswith("restate-sdk-python/")
        await transport.close()

        over_http_11 = HttpTransport(uri, use_http_11=True)
        assert (await over_http_11.discover()).protocol_mode == "REQUEST_RESPONSE"
        await over_http_11.close()


async def test_an_endpoint_asked_over_http_11_wants_requests_and_responses(http_11: str) -> None:
    transport = HttpTransport(http_11, use_http_11=True)
    assert (await transport.discover()).protocol_mode == "REQUEST_RESPONSE"


async def test_an_endpoint_that_speaks_no_http_2_is_told_apart_from_one_that_is_not_there() -> None:
    with serving(COMMANDS["uvicorn"]) as uri:
        with pytest.raises(DeploymentRejected, match=r"HTTP/1.1 only.*use_http_11") as rejected:
            await HttpTransport(uri).discover()
        assert rejected.value.restate_code == "META0014"
    with pytest.raises(TransportError, match="nothing listens at"):
        await HttpTransport(uri).discover()


async def test_an_endpoint_that_speaks_http_2_only_is_not_to_be_registered_for_http_11() -> None:
    with serving(COMMANDS["granian"]) as uri:
        with pytest.raises(DeploymentRejected, match="HTTP/2 only") as rejected:
            await HttpTransport(uri, use_http_11=True).discover()
        assert rejected.value.restate_code == "META0014"


async def test_discovery_asks_again_where_the_answer_may_change_and_only_there() -> None:
    async def starting(stream: Stream) -> None:
        stream.head(503 if len(stream.connection.peer.streams) < 3 else 404)
        stream.data(b"starting", end=True)

    async with h2_peer(starting) as peer:
        with pytest.raises(DeploymentRejected, match=r"answered 404 \(starting\)") as rejected:
            await HttpTransport(peer.uri, additional_headers={"authorization": "secret"}).discover()
        assert rejected.value.restate_code == "META0003"
        assert len(peer.streams) == 3
        assert peer.streams[0].headers["authorization"] == "secret"
        assert peer.streams[0].headers[":path"] == "/discover"


async def test_a_web_page_is_not_a_service_endpoint() -> None:
    async def page(stream: Stream) -> None:
        stream.head(200, content_type="text/html")
        stream.data(b"<html>", end=True)

    async with h2_peer(page) as peer:
        with pytest.raises(DeploymentRejected, match="Is this the address of a service endpoint") as rejected:
            await HttpTransport(peer.uri).discover()
        assert rejected.value.restate_code == "META0013"


async def test_the_head_of_an_attempt_names_its_target() -> None:
    async def ends(stream: Stream) -> None:
        stream.head()
        stream.data(b"", end=True)

    async with h2_peer(ends) as peer:
        transport = HttpTransport(f"{peer.uri}/prefix/", additional_headers={"x-extra": "1"})
        await open_attempt(transport, key="a/b ü").result()
        headers = peer.streams[0].headers
        assert headers[":path"] == "/prefix/invoke/Echo/echo"
        assert headers["content-type"] == headers["accept"] == "application/vnd.restate.invocation.v6"
        assert headers["x-restate-invocation-id"] == "inv_1x"
        assert headers["x-restate-service-key"] == "a%2Fb%20%C3%BC"
        assert headers["x-extra"] == "1"
        await transport.close()
