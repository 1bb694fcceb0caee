"""The engine's end of an attempt, for tests of the HTTP transport: records what comes, and is awaited."""

import asyncio

from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import Envelope, MessageType, encode, envelope
from perdure.transport.connection import InvokeRequest, Sender
from perdure.transport.http import HttpTransport

START = envelope(pb.StartMessage(id=b"x" * 24, debug_id="inv_1x", known_entries=1))
INPUT = envelope(pb.InputCommandMessage(value=pb.Value(content=b'"question"')))
OUTPUT = envelope(pb.OutputCommandMessage(value=pb.Value(content=b'"answer"')))
END = envelope(pb.EndMessage())
SLEPT = Envelope(MessageType.SLEEP_COMPLETION, pb.NotificationMessage(completion_id=1, void=pb.Void()))


class Attempt:
    """A `Receiver` that closes the request when a terminal message has come, as the engine does."""

    sender: Sender

    def __init__(self, *, closes: bool = True) -> None:
        self.closes = closes
        self.types: list[MessageType] = []
        self.closed_with: list[Exception | None] = []
        self.over = asyncio.Event()
        self.news = asyncio.Event()

    def message(self, envelope: Envelope) -> None:
        assert not self.closed_with, "a message after closed"
        self.types.append(MessageType(envelope.type))
        self.news.set()
        if envelope.type == MessageType.END and self.closes:
            self.sender.close()

    def closed(self, error: Exception | None) -> None:
        self.closed_with.append(error)
        self.over.set()

    async def result(self, timeout_s: float = 20.0) -> tuple[list[MessageType], Exception | None]:
        async with asyncio.timeout(timeout_s):
            await self.over.wait()
        [error] = self.closed_with
        return self.types, error


def open_attempt(
    transport: HttpTransport, handler: str = "echo", *, key: str | None = None, closes: bool = True
) -> Attempt:
    attempt = Attempt(closes=closes)
    attempt.sender = transport.open(InvokeRequest("Echo", handler, 6, "inv_1x", key), attempt)
    attempt.sender.send(START)
    attempt.sender.send(INPUT)
    return attempt


def frames(*envelopes: Envelope) -> bytes:
    return b"".join(encode(envelope) for envelope in envelopes)
