"""Retention: what has ended is forgotten when its time is over, a little at a time.

First the journal, then the invocation itself, with its idempotency key, or as a workflow with its state and promises.
A journal goes from its end, so that what is left of it stays dense; then its space is reused.
"""

from perdure.engine import lifecycle
from perdure.engine.batch import PromiseKey
from perdure.engine.invocation import Invocation
from perdure.engine.keys import Key
from perdure.engine.ledger import PURGE_PAUSE_MS, Ledger
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.ids import workflow_invocation_id
from perdure.protocol.messages import MessageType

ROWS_MAX = 500  # in one go, so that no commit grows by more than a few milliseconds
GONE = 410


def purge_expired(ledger: Ledger) -> None:
    """Purge some of what has expired; the ledger knows when to come back.

    Where a change or a purge is not committed yet, nothing is done: the store does not show it so far.
    """
    if ledger.next_expiry_ms is None or ledger.next_expiry_ms > ledger.now_ms:
        return
    rows_left = ROWS_MAX
    expired = ledger.reader.expired(ledger.now_ms, ROWS_MAX)
    for number in expired:
        invocation = ledger.find_number(number)
        if invocation is not None and not ledger.is_uncommitted(number):
            rows_left -= purge(ledger, invocation, rows_left)
        if rows_left <= 0:
            break
    promises = ledger.reader.expired_promises(ledger.now_ms, max(rows_left, 0))
    for key in promises:
        if not ledger.promises.is_uncommitted(key):
            _look_after(ledger, key)
    ledger.next_expiry_ms = (
        ledger.now_ms + PURGE_PAUSE_MS if expired or promises else ledger.reader.next_expiry(ledger.now_ms)
    )


def purge(ledger: Ledger, invocation: Invocation, rows_max: int = ROWS_MAX) -> int:
    """Purge of an invocation what has expired, up to so many rows; returns how many rows that were."""
    length = invocation.journal_length
    going = range(max(0, length - rows_max), length)
    ledger.batch.purged_entries += [(invocation.number, index) for index in going]
    invocation.journal_length = going.start
    if len(going) < length:
        ledger.touch(invocation)
        return len(going)
    assert invocation.completed_at_ms is not None, f"{invocation.id} is purged before its end"
    ends_at_ms = invocation.completed_at_ms + invocation.retention_ms
    if ends_at_ms > ledger.now_ms:
        invocation.expires_at_ms = ends_at_ms
        ledger.touch(invocation)
        return len(going) + 1
    if invocation.handler_type == "WORKFLOW":
        _forget_workflow(ledger, invocation.object_key)
    ledger.drop(invocation)
    return len(going) + 1


def _look_after(ledger: Ledger, promise_key: PromiseKey) -> None:
    """A promise that was completed in advance goes if its workflow has not come; else it is the workflow's now."""
    scope, service, key, _ = promise_key
    if ledger.find(workflow_invocation_id(service, key, scope or None)) is None:
        _forget_workflow(ledger, (scope, service, key))
    else:
        ledger.promises.of(promise_key).expires_at_ms = None


def _forget_workflow(ledger: Ledger, key: Key) -> None:
    """Its state and promises go; a handler that still waits for one of these is told."""
    failure = pb.Failure(code=GONE, message=f"workflow {key[1]}/{key[2]} was purged")
    for promise in ledger.promises.of_workflow(key):
        for waiter in promise.waiters:
            waiting = ledger.find_number(waiter.number)
            if waiting is not None:
                answer = pb.NotificationMessage(completion_id=waiter.completion_id, failure=failure)
                lifecycle.notify(ledger, waiting, MessageType(waiter.type), answer)
    ledger.batch.clear_object(key)
    ledger.promises.clear(key)
