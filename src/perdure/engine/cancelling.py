"""Cancelling: an invocation is asked to end, and those that it waits for; what cannot be told ends, or is named.

Its own code is told at its next await, and cancels what it called itself. Where that code cannot be reached, nobody
else would go down to the callees, so the engine does.
"""

from perdure.engine import lifecycle
from perdure.engine.family import awaited_children, go_down
from perdure.engine.invocation import Invocation, Status, Step
from perdure.engine.ledger import Ledger
from perdure.errors import PerdureError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.ids import CANCEL_SIGNAL, DeploymentId
from perdure.protocol.messages import MessageType

CANCELLED = 409
_NOTES_MAX = 3


def cancel(ledger: Ledger, invocation: Invocation) -> str | None:
    """Cancel an invocation that has not ended. What could not be done as usual is said; None where all could."""
    notes: list[str] = []
    go_down(ledger, invocation, lambda each: _cancel(ledger, each, notes))
    more = [f"And {len(notes) - _NOTES_MAX} more like these."] if len(notes) > _NOTES_MAX else []
    return " ".join([*notes[:_NOTES_MAX], *more]) or None


def _cancel(ledger: Ledger, invocation: Invocation, notes: list[str]) -> list[Invocation]:
    """Cancel one invocation; returns the callees that are to be cancelled too, as its code may not do so."""
    if invocation.status in (Status.SCHEDULED, Status.PENDING):
        lifecycle.fail(ledger, invocation, CANCELLED, "cancelled")
        return []
    gone = _why_gone(ledger, invocation)
    if gone is not None:
        children = awaited_children(ledger, invocation)
        lifecycle.fail(ledger, invocation, CANCELLED, f"cancelled; its code was not told: {gone}")
        notes.append(f"{invocation.target} has ended, but its code was not told: {gone}")
        return children
    failing = invocation.last_failure if invocation.status in (Status.BACKING_OFF, Status.PAUSED) else None
    signal = pb.NotificationMessage(signal_id=CANCEL_SIGNAL, void=pb.Void())
    lifecycle.notify(ledger, invocation, MessageType.SIGNAL, signal)
    if invocation.status in (Status.BACKING_OFF, Status.PAUSED):
        lifecycle.make_ready(ledger, invocation, Step.RESUMED)
    if failing is None:
        return []
    notes.append(
        f"{invocation.target} is tried now, and told if the attempt gets so far: the last one failed with "
        f"`{failing.message.splitlines()[0] if failing.message else failing.code}`. Should it not, kill ends it."
    )
    return awaited_children(ledger, invocation)


def _why_gone(ledger: Ledger, invocation: Invocation) -> str | None:
    """Why no attempt could ever reach the invocation's code; None where one could."""
    target = invocation.target
    try:
        if invocation.deployment_id is None:
            ledger.registry.resolve(target.service, target.handler)
        else:
            ledger.registry.resolve_pinned(DeploymentId(invocation.deployment_id), target.service, target.handler)
    except PerdureError as error:
        return str(error)
    return None
