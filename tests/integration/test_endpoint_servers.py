"""The endpoint under real ASGI servers, on real sockets, driven frame by frame as an engine would."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyqwest
import pytest

from perdure.protocol import discovery
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.frames import FrameDecoder
from perdure.protocol.messages import Envelope, MessageType, decode, encode, envelope
from perdure.protocol.versions import content_type
from perdure.version import __version__
from tests.conformance.processes import free_ports

INVOCATION_ID = "inv_19DRtVb6LNfS1B4Dw36b8b3htbudZJXmwf"
RAW_ID = bytes(range(24))
DEADLINE_S = 60.0


@dataclass(frozen=True)
class Server:
    """How a server is started, and what it speaks."""

    command: tuple[str, ...]
    duplex: bool
    prefix: str = ""


SERVERS = {
    "granian-h2": Server(("granian", "--interface", "asgi", "--http", "2", "--no-ws", "--port", "{port}"), True),
    "hypercorn-h2": Server(("hypercorn", "--workers", "0", "--bind", "127.0.0.1:{port}"), True),
    "uvicorn-h1": Server(("uvicorn", "--port", "{port}"), False),
    "granian-h1": Server(("granian", "--interface", "asgi", "--http", "1", "--no-ws", "--port", "{port}"), False),
    "uvicorn-mounted": Server(("uvicorn", "--port", "{port}"), False, "/deep/er"),
    "granian-mounted": Server(
        ("granian", "--interface", "asgi", "--http", "2", "--no-ws", "--port", "{port}"), True, "/deep/er"
    ),
}
DUPLEX = [name for name, server in SERVERS.items() if server.duplex]


class Exchange:
    """One attempt, seen from the engine. `finish` half-closes after the terminal message, as engines do."""

    def __init__(self) -> None:
        self.outgoing: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.response: pyqwest.Response | None = None
        self.pending: asyncio.Future[pyqwest.Response]

    async def opened(self) -> pyqwest.Response:
        """The response, once its head is there."""
        self.response = await asyncio.wait_for(asyncio.shield(self.pending), DEADLINE_S)
        return self.response

    def send(self, *envelopes: Envelope) -> None:
        self.outgoing.put_nowait(b"".join(encode(each) for each in envelopes))

    def send_bytes(self, body: bytes) -> None:
        self.outgoing.put_nowait(body)

    def half_close(self) -> None:
        self.outgoing.put_nowait(None)

    async def body(self) -> AsyncIterator[bytes]:
        while (chunk := await self.outgoing.get()) is not None:
            yield chunk


class Service:
    """A running server."""

    def __init__(self, url: str, server: Server, process: "subprocess.Popen[bytes]") -> None:
        self.url = url
        self.server = server
        self.process = process
        version = pyqwest.HTTPVersion.HTTP2 if server.duplex else pyqwest.HTTPVersion.HTTP1
        self.transport = pyqwest.HTTPTransport(http_version=version)

    async def get(self, path: str, **headers: str) -> pyqwest.FullResponse:
        return await pyqwest.Client(self.transport).get(f"{self.url}/{path}", headers)

    @asynccontextmanager
    async def invoke(
        self, handler: str, exchange: Exchange, content_type: str = content_type(7), **headers: str
    ) -> AsyncIterator[Callable[[], Awaitable[Envelope | None]]]:
        """Gives a function that awaits the next message; None is the response's end."""
        head = pyqwest.Headers({"content-type": content_type, "x-restate-invocation-id": INVOCATION_ID, **headers})
        body: bytes | AsyncIterator[bytes] = exchange.body()
        if not self.server.duplex:
            body = b"".join([chunk async for chunk in exchange.body()])
        request = pyqwest.Request("POST", f"{self.url}/invoke/Greeter/{handler}", head, body)
        exchange.pending = asyncio.ensure_future(self.transport.execute(request))
        decoder, messages = FrameDecoder(), list[Envelope]()

        async def receive() -> Envelope | None:
            async with asyncio.timeout(DEADLINE_S):
                response = await exchange.opened()
                while not messages:
                    chunk = await anext(response.content, None)
                    if chunk is None:
                        return None
                    messages.extend(decode(frame) for frame in decoder.feed(bytes(chunk)))
                return messages.pop(0)

        try:
            yield receive
        finally:
            exchange.half_close()
            exchange.pending.cancel()
            if exchange.response is not None:
                await exchange.response.aclose()

    async def run(self, handler: str, *sent: Envelope | bytes, version: int = 7) -> list[Envelope]:
        """All messages of an attempt that is sent these, and half-closed."""
        exchange = Exchange()
        for each in sent:
            exchange.send_bytes(each if isinstance(each, bytes) else encode(each))
        exchange.half_close()
        received: list[Envelope] = []
        async with self.invoke(handler, exchange, content_type(version)) as receive:
            while (message := await receive()) is not None:
                received.append(message)
        assert exchange.response is not None
        assert exchange.response.headers["content-type"] == content_type(version)
        return received


