"""What happens when its time has come: schedules start, what has expired is purged, timers fire."""

from perdure.engine import attempts, firing, interventions, lifecycle, retention
from perdure.engine.events import TimersDue
from perdure.engine.invocation import Status
from perdure.engine.ledger import Ledger
from perdure.engine.timers import KILL, START, Timer
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import MessageType


def on_timers_due(ledger: Ledger, event: TimersDue) -> None:
    """Do what is due by now, up to a limit; the rest is done with the next such event."""
    firing.fire_due(ledger, event.limit)
    retention.purge_expired(ledger)
    for _ in range(event.limit):
        timer = ledger.timers.pop_due(ledger.now_ms)
        if timer is None:
            return
        _fire(ledger, timer)


def _fire(ledger: Ledger, timer: Timer) -> None:
    """Start an invocation, try it again, end it by force, or wake it."""
    _, number, completion_id = timer
    if completion_id < START:
        attempts.on_retry_due(ledger, number, -completion_id)
        return
    invocation = ledger.find_number(number)
    if invocation is None or invocation.status is Status.COMPLETED:
        return  # its timers have left the store with its end
    ledger.batch.timers[timer] = False
    if completion_id == KILL:
        interventions.kill(ledger, invocation)
    elif completion_id != START:
        notification = pb.NotificationMessage(completion_id=completion_id, void=pb.Void())
        lifecycle.notify(ledger, invocation, MessageType.SLEEP_COMPLETION, notification)
    elif invocation.status is Status.SCHEDULED:
        lifecycle.begin(ledger, invocation)
