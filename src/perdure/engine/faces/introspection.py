"""What only the engine's memory knows, for those who look at it through SQL; the rest they read in its store."""

from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from perdure.engine.flow.slots import LimitUse
from perdure.engine.invocation import Invocation, LastFailure, Status
from perdure.engine.ledger import Ledger
from perdure.engine.reasons import Reasons
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.ids import DeploymentId


class AttemptNow(Struct, frozen=True):
    """An invocation that is being tried, or waits to be tried again. `tries` counts since its journal last grew."""

    number: int
    id: str
    running: bool
    tries: int
    started_at_ms: int | None
    retry_at_ms: int | None
    deployment_id: str | None
    sdk_version: str | None
    last_failure: LastFailure | None
    awaiting: pb.Future | None


class Introspection:
    """`store` is the file that others may read while the engine runs."""

    def __init__(self, ledger: Ledger, reasons: Reasons, store: Path) -> None:
        self._ledger = ledger
        self._reasons = reasons
        self.store = store

    def in_memory(self) -> list[Invocation]:
        """Cheap, however many there are; `attempt_of` says which of them are tried."""
        return list(self._ledger.invocations_in_memory())

    def attempt_of(self, invocation: Invocation) -> AttemptNow | None:
        running = invocation.status is Status.RUNNING
        if not running and invocation.status is not Status.BACKING_OFF:
            return None
        deployment = self._ledger.registry.deployments.get(DeploymentId(invocation.deployment_id or ""))
        return AttemptNow(
            number=invocation.number,
            id=invocation.id,
            running=running,
            tries=invocation.failures + running,
            started_at_ms=invocation.modified_at_ms if running else None,
            retry_at_ms=invocation.retry_at_ms,
            deployment_id=invocation.deployment_id,
            sdk_version=deployment.sdk_version if deployment is not None else None,
            last_failure=invocation.last_failure if invocation.failures else None,
            awaiting=invocation.hint,
        )

    def limits(self) -> Iterable[LimitUse]:
        """The limits that are in use or waited for."""
        return self._ledger.flow.limits()

    def waiting_reason(self, number: int) -> str | None:
        """The sentence that says why an invocation is not done; None if it is, or is there no more."""
        invocation = self._ledger.find_number(number)
        return self._reasons.of(invocation) if invocation is not None else None