def start(*entries: Envelope, known: int | None = None) -> tuple[Envelope, ...]:
    message = pb.StartMessage(id=RAW_ID, debug_id=INVOCATION_ID, known_entries=len(entries) if known is None else known)
    return envelope(message), *entries


def given(value: object = None) -> Envelope:
    content = b"" if value is None else msgspec.json.encode(value)
    return envelope(pb.InputCommandMessage(value=pb.Value(content=content)))


def kinds(messages: list[Envelope]) -> list[str]:
    return [MessageType(message.type).name for message in messages]


def output(messages: list[Envelope]) -> object:
    [found] = [each.message for each in messages if isinstance(each.message, pb.OutputCommandMessage)]
    assert found.HasField("value"), found
    return msgspec.json.decode(found.value.content)


def _start(name: str) -> Service:
    server, [port] = SERVERS[name], free_ports(1)
    program, *arguments = [part.format(port=port) for part in server.command]
    application = "endpoint_app:mounted" if server.prefix else "endpoint_app:app"
    process = subprocess.Popen(
        [str(Path(sys.executable).parent / program), *arguments, application],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # granian serves from a child process, which must not outlive it
    )
    return Service(f"http://127.0.0.1:{port}{server.prefix}", server, process)


async def _ready(service: Service) -> Service:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            try:
                if (await service.get("health")).status == 200:
                    return service
            except OSError:
                await asyncio.sleep(0.02)


def _stop(service: Service) -> None:
    with suppress(ProcessLookupError):
        os.killpg(service.process.pid, signal.SIGKILL)
    service.process.wait()


@pytest.fixture(scope="module")
def running() -> Iterator[dict[str, Service]]:
    """Servers that tests share, each started when first asked for."""
    services: dict[str, Service] = {}
    yield services
    for service in services.values():
        _stop(service)


@pytest.fixture(params=list(SERVERS))
async def service(request: pytest.FixtureRequest, running: dict[str, Service]) -> Service:
    return await _shared(request.param, running)


@pytest.fixture(params=DUPLEX)
async def duplex(request: pytest.FixtureRequest, running: dict[str, Service]) -> Service:
    return await _shared(request.param, running)


async def _shared(name: str, running: dict[str, Service]) -> Service:
    if name not in running:
        running[name] = _start(name)
    return await _ready(running[name])


async def test_discovery_says_how_to_connect(service: Service) -> None:
    response = await service.get("discover", accept=discovery.ACCEPT)
    assert response.headers["x-restate-server"] == f"perdure/{__version__}"
    manifest = discovery.decode_manifest(response.headers["content-type"], response.content)
    assert manifest.protocol_mode == ("BIDI_STREAM" if service.server.duplex else "REQUEST_RESPONSE")
    assert (manifest.min_protocol_version, manifest.max_protocol_version) == (5, 7)
    assert [each.name for each in manifest.services] == ["Greeter"]


