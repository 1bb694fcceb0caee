"""A service endpoint made by hand, which does on HTTP/2 whatever a test wants it to: also what no server should."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError
from hyperframe.frame import GoAwayFrame

# The scripts of streams that the client has dropped may fail at whatever they do next.
GONE = (ConnectionError, ProtocolError)


class Stream:
    """One request, as the script of a test sees it."""

    def __init__(self, connection: "Connection", id: int, headers: dict[str, str]) -> None:
        self.connection = connection
        self.id = id
        self.headers = headers
        self.received = bytearray()
        self.ended = asyncio.Event()
        self.reset: int | None = None
        self.news = asyncio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.news.clear()
            await self.news.wait()

    def head(self, status: int = 200, **headers: str) -> None:
        fields = {"content-type": self.headers.get("content-type", "text/plain")}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.h2.send_headers(self.id, [(":status", str(status)), *fields.items()])
        self.connection.flush()

    def data(self, data: bytes, *, end: bool = False) -> None:
        self.connection.h2.send_data(self.id, data, end_stream=end)
        self.connection.flush()

    def cut(self, code: ErrorCodes = ErrorCodes.INTERNAL_ERROR) -> None:
        self.connection.h2.reset_stream(self.id, code)
        self.connection.flush()


Script = Callable[[Stream], Awaitable[None]]


class Connection:
    def __init__(self, peer: "H2Peer", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.peer = peer
        self.reader = reader
        self.writer = writer
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.streams: dict[int, Stream] = {}
        self.tasks: set[asyncio.Task[None]] = set()

    def flush(self) -> None:
        self.writer.write(self.h2.data_to_send())

    def goaway(self, last_stream_id: int) -> None:
        """Past the state machine of h2, which would then take no more for the streams that may go on."""
        self.writer.write(GoAwayFrame(last_stream_id=last_stream_id).serialize())

    def drop(self) -> None:
        """The TCP connection, with no word."""
        self.writer.transport.abort()

    async def run(self) -> None:
        self.h2.initiate_connection()
        self.flush()
        with suppress(*GONE):
            while data := await self.reader.read(65536):
                for event in self.h2.receive_data(data):
                    self._on(event)
                self.flush()
        self.writer.close()

    def _on(self, event: Event) -> None:
        match event:
            case RequestReceived():
                assert event.stream_id is not None
                stream = Stream(self, event.stream_id, {str(name): str(value) for name, value in event.headers or []})
                self.streams[stream.id] = stream
                self.peer.streams.append(stream)
                task = asyncio.get_running_loop().create_task(self._play(stream))
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)
            case DataReceived():
                assert event.stream_id is not None
                stream = self.streams[event.stream_id]
                stream.received += event.data or b""
                self.h2.acknowledge_received_data(event.flow_controlled_length or 0, stream.id)
                stream.news.set()
            case StreamEnded():
                assert event.stream_id is not None
                self.streams[event.stream_id].ended.set()
                self.streams[event.stream_id].news.set()
            case StreamReset():
                self.streams[event.stream_id].reset = int(event.error_code or 0)
                self.streams[event.stream_id].news.set()
            case _:
                pass

    async def _play(self, stream: Stream) -> None:
        with suppress(*GONE):
            await self.peer.script(stream)


class H2Peer:
    """Listens on a port of its own; `script` is run for each request, and may be changed between them."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.connections: list[Connection] = []
        self.streams: list[Stream] = []
        self.uri = ""

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(self, reader, writer)
        self.connections.append(connection)
        await connection.run()


@asynccontextmanager
async def h2_peer(script: Script) -> AsyncIterator[H2Peer]:
    peer = H2Peer(script)
    server = await asyncio.start_server(peer.accept, "127.0.0.1", 0)
    peer.uri = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield peer
    finally:
        server.close()
        for connection in peer.connections:
            for task in connection.tasks:
                task.cancel()
            connection.drop()
        await server.wait_closed()
