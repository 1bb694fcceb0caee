"""Messages: every type makes the round trip; what is none gives a protocol error, whatever the bytes."""

from contextlib import suppress
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure.errors import RemoteProtocolError
from perdure.protocol import messages
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.frames import REQUESTED_ACK, Frame, FrameDecoder
from perdure.protocol.messages import CLASSES, Envelope, MessageType, decode, encode, envelope

SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_STRING: st.text(max_size=8),
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=8),
    FieldDescriptor.TYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.TYPE_UINT64: st.integers(0, 2**64 - 1),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
}


@st.composite
def filled(draw: st.DrawFn, cls: type[Message], depth: int = 3) -> Message:
    """A message of `cls` with any of its fields set, nested ones too."""
    message = cls()
    for field in cls.DESCRIPTOR.fields:
        if draw(st.booleans()) or (field.message_type and depth == 0):
            continue
        count = draw(st.integers(1, 3)) if field.is_repeated else 1
        values = [draw(_value(field, depth)) for _ in range(count)]
        if field.is_repeated:
            getattr(message, field.name).extend(values)
        elif field.message_type:
            getattr(message, field.name).CopyFrom(values[0])
        else:
            setattr(message, field.name, values[0])
    return message


def _value(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    if field.message_type is not None:
        return filled(GetMessageClass(field.message_type), depth - 1)
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values])
    return SCALARS[field.type]


@pytest.mark.parametrize("type", MessageType, ids=lambda type: type.name)
@settings(max_examples=30)
@given(st.data())
def test_every_message_survives_the_wire(type: MessageType, data: st.DataObject) -> None:
    sent = Envelope(type, data.draw(filled(CLASSES[type])), data.draw(st.booleans()))
    (frame,) = FrameDecoder().feed(encode(sent))
    received = decode(frame)
    assert received == sent
    assert isinstance(received.message, CLASSES[type])


@given(st.integers(0, 0xFFFF).filter(lambda type: type not in CLASSES), st.binary(max_size=16))
def test_an_unknown_type_is_a_protocol_error(type: int, payload: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match=f"unknown message type {type:#06x}"):
        decode(Frame(type, payload))


@pytest.mark.parametrize("type", MessageType, ids=lambda type: type.name)
@settings(max_examples=30)
@given(st.binary(max_size=64))
def test_any_payload_is_a_message_or_a_protocol_error(type: MessageType, payload: bytes) -> None:
    with suppress(RemoteProtocolError):
        assert isinstance(decode(Frame(type, payload)).message, CLASSES[type])


@given(st.data())
def test_a_payload_cut_short_never_raises_anything_but_a_protocol_error(data: st.DataObject) -> None:
    type = data.draw(st.sampled_from(MessageType))
    payload = data.draw(filled(CLASSES[type])).SerializeToString()
    cut = payload[: data.draw(st.integers(0, len(payload)))]
    with suppress(RemoteProtocolError):
        decode(Frame(type, cut))


def test_a_payload_that_does_not_parse_is_named() -> None:
    with pytest.raises(RemoteProtocolError, match="a CALL message of 3 bytes does not parse"):
        decode(Frame(MessageType.CALL, b"\x0a\xff\xff"))


def test_reserved_flag_bits_do_not_ask_for_an_ack() -> None:
    assert not decode(Frame(MessageType.END, b"", 0x7FFF)).requested_ack
    assert decode(Frame(MessageType.END, b"", REQUESTED_ACK)).requested_ack


def test_a_notification_type_answers_the_command_with_the_same_low_byte() -> None:
    completions = messages.NOTIFICATION_TYPES - {MessageType.SIGNAL}
    commands = {type & 0xFF: type for type in messages.COMMAND_CLASSES}
    for type in completions - {MessageType.CALL_INVOCATION_ID_COMPLETION}:  # which answers both kinds of call
        assert MessageType(type).name == f"{MessageType(commands[type & 0xFF]).name}_COMPLETION"


@pytest.mark.parametrize("type", MessageType, ids=lambda type: type.name)
def test_each_type_is_of_one_kind(type: MessageType) -> None:
    kinds = [type in messages.CONTROL_CLASSES, messages.is_command(type), messages.is_notification(type)]
    assert kinds.count(True) == 1


def test_wrapping_a_message_finds_its_type() -> None:
    assert envelope(pb.SleepCommandMessage(wake_up_time=1)) == Envelope(
        MessageType.SLEEP, pb.SleepCommandMessage(wake_up_time=1)
    )


# Payloads as the protocol's captures show them: the field numbers that are easiest to get wrong.
CAPTURED: list[tuple[MessageType, str, Message]] = [
    (MessageType.RUN, "5801620473696465", pb.RunCommandMessage(name="side", result_completion_id=1)),
    (
        MessageType.PROPOSE_RUN_COMPLETION,
        "0801720722722d626f6222",
        pb.ProposeRunCompletionMessage(result_completion_id=1, value=b'"r-bob"'),
    ),
    (
        MessageType.CALL,
        "0a07477265657465721204736c6f771a0522626f622250015802",
        pb.CallCommandMessage(
            service_name="Greeter",
            handler_name="slow",
            parameter=b'"bob"',
            invocation_id_notification_idx=1,
            result_completion_id=2,
        ),
    ),
    (MessageType.OUTPUT, "7200", pb.OutputCommandMessage(value=pb.Value())),
    (
        MessageType.OUTPUT,
        "7a0e089903120963616e63656c6c6564",
        pb.OutputCommandMessage(failure=pb.Failure(code=409, message="cancelled")),
    ),
    (MessageType.SIGNAL, "10012200", pb.NotificationMessage(signal_id=1, void=pb.Void())),
    (
        MessageType.SUSPENSION,
        "0a020204120101",
        pb.SuspensionMessage(waiting_completions=[2, 4], waiting_signals=[1]),
    ),
    (
        MessageType.SUSPENSION,
        "220d12010122060a02020428022801",
        pb.SuspensionMessage(
            awaiting_on=pb.Future(
                waiting_signals=[1],
                nested_futures=[pb.Future(waiting_completions=[2, 4], combinator_type="ALL_COMPLETED")],
                combinator_type="FIRST_COMPLETED",
            )
        ),
    ),
    (
        MessageType.GET_LAZY_STATE_KEYS_COMPLETION,
        "08028a01030a016e",
        pb.NotificationMessage(completion_id=2, state_keys=pb.StateKeys(keys=[b"n"])),
    ),
]


@pytest.mark.parametrize(("type", "payload", "message"), CAPTURED)
def test_captured_payloads_mean_what_the_protocol_says(type: MessageType, payload: str, message: Message) -> None:
    assert decode(Frame(type, bytes.fromhex(payload))) == Envelope(type, message)
    assert message.SerializeToString().hex() == payload


def test_an_empty_value_is_not_an_absent_one() -> None:
    empty = decode(Frame(MessageType.OUTPUT, bytes.fromhex("7200"))).message
    absent = decode(Frame(MessageType.OUTPUT, b"")).message
    assert isinstance(empty, pb.OutputCommandMessage)
    assert empty.HasField("value")
    assert not absent.HasField("value")
