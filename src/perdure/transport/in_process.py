"""The transport without a wire: engine and service, in one loop, hand each other the messages themselves.

What the engine sends is handed over before `send` returns. What the service sends is queued, and handed over on the
loop's next turn, all of a turn at once. So neither side is ever called back while it is sending: an attempt may
answer from within `message`, and the engine may send from within its own.
"""

import asyncio
from contextvars import Context, copy_context
from typing import Protocol

from perdure.errors import TransportError, UsageError
from perdure.protocol.discovery import Manifest
from perdure.protocol.messages import Envelope
from perdure.transport.connection import InvokeRequest, Receiver, Sender


class OpenedAttempt(Receiver, Protocol):
    """The service's end of a connection: a receiver that can also be dropped."""

    def abort(self) -> None:
        """Ends the attempt at once; it sends nothing more."""
        ...


class OpenAttempt(Protocol):
    """What begins attempts on the service's side."""

    def __call__(self, request: InvokeRequest, sender: Sender) -> OpenedAttempt:
        """Raises `UsageError` where the request names no handler; nothing was begun."""
        ...


class InProcessTransport:
    """The way to the services in this process."""

    sdk_version: str | None = None

    def __init__(self, manifest: Manifest, open_attempt: OpenAttempt) -> None:
        self._manifest = manifest
        self._open_attempt = open_attempt
        self._connections: set[_Connection] = set()
        self._context = copy_context()

    async def discover(self) -> Manifest:
        return self._manifest

    def open(self, request: InvokeRequest, receiver: Receiver) -> Sender:
        connection = _Connection(receiver, self._connections, self._context)
        try:
            connection.attempt = self._open_attempt(request, _FromService(connection))
        except UsageError as error:
            connection.from_service(TransportError(str(error)))
        return connection

    async def close(self) -> None:
        error = TransportError("the in-process transport was closed")
        for connection in list(self._connections):
            connection.break_off(error)


class _Connection:
    """One attempt's connection; to the engine, its sender."""

    __slots__ = ("_connections", "_context", "_half_closed", "_loop", "_open", "_queue", "_receiver", "attempt")

    def __init__(self, receiver: Receiver, connections: "set[_Connection]", context: Context) -> None:
        self.attempt: OpenedAttempt | None = None
        self._context = context  # the engine's: what it does, and starts, must not inherit a handler's variables
        self._receiver = receiver
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._queue: list[Envelope | Exception | None] = []  # None: the service is done; an error: it broke off
        self._open = True  # until one side dropped it, or the engine heard that the service is done
        self._half_closed = False
        connections.add(self)

    def send(self, envelope: Envelope) -> None:
        if self._open and not self._half_closed and self.attempt is not None:
            self.attempt.message(envelope)

    def close(self) -> None:
        if self._open and not self._half_closed:
            self._half_closed = True
            if self.attempt is not None:
                self.attempt.closed(None)

    def abort(self) -> None:
        if self._open:
            self._end()
            if self.attempt is not None:
                self.attempt.abort()

    def break_off(self, error: Exception) -> None:
        """Ends the attempt, and tells the engine why. Not to be called while the engine sends."""
        if self._open:
            self.abort()
            self._receiver.closed(error)

    def from_service(self, item: Envelope | Exception | None) -> None:
        """Takes what the service sent, for the loop's next turn."""
        if not self._queue:
            self._loop.call_soon(self._deliver, context=self._context)
        self._queue.append(item)

    def _deliver(self) -> None:
        queue, self._queue = self._queue, []
        for item in queue:
            if not self._open:
                return
            if isinstance(item, Envelope):
                self._receiver.message(item)
            else:
                self._end()
                self._receiver.closed(item)

    def _end(self) -> None:
        self._open = False
        self._connections.discard(self)


class _FromService:
    """The service's sender."""

    __slots__ = ("_closed", "_connection")

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._closed = False

    def send(self, envelope: Envelope) -> None:
        if not self._closed:
            self._connection.from_service(envelope)

    def close(self) -> None:
        self._finish(None)

    def abort(self) -> None:
        self._finish(TransportError("the service broke the attempt off"))

    def _finish(self, how: Exception | None) -> None:
        if not self._closed:
            self._closed = True
            self._connection.from_service(how)
