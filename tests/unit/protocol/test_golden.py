"""The codec against what the official Python SDK and the real restate-server said to each other.

`tests/conformance/record.py` wrote the recordings.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.message import Message
from msgspec import Struct

from perdure.protocol import ids, versions
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.frames import Frame, FrameDecoder
from perdure.protocol.messages import Envelope, MessageType, decode, encode, is_command, is_notification

GOLDEN = sorted((Path(__file__).parent / "golden").glob("v*.json"))


class Attempt(Struct, frozen=True):
    """One recorded attempt; bodies are hex, in the pieces in which they came."""

    service: str
    handler: str
    content_type: str
    http: str
    invocation_id: str
    engine_to_service: list[str]
    service_to_engine: list[str]


def attempts(path: Path) -> list[Attempt]:
    return [Attempt(**attempt) for attempt in json.loads(path.read_text())]


def frames(pieces: list[str]) -> list[Frame]:
    decoder = FrameDecoder()
    found = [frame for piece in pieces for frame in decoder.feed(bytes.fromhex(piece))]
    assert decoder.pending_bytes == 0
    return found


def envelopes(pieces: list[str]) -> list[Envelope]:
    return [decode(frame) for frame in frames(pieces)]


def completion_ids(envelope: Envelope) -> Iterator[int]:
    for field in ("invocation_id_notification_idx", "result_completion_id"):
        if field in envelope.message.DESCRIPTOR.fields_by_name and is_command(envelope.type):
            yield getattr(envelope.message, field)


def unknown_fields(message: Message) -> bool:
    """Whether some field on the wire is one that our wire.proto does not name."""
    known = type(message)()
    known.CopyFrom(message)
    known.DiscardUnknownFields()  # pyright: ignore[reportAttributeAccessIssue]
    return known.ByteSize() != message.ByteSize()


@pytest.fixture(params=GOLDEN, ids=lambda path: path.stem)
def recording(request: pytest.FixtureRequest) -> list[Attempt]:
    return attempts(request.param)


def test_every_recorded_message_is_read_whole_and_written_the_same(recording: list[Attempt]) -> None:
    for attempt in recording:
        for frame in frames(attempt.engine_to_service) + frames(attempt.service_to_engine):
            envelope = decode(frame)
            assert encode(envelope) == frame.encode(), MessageType(frame.type).name
            assert not unknown_fields(envelope.message), MessageType(frame.type).name


def test_the_recordings_hold_all_messages_but_those_that_neither_side_sends() -> None:
    seen = Counter(
        frame.type
        for path in GOLDEN
        for attempt in attempts(path)
        for frame in frames(attempt.engine_to_service) + frames(attempt.service_to_engine)
    )
    never_sent = {
        MessageType.COMMAND_ACK,
        MessageType.GET_INVOCATION_OUTPUT,
        MessageType.GET_INVOCATION_OUTPUT_COMPLETION,
    }
    assert set(MessageType) - seen.keys() == never_sent


def test_an_attempt_begins_with_start_and_as_many_entries_as_it_announces(recording: list[Attempt]) -> None:
    for attempt in recording:
        start, *entries = envelopes(attempt.engine_to_service)
        assert isinstance(start.message, pb.StartMessage)
        assert entries[0].type == MessageType.INPUT
        replayed, pushed = entries[: start.message.known_entries], entries[start.message.known_entries :]
        assert len(replayed) == start.message.known_entries
        assert all(is_command(entry.type) or is_notification(entry.type) for entry in replayed)
        assert not any(is_command(entry.type) for entry in pushed)


def test_the_three_forms_of_an_invocation_id_agree(recording: list[Attempt]) -> None:
    for attempt in recording:
        start = envelopes(attempt.engine_to_service)[0].message
        assert isinstance(start, pb.StartMessage)
        assert ids.invocation_id(start.id) == start.debug_id == attempt.invocation_id
        assert ids.parse_invocation_id(attempt.invocation_id) == start.id


def test_completion_ids_of_an_attempt_are_given_once_and_answered_if_asked(recording: list[Attempt]) -> None:
    for attempt in recording:
        received, sent = envelopes(attempt.engine_to_service), envelopes(attempt.service_to_engine)
        given = Counter(number for envelope in received + sent for number in completion_ids(envelope))
        assert set(given.values()) <= {1}
        answered = {
            envelope.message.completion_id
            for envelope in received
            if isinstance(envelope.message, pb.NotificationMessage) and envelope.message.HasField("completion_id")
        }
        assert answered <= given.keys()


def test_run_acks_are_asked_for_and_given_in_version_7_alone(recording: list[Attempt]) -> None:
    for attempt in recording:
        version = versions.parse_content_type(attempt.content_type)
        for envelope in envelopes(attempt.engine_to_service) + envelopes(attempt.service_to_engine):
            proposes = envelope.type == MessageType.PROPOSE_RUN_COMPLETION
            assert envelope.requested_ack == (proposes and version >= versions.RUN_ACKS)
            if envelope.type == MessageType.PROPOSE_RUN_COMPLETION_ACK:
                assert version >= versions.RUN_ACKS


def test_awakeables_name_the_invocation_and_signal_that_made_them(recording: list[Attempt]) -> None:
    made = {attempt.invocation_id for attempt in recording if attempt.handler == "awakeable_by_handler"}
    completed = [
        ids.parse_awakeable_id(envelope.message.awakeable_id)
        for attempt in recording
        for envelope in envelopes(attempt.service_to_engine)
        if isinstance(envelope.message, pb.CompleteAwakeableCommandMessage)
    ]
    assert completed
    assert {invocation_id for invocation_id, _ in completed} == made
    assert {signal for _, signal in completed} == {ids.FIRST_AWAKEABLE_SIGNAL}