async def test_discovery_answers_in_the_version_asked_for(service: Service) -> None:
    for version in (1, 2, 3, 4):
        response = await service.get("discover", accept=discovery.content_type(version))
        assert (response.status, response.headers["content-type"]) == (200, discovery.content_type(version))
    refused = await service.get("discover", accept="text/html")
    assert refused.status == 415
    assert "text/html" in msgspec.json.decode(refused.content)["message"]


async def test_health_and_what_is_not_there(service: Service) -> None:
    health = await service.get("health")
    assert (health.status, health.content) == (200, b'{"status":"ok"}')
    nothing = await service.get("elsewhere")
    assert nothing.status == 404
    assert "/discover" in msgspec.json.decode(nothing.content)["message"]


@pytest.mark.parametrize(
    ("handler", "content_type", "status", "says"),
    [
        ("ecko", content_type(7), 404, "Did you mean Greeter/echo?"),
        ("echo", content_type(4), 415, "4 is not one of 5 to 7"),
        ("echo", content_type(8), 415, "8 is not one of 5 to 7"),
        ("echo", "application/json", 415, "'application/json' is not"),
        ("echo", content_type(7) + "; charset=utf-8", 415, "is not"),
    ],
)
async def test_refusals_are_json_and_leave_the_connection_usable(
    service: Service, handler: str, content_type: str, status: int, says: str
) -> None:
    exchange = Exchange()
    exchange.send(*start(given("x")))
    if not service.server.duplex:
        exchange.half_close()
    async with service.invoke(handler, exchange, content_type):
        response = await exchange.opened()
        assert (response.status, response.headers["content-type"]) == (status, "application/json")
        exchange.send(given("more"))
        exchange.half_close()
        body = b"".join([bytes(chunk) async for chunk in response.content])
        assert says in msgspec.json.decode(body)["message"]
        assert msgspec.json.decode(body)["code"] == status
    assert output(await service.run("echo", *start(given("x")))) == "x"


@pytest.mark.parametrize("version", [5, 6, 7])
@pytest.mark.parametrize("handler", ["echo", "echo_plain"])
async def test_a_call_is_answered_in_the_version_it_came_in(service: Service, handler: str, version: int) -> None:
    messages = await service.run(handler, *start(given("hi")), version=version)
    assert kinds(messages) == ["OUTPUT", "END"]
    assert output(messages) == "hi"


async def test_frames_may_be_cut_anywhere(service: Service) -> None:
    body = b"".join(encode(each) for each in start(given("hi")))
    messages = await service.run("echo", *[body[index : index + 1] for index in range(len(body))])
    assert output(messages) == "hi"


async def test_headers_of_the_attempt_reach_the_handler(service: Service) -> None:
    exchange = Exchange()
    exchange.send(*start(given("x-tenant")))
    exchange.half_close()
    async with service.invoke("header", exchange, **{"x-tenant": "acme"}) as receive:
        message = await receive()
    assert message is not None
    assert output([message]) == "acme"


async def test_a_handler_that_waits_suspends_when_the_request_ends(service: Service) -> None:
    messages = [each for each in await service.run("nap", *start(given())) if each.type != MessageType.AWAITING_ON]
    assert kinds(messages) == ["SLEEP", "SUSPENSION"]


async def test_it_goes_on_where_it_was_suspended(service: Service) -> None:
    [sleep, *_] = await service.run("nap", *start(given()))
    assert isinstance(sleep.message, pb.SleepCommandMessage)
    woken = pb.NotificationMessage(completion_id=sleep.message.result_completion_id, void=pb.Void())
    messages = await service.run("nap", *start(given(), sleep, Envelope(MessageType.SLEEP_COMPLETION, woken)))
    assert output(messages) == "rested"


