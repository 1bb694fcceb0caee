"""What people and systems outside ask of invocations: begin one, wait for one, signal, cancel, kill, resume."""

from perdure.engine.effects import Respond
from perdure.engine.events import (
    Accepted,
    AttachRequested,
    KillRequested,
    Outcome,
    ResumeRequested,
    SignalSent,
    Submitted,
)
from perdure.engine.invocation import Invocation, Status, Step
from perdure.engine.ledger import Ledger
from perdure.engine.targets import check_key, runs_once
from perdure.errors import Conflict, PerdureError, UnknownInvocation
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.ids import CANCEL_SIGNAL, FIRST_AWAKEABLE_SIGNAL, InvocationId
from perdure.protocol.messages import MessageType
from perdure.protocol.scopes import check_scope

CANCELLED = 409


def on_submitted(ledger: Ledger, event: Submitted) -> None:
    """Begin an invocation, or join the one that has this idempotency key, or this workflow's key, already."""
    respond = ledger.batch.effects.append
    try:
        resolved = ledger.registry.resolve(event.target.service, event.target.handler)
        check_key(resolved, event.target)
        check_scope(event.target.scope, event.limit_key)
    except PerdureError as error:
        respond(Respond(event.request, error))
        return
    is_main = resolved.handler_type == "WORKFLOW"
    existing = ledger.find(event.invocation_id) if is_main or event.idempotency_key is not None else None
    invocation = existing or ledger.admit(
        resolved,
        event.target,
        event.invocation_id,
        event.body,
        headers=event.headers,
        idempotency_key=event.idempotency_key,
        execute_at_ms=event.execute_at_ms,
        limit_key=event.limit_key,
    )
    if not event.wants_outcome:
        executes_at_ms = invocation.execute_at_ms if invocation.status is Status.SCHEDULED else None
        respond(Respond(event.request, Accepted(invocation.id, existing is None, executes_at_ms)))
    elif is_main and existing is not None:
        respond(Respond(event.request, Outcome(invocation.id, failure=runs_once(event.target), new=False)))
    else:
        ledger.await_outcome(invocation, event.request)


def on_attach(ledger: Ledger, event: AttachRequested) -> None:
    """Wait for an invocation that exists."""
    invocation = ledger.find(event.invocation_id)
    if invocation is None:
        ledger.batch.effects.append(Respond(event.request, UnknownInvocation(event.invocation_id)))
    else:
        ledger.await_outcome(invocation, event.request)


def on_signal(ledger: Ledger, event: SignalSent) -> None:
    """Complete an awakeable, or cancel. To one that has ended, it is nothing new and no error."""
    invocation = ledger.find(event.invocation_id)
    if invocation is None:
        ledger.batch.effects.append(Respond(event.request, UnknownInvocation(event.invocation_id)))
        return
    notification = pb.NotificationMessage()
    if isinstance(event.signal, int):
        notification.signal_id = event.signal
    else:
        notification.signal_name = event.signal
    if event.failure is not None:
        notification.failure.CopyFrom(pb.Failure(code=event.failure.code, message=event.failure.message))
    elif event.value is not None:
        notification.value.content = event.value
    else:
        notification.void.SetInParent()
    deliver_signal(ledger, invocation, notification)
    ledger.batch.effects.append(Respond(event.request, None))


def deliver_signal(ledger: Ledger, invocation: Invocation, notification: pb.NotificationMessage) -> None:
    """Give a signal to an invocation; a cancellation always acts, on one that rests or waits to retry too."""
    if notification.signal_id == CANCEL_SIGNAL and invocation.status in (Status.SCHEDULED, Status.PENDING):
        ledger.fail(invocation, CANCELLED, "cancelled")
        return
    if notification.signal_id >= FIRST_AWAKEABLE_SIGNAL and ledger.has_signal(invocation, notification.signal_id):
        return  # an awakeable is completed once
    ledger.notify(invocation, MessageType.SIGNAL, notification)
    if notification.signal_id == CANCEL_SIGNAL and invocation.status in (Status.BACKING_OFF, Status.PAUSED):
        ledger.make_ready(invocation, Step.RESUMED)


def on_kill(ledger: Ledger, event: KillRequested) -> None:
    """End an invocation now, with no word to its code, and the calls that it waits for."""
    invocation = ledger.find(event.invocation_id)
    if invocation is None:
        ledger.batch.effects.append(Respond(event.request, UnknownInvocation(event.invocation_id)))
        return
    if invocation.status is Status.COMPLETED:
        ledger.batch.effects.append(Respond(event.request, Conflict(f"{invocation.id} has ended already")))
        return
    doomed = [invocation]
    while doomed:
        victim = doomed.pop()
        if victim.status is not Status.COMPLETED:
            ledger.fail(victim, CANCELLED, "killed")
            doomed += _awaited_children(ledger, victim)
    ledger.batch.effects.append(Respond(event.request, None))


def _awaited_children(ledger: Ledger, invocation: Invocation) -> list[Invocation]:
    """The invocations whose result this one waits for: found by its journal, or still in memory."""
    called = [child for child in ledger.invocations_in_memory() if child.caller_id == invocation.id]
    for envelope in ledger.reader.journal(invocation.number):
        if envelope.type == MessageType.CALL_INVOCATION_ID_COMPLETION:
            assert isinstance(envelope.message, pb.NotificationMessage)
            child = ledger.find(InvocationId(envelope.message.invocation_id))
            if child is not None and child not in called:
                called.append(child)
    return [child for child in called if any(waiter.number == invocation.number for waiter in child.waiters)]


def on_resume(ledger: Ledger, event: ResumeRequested) -> None:
    """Try a resting invocation now."""
    invocation = ledger.find(event.invocation_id)
    if invocation is None:
        ledger.batch.effects.append(Respond(event.request, UnknownInvocation(event.invocation_id)))
    elif invocation.status in (Status.PAUSED, Status.SUSPENDED, Status.BACKING_OFF):
        invocation.failures = 0
        ledger.make_ready(invocation, Step.RESUMED)
        ledger.batch.effects.append(Respond(event.request, None))
    else:
        reason = f"{invocation.id} is {invocation.status}: only paused, suspended and backing-off invocations resume"
        ledger.batch.effects.append(Respond(event.request, Conflict(reason)))
