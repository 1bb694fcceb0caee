"""Bodies of requests, read within two bounds: one for each, and one for all large ones together.

A body that comes in one piece is just taken. One that comes in several is counted against the room for all; while
that is used up, nothing more is read, so that clients wait instead of memory growing.
"""

import asyncio
from collections import deque
from types import TracebackType

from starlette.types import Message, Receive, Scope

from perdure.errors import TooLarge, UsageError

_DRAINED_BYTES_MAX = 1024 * 1024
_DRAINED_S = 1.0


class ClientGone(Exception):
    """The client left before its request was complete: there is nothing to do, and nobody to tell."""


class TooSlow(UsageError):
    """Nothing more came of a body for too long."""

    http_status = 408


class Body:
    """A body that was read, as a context manager: when it is left, a `large` body's content and its room are freed."""

    __slots__ = ("_room", "content", "large")

    def __init__(self, content: bytes, room: "Room | None" = None) -> None:
        self.content = content
        self.large = room is not None
        self._room = room

    def __enter__(self) -> "Body":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._room is not None:
            self._room.give_back(self, len(self.content))
            self._room = None
            self.content = b""


class Bodies:
    """Reads the bodies of one port. `idle_s`: how long nothing may come of a large body before it is given up."""

    def __init__(self, body_bytes_max: int, bodies_bytes_max: int, idle_s: float = 30.0) -> None:
        self._body_bytes_max = body_bytes_max
        self._room = Room(max(0, bodies_bytes_max - body_bytes_max))  # one may go beyond, by a whole body
        self._idle_s = idle_s

    async def read(self, scope: Scope, receive: Receive) -> Body:
        """The whole body, counted while it comes: what its length is said to be is not believed.

        Raises:
            TooLarge: it is above the limit; the rest of it is not read.
            TooSlow: it stopped coming.
            ClientGone: the client left.
        """
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value[:18]) > self._body_bytes_max:
                raise self._too_large()
        message = await receive()
        piece = self._piece(message, 0)
        return await self._read_on(receive, piece) if message.get("more_body", False) else Body(piece)

    async def _read_on(self, receive: Receive, first: bytes) -> Body:
        body = Body(b"", self._room)
        pieces, counted, more = [first], 0, True
        try:
            while True:
                await self._room.take(body, len(pieces[-1]))
                counted += len(pieces[-1])
                if not more:
                    body.content = b"".join(pieces)
                    return body
                message = await self._next(receive)
                pieces.append(self._piece(message, counted))
                more = message.get("more_body", False)
        except BaseException:
            self._room.give_back(body, counted)
            raise

    async def _next(self, receive: Receive) -> Message:
        try:
            async with asyncio.timeout(self._idle_s):
                return await receive()
        except TimeoutError:
            raise TooSlow(f"nothing more of the body came for {self._idle_s:g} s: send it again") from None

    def _piece(self, message: Message, size_before: int) -> bytes:
        if message["type"] == "http.disconnect":
            raise ClientGone
        piece: bytes = message.get("body", b"")
        if size_before + len(piece) > self._body_bytes_max:
            raise self._too_large()
        return piece

    def _too_large(self) -> TooLarge:
        return TooLarge(f"the body is larger than {self._body_bytes_max} bytes, which is the limit")


class Room:
    """The bytes that large bodies may take up together. A request for more than are free waits for its turn.

    One body at a time may go beyond, or bodies that hold a part each would wait for each other for ever.
    """

    def __init__(self, bytes_max: int) -> None:
        self._free = bytes_max
        self._beyond: Body | None = None
        self._waiting: deque[tuple[asyncio.Future[None], Body, int]] = deque()

    async def take(self, body: Body, size: int) -> None:
        """Returns once there is room for `size` more bytes of a body."""
        if self._beyond is body or (not self._waiting and self._admits(body, size)):
            self._free -= size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, body, size))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(body, size)
            raise

    def give_back(self, body: Body, size: int) -> None:
        """Free room: a body is gone from memory, or `size` bytes of it never came."""
        self._free += size
        if self._beyond is body:
            self._beyond = None
        while self._waiting:
            turn, next_body, next_size = self._waiting[0]
            if turn.done():  # who waited was cancelled
                self._waiting.popleft()
            elif self._admits(next_body, next_size):
                self._waiting.popleft()
                self._free -= next_size
                turn.set_result(None)
            else:
                return

    def _admits(self, body: Body, size: int) -> bool:
        if size <= self._free:
            return True
        if self._beyond is None:
            self._beyond = body
        return self._beyond is body


async def drain(receive: Receive) -> None:
    """Read and drop a little of a body that was refused: its client may read the answer only once it has sent that."""
    drained = 0
    try:
        async with asyncio.timeout(_DRAINED_S):
            while drained < _DRAINED_BYTES_MAX:
                message = await receive()
                drained += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return
