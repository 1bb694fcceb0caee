"""Sleep: a durable timer."""

from perdure.engine import journaling
from perdure.engine.invocation import Invocation
from perdure.engine.ledger import Ledger
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import Envelope
from perdure.times import bounded_ms


def on_sleep(ledger: Ledger, invocation: Invocation, envelope: Envelope) -> None:
    """Journal the sleep and set its timer; a wake-up time that has passed fires on the next tick."""
    command = envelope.message
    assert isinstance(command, pb.SleepCommandMessage)
    journaling.append(ledger, invocation, envelope)
    due_ms = ledger.now_ms + bounded_ms(command.wake_up_time - ledger.now_ms)
    ledger.set_timer((due_ms, invocation.number, command.result_completion_id))
