"""Attach and output: the result of an invocation that somebody else began."""

from perdure.engine import journaling, lifecycle
from perdure.engine.commands.calls import await_result
from perdure.engine.commands.rejection import CommandRejected
from perdure.engine.invocation import Invocation, Status, Waiter
from perdure.engine.ledger import Ledger
from perdure.errors import UsageError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.ids import InvocationId, idempotent_invocation_id, parse_invocation_id, workflow_invocation_id
from perdure.protocol.messages import Envelope, MessageType


def on_attach_invocation(ledger: Ledger, invocation: Invocation, envelope: Envelope) -> None:
    """Answer when the other invocation ends; with 404 if there is none."""
    command = envelope.message
    assert isinstance(command, pb.AttachInvocationCommandMessage)
    id = _target_id(command)
    journaling.append(ledger, invocation, envelope)
    waiter = Waiter(invocation.number, command.result_completion_id, MessageType.ATTACH_INVOCATION_COMPLETION)
    other = ledger.find(id)
    if other is None:
        lifecycle.answer(ledger, waiter, _not_found(id))
    else:
        await_result(ledger, other, waiter)


def on_get_invocation_output(ledger: Ledger, invocation: Invocation, envelope: Envelope) -> None:
    """Answer now: with the result, with nothing if it is not there yet, with 404 if there is no such invocation."""
    command = envelope.message
    assert isinstance(command, pb.GetInvocationOutputCommandMessage)
    id = _target_id(command)
    journaling.append(ledger, invocation, envelope)
    waiter = Waiter(invocation.number, command.result_completion_id, MessageType.GET_INVOCATION_OUTPUT_COMPLETION)
    other = ledger.find(id)
    if other is None:
        lifecycle.answer(ledger, waiter, _not_found(id))
    elif other.status is Status.COMPLETED:
        await_result(ledger, other, waiter)
    else:
        notification = pb.NotificationMessage(completion_id=command.result_completion_id, void=pb.Void())
        lifecycle.notify(ledger, invocation, MessageType.GET_INVOCATION_OUTPUT_COMPLETION, notification)


def _target_id(command: pb.AttachInvocationCommandMessage | pb.GetInvocationOutputCommandMessage) -> InvocationId:
    match command.WhichOneof("target"):
        case "invocation_id":
            try:
                parse_invocation_id(command.invocation_id)
            except UsageError as error:
                raise CommandRejected(str(error)) from error
            return InvocationId(command.invocation_id)
        case "idempotent_request_target":
            target = command.idempotent_request_target
            key = target.service_key if target.HasField("service_key") else None
            scope = target.scope if target.HasField("scope") else None
            return idempotent_invocation_id(
                target.service_name, key, target.handler_name, target.idempotency_key, scope
            )
        case "workflow_target":
            workflow = command.workflow_target
            scope = workflow.scope if workflow.HasField("scope") else None
            return workflow_invocation_id(workflow.workflow_name, workflow.workflow_key, scope)
        case _:
            raise CommandRejected("attach without a target")


def _not_found(id: str) -> pb.OutputCommandMessage:
    return pb.OutputCommandMessage(failure=pb.Failure(code=404, message=f"no invocation {id}"))
