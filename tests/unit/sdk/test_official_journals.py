"""Our SDK says what the official one said: given what the engine sent to it, ours answers with the same messages.

The handlers are the conformance tests', the recordings those of the golden tests. JSON is rewritten as our serde writes
it, without spaces. What the clock decides is set equal; what only hints or explains (AwaitingOn, stack traces) is left
out.
"""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message

from perdure.protocol import versions
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.frames import FrameDecoder
from perdure.protocol.messages import Envelope, MessageType, decode, is_command
from perdure.sdk.attempt import Attempt
from perdure.sdk.definition import HandlerDefinition
from perdure.transport.connection import InvokeRequest
from tests.conformance.services import services

GOLDEN = sorted((Path(__file__).parents[1] / "protocol/golden").glob("v*.json"))
HANDLERS: dict[tuple[str, str], HandlerDefinition] = {
    (service.name, handler.name): handler for service in services for handler in service.handlers.values()
}
# Their results depend on what this process has seen before, or on the clock.
REMEMBER = {"step_fails_twice", "step_gives_up", "handler_fails_once", "random_values"}

Wait = Callable[..., Any]


class Recorded:
    """The sender of an attempt: keeps what it is given."""

    def __init__(self) -> None:
        self.sent: list[Envelope] = []
        self.closed = False

    def send(self, envelope: Envelope) -> None:
        self.sent.append(envelope)

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True


def envelopes(pieces: list[str]) -> list[Envelope]:
    decoder = FrameDecoder()
    found = [decode(frame) for piece in pieces for frame in decoder.feed(bytes.fromhex(piece))]
    for envelope in found:
        _take_spaces_from_json(envelope.message)
    return found


def _take_spaces_from_json(message: Message) -> None:
    for field, value in message.ListFields():
        if field.name == "parameter" or (field.name == "value" and isinstance(value, bytes)):
            setattr(message, field.name, _compact(value))
        elif isinstance(value, pb.Value) and value.content:
            value.content = _compact(value.content)


def _compact(value: bytes) -> bytes:
    return json.dumps(json.loads(value), separators=(",", ":")).encode()


def issued(message: Message) -> set[int]:
    """The completion ids that a message of the service gives, or proposes a result for."""
    fields = message.DESCRIPTOR.fields_by_name
    return {
        getattr(message, name) for name in ("invocation_id_notification_idx", "result_completion_id") if name in fields
    }


def may_push(notification: Envelope, known: list[Envelope]) -> bool:
    """Whether the engine can have sent this by now: what it answers must have come first."""
    message = notification.message
    if isinstance(message, pb.NotificationMessage) and not message.HasField("completion_id"):
        return True
    wanted: int = message.completion_id  # pyright: ignore
    if notification.type in (MessageType.RUN_COMPLETION, MessageType.PROPOSE_RUN_COMPLETION_ACK):
        known = [envelope for envelope in known if envelope.type == MessageType.PROPOSE_RUN_COMPLETION]
    return any(wanted in issued(envelope.message) for envelope in known)


def comparable(envelope: Envelope) -> tuple[str, bool, str]:
    """A message without what differs from one attempt to the next."""
    message = type(envelope.message)()
    message.CopyFrom(envelope.message)
    match message:
        case pb.SleepCommandMessage():
            message.wake_up_time = 0
        case pb.OneWayCallCommandMessage():
            message.invoke_time = min(message.invoke_time, 1)
        case pb.ErrorMessage():
            message = pb.ErrorMessage(code=message.code, related_command_index=message.related_command_index)
        case pb.SuspensionMessage() if not message.HasField("awaiting_on"):
            message = pb.SuspensionMessage(  # a set: each may be named twice, in any order
                waiting_completions=sorted(set(message.waiting_completions)),
                waiting_signals=sorted(set(message.waiting_signals)),
                waiting_named_signals=sorted(set(message.waiting_named_signals)),
            )
        case _:
            pass
    return MessageType(envelope.type).name, envelope.requested_ack, str(message)


def spoken(sent: list[Envelope]) -> list[tuple[str, bool, str]]:
    return [comparable(envelope) for envelope in sent if envelope.type != MessageType.AWAITING_ON]


async def replay(recording: dict[str, Any], wait_until: Wait) -> list[Envelope]:
    """Runs our SDK against the engine's half of the recording; gives its own half."""
    start, *rest = envelopes(recording["engine_to_service"])
    assert isinstance(start.message, pb.StartMessage)
    known, pushed = rest[: start.message.known_entries], rest[start.message.known_entries :]
    request = InvokeRequest(
        recording["service"],
        recording["handler"],
        versions.parse_content_type(recording["content_type"]),
        recording["invocation_id"],
        start.message.key or None,
    )
    sender = Recorded()
    attempt = Attempt(HANDLERS[request.service, request.handler], request, sender)
    for envelope in [start, *known]:
        attempt.message(envelope)
    commands = [envelope for envelope in known if is_command(envelope.type)]
    for envelope in pushed:
        await wait_until(lambda e=envelope: may_push(e, commands + sender.sent), f"the cause of {envelope}")
        attempt.message(envelope)
        await asyncio.sleep(0)
    if recording["http"] == "1.1":
        attempt.closed(None)
    await wait_until(lambda: sender.closed, "the end of the attempt")
    return sender.sent


CASES = [
    pytest.param(recording, id=f"{path.stem}-{recording['handler']}-{number}")
    for path in GOLDEN
    for number, recording in enumerate(json.loads(path.read_text()))
    if recording["handler"] not in REMEMBER
]


@pytest.mark.parametrize("recording", CASES)
async def test_our_sdk_says_what_the_official_one_said(recording: dict[str, Any], wait_until: Wait) -> None:
    official = spoken(envelopes(recording["service_to_engine"]))
    assert spoken(await replay(recording, wait_until)) == official
