"""The in-process transport: messages arrive as they are, in order, and nobody is called back while sending."""

import asyncio
from contextvars import ContextVar

import pytest

from perdure.errors import TransportError, UnknownTarget
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.discovery import Manifest
from perdure.protocol.messages import Envelope, envelope
from perdure.transport.connection import InvokeRequest, Sender
from perdure.transport.in_process import InProcessTransport

MANIFEST = Manifest(protocol_mode="BIDI_STREAM", min_protocol_version=5, max_protocol_version=7, services=[])
REQUEST = InvokeRequest(service="Greeter", handler="greet", version=7, invocation_id="inv_1")
START = envelope(pb.StartMessage(known_entries=1))
END = envelope(pb.EndMessage())


class Side:
    """Records what it hears; `answers` are sent from within `message`."""

    def __init__(self, answers: list[Envelope] | None = None) -> None:
        self.heard: list[object] = []
        self.answers = answers or []
        self.sender: Sender | None = None
        self.sending = False

    def message(self, envelope: Envelope) -> None:
        assert not self.sending, "called back while sending"
        self.heard.append(envelope)
        while self.answers:
            self.send(self.answers.pop(0))

    def closed(self, error: Exception | None) -> None:
        assert not self.sending, "called back while sending"
        self.heard.append(("closed", error))

    def abort(self) -> None:
        self.heard.append("aborted")

    def send(self, envelope: Envelope) -> None:
        assert self.sender is not None
        self.sending = True
        self.sender.send(envelope)
        self.sending = False


class Pair:
    """An engine's side and a service's, joined by the transport."""

    def __init__(
        self, engine_answers: list[Envelope] | None = None, service_answers: list[Envelope] | None = None
    ) -> None:
        self.engine = Side(engine_answers)
        self.service = Side(service_answers)
        self.transport = InProcessTransport(MANIFEST, self._open)
        self.engine.sender = self.transport.open(REQUEST, self.engine)

    def _open(self, request: InvokeRequest, sender: Sender) -> Side:
        assert request is REQUEST
        self.service.sender = sender
        return self.service

    @property
    def from_engine(self) -> Sender:
        assert self.engine.sender is not None
        return self.engine.sender

    @property
    def from_service(self) -> Sender:
        assert self.service.sender is not None
        return self.service.sender


async def turn() -> None:
    await asyncio.sleep(0)


async def test_messages_arrive_as_the_very_objects_in_order() -> None:
    pair = Pair()
    pair.engine.send(START)
    assert pair.service.heard == [START]
    pair.service.send(START)
    pair.service.send(END)
    assert pair.engine.heard == []
    await turn()
    assert pair.engine.heard == [START, END]
    assert pair.engine.heard[1] is END


async def test_answers_from_within_message_call_nobody_back_who_is_sending() -> None:
    pair = Pair(engine_answers=[START, START], service_answers=[END, END])
    pair.engine.send(START)  # the service answers within, and the engine answers that within its turn
    await turn()
    assert pair.engine.heard == [END, END]
    assert pair.service.heard == [START, START, START]


async def test_each_side_can_half_close_and_still_hears_the_other() -> None:
    pair = Pair()
    pair.from_engine.close()
    pair.from_engine.close()
    pair.engine.send(START)
    assert pair.service.heard == [("closed", None)]
    pair.service.send(END)
    pair.from_service.close()
    pair.service.send(END)
    await turn()
    assert pair.engine.heard == [END, ("closed", None)]


async def test_after_the_service_is_done_nothing_reaches_it() -> None:
    pair = Pair()
    pair.from_service.close()
    await turn()
    pair.engine.send(START)
    pair.from_engine.close()
    pair.from_engine.abort()
    assert pair.service.heard == []
    assert pair.engine.heard == [("closed", None)]


async def test_the_engine_aborts_and_hears_nothing_more() -> None:
    pair = Pair()
    pair.service.send(END)
    pair.from_engine.close()
    pair.from_engine.abort()
    pair.from_engine.abort()
    pair.service.send(END)
    await turn()
    assert pair.service.heard == [("closed", None), "aborted"]
    assert pair.engine.heard == []


async def test_the_service_aborts_and_the_engine_hears_that_it_broke() -> None:
    pair = Pair()
    pair.service.send(START)
    pair.from_service.abort()
    await turn()
    assert pair.engine.heard[0] is START
    match pair.engine.heard[1]:
        case ("closed", TransportError()):
            pass
        case other:
            pytest.fail(f"heard {other}")


async def test_closing_the_transport_breaks_off_what_is_open() -> None:
    pair = Pair()
    await pair.transport.close()
    assert pair.service.heard == ["aborted"]
    match pair.engine.heard:
        case [("closed", TransportError())]:
            pass
        case other:
            pytest.fail(f"heard {other}")
    await pair.transport.close()
    assert len(pair.engine.heard) == 1


async def test_a_refused_attempt_is_told_later_and_as_an_error() -> None:
    def refuse(request: InvokeRequest, sender: Sender) -> Side:
        raise UnknownTarget("Greeter/greet", [])

    engine = Side()
    sender = InProcessTransport(MANIFEST, refuse).open(REQUEST, engine)
    sender.send(START)
    sender.close()
    assert engine.heard == []
    await turn()
    match engine.heard:
        case [("closed", TransportError() as error)]:
            assert "Greeter/greet" in str(error)
        case other:
            pytest.fail(f"heard {other}")


async def test_discovery_gives_the_manifest() -> None:
    assert await InProcessTransport(MANIFEST, lambda request, sender: Side()).discover() is MANIFEST


async def test_the_engine_does_not_inherit_what_a_handler_set_in_its_context() -> None:
    whose: ContextVar[str] = ContextVar("whose", default="the engine's")
    seen: list[str] = []

    class Looks(Side):
        def message(self, envelope: Envelope) -> None:
            seen.append(whose.get())

    def open_attempt(request: InvokeRequest, sender: Sender) -> Side:
        whose.set("a handler's")
        sender.send(END)
        return Side()

    transport = InProcessTransport(MANIFEST, open_attempt)
    transport.open(REQUEST, Looks())
    await asyncio.sleep(0)
    assert seen == ["the engine's"]
