"""One attempt over one HTTP exchange: frames of the request go to the attempt, its messages into the response.

A peer that breaks the protocol gets an ErrorMessage (571); one that goes away ends the attempt.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, Protocol, TypeAlias

from perdure.errors import RemoteProtocolError
from perdure.protocol.frames import FrameDecoder
from perdure.protocol.messages import Envelope, decode, encode
from perdure.transport.connection import Receiver

Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# Engines half-close the request when they have read the terminal message. hypercorn forgets a stream as soon as its
# response has ended, and drops the whole connection on what still comes in: so the half-close is waited for, but not
# for ever.
HALF_CLOSE_GRACE_S = 5.0

logger = logging.getLogger(__name__)


class Running(Receiver, Protocol):
    """An attempt, as far as this file knows it: it takes the engine's messages, and can be ended."""

    def violated(self, error: RemoteProtocolError) -> None:
        """Fails it with an ErrorMessage (571). Has no effect once it has ended."""
        ...

    def abort(self) -> None:
        """Ends it at once: it sends nothing more. Has no effect once it has ended."""
        ...


class Exchange:
    """The sender of an attempt, and the pump between the attempt and the server."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._decoder = FrameDecoder()
        self._outgoing: list[bytes] = []
        self._ended = False  # the attempt has nothing more to say, or nobody listens
        self._gone = False
        self._wake = asyncio.Event()
        self._request_closed = asyncio.Event()

    def send(self, envelope: Envelope) -> None:
        if not self._ended:
            self._outgoing.append(encode(envelope))
            self._wake.set()

    def close(self) -> None:
        self._ended = True
        self._wake.set()

    def abort(self) -> None:
        self._outgoing.clear()
        self.close()

    async def run(self, attempt: Running, headers: list[tuple[bytes, bytes]]) -> None:
        """Answers with what the attempt sends, until it has ended or the peer has gone.

        Some servers (granian) hold the head back until the first bytes of the body. No empty body is sent to push it
        out: HTTP/2 clients take a hundred empty frames on a connection for an attack, and close it.
        """
        reader = asyncio.create_task(self._read(attempt))
        try:
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
            while self._outgoing or not self._ended:
                await self._wake.wait()
                self._wake.clear()
                if self._outgoing:
                    body = b"".join(self._outgoing)
                    self._outgoing.clear()
                    await self._send({"type": "http.response.body", "body": body, "more_body": True})
            with suppress(TimeoutError):
                async with asyncio.timeout(HALF_CLOSE_GRACE_S):
                    await self._request_closed.wait()
            if not self._gone:
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        except OSError:
            logger.debug("the engine went away while it was answered", exc_info=True)
        finally:
            reader.cancel()
            attempt.abort()

    async def _read(self, attempt: Running) -> None:
        try:
            await self._pump(attempt)
        except RemoteProtocolError as error:
            attempt.violated(error)
            await self._drain()
        except Exception:  # the response breaks off, which the engine takes as a failed attempt
            logger.exception("an attempt's input could not be taken in: a bug in perdure")
            attempt.abort()
            self._gone = True
            self.abort()
        finally:
            self._request_closed.set()

    async def _pump(self, attempt: Running) -> None:
        """Gives the attempt the request's messages, then its end; then watches out for the peer going away."""
        while True:
            event = await self._receive()
            if event["type"] == "http.disconnect":
                self._gone = True
                attempt.abort()
                self.abort()
                return
            last = not event.get("more_body", False) and not self._request_closed.is_set()
            if last:
                self._request_closed.set()
            for frame in self._decoder.feed(event.get("body", b"")):
                message = decode(frame)
                if not self._ended:
                    attempt.message(message)
            if last:
                if self._decoder.pending_bytes:
                    raise RemoteProtocolError("the request ended in the middle of a frame")
                attempt.closed(None)

    async def _drain(self) -> None:
        if not self._request_closed.is_set():
            await drain(self._receive)


async def drain(receive: Receive) -> None:
    """Waits for the request's end, no matter what comes."""
    while True:
        event = await receive()
        if event["type"] == "http.disconnect" or not event.get("more_body", False):
            return
