"""Calls and sends: another invocation, begun from within one."""

from perdure.engine.commands.rejection import CommandRejected
from perdure.engine.events import Target
from perdure.engine.invocation import Invocation, Status, Waiter
from perdure.engine.ledger import Ledger
from perdure.engine.operations import check_key
from perdure.engine.registry import ResolvedHandler
from perdure.errors import UnknownTarget
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.ids import InvocationId, idempotent_invocation_id, workflow_invocation_id
from perdure.protocol.messages import Envelope, MessageType


def on_call(ledger: Ledger, invocation: Invocation, envelope: Envelope) -> None:
    """Begin the callee, or join the one that has this idempotency key, and answer when it ends."""
    command = envelope.message
    assert isinstance(command, pb.CallCommandMessage)
    resolved, callee, is_new = _callee(ledger, invocation, envelope, command, 0)
    waiter = Waiter(invocation.number, command.result_completion_id, MessageType.CALL_COMPLETION)
    if resolved.handler_type == "WORKFLOW" and not is_new:
        message = f"workflow {callee.target.service}/{callee.target.key} runs once, and was submitted before"
        ledger.answer(waiter, pb.OutputCommandMessage(failure=pb.Failure(code=409, message=message)))
    else:
        await_result(ledger, callee, waiter)


def on_one_way_call(ledger: Ledger, invocation: Invocation, envelope: Envelope) -> None:
    """Begin the callee, now or at its time, and go on."""
    command = envelope.message
    assert isinstance(command, pb.OneWayCallCommandMessage)
    _callee(ledger, invocation, envelope, command, min(command.invoke_time, 2**63 - 1))


def await_result(ledger: Ledger, callee: Invocation, waiter: Waiter) -> None:
    """Have the waiter answered when the callee ends; now, if it has."""
    if callee.status is Status.COMPLETED:
        assert callee.output is not None, f"{callee.id} is completed without an output"
        ledger.answer(waiter, callee.output)
    else:
        callee.waiters.append(waiter)
        ledger.touch(callee)


def _callee(
    ledger: Ledger,
    invocation: Invocation,
    envelope: Envelope,
    command: pb.CallCommandMessage | pb.OneWayCallCommandMessage,
    execute_at_ms: int,
) -> tuple[ResolvedHandler, Invocation, bool]:
    """The invocation that a command calls, and whether it is new; command and callee's id are journaled."""
    try:
        resolved = ledger.registry.resolve(command.service_name, command.handler_name)
        target = Target(command.service_name, command.handler_name, _key(resolved, command.key))
        check_key(resolved, target)
    except UnknownTarget as error:
        raise CommandRejected(f"cannot call {command.service_name}/{command.handler_name}: {error}") from error
    if command.HasField("scope") or command.HasField("limit_key"):
        raise CommandRejected(f"cannot call {target} in a scope: this engine has no flow control yet (RT0024)")
    idempotency_key = command.idempotency_key if command.HasField("idempotency_key") else None
    if idempotency_key == "":
        raise CommandRejected(f"the call of {target} has an empty idempotency key")
    ledger.append(invocation, envelope)
    callee_id, may_exist = _callee_id(ledger, resolved, target, idempotency_key)
    existing = ledger.find(callee_id) if may_exist else None
    callee = existing or ledger.admit(
        resolved,
        target,
        callee_id,
        command.parameter,
        headers=[(header.key, header.value) for header in command.headers],
        idempotency_key=idempotency_key,
        execute_at_ms=execute_at_ms,
        caller_id=invocation.id,
    )
    notification = pb.NotificationMessage(
        completion_id=command.invocation_id_notification_idx, invocation_id=str(callee.id)
    )
    ledger.notify(invocation, MessageType.CALL_INVOCATION_ID_COMPLETION, notification)
    return resolved, callee, existing is None


def _key(resolved: ResolvedHandler, key: str) -> str | None:
    """On the wire, no key and the empty key look the same: for a keyed service it is the empty key."""
    return key if key or resolved.service_type != "SERVICE" else None


def _callee_id(
    ledger: Ledger, resolved: ResolvedHandler, target: Target, idempotency_key: str | None
) -> tuple[InvocationId, bool]:
    """The callee's id, and whether an invocation may have it already."""
    if resolved.handler_type == "WORKFLOW":
        return workflow_invocation_id(target.service, target.key or ""), True
    if idempotency_key is not None:
        return idempotent_invocation_id(target.service, target.key, target.handler, idempotency_key), True
    return ledger.new_id(target.key), False
