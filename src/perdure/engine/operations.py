"""What people and systems outside ask for in the course of things: begin an invocation, wait for one, signal one."""

from perdure.engine import journaling, lifecycle
from perdure.engine.admission import admit
from perdure.engine.answers import Accepted, Outcome
from perdure.engine.effects import Respond
from perdure.engine.events import AttachRequested, SignalSent, Submitted
from perdure.engine.flow.lanes import Lane
from perdure.engine.invocation import Invocation, Status
from perdure.engine.ledger import Ledger
from perdure.engine.registry import ResolvedHandler
from perdure.engine.targets import check_key, runs_once
from perdure.errors import Overloaded, PerdureError, UnknownInvocation
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.ids import FIRST_AWAKEABLE_SIGNAL
from perdure.protocol.messages import MessageType
from perdure.protocol.scopes import check_scope


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
    if existing is None and event.execute_at_ms <= ledger.now_ms:
        refusal = _refusal(ledger, event, resolved)
        if refusal is not None:
            respond(Respond(event.request, refusal))
            return
    invocation = existing or admit(
        ledger,
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
        is_due = existing is not None and invocation.status is not Status.SCHEDULED
        executes_at_ms = None if is_due else invocation.execute_at_ms or None
        respond(Respond(event.request, Accepted(invocation.id, existing is None, executes_at_ms)))
    elif is_main and existing is not None:
        respond(Respond(event.request, Outcome(invocation.id, failure=runs_once(event.target), new=False)))
    else:
        ledger.batch.effects += ledger.requests.wait(invocation, event.request)


def _refusal(ledger: Ledger, event: Submitted, resolved: ResolvedHandler) -> Overloaded | None:
    """Why a new invocation cannot be taken in now: too many wait to begin.

    Only what comes from outside is refused, as it can come again: a call between handlers is a step of something
    that has begun, and what that holds is freed only if it goes on.
    """
    target = event.target
    lane = Lane(target.service, target.handler, resolved.deployment.id, target.scope or "", event.limit_key or "")
    refusal = ledger.flow.refusal(lane, ledger.pending, ledger.now_ms)
    if refusal is None:
        return None
    if refusal.limit is None:
        what, remedy = "the engine", "raise its backlog_max"
    else:
        what, remedy = f"limit `{refusal.limit}`", f"change rule `{refusal.pattern}`"
    return Overloaded(
        f"{refusal.waiting} invocations wait to begin at {what}, whose backlog is {refusal.backlog}: {target} was not "
        f"taken in. Ask again later, or {remedy} if so many may wait",
        retry_after_ms=refusal.retry_after_ms,
    )


def on_attach(ledger: Ledger, event: AttachRequested) -> None:
    """Wait for an invocation that exists."""
    invocation = ledger.find(event.invocation_id)
    if invocation is None:
        ledger.batch.effects.append(Respond(event.request, UnknownInvocation(event.invocation_id)))
    else:
        ledger.batch.effects += ledger.requests.wait(invocation, event.request)


def on_signal(ledger: Ledger, event: SignalSent) -> None:
    """Complete an awakeable, or give a named signal. To one that has ended, it is nothing new and no error."""
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
    """Give a signal to an invocation that has not ended; an awakeable is completed once."""
    if invocation.status is Status.COMPLETED:
        return
    signal = notification.signal_id
    if signal < FIRST_AWAKEABLE_SIGNAL or not journaling.has_signal(ledger, invocation, signal):
        lifecycle.notify(ledger, invocation, MessageType.SIGNAL, notification)
