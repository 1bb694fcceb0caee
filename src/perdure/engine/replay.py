"""What the engine knows of a journal while an attempt follows it: ids that were issued, and those that were answered.

What a service says must fit: a completion id names one command, a result belongs to a run that waits for one, and
after the output comes nothing but the end. Otherwise one bad message would make a journal that can never be replayed.
"""

from collections.abc import Iterable

from google.protobuf.message import Message

from perdure.engine.invocation import Invocation, signal_key
from perdure.errors import RemoteProtocolError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import Envelope, MessageType, is_command, is_notification

_Completable = (
    pb.GetLazyStateCommandMessage
    | pb.GetLazyStateKeysCommandMessage
    | pb.GetPromiseCommandMessage
    | pb.PeekPromiseCommandMessage
    | pb.CompletePromiseCommandMessage
    | pb.SleepCommandMessage
    | pb.RunCommandMessage
    | pb.AttachInvocationCommandMessage
    | pb.GetInvocationOutputCommandMessage
)


def completion_ids(command: Message) -> tuple[int, ...]:
    """The ids by which a command will be answered."""
    match command:
        case pb.CallCommandMessage():
            return command.invocation_id_notification_idx, command.result_completion_id
        case pb.OneWayCallCommandMessage():
            return (command.invocation_id_notification_idx,)
        case _ if isinstance(command, _Completable):
            return (command.result_completion_id,)
        case _:
            return ()


def check_command(invocation: Invocation, command: Message) -> None:
    """Raises `RemoteProtocolError` where a new command does not fit the journal."""
    if invocation.output is not None:
        raise RemoteProtocolError("a command after the output")
    ids = completion_ids(command)
    for id in ids:
        if id in invocation.issued or ids.count(id) > 1:
            raise RemoteProtocolError(f"the completion id {id} is used twice")


def check_run_completion(invocation: Invocation, completion_id: int) -> None:
    """Raises `RemoteProtocolError` where no run waits for this result."""
    if invocation.issued.get(completion_id) != MessageType.RUN:
        raise RemoteProtocolError(f"no run of this invocation has the completion id {completion_id}")
    if completion_id in invocation.known:
        raise RemoteProtocolError(f"the run with completion id {completion_id} was completed before")


def learn(known: dict[int | str, bool], notification: pb.NotificationMessage) -> None:
    """Note the outcome of a notification under its id."""
    succeeded = not notification.HasField("failure")
    match notification.WhichOneof("id"):
        case "completion_id":
            known[notification.completion_id] = succeeded
        case "signal_id":
            known[signal_key(notification.signal_id)] = succeeded
        case "signal_name":
            known[signal_key(notification.signal_name)] = succeeded
        case _:
            raise AssertionError("a notification without an id was journaled")


def issue(invocation: Invocation, envelope: Envelope) -> None:
    """Note the ids of a command that was journaled."""
    for id in completion_ids(envelope.message):
        invocation.issued[id] = envelope.type


def learn_journal(invocation: Invocation, journal: Iterable[Envelope]) -> None:
    """Note all that a journal holds, as it is replayed to an attempt."""
    for envelope in journal:
        if is_notification(envelope.type):
            assert isinstance(envelope.message, pb.NotificationMessage)
            learn(invocation.known, envelope.message)
        elif is_command(envelope.type):
            issue(invocation, envelope)
        if isinstance(envelope.message, pb.OutputCommandMessage):
            invocation.output = envelope.message
