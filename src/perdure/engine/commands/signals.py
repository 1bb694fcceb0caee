"""Signals between invocations: named ones, awakeables, and cancellation."""

from perdure.engine import journaling
from perdure.engine.cancelling import cancel
from perdure.engine.commands.rejection import CommandRejected
from perdure.engine.invocation import Invocation, Status
from perdure.engine.ledger import Ledger
from perdure.engine.operations import deliver_signal
from perdure.errors import UsageError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.ids import CANCEL_SIGNAL, InvocationId, parse_awakeable_id, parse_invocation_id
from perdure.protocol.messages import Envelope


def on_send_signal(ledger: Ledger, invocation: Invocation, envelope: Envelope) -> None:
    """Signal another invocation, or cancel it. To one that has ended or never was, it is nothing."""
    command = envelope.message
    assert isinstance(command, pb.SendSignalCommandMessage)
    try:
        parse_invocation_id(command.target_invocation_id)
    except UsageError as error:
        raise CommandRejected(str(error)) from error
    notification = pb.NotificationMessage()
    match command.WhichOneof("signal_id"):
        case "idx":
            notification.signal_id = command.idx
        case "name":
            notification.signal_name = command.name
        case _:
            raise CommandRejected("a signal with neither index nor name")
    match command.WhichOneof("result"):
        case "value":
            notification.value.CopyFrom(command.value)
        case "failure":
            notification.failure.CopyFrom(command.failure)
        case _:
            notification.void.SetInParent()
    journaling.append(ledger, invocation, envelope)
    target = ledger.find(InvocationId(command.target_invocation_id))
    if target is None or target.status is Status.COMPLETED:
        return
    if notification.signal_id == CANCEL_SIGNAL:
        cancel(ledger, target)
    else:
        deliver_signal(ledger, target, notification)


def on_complete_awakeable(ledger: Ledger, invocation: Invocation, envelope: Envelope) -> None:
    """Complete an awakeable; its id names invocation and signal."""
    command = envelope.message
    assert isinstance(command, pb.CompleteAwakeableCommandMessage)
    try:
        target_id, signal = parse_awakeable_id(command.awakeable_id)
    except UsageError as error:
        raise CommandRejected(str(error)) from error
    notification = pb.NotificationMessage(signal_id=signal)
    if command.HasField("failure"):
        notification.failure.CopyFrom(command.failure)
    else:
        notification.value.CopyFrom(command.value)
    journaling.append(ledger, invocation, envelope)
    target = ledger.find(target_id)
    if target is not None:
        deliver_signal(ledger, target, notification)
