"""One invocation: its row, what is known of it while it is in memory, and the table of its lifecycle."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from msgspec import Struct

from perdure.engine.events import Target
from perdure.engine.flow.lanes import Lane, Place
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.discovery import HandlerType, ServiceType
from perdure.protocol.ids import InvocationId
from perdure.protocol.messages import Envelope


class Status(StrEnum):
    """Where an invocation is; the same words in the store, in SQL and over HTTP."""

    SCHEDULED = "scheduled"
    PENDING = "pending"
    READY = "ready"
    RUNNING = "running"
    BACKING_OFF = "backing-off"
    SUSPENDED = "suspended"
    PAUSED = "paused"
    COMPLETED = "completed"


class Step(StrEnum):
    """What happens to an invocation."""

    FELL_DUE = "fell due"
    QUEUED = "queued"
    STARTED = "started"
    SUSPENDED = "suspended"
    RESUMED = "resumed"
    HELD = "held"
    FAILED = "failed"
    GAVE_UP = "gave up"
    ENDED = "ended"


LIFECYCLE: dict[tuple[Status, Step], Status] = {
    (Status.SCHEDULED, Step.FELL_DUE): Status.READY,
    (Status.SCHEDULED, Step.QUEUED): Status.PENDING,
    (Status.PENDING, Step.FELL_DUE): Status.READY,
    (Status.READY, Step.STARTED): Status.RUNNING,
    (Status.RUNNING, Step.SUSPENDED): Status.SUSPENDED,
    (Status.RUNNING, Step.RESUMED): Status.READY,
    (Status.RUNNING, Step.FAILED): Status.BACKING_OFF,
    (Status.RUNNING, Step.GAVE_UP): Status.PAUSED,
    (Status.BACKING_OFF, Step.RESUMED): Status.READY,
    (Status.SUSPENDED, Step.RESUMED): Status.READY,
    (Status.PAUSED, Step.RESUMED): Status.READY,
    (Status.READY, Step.HELD): Status.PAUSED,
    (Status.RUNNING, Step.HELD): Status.PAUSED,
    (Status.BACKING_OFF, Step.HELD): Status.PAUSED,
    (Status.SUSPENDED, Step.HELD): Status.PAUSED,
    **{(status, Step.ENDED): Status.COMPLETED for status in Status if status is not Status.COMPLETED},
}
"""The whole truth: what is not here is a bug of ours."""

PausedBy = Literal["operator", "failure"]
_PAUSED_BY: dict[Step, PausedBy] = {Step.HELD: "operator", Step.GAVE_UP: "failure"}

STORED_AS: dict[Status, Status] = {Status.RUNNING: Status.READY, Status.BACKING_OFF: Status.READY}
"""Running and backing off are known in memory only: after a crash such an invocation is ready, and tried at once."""


class Waiter(Struct, frozen=True, array_like=True):
    """A handler that waits for this invocation: its caller's number, and the completion to give it."""

    number: int
    completion_id: int
    type: int


class LastFailure(Struct, frozen=True):
    """Why the last attempt failed: kept for people to read."""

    code: int
    message: str
    at_ms: int
    stacktrace: str = ""
    command_index: int | None = None
    command_name: str | None = None
    command_type: int | None = None


@dataclass(slots=True, eq=False)
class Invocation:
    """One durable execution. What stands below `attempt` is known in memory only.

    `number` orders invocations by arrival and keys their journals. `journal_length` counts entries, so it is the
    index of the next. `awaiting` is what is left of the future that a suspended invocation waits for.
    `place` orders those that wait for one key; a delayed one takes its place when its time has come.
    `attempt` counts attempts in this process: what comes from an earlier one is stale.
    `retention_ms` and `journal_retention_ms` count from its end; `expires_at_ms` is the nearer of the two, once ended.
    While an attempt is at hand, `issued` holds the completion ids of the journal's commands with these commands' types,
    and `known` the outcome of each notification by its id; `hint` is what the attempt says that it only waits for.
    """

    number: int
    id: InvocationId
    target: Target
    service_type: ServiceType
    handler_type: HandlerType | None
    status: Status
    created_at_ms: int
    modified_at_ms: int
    idempotency_key: str | None = None
    caller_id: InvocationId | None = None
    execute_at_ms: int = 0
    place: int = 0
    completed_at_ms: int | None = None
    deployment_id: str | None = None
    protocol_version: int = 0
    awaiting: pb.Future | None = None
    waiters: list[Waiter] = field(default_factory=list[Waiter])
    output: pb.OutputCommandMessage | None = None
    last_failure: LastFailure | None = None
    limit_key: str | None = None
    priority: int = 0
    caller_target: str | None = None
    restarted_from: InvocationId | None = None
    schedule_id: str | None = None
    created_by: str | None = None
    inboxed_at_ms: int | None = None
    running_at_ms: int | None = None
    retention_ms: int = 0
    journal_retention_ms: int = 0
    expires_at_ms: int | None = None
    paused_by: PausedBy | None = None
    seeded_by: InvocationId | None = None

    journal_length: int = 0
    attempt: int = 0
    failures: int = 0
    stored_at_ms: int = 0
    retry_at_ms: int | None = None
    input: Envelope | None = None
    issued: dict[int, int] = field(default_factory=dict[int, int])
    known: dict[int | str, bool] = field(default_factory=dict[int | str, bool])
    hint: pb.Future | None = None

    @property
    def exclusive(self) -> bool:
        """Whether it needs its key for itself. A workflow's main handler does not: it exists once by its id."""
        return self.handler_type == "EXCLUSIVE"

    def forget_replay(self) -> None:
        """No attempt is at hand any more: what was known of its journal can be read again."""
        self.issued.clear()
        self.known.clear()
        self.hint = None

    @property
    def object_key(self) -> tuple[str, str, str]:
        """Scope, service and key: what an exclusive handler needs for itself, and what state belongs to."""
        return self.target.scope or "", self.target.service, self.target.key or ""

    @property
    def standing(self) -> Place:
        """Where it waits for a slot while it is ready: the same from then until it starts."""
        target = self.target
        lane = Lane(target.service, target.handler, self.deployment_id or "", target.scope or "", self.limit_key or "")
        return Place(lane, self.priority, self.running_at_ms is not None)

    def advance(self, step: Step, now_ms: int) -> None:
        """Take a step of the lifecycle; one that the table lacks is a bug of ours."""
        after = LIFECYCLE.get((self.status, step))
        assert after is not None, f"{self.id} is {self.status} and cannot have {step}"
        self.status = after
        self.paused_by = _PAUSED_BY.get(step)
        self.modified_at_ms = now_ms


def signal_key(signal: int | str) -> str:
    """The key of a signal in `known`, apart from completions, which are keyed by their number."""
    return f"#{signal}" if isinstance(signal, int) else f"={signal}"
