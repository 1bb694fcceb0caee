"""Messages: which number is which class, what kind of thing it is, and the way to and from frames.

The generated protobuf classes are the messages; nothing mirrors them. All notifications share one class, so a
message travels with its type number, in an `Envelope`.
"""

from enum import IntEnum
from typing import TypeAlias

from google.protobuf.message import DecodeError, Message
from msgspec import Struct

from perdure.errors import RemoteProtocolError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.frames import HEADER, REQUESTED_ACK, Frame


class MessageType(IntEnum):
    """The protocol's type codes. A command 0x04nn is answered by a notification 0x80nn."""

    START = 0x0000
    SUSPENSION = 0x0001
    ERROR = 0x0002
    END = 0x0003
    COMMAND_ACK = 0x0004
    PROPOSE_RUN_COMPLETION = 0x0005
    AWAITING_ON = 0x0006
    PROPOSE_RUN_COMPLETION_ACK = 0x0007

    INPUT = 0x0400
    OUTPUT = 0x0401
    GET_LAZY_STATE = 0x0402
    SET_STATE = 0x0403
    CLEAR_STATE = 0x0404
    CLEAR_ALL_STATE = 0x0405
    GET_LAZY_STATE_KEYS = 0x0406
    GET_EAGER_STATE = 0x0407
    GET_EAGER_STATE_KEYS = 0x0408
    GET_PROMISE = 0x0409
    PEEK_PROMISE = 0x040A
    COMPLETE_PROMISE = 0x040B
    SLEEP = 0x040C
    CALL = 0x040D
    ONE_WAY_CALL = 0x040E
    SEND_SIGNAL = 0x0410
    RUN = 0x0411
    ATTACH_INVOCATION = 0x0412
    GET_INVOCATION_OUTPUT = 0x0413
    COMPLETE_AWAKEABLE = 0x0414

    GET_LAZY_STATE_COMPLETION = 0x8002
    GET_LAZY_STATE_KEYS_COMPLETION = 0x8006
    GET_PROMISE_COMPLETION = 0x8009
    PEEK_PROMISE_COMPLETION = 0x800A
    COMPLETE_PROMISE_COMPLETION = 0x800B
    SLEEP_COMPLETION = 0x800C
    CALL_COMPLETION = 0x800D
    CALL_INVOCATION_ID_COMPLETION = 0x800E
    RUN_COMPLETION = 0x8011
    ATTACH_INVOCATION_COMPLETION = 0x8012
    GET_INVOCATION_OUTPUT_COMPLETION = 0x8013
    SIGNAL = 0xFBFF


CONTROL_CLASSES: dict[int, type[Message]] = {
    MessageType.START: pb.StartMessage,
    MessageType.SUSPENSION: pb.SuspensionMessage,
    MessageType.ERROR: pb.ErrorMessage,
    MessageType.END: pb.EndMessage,
    MessageType.COMMAND_ACK: pb.CommandAckMessage,
    MessageType.PROPOSE_RUN_COMPLETION: pb.ProposeRunCompletionMessage,
    MessageType.AWAITING_ON: pb.AwaitingOnMessage,
    MessageType.PROPOSE_RUN_COMPLETION_ACK: pb.ProposeRunCompletionAckMessage,
}

COMMAND_CLASSES: dict[int, type[Message]] = {
    MessageType.INPUT: pb.InputCommandMessage,
    MessageType.OUTPUT: pb.OutputCommandMessage,
    MessageType.GET_LAZY_STATE: pb.GetLazyStateCommandMessage,
    MessageType.SET_STATE: pb.SetStateCommandMessage,
    MessageType.CLEAR_STATE: pb.ClearStateCommandMessage,
    MessageType.CLEAR_ALL_STATE: pb.ClearAllStateCommandMessage,
    MessageType.GET_LAZY_STATE_KEYS: pb.GetLazyStateKeysCommandMessage,
    MessageType.GET_EAGER_STATE: pb.GetEagerStateCommandMessage,
    MessageType.GET_EAGER_STATE_KEYS: pb.GetEagerStateKeysCommandMessage,
    MessageType.GET_PROMISE: pb.GetPromiseCommandMessage,
    MessageType.PEEK_PROMISE: pb.PeekPromiseCommandMessage,
    MessageType.COMPLETE_PROMISE: pb.CompletePromiseCommandMessage,
    MessageType.SLEEP: pb.SleepCommandMessage,
    MessageType.CALL: pb.CallCommandMessage,
    MessageType.ONE_WAY_CALL: pb.OneWayCallCommandMessage,
    MessageType.SEND_SIGNAL: pb.SendSignalCommandMessage,
    MessageType.RUN: pb.RunCommandMessage,
    MessageType.ATTACH_INVOCATION: pb.AttachInvocationCommandMessage,
    MessageType.GET_INVOCATION_OUTPUT: pb.GetInvocationOutputCommandMessage,
    MessageType.COMPLETE_AWAKEABLE: pb.CompleteAwakeableCommandMessage,
}

NOTIFICATION_TYPES: frozenset[int] = frozenset(type for type in MessageType if type >= 0x8000)

CLASSES: dict[int, type[Message]] = {
    **CONTROL_CLASSES,
    **COMMAND_CLASSES,
    **dict.fromkeys(NOTIFICATION_TYPES, pb.NotificationMessage),
}

TYPES: dict[type[Message], MessageType] = {
    cls: MessageType(type) for type, cls in (CONTROL_CLASSES | COMMAND_CLASSES).items()
}
"""Type code of every class but `NotificationMessage`, which has many."""

Entry: TypeAlias = tuple[int, Message]
"""A journal entry: type code, and the command or notification."""


class Envelope(Struct, frozen=True, gc=False):
    """A message with what its frame's header says of it."""

    type: int
    message: Message
    requested_ack: bool = False


def envelope(message: Message, *, requested_ack: bool = False) -> Envelope:
    """Wraps a control message or a command; a notification needs its type: `Envelope(type, message)`."""
    return Envelope(TYPES[type(message)], message, requested_ack)


def is_command(type: int) -> bool:
    return 0x0400 <= type < 0x8000


def is_notification(type: int) -> bool:
    return type >= 0x8000


def encode(envelope: Envelope) -> bytes:
    """The frame of a message, header included."""
    payload = envelope.message.SerializeToString()
    return HEADER.pack(envelope.type, REQUESTED_ACK if envelope.requested_ack else 0, len(payload)) + payload


def decode(frame: Frame) -> Envelope:
    """The message in a frame.

    Raises:
        RemoteProtocolError: the type is not one of the protocol's, or the payload is not a message of that type.
    """
    return Envelope(frame.type, decode_payload(frame.type, frame.payload), bool(frame.flags & REQUESTED_ACK))


def decode_payload(type: int, payload: bytes) -> Message:
    """The message of a type, from its bytes; raises like `decode`."""
    cls = CLASSES.get(type)
    if cls is None:
        raise RemoteProtocolError(f"unknown message type {type:#06x}")
    message = cls()
    try:
        message.ParseFromString(payload)
    except DecodeError as error:
        raise RemoteProtocolError(
            f"a {MessageType(type).name} message of {len(payload)} bytes does not parse"
        ) from error
    return message
