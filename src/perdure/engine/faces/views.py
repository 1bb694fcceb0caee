"""What people are shown of an invocation, in the words of the open interface's tables."""

from msgspec import Struct

from perdure.engine.invocation import Invocation, LastFailure, Status
from perdure.engine.requests import outcome_of


class InvocationView(Struct, frozen=True, omit_defaults=True):
    """One invocation, ready to be written as JSON. Times are milliseconds since the epoch."""

    id: str
    target: str
    target_service_name: str
    target_service_key: str | None
    target_handler_name: str
    target_service_ty: str
    status: str
    created_at: int
    modified_at: int
    journal_size: int
    idempotency_key: str | None = None
    invoked_by: str = "ingress"
    invoked_by_id: str | None = None
    invoked_by_target: str | None = None
    restarted_from: str | None = None
    schedule_id: str | None = None
    scope: str | None = None
    limit_key: str | None = None
    priority: int = 0
    inboxed_at: int | None = None
    running_at: int | None = None
    scheduled_start_at: int | None = None
    completed_at: int | None = None
    pinned_deployment_id: str | None = None
    pinned_service_protocol_version: int | None = None
    waiting_reason: str | None = None
    retry_count: int = 0
    next_retry_at: int | None = None
    last_failure: LastFailure | None = None
    completion_result: str | None = None
    completion_failure: str | None = None


def view_of(invocation: Invocation, waiting_reason: str | None) -> InvocationView:
    target = invocation.target
    outcome = outcome_of(invocation) if invocation.status is Status.COMPLETED else None
    failure = outcome.failure if outcome is not None else None
    return InvocationView(
        id=invocation.id,
        target=str(target),
        target_service_name=target.service,
        target_service_key=target.key,
        target_handler_name=target.handler,
        target_service_ty=invocation.service_type.lower(),
        status=invocation.status.value,
        created_at=invocation.created_at_ms,
        modified_at=invocation.modified_at_ms,
        journal_size=invocation.journal_length,
        idempotency_key=invocation.idempotency_key,
        invoked_by=_invoked_by(invocation),
        invoked_by_id=invocation.caller_id,
        invoked_by_target=invocation.caller_target,
        restarted_from=invocation.restarted_from,
        schedule_id=invocation.schedule_id,
        scope=target.scope,
        limit_key=invocation.limit_key,
        priority=invocation.priority,
        inboxed_at=invocation.inboxed_at_ms,
        running_at=invocation.running_at_ms,
        scheduled_start_at=invocation.execute_at_ms or None,
        completed_at=invocation.completed_at_ms,
        pinned_deployment_id=invocation.deployment_id,
        pinned_service_protocol_version=invocation.protocol_version or None,
        waiting_reason=waiting_reason,
        retry_count=invocation.failures,
        next_retry_at=invocation.retry_at_ms,
        last_failure=invocation.last_failure,
        completion_result=None if outcome is None else "failure" if failure is not None else "success",
        completion_failure=None if failure is None else str(failure),
    )


def _invoked_by(invocation: Invocation) -> str:
    if invocation.restarted_from is not None:
        return "restart_as_new"
    if invocation.schedule_id is not None:
        return "schedule"
    return "ingress" if invocation.caller_id is None else "service"
