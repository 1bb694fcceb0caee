"""One attempt over one HTTP exchange, the server played by the test: order, half-close, broken frames, lost peers."""

import asyncio
from collections.abc import Callable, MutableMapping
from typing import Any

import pytest

from perdure.errors import RemoteProtocolError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.frames import PAYLOAD_BYTES_MAX, Frame, FrameDecoder
from perdure.protocol.messages import Envelope, MessageType, decode, encode, envelope
from perdure.sdk import exchange as module
from perdure.sdk.exchange import Exchange

START = envelope(pb.StartMessage(known_entries=1))
OUTPUT = envelope(pb.OutputCommandMessage(value=pb.Value(content=b"hi")))
END = envelope(pb.EndMessage())


class Server:
    """The ASGI server: what the peer sends, and what it gets."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self.events: list[MutableMapping[str, Any]] = []

    def body(self, body: bytes, *, more: bool = True) -> None:
        self.incoming.put_nowait({"type": "http.request", "body": body, "more_body": more})

    def disconnect(self) -> None:
        self.incoming.put_nowait({"type": "http.disconnect"})

    async def receive(self) -> MutableMapping[str, Any]:
        return await self.incoming.get()

    async def send(self, event: MutableMapping[str, Any]) -> None:
        self.events.append(event)

    @property
    def ended(self) -> bool:
        return bool(self.events) and self.events[-1].get("more_body") is False

    @property
    def messages(self) -> list[Envelope]:
        decoder = FrameDecoder()
        body = b"".join(event.get("body", b"") for event in self.events)
        return [decode(frame) for frame in decoder.feed(body)]


class Scripted:
    """An attempt that records what it hears, and does what the test says on each message."""

    def __init__(self, on_message: Callable[["Scripted", Envelope], None] | None = None) -> None:
        self.heard: list[object] = []
        self.on_message = on_message
        self.exchange: Exchange

    def message(self, envelope: Envelope) -> None:
        self.heard.append(envelope)
        if self.on_message:
            self.on_message(self, envelope)

    def closed(self, error: Exception | None) -> None:
        self.heard.append(("closed", error))

    def violated(self, error: RemoteProtocolError) -> None:
        self.heard.append("violated")
        self.exchange.send(envelope(pb.ErrorMessage(code=571, message=str(error))))
        self.exchange.close()

    def abort(self) -> None:
        self.heard.append("aborted")


class Running:
    """An exchange under way."""

    def __init__(self, attempt: Scripted) -> None:
        self.server = Server()
        self.exchange = Exchange(self.server.receive, self.server.send)
        self.attempt = attempt
        attempt.exchange = self.exchange
        self.task = asyncio.create_task(self.exchange.run(attempt, [(b"content-type", b"x")]))

    async def settled(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)


async def running(attempt: Scripted | None = None) -> Running:
    run = Running(attempt or Scripted())
    await run.settled()
    return run


async def test_the_head_is_sent_before_anything_is_read() -> None:
    run = await running()
    assert run.server.events == [{"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"x")]}]
    run.task.cancel()


async def test_messages_reach_the_attempt_in_pieces_of_any_size() -> None:
    run = await running()
    for byte in encode(START) + encode(START):
        run.server.body(bytes([byte]))
    await run.settled()
    for _ in range(50):
        await asyncio.sleep(0)
    assert run.attempt.heard == [START, START]
    run.task.cancel()


async def test_what_is_sent_in_one_turn_goes_out_together_and_the_response_ends() -> None:
    run = await running()
    run.exchange.send(OUTPUT)
    run.exchange.send(END)
    run.exchange.close()
    run.exchange.send(END)
    await run.settled()
    assert [event.get("body") for event in run.server.events[1:]] == [encode(OUTPUT) + encode(END)]
    assert not run.server.ended  # the peer has not half-closed yet
    run.server.body(b"", more=False)
    await run.task
    assert run.server.ended
    assert run.server.messages == [OUTPUT, END]


async def test_a_peer_that_never_half_closes_does_not_hold_the_response(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HALF_CLOSE_GRACE_S", 0.01)
    run = await running()
    run.exchange.send(END)
    run.exchange.close()
    await asyncio.wait_for(run.task, 60)
    assert run.server.ended


async def test_the_end_of_the_request_asks_the_attempt_to_suspend_once() -> None:
    run = await running()
    run.server.body(encode(START), more=False)
    await run.settled()
    assert run.attempt.heard == [START, ("closed", None)]
    run.server.disconnect()
    await run.task
    assert run.attempt.heard[2:] == ["aborted", "aborted"]
    assert not run.server.ended


async def test_a_peer_that_goes_away_ends_the_attempt() -> None:
    run = await running()
    run.server.body(encode(START))
    run.server.disconnect()
    await asyncio.wait_for(run.task, 60)
    assert "aborted" in run.attempt.heard
    run.exchange.send(END)
    assert run.server.messages == []


BROKEN: list[tuple[bytes, bool, str]] = [
    (Frame(0x0009, b"").encode(), True, "unknown message type 0x0009"),
    (Frame(MessageType.START, b"\xff\xff").encode(), True, "START message of 2 bytes does not parse"),
    (Frame(0, b"").encode()[:4] + (PAYLOAD_BYTES_MAX + 1).to_bytes(4, "big"), True, "announces"),
    (encode(START)[:-1], False, "in the middle of a frame"),
    (b"GET / HTTP/1.1\r\n\r\n", True, "announces"),
]


@pytest.mark.parametrize(("body", "more", "says"), BROKEN)
async def test_broken_frames_are_answered_with_571(body: bytes, more: bool, says: str) -> None:
    run = await running()
    run.server.body(body, more=more)
    await run.settled()
    assert "violated" in run.attempt.heard
    run.server.body(b"whatever else comes")
    run.server.body(b"", more=False)
    await asyncio.wait_for(run.task, 60)
    [error] = run.server.messages
    assert isinstance(error.message, pb.ErrorMessage)
    assert error.message.code == 571
    assert says in error.message.message
    assert run.server.ended


async def test_broken_frames_after_the_terminal_message_change_nothing() -> None:
    run = await running()
    run.exchange.send(END)
    run.exchange.close()
    run.server.body(Frame(0x0009, b"").encode(), more=False)
    await asyncio.wait_for(run.task, 60)
    assert run.server.messages == [END]


async def test_a_bug_in_taking_messages_breaks_the_response_off(caplog: pytest.LogCaptureFixture) -> None:
    def fail(attempt: Scripted, envelope: Envelope) -> None:
        raise ZeroDivisionError

    run = await running(Scripted(fail))
    run.server.body(encode(START))
    await asyncio.wait_for(run.task, 60)
    assert not run.server.ended
    assert "aborted" in run.attempt.heard
    assert "ZeroDivisionError" in caplog.text


async def test_a_server_that_cannot_send_ends_the_attempt() -> None:
    run = await running()

    async def send(event: MutableMapping[str, Any]) -> None:
        raise OSError("gone")

    run.exchange._send = send
    run.exchange.send(END)
    await asyncio.wait_for(run.task, 60)
    assert "aborted" in run.attempt.heard


async def test_cancelling_the_server_task_ends_the_attempt() -> None:
    run = await running()
    run.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run.task
    assert "aborted" in run.attempt.heard
