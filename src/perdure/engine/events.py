"""All that may come in: events, in the past tense, one class each. The processor applies them one at a time.

A `request` is a number that the cycle gives to somebody outside who waits; the answer comes as an effect.
"""

from typing import TypeAlias

from msgspec import Struct

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


class Failure(Struct, frozen=True):
    """How an invocation failed for good."""

    code: int
    message: str
    metadata: dict[str, str] | None = None


class Outcome(Struct, frozen=True):
    """What an invocation came to. `new`: the request that asked also began it."""

    invocation_id: InvocationId
    value: bytes | None = None
    failure: Failure | None = None
    new: bool = True


class Accepted(Struct, frozen=True):
    """An invocation was taken in, or (`new` false) had been before."""

    invocation_id: InvocationId
    new: bool
    executes_at_ms: int | None = None


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
    """An attempt has a slot; its Start message goes out."""

    number: int
    attempt: int


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
    """Somebody outside completes an awakeable, or cancels (signal 1 with no value)."""

    request: int
    invocation_id: InvocationId
    signal: int | str
    value: bytes | None = None
    failure: Failure | None = None


class KillRequested(Struct, frozen=True):
    """An operator ends an invocation, and those that it waits for, at once."""

    request: int
    invocation_id: InvocationId


class ResumeRequested(Struct, frozen=True):
    """An operator wants a paused, suspended or backing-off invocation to be tried now."""

    request: int
    invocation_id: InvocationId


class SettingsChanged(Struct, frozen=True):
    """Settings were changed by whoever keeps them in memory; each (kind, name, record) is to be kept, None removed."""

    request: int
    changes: tuple[tuple[str, str, bytes | None], ...]


class ScheduleTriggered(Struct, frozen=True):
    """Somebody wants what a schedule starts to be started now."""

    request: int
    schedule_id: str


class DeploymentRegistered(Struct, frozen=True):
    """The registry took in a deployment (new, or with a new manifest); it is to be kept."""

    request: int
    deployment_id: str
    record: bytes


Event: TypeAlias = (
    MessageReceived
    | Submitted
    | AttemptStarted
    | AttemptFailed
    | AttemptInterrupted
    | AttachRequested
    | TimersDue
    | SignalSent
    | KillRequested
    | ResumeRequested
    | SettingsChanged
    | ScheduleTriggered
    | DeploymentRegistered
)
