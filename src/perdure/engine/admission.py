"""How an invocation is taken in: made of what was asked for, journaled, and begun or put off."""

from collections.abc import Iterable

from perdure.engine import journaling, lifecycle
from perdure.engine.events import Target
from perdure.engine.invocation import Invocation, Status
from perdure.engine.ledger import Ledger
from perdure.engine.registry import ResolvedHandler
from perdure.engine.restarting import Restarted
from perdure.engine.targets import parse_priority
from perdure.engine.timers import START
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.ids import InvocationId
from perdure.protocol.messages import Envelope, MessageType
from perdure.protocol.priorities import PRIORITY_HEADER
from perdure.version import __version__


def admit(
    ledger: Ledger,
    resolved: ResolvedHandler,
    target: Target,
    id: InvocationId,
    body: bytes,
    *,
    headers: Iterable[tuple[str, str]] = (),
    idempotency_key: str | None = None,
    execute_at_ms: int = 0,
    caller: Invocation | None = None,
    limit_key: str | None = None,
    restarts: Restarted | None = None,
) -> Invocation:
    """Take in a new invocation; it starts now, when its key is free, or when its time has come."""
    options = resolved.options
    retention_ms = options.journal_retention_ms
    if resolved.handler_type == "WORKFLOW":
        retention_ms = options.workflow_completion_retention_ms
    elif idempotency_key is not None:
        retention_ms = options.idempotency_retention_ms
    invocation = Invocation(
        number=ledger.new_number(),
        id=id,
        target=target,
        service_type=resolved.service_type,
        handler_type=resolved.handler_type,
        status=Status.SCHEDULED,
        created_at_ms=ledger.now_ms,
        modified_at_ms=ledger.now_ms,
        idempotency_key=idempotency_key,
        execute_at_ms=execute_at_ms,
        limit_key=limit_key,
        created_by=__version__,
        retention_ms=retention_ms,
        journal_retention_ms=min(options.journal_retention_ms, retention_ms),
    )
    if caller is not None:
        invocation.caller_id = caller.id
        invocation.caller_target = str(caller.target)
        ledger.batch.called.setdefault(caller.id, []).append(invocation.number)
    command = pb.InputCommandMessage(value=pb.Value(content=body))
    for name, value in headers:
        command.headers.add(key=name, value=value)
        if name.lower() == PRIORITY_HEADER:
            invocation.priority = parse_priority(value)
    invocation.input = Envelope(MessageType.INPUT, command)
    ledger.touch(invocation)
    journaling.append(ledger, invocation, invocation.input)
    if restarts is not None:
        invocation.restarted_from = restarts.id
        invocation.protocol_version = restarts.protocol_version
        invocation.seeded_by = restarts.seeded_by
        if restarts.pinned:
            lifecycle.pin_to(ledger, invocation, resolved)
        for envelope in restarts.journal:
            journaling.append(ledger, invocation, envelope)
    if execute_at_ms > ledger.now_ms:
        ledger.set_timer((execute_at_ms, invocation.number, START))
    else:
        lifecycle.begin(ledger, invocation)
    return invocation
