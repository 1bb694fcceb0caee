"""One attempt over HTTP: a POST whose request body is what the engine sends, and whose response is what it receives.

Over HTTP/2 both flow at once. Over HTTP/1.1 the request goes out whole, once the engine has closed it.
One task does an attempt's waiting; it ends with the response, or when either side drops the stream.
"""

import asyncio
from collections.abc import Callable

import pyqwest

from perdure.errors import RemoteProtocolError, TransportError
from perdure.protocol.frames import FrameDecoder
from perdure.protocol.messages import Envelope, decode, encode
from perdure.transport.connection import Receiver
from perdure.transport.http_errors import check_content_type, explain, refusal, spoils_connection


class RequestBody:
    """The request's body, as the HTTP client reads it: all that was appended since its last read is one chunk."""

    __slots__ = ("_chunks", "_closed", "_waiter")

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._closed = False
        self._waiter: asyncio.Future[None] | None = None

    @property
    def closed(self) -> bool:
        return self._closed

    def append(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._wake()

    def close(self) -> None:
        self._closed = True
        self._wake()

    def drop(self) -> None:
        """Give no more chunks, without ending the body: to the peer, its end would mean to suspend."""
        self._chunks.clear()

    def whole(self) -> bytes:
        return b"".join(self._chunks)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def __aiter__(self) -> "RequestBody":
        return self

    async def __anext__(self) -> bytes:
        while not self._chunks:
            if self._closed:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        chunk = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        return chunk


class HttpAttempt:
    """A `Sender`, and the task behind it, which tells the receiver. `on_end` is called once, however it ends.

    `leave` is told of a client on whose connections no further attempt should begin. `clock` gives seconds since the
    epoch.
    """

    __slots__ = (
        "_body",
        "_client",
        "_clock",
        "_content_type",
        "_ended",
        "_headers",
        "_identity_key",
        "_leave",
        "_on_end",
        "_receiver",
        "_task",
        "_url",
    )

    def __init__(
        self,
        client: pyqwest.HTTPTransport,
        url: str,
        headers: pyqwest.Headers,
        receiver: Receiver,
        on_end: Callable[["HttpAttempt"], None],
        leave: Callable[[pyqwest.HTTPTransport], None],
        identity_key: str | None,
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._url = url
        self._headers = headers
        self._content_type = headers["content-type"]
        self._receiver = receiver
        self._on_end = on_end
        self._leave = leave
        self._identity_key = identity_key
        self._clock = clock
        self._body = RequestBody()
        self._ended = False
        self._task: asyncio.Task[None] | None = None

    def send(self, envelope: Envelope) -> None:
        if not self._ended:
            self._body.append(encode(envelope))

    def close(self) -> None:
        if not self._ended:
            self._body.close()

    def abort(self) -> None:
        if self._end() and self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    def fail(self, error: Exception) -> None:
        """Drop the connection, and tell the receiver why."""
        if not self._ended:
            self.abort()
            self._receiver.closed(error)

    def start(self, content: bytes | RequestBody) -> None:
        self._task = asyncio.get_running_loop().create_task(self._exchange(content))

    async def ended(self) -> None:
        """Wait until the attempt's task has ended."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def _end(self) -> bool:
        """True the first time. From here on the receiver hears nothing more, but a `closed` that the caller tells."""
        if self._ended:
            return False
        self._ended = True
        self._body.drop()
        self._on_end(self)
        return True

    async def _exchange(self, content: bytes | RequestBody) -> None:
        error: Exception | None = None
        try:
            response = await self._client.execute(pyqwest.Request("POST", self._url, self._headers, content))
            try:
                await self._receive(response)
            finally:
                await response.aclose()
        except Exception as failure:  # noqa: BLE001  whatever broke, the receiver is told
            error = explain(failure, self._url)
            if spoils_connection(failure):
                self._leave(self._client)
        if self._end():
            self._receiver.closed(error)

    async def _receive(self, response: pyqwest.Response) -> None:
        self._head_came()
        if not 200 <= response.status < 300:
            raise await refusal(response, self._url, self._identity_key, self._clock())
        check_content_type(response, self._content_type, self._url)
        decoder = FrameDecoder()
        async for chunk in response.content:
            for frame in decoder.feed(bytes(chunk)):
                self._receiver.message(decode(frame))
                if self._ended:
                    return
        if decoder.pending_bytes:
            raise RemoteProtocolError(f"{self._url} ended its response within a frame: {decoder.pending_bytes} bytes")

    def _head_came(self) -> None:
        pass


class StreamingAttempt(HttpAttempt):
    """Over HTTP/2: begins at once, sends as it comes. While the request is open, the response's head is due soon."""

    __slots__ = ("_head_timer",)

    def begin(self, head_timeout_s: float) -> None:
        self.start(self._body)
        loop = asyncio.get_running_loop()
        self._head_timer = loop.call_later(head_timeout_s, self._miss_head, head_timeout_s)

    def _head_came(self) -> None:
        self._head_timer.cancel()

    def _end(self) -> bool:
        self._head_timer.cancel()
        return super()._end()

    def _miss_head(self, head_timeout_s: float) -> None:
        if self._body.closed:
            return  # who has the whole request may answer at its end; the engine's abort timeout watches over that
        self._leave(self._client)
        self.fail(
            TransportError(
                f"{self._url} sent no response head within {head_timeout_s:g} s: "
                "its host has vanished, or its event loop is blocked"
            )
        )


class BufferedAttempt(HttpAttempt):
    """Over HTTP/1.1: the request goes out whole, once it is closed."""

    __slots__ = ()

    def close(self) -> None:
        if self._task is None and not self._ended:
            self.start(self._body.whole())
