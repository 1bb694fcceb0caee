"""The ledger's invariants, as they must hold on disk and in memory after every commit."""

from collections.abc import Callable, Iterator

import apsw

from perdure.engine.batch import Batch
from perdure.engine.deployment import Deployment
from perdure.engine.flow.rules import RULE, RuleBook
from perdure.engine.invocation import STORED_AS, Invocation, Status
from perdure.engine.ledger import Ledger
from perdure.engine.schedules import DEFINITION, PROGRESS, Schedules
from perdure.engine.timers import Timer

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
    for compare in _COMPARED:
        for what, ours, theirs in compare(ledger):
            assert ours == theirs, f"L4: memory is what recovery would build: {what} is {ours}, and on disk {theirs}"


Differences = Iterator[tuple[str, object, object]]
"""What is compared, in memory, and on disk. What is not committed yet is left out."""


def _invocations(ledger: Ledger) -> Differences:
    for invocation in ledger.invocations_in_memory():
        if not ledger.is_uncommitted(invocation.number):
            stored = ledger.reader.invocation(invocation.number)
            yield invocation.id, _lasting(invocation), stored and _lasting(stored)


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
        invocation.output if invocation.status is Status.COMPLETED else None,
        invocation.execute_at_ms,
        invocation.completed_at_ms,
        invocation.expires_at_ms,
        invocation.retention_ms,
        invocation.journal_retention_ms,
        invocation.place,
        invocation.priority,
        invocation.limit_key,
        invocation.idempotency_key,
        invocation.caller_id,
        invocation.restarted_from,
        invocation.schedule_id,
    )


def _keys(ledger: Ledger) -> Differences:
    changing = {key for batch in _batches(ledger) for key in batch.keys}
    for key, queue in ledger.keys._queues.items():
        if key not in changing:
            yield f"the queue of {key}", queue, ledger.reader.queue(key)


def _timers(ledger: Ledger) -> Differences:
    changing = {timer for batch in _batches(ledger) for timer in batch.timers}
    if (
        ledger.timers._horizon is None
    ):  # all of them are in memory; those of what has ended wait there to be passed over
        in_memory = {timer for timer in ledger.timers._lasting if _goes_on(ledger, timer)}
        on_disk = {timer for timer in _all_timers(ledger) if not ledger.is_uncommitted(timer[1])}
        yield "timers", in_memory - changing, on_disk - changing


def _goes_on(ledger: Ledger, timer: Timer) -> bool:
    number = timer[1]
    stored = ledger.reader.invocation(number)
    return stored is not None and stored.status is not Status.COMPLETED and not ledger.is_uncommitted(number)


def _all_timers(ledger: Ledger) -> set[Timer]:
    return set(ledger.reader.timers_after((-1, 0, 0), 1_000_000))


def _ready(ledger: Ledger) -> Differences:
    """What recovery would start again runs by its slots, waits for them, or is tried again in time."""
    slots, retries = ledger.flow, set(ledger.timers._retries)
    for number, place in ledger.reader.ready():
        invocation = ledger.find_number(number)
        if ledger.is_uncommitted(number) or invocation is None:
            continue
        match invocation.status:
            case Status.RUNNING:
                goes_on = invocation.attempt > 0 and number in slots._held
            case Status.BACKING_OFF:
                goes_on = (invocation.retry_at_ms, number, -invocation.attempt) in retries
            case _:
                waits = slots.position(number, invocation.standing, ledger.now_ms) is not None
                goes_on = waits or number in slots._held
        yield f"whether {invocation.id}, {invocation.status}, goes on", goes_on, True
        yield f"the place of {invocation.id}", invocation.standing[:2], place[:2]  # that it has begun is written late


def _settings(ledger: Ledger) -> Differences:
    changing = {kind for batch in _batches(ledger) for kind, _ in batch.settings}
    settings = ledger.reader.settings
    if not changing & {DEFINITION, PROGRESS}:
        stored = Schedules(settings(DEFINITION), settings(PROGRESS))
        yield "schedules", ledger.schedules.definitions, stored.definitions
        yield "their progress", ledger.schedules.progress, stored.progress
    if RULE not in changing:
        yield "rules", list(ledger.flow.book), list(RuleBook.decode(settings(RULE)))


def _deployments(ledger: Ledger) -> Differences:
    if not any(batch.deployments for batch in _batches(ledger)):
        stored = {deployment.id: deployment for deployment in map(Deployment.decode, ledger.reader.deployments())}
        yield "deployments", dict(ledger.registry.deployments), stored


def _promises(ledger: Ledger) -> Differences:
    changing = {key for batch in _batches(ledger) for key in batch.promises}
    for key, promise in ledger.promises._promises.items():
        if key not in changing:
            stored = ledger.reader.promise(key)
            assert stored is not None, f"L4: promise {key} is in memory only"
            yield f"promise {key}", (promise.result, promise.waiters), (stored.result, stored.waiters)


_COMPARED: tuple[Callable[[Ledger], Differences], ...] = (
    _invocations,
    _keys,
    _timers,
    _ready,
    _settings,
    _deployments,
    _promises,
)


def _batches(ledger: Ledger) -> list[Batch]:
    return [batch for batch in (ledger.committing, ledger.batch) if batch is not None]
