"""What only the engine's memory knows, for those who look at it through SQL; the rest they read in its store."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from perdure.engine.backoffs import Backoff
from perdure.engine.flow.slots import LimitUse
from perdure.engine.invocation import Invocation, Status
from perdure.engine.ledger import Ledger
from perdure.engine.reasons import Reasons
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.ids import DeploymentId


class AttemptNow(Struct, frozen=True):
    """An invocation that is being tried, or waits to be tried again. `tries` counts since its journal last grew."""

    number: int
    running: bool
    tries: int
    started_at_ms: int | None
    retry_at_ms: int | None
    deployment_id: str | None
    sdk_version: str | None
    awaiting: pb.Future | None


class Introspection:
    """`store` is the file that others may read while the engine runs."""

    def __init__(self, ledger: Ledger, reasons: Reasons, store: Path) -> None:
        self._ledger = ledger
        self._reasons = reasons
        self.store = store

    def attempts(self) -> Iterator[AttemptNow]:
        """All attempts as of when the first is asked for; the loop may turn between two of them."""
        in_memory, backing_off = list(self._ledger.invocations_in_memory()), self._ledger.backing_off()
        for invocation in in_memory:
            if invocation.status in (Status.RUNNING, Status.BACKING_OFF):
                yield self._attempt(invocation)
        for number, backoff in backing_off:
            yield self._next_attempt(number, backoff)

    def _attempt(self, invocation: Invocation) -> AttemptNow:
        running = invocation.status is Status.RUNNING
        return AttemptNow(
            number=invocation.number,
            running=running,
            tries=invocation.failures + running,
            started_at_ms=invocation.modified_at_ms if running else None,
            retry_at_ms=invocation.retry_at_ms,
            deployment_id=invocation.deployment_id,
            sdk_version=self._sdk_version(invocation.deployment_id),
            awaiting=invocation.hint,
        )

    def _next_attempt(self, number: int, backoff: Backoff) -> AttemptNow:
        return AttemptNow(
            number=number,
            running=False,
            tries=backoff.failures,
            started_at_ms=None,
            retry_at_ms=backoff.retry_at_ms,
            deployment_id=backoff.deployment_id,
            sdk_version=self._sdk_version(backoff.deployment_id),
            awaiting=None,
        )

    def _sdk_version(self, deployment_id: str | None) -> str | None:
        deployment = self._ledger.registry.deployments.get(DeploymentId(deployment_id or ""))
        return deployment.sdk_version if deployment is not None else None

    def limits(self) -> Iterable[LimitUse]:
        """The limits that are in use or waited for."""
        return self._ledger.flow.limits()

    def waiting_reason(self, number: int) -> str | None:
        """The sentence that says why an invocation is not done; None if it is, or is there no more."""
        invocation = self._ledger.find_number(number)
        return self._reasons.of(invocation) if invocation is not None else None
