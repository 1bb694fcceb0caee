"""The same handlers on our SDK and on the official one: what that one said to the real restate-server, ours says too.

`tests/conformance/record.py` wrote the recordings.
"""

import asyncio
from pathlib import Path

import msgspec
import pytest
from google.protobuf.message import Message

from perdure.protocol import versions
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import Envelope, MessageType, is_command
from perdure.sdk.attempt import Attempt
from perdure.transport.connection import InvokeRequest
from tests.conformance import services
from tests.unit.protocol.test_golden import GOLDEN, attempts, envelopes
from tests.unit.protocol.test_golden import Attempt as Recorded

HANDLERS = {(service.name, name): one for service in services.services for name, one in service.handlers.items()}

COUNTS_ATTEMPTS = {"step_fails_twice", "step_gives_up", "handler_fails_once"}
"""Handlers that do something else each time they are called: no journal says what."""

TIMEOUT_S = 10


class Recording:
    """The engine of one recorded attempt: it sends a notification once the attempt has asked for it."""

    def __init__(self, recorded: Recorded) -> None:
        start, *entries = envelopes(recorded.engine_to_service)
        assert isinstance(start.message, pb.StartMessage)
        known = start.message.known_entries
        self.replayed = [start, *entries[:known]]
        self.pushed = entries[known:]
        self.sent: list[Envelope] = []
        self.ended = asyncio.Event()
        self._asked = {id for entry in entries[:known] for id in asked(entry)}
        self._proposed: set[int] = set()
        self._request_response = recorded.http == "1.1"
        handler = HANDLERS[recorded.service, recorded.handler]
        version = versions.parse_content_type(recorded.content_type)
        request = InvokeRequest(recorded.service, recorded.handler, version, recorded.invocation_id)
        self._attempt = Attempt(handler, request, self)

    async def play(self) -> None:
        for message in self.replayed:
            self._attempt.message(message)
        self._push()
        await asyncio.wait_for(self.ended.wait(), TIMEOUT_S)

    def send(self, sent: Envelope) -> None:
        self.sent.append(sent)
        self._asked.update(asked(sent))
        if isinstance(sent.message, pb.ProposeRunCompletionMessage):
            self._proposed.add(sent.message.result_completion_id)
        asyncio.get_running_loop().call_soon(self._push)

    def close(self) -> None:
        self.ended.set()

    def abort(self) -> None:
        self.ended.set()

    def _push(self) -> None:
        while self.pushed and self._is_due(self.pushed[0]):
            self._attempt.message(self.pushed.pop(0))
        if not self.pushed:
            self._attempt.closed(None)

    def _is_due(self, notification: Envelope) -> bool:
        if notification.type in (MessageType.RUN_COMPLETION, MessageType.PROPOSE_RUN_COMPLETION_ACK):
            return getattr(notification.message, "completion_id") in self._proposed  # noqa: B009
        id = getattr(notification.message, "completion_id")  # noqa: B009
        return notification.type == MessageType.SIGNAL or id in self._asked


def asked(sent: Envelope) -> list[int]:
    fields = ("invocation_id_notification_idx", "result_completion_id")
    return [getattr(sent.message, field) for field in fields if hasattr(sent.message, field) and is_command(sent.type)]


def comparable(sent: list[Envelope]) -> list[tuple[str, str]]:
    """Messages without what differs for good reasons: clocks, hints, spaces in JSON, texts of errors."""
    return [
        (MessageType(one.type).name, str(without_accidents(one))) for one in sent if one.type != MessageType.AWAITING_ON
    ]


def without_accidents(sent: Envelope) -> Message:
    message = type(sent.message)()
    message.CopyFrom(sent.message)
    match message:
        case pb.SleepCommandMessage():
            message.wake_up_time = 0
        case pb.OneWayCallCommandMessage():
            message.invoke_time = 0
            message.parameter = compact(message.parameter)
        case pb.CallCommandMessage():
            message.parameter = compact(message.parameter)
        case pb.OutputCommandMessage() if message.HasField("value") and message.value.content:
            message.value.content = compact(message.value.content)
        case pb.ErrorMessage():
            message.message = message.stacktrace = ""
        case _:
            pass
    return message


def compact(payload: bytes) -> bytes:
    try:
        return msgspec.json.encode(msgspec.json.decode(payload))
    except msgspec.DecodeError:
        return payload


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
async def test_recorded_attempts_of_the_official_sdk_go_the_same_way(path: Path) -> None:
    played = 0
    for recorded in attempts(path):
        if recorded.handler in COUNTS_ATTEMPTS:
            continue
        recording = Recording(recorded)
        await recording.play()
        expected = comparable(envelopes(recorded.service_to_engine))
        got = comparable(recording.sent)
        if recorded.handler == "random_values":  # proposes the time, which is another one now
            expected, got = [one[:1] for one in expected], [one[:1] for one in got]  # type: ignore[misc]
        assert got == expected, f"{recorded.service}/{recorded.handler}"
        played += 1
    assert played > 30
