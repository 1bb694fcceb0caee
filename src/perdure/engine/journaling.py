"""What is added to a journal, and asked of it, while its invocation goes on."""

from perdure.engine.invocation import Invocation, Status, signal_key
from perdure.engine.ledger import Ledger
from perdure.engine.waiting import settle, waits_for_signal
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import Envelope, MessageType


def append(ledger: Ledger, invocation: Invocation, envelope: Envelope) -> int:
    """Journal an entry; its index. A journal that grows starts the count of failures anew."""
    index = invocation.journal_length
    invocation.journal_length = index + 1
    invocation.stored_at_ms = ledger.now_ms
    invocation.failures = 0
    if envelope.type == MessageType.SIGNAL and isinstance(envelope.message, pb.NotificationMessage):
        ledger.batch.signals.add((invocation.number, envelope.message.signal_id))
    payload = envelope.message.SerializeToString()
    ledger.batch.journal.append((invocation.number, index, int(envelope.type), payload, ledger.now_ms))
    return index


def hint(ledger: Ledger, invocation: Invocation, awaited: pb.Future | None) -> None:
    """Note that the attempt at hand only waits for this future, unless what is known answers it already."""
    waits = awaited is not None and settle(awaited, invocation.known) is None
    invocation.hint = awaited if waits else None


def has_signal(ledger: Ledger, invocation: Invocation, signal: int) -> bool:
    """Whether the journal holds this signal already."""
    if invocation.status is Status.RUNNING:
        return signal_key(signal) in invocation.known
    if invocation.awaiting is not None and waits_for_signal(invocation.awaiting, signal):
        return False  # what it has is cut off from what it waits for
    if any((invocation.number, signal) in batch.signals for batch in ledger.batches()):
        return True
    return ledger.reader.has_signal(invocation.number, signal)
