"""Calls and sends: another invocation, begun from within one."""

from perdure.engine import journaling, lifecycle
from perdure.engine.admission import admit
from perdure.engine.commands.rejection import CommandRejected
from perdure.engine.events import Target
from perdure.engine.family import circle
from perdure.engine.invocation import Invocation, Status, Waiter
from perdure.engine.ledger import Ledger
from perdure.engine.registry import ResolvedHandler
from perdure.engine.targets import identify, runs_once
from perdure.errors import UsageError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import Envelope, MessageType
from perdure.protocol.scopes import check_scope
from perdure.times import DELAY_MS_MAX

LOOP_DETECTED = 508


def on_call(ledger: Ledger, invocation: Invocation, envelope: Envelope) -> None:
    """Begin the callee, or join the one that has this idempotency key, and answer when it ends."""
    command = envelope.message
    assert isinstance(command, pb.CallCommandMessage)
    resolved, callee, is_new = _callee(ledger, invocation, envelope, command, 0)
    waiter = Waiter(invocation.number, command.result_completion_id, MessageType.CALL_COMPLETION)
    if callee.status is Status.PENDING and (waiting := circle(ledger, invocation, callee.object_key)):
        # Each of them would wait for the next, and none ever go on.
        message = _deadlock(callee, waiting)
        if not is_new:  # somebody else's, which may yet get its key
            failure = pb.Failure(code=LOOP_DETECTED, message=message)
            lifecycle.answer(ledger, waiter, pb.OutputCommandMessage(failure=failure))
            return
        lifecycle.fail(ledger, callee, LOOP_DETECTED, message)
    if resolved.handler_type == "WORKFLOW" and not is_new:
        refusal = runs_once(callee.target)
        failure = pb.Failure(code=refusal.code, message=refusal.message)
        lifecycle.answer(ledger, waiter, pb.OutputCommandMessage(failure=failure))
    else:
        await_result(ledger, callee, waiter)


def _deadlock(callee: Invocation, waiting: list[Invocation]) -> str:
    steps = " -> ".join(f"{each.target} ({each.id})" for each in [*waiting, callee])
    return f"deadlock: {callee.target} waits for its key, which {waiting[0].target} holds: {steps}"


def on_one_way_call(ledger: Ledger, invocation: Invocation, envelope: Envelope) -> None:
    """Begin the callee, now or at its time, and go on."""
    command = envelope.message
    assert isinstance(command, pb.OneWayCallCommandMessage)
    execute_at_ms = min(command.invoke_time, ledger.now_ms + DELAY_MS_MAX)
    _callee(ledger, invocation, envelope, command, execute_at_ms)


def await_result(ledger: Ledger, callee: Invocation, waiter: Waiter) -> None:
    """Have the waiter answered when the callee ends; now, if it has."""
    if callee.status is Status.COMPLETED:
        assert callee.output is not None, f"{callee.id} is completed without an output"
        lifecycle.answer(ledger, waiter, callee.output)
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
    idempotency_key = command.idempotency_key if command.HasField("idempotency_key") else None
    try:
        resolved = ledger.registry.resolve(command.service_name, command.handler_name)
        scope = command.scope if command.HasField("scope") else None
        limit_key = command.limit_key if command.HasField("limit_key") else None
        check_scope(scope, limit_key)
        target = Target(command.service_name, command.handler_name, _key(resolved, command.key), scope)
        callee_id, may_exist = identify(resolved, target, idempotency_key, ledger.new_id)
    except UsageError as error:
        raise CommandRejected(f"cannot call {command.service_name}/{command.handler_name}: {error}") from error
    journaling.append(ledger, invocation, envelope)
    existing = ledger.find(callee_id) if may_exist else None
    callee = existing or admit(
        ledger,
        resolved,
        target,
        callee_id,
        command.parameter,
        headers=[(header.key, header.value) for header in command.headers],
        idempotency_key=idempotency_key,
        execute_at_ms=execute_at_ms,
        caller=invocation,
        limit_key=limit_key,
    )
    notification = pb.NotificationMessage(
        completion_id=command.invocation_id_notification_idx, invocation_id=str(callee.id)
    )
    lifecycle.notify(ledger, invocation, MessageType.CALL_INVOCATION_ID_COMPLETION, notification)
    return resolved, callee, existing is None


def _key(resolved: ResolvedHandler, key: str) -> str | None:
    """On the wire, no key and the empty key look the same: for a keyed service it is the empty key."""
    return key if key or resolved.service_type != "SERVICE" else None
