"""What holds for a handler: what an operator said, over its own options, over its service's, over the engine's.

Times are milliseconds. A manifest leaves out what it does not care for; after the merge nothing is left open.
"""

from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from perdure.engine.config import HandlerDefaults, RetryPolicy
from perdure.protocol.discovery import HandlerManifest, Options, ServiceManifest

T = TypeVar("T")


class HandlerOptions(Struct, frozen=True):
    """Every option of a handler, with the value that holds."""

    inactivity_timeout_ms: int
    abort_timeout_ms: int
    journal_retention_ms: int
    idempotency_retention_ms: int
    workflow_completion_retention_ms: int
    enable_lazy_state: bool
    ingress_private: bool
    retry_policy: RetryPolicy


class Overrides(Struct, frozen=True, omit_defaults=True):
    """What an operator said of a service, over its code; None where the code's word stands."""

    public: bool | None = None
    idempotency_retention_ms: int | None = None
    workflow_completion_retention_ms: int | None = None
    journal_retention_ms: int | None = None
    inactivity_timeout_ms: int | None = None
    abort_timeout_ms: int | None = None

    def __bool__(self) -> bool:
        return self != Overrides()


def merge_options(
    defaults: HandlerDefaults,
    service: ServiceManifest,
    handler: HandlerManifest | None,
    overrides: Overrides | None = None,
) -> HandlerOptions:
    """The options of a handler; of the service as a whole where `handler` is None. Merged field by field."""
    merged = HandlerOptions(
        inactivity_timeout_ms=defaults.inactivity_timeout_ms,
        abort_timeout_ms=defaults.abort_timeout_ms,
        journal_retention_ms=defaults.retention_ms,
        idempotency_retention_ms=defaults.retention_ms,
        workflow_completion_retention_ms=defaults.retention_ms,
        enable_lazy_state=False,
        ingress_private=False,
        retry_policy=defaults.retry_policy,
    )
    merged = _lay_over(merged, service, None)
    if handler is not None:
        merged = _lay_over(merged, handler, handler.workflow_completion_retention)
    return merged if overrides is None else _override(merged, overrides)


def _override(below: HandlerOptions, said: Overrides) -> HandlerOptions:
    return replace(
        below,
        inactivity_timeout_ms=_first(said.inactivity_timeout_ms, below.inactivity_timeout_ms),
        abort_timeout_ms=_first(said.abort_timeout_ms, below.abort_timeout_ms),
        journal_retention_ms=_first(said.journal_retention_ms, below.journal_retention_ms),
        idempotency_retention_ms=_first(said.idempotency_retention_ms, below.idempotency_retention_ms),
        workflow_completion_retention_ms=_first(
            said.workflow_completion_retention_ms, below.workflow_completion_retention_ms
        ),
        ingress_private=below.ingress_private if said.public is None else not said.public,
    )


def _lay_over(below: HandlerOptions, said: Options, workflow_completion_retention: int | None) -> HandlerOptions:
    retries = below.retry_policy
    return HandlerOptions(
        inactivity_timeout_ms=_first(said.inactivity_timeout, below.inactivity_timeout_ms),
        abort_timeout_ms=_first(said.abort_timeout, below.abort_timeout_ms),
        journal_retention_ms=_first(said.journal_retention, below.journal_retention_ms),
        idempotency_retention_ms=_first(said.idempotency_retention, below.idempotency_retention_ms),
        workflow_completion_retention_ms=_first(workflow_completion_retention, below.workflow_completion_retention_ms),
        enable_lazy_state=_first(said.enable_lazy_state, below.enable_lazy_state),
        ingress_private=_first(said.ingress_private, below.ingress_private),
        retry_policy=RetryPolicy(
            initial_interval_ms=_first(said.retry_policy_initial_interval, retries.initial_interval_ms),
            factor=_first(said.retry_policy_exponentiation_factor, retries.factor),
            max_interval_ms=_first(said.retry_policy_max_interval, retries.max_interval_ms),
            max_attempts=_first(said.retry_policy_max_attempts, retries.max_attempts),
            on_max_attempts=_first(said.retry_policy_on_max_attempts, retries.on_max_attempts),
        ),
    )


def _first(said: T | None, otherwise: T) -> T:
    return otherwise if said is None else said