async def test_full_duplex(duplex: Service) -> None:
    exchange = Exchange()
    exchange.send(*start(given()))
    async with duplex.invoke("nap", exchange) as receive:
        sleep = await receive()
        assert sleep is not None
        assert isinstance(sleep.message, pb.SleepCommandMessage)
        woken = pb.NotificationMessage(completion_id=sleep.message.result_completion_id, void=pb.Void())
        exchange.send(Envelope(MessageType.SLEEP_COMPLETION, woken))
        messages: list[Envelope] = []
        while "END" not in kinds(messages):
            message = await receive()
            assert message is not None
            messages.append(message)
        exchange.half_close()
        assert await receive() is None
    assert output(messages) == "rested"


async def test_half_close_of_an_open_stream_suspends(duplex: Service) -> None:
    exchange = Exchange()
    exchange.send(*start(given()))
    async with duplex.invoke("nap", exchange) as receive:
        first = await receive()
        assert first is not None
        assert first.type == MessageType.SLEEP
        exchange.half_close()
        while (message := await receive()) is not None and message.type != MessageType.SUSPENSION:
            pass
        assert message is not None
        assert await receive() is None


BROKEN: dict[str, tuple[bytes, ...]] = {
    "unknown type": (*map(encode, start(given("x"), known=2)), b"\x00\x09\x00\x00\x00\x00\x00\x00"),
    "oversized": (*map(encode, start(given("x"), known=2)), b"\x00\x00\x00\x00\xff\xff\xff\xff"),
    "no protobuf": (b"\x00\x00\x00\x00\x00\x00\x00\x02\xff\xff",),
    "cut": (encode(start(given("x"))[0])[:-1],),
    "too few entries": tuple(map(encode, start(given("x"), known=3))),
    "no start": (encode(given("x")),),
    "no entries": tuple(map(encode, start())),
    "nothing": (),
    "not frames": (b"GET / HTTP/1.1\r\n\r\n",),
}


@pytest.mark.parametrize("broken", list(BROKEN))
async def test_a_broken_stream_is_answered_with_571(service: Service, broken: str) -> None:
    messages = await service.run("echo", *BROKEN[broken])
    assert kinds(messages) == ["ERROR"]
    error = messages[0].message
    assert isinstance(error, pb.ErrorMessage)
    assert error.code == 571
    assert error.message
    assert "Traceback" not in error.message + error.stacktrace


async def test_an_engine_that_goes_away_ends_the_attempt(duplex: Service) -> None:
    async def unwound() -> object:
        return output(await duplex.run("times_unwound", *start(given())))

    before = await unwound()
    assert isinstance(before, int)
    exchange = Exchange()
    exchange.send(*start(given()))
    async with duplex.invoke("nap", exchange) as receive:
        assert await receive() is not None
        assert exchange.response is not None
        await exchange.response.aclose()
        async with asyncio.timeout(DEADLINE_S):
            while await unwound() == before:  # noqa: ASYNC110 - it happens in another process
                await asyncio.sleep(0.02)


async def test_one_connection_carries_many_attempts(service: Service) -> None:
    # More than the hundred empty frames that an HTTP/2 client bears, less than the thousand streams of hypercorn.
    async def several() -> None:
        for number in range(30):
            assert output(await service.run("echo", *start(given(str(number))))) == str(number)

    await asyncio.gather(*(several() for _ in range(8)))


@pytest.mark.parametrize("name", DUPLEX)
async def test_sigterm_lets_open_attempts_suspend(name: str) -> None:
    service = _start(name)
    try:
        await _ready(service)
        exchange = Exchange()
        exchange.send(*start(given()))
        async with service.invoke("nap", exchange) as receive:
            assert await receive() is not None
            service.process.send_signal(signal.SIGTERM)
            message = await receive()
            while message is not None and message.type == MessageType.AWAITING_ON:
                message = await receive()
            assert message is not None
            assert message.type == MessageType.SUSPENSION
            exchange.half_close()
        await asyncio.to_thread(service.process.wait, DEADLINE_S)
    finally:
        _stop(service)
