"""The ledger's invariants, as they must hold on disk and in memory after every commit."""

import apsw

from perdure.engine.invocation import STORED_AS, Invocation
from perdure.engine.ledger import Ledger

_HELD = "handler_type = 'EXCLUSIVE' and status in ('ready', 'suspended', 'paused')"
_QUESTIONS = {
    "L1: a journal is dense from 0, and entry 0 is the input": """
        select invocation from journal group by invocation
        having count(*) != max(idx) + 1 or max(case idx when 0 then type end) != 0x0400""",
    "L2: a key has one holder": f"""
        select key from invocation where {_HELD} group by scope, service, key having count(*) > 1""",
    "L2: where somebody waits for a key, somebody holds it": f"""
        select key from invocation as waiting where status = 'pending' and not exists (
            select 1 from invocation
            where scope = waiting.scope and service = waiting.service and key = waiting.key and {_HELD})""",
}


def check(ledger: Ledger, disk: apsw.Connection) -> None:
    """Raises `AssertionError` that names the invariant."""
    for invariant, question in _QUESTIONS.items():
        assert disk.execute(question).fetchall() == [], invariant
    for invocation in ledger.invocations_in_memory():
        if ledger.is_uncommitted(invocation.number):
            continue  # changed since
        stored = ledger.reader.invocation(invocation.number)
        assert stored is not None, f"L4: {invocation.id} is in memory only"
        ours, theirs = _lasting(invocation), _lasting(stored)
        assert ours == theirs, f"L4: memory is what recovery would build: {ours} in memory, {theirs} on disk"


def _lasting(invocation: Invocation) -> tuple[object, ...]:
    """What of an invocation must survive; not its length, as a journal in memory may be ahead of the disk's."""
    return (
        invocation.id,
        invocation.target,
        STORED_AS.get(invocation.status, invocation.status),
        invocation.deployment_id,
        invocation.protocol_version,
        invocation.awaiting,
        invocation.waiters,
        invocation.execute_at_ms,
        invocation.completed_at_ms,
    )
