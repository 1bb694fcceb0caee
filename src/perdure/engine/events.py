"""All that may come in: events, in the past tense, one class each. The processor applies them one at a time.

A `request` is a number that the cycle gives to somebody outside who waits; the answer comes as an effect.
"""

from typing import TypeAlias

from msgspec import Struct

from perdure.engine.answers import Failure
from perdure.protocol.ids import InvocationId
from perdure.protocol.messages import Envelope


class Target(Struct, frozen=True):
    """What is called: a handler of a service, with the key if the service is a virtual object or workflow.

    The scope is part of the identity: an object of the same key in another scope is another object.
    """

    service: str
    handler: str
    key: str | None = None
    scope: str | None = None

    def __str__(self) -> str:
        return "/".join(part for part in (self.service, self.key, self.handler) if part is not None)


class Submitted(Struct, frozen=True):
    """A caller outside wants an invocation. With `wants_outcome`, it waits until the invocation has ended."""

    request: int
    invocation_id: InvocationId
    target: Target
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    idempotency_key: str | None = None
    execute_at_ms: int = 0
    wants_outcome: bool = False
    limit_key: str | None = None


class AttachRequested(Struct, frozen=True):
    """A caller outside waits for an invocation that exists."""

    request: int
    invocation_id: InvocationId


class MessageReceived(Struct, frozen=True):
    """A service said something in an attempt. Stale if that attempt is over."""

    number: int
    attempt: int
    envelope: Envelope


class AttemptStarted(Struct, frozen=True):
    """An invocation has its slots; the Start message of its next attempt goes out."""

    number: int


class AttemptFailed(Struct, frozen=True):
    """An attempt ended without having suspended or finished.

    `retry_delay_ms`: the delay that the service asked for, which takes the place of the policy's.
    """

    number: int
    attempt: int
    code: int
    message: str
    stacktrace: str = ""
    command_index: int | None = None
    command_name: str | None = None
    command_type: int | None = None
    retry_delay_ms: int | None = None
    behavior: int = 0


class AttemptInterrupted(Struct, frozen=True):
    """An attempt was cut by us (the engine stops): nobody's failure, it is made again later."""

    number: int
    attempt: int


class TimersDue(Struct, frozen=True):
    """Time has come for the timers up to now; at most `limit` of them fire with this event."""

    limit: int = 500


class SignalSent(Struct, frozen=True):
    """Somebody outside completes an awakeable, or gives a named signal."""

    request: int
    invocation_id: InvocationId
    signal: int | str
    value: bytes | None = None
    failure: Failure | None = None


class PromiseCompleted(Struct, frozen=True):
    """Somebody outside completes a workflow's promise, also of one that has not been submitted yet."""

    request: int
    service: str
    key: str
    name: str
    result: bytes | Failure
    scope: str | None = None


class CancelRequested(Struct, frozen=True):
    """An operator asks an invocation to end, and has it killed if it goes on for so long."""

    request: int
    invocation_id: InvocationId
    kill_after_ms: int | None = None


class KillRequested(Struct, frozen=True):
    """An operator ends an invocation, and those that it waits for, at once."""

    request: int
    invocation_id: InvocationId


class PauseRequested(Struct, frozen=True):
    """An operator wants no more attempts at an invocation until it is resumed."""

    request: int
    invocation_id: InvocationId


class ResumeRequested(Struct, frozen=True):
    """An operator wants a paused, suspended or backing-off invocation to be tried now.

    `deployment`: `keep` (the one it is pinned to), `latest`, or an id.
    """

    request: int
    invocation_id: InvocationId
    deployment: str = "keep"


class RestartRequested(Struct, frozen=True):
    """An operator wants an invocation that has ended again, as a new one, from after the entry `from_entry` on.

    `deployment`: `latest`, `keep` (that of the old one), or an id.
    """

    request: int
    invocation_id: InvocationId
    from_entry: int
    deployment: str


class PurgeRequested(Struct, frozen=True):
    """An operator wants an invocation that has ended to be forgotten, or its journal only."""

    request: int
    invocation_id: InvocationId
    journal_only: bool


class StatePatched(Struct, frozen=True):
    """An operator replaces the state of an object: a `Mutation`, encoded."""

    request: int
    key: tuple[str, str, str]
    mutation: bytes


class CommitAwaited(Struct, frozen=True):
    """Somebody wants to go on when all that was applied before is committed."""

    request: int


Setting: TypeAlias = tuple[str, str, bytes | None]
"""Kind, name and record; None takes it out of the store."""


class SettingsChanged(Struct, frozen=True):
    """Settings were changed by whoever keeps them in memory: they are to be stored."""

    request: int
    changes: tuple[Setting, ...]


class ScheduleTriggered(Struct, frozen=True):
    """Somebody wants what a schedule starts to be started now."""

    request: int
    schedule_id: str


class DeploymentChanged(Struct, frozen=True):
    """The registry took in a deployment, new or changed, or (record None) let go of one; that is to be stored."""

    request: int
    deployment_id: str
    record: bytes | None
    settings: tuple[Setting, ...] = ()


Event: TypeAlias = (
    MessageReceived
    | Submitted
    | AttemptStarted
    | AttemptFailed
    | AttemptInterrupted
    | AttachRequested
    | TimersDue
    | SignalSent
    | PromiseCompleted
    | CancelRequested
    | KillRequested
    | PauseRequested
    | ResumeRequested
    | RestartRequested
    | PurgeRequested
    | StatePatched
    | CommitAwaited
    | SettingsChanged
    | ScheduleTriggered
    | DeploymentChanged
)
