"""The errors of perdure, in one tree; a class is what a caller would do differently.

PerdureError
├── UsageError                 the request or the code is wrong; the message says what to change     400
│   ├── UnknownTarget          no such service or handler is deployed                                404
│   │   └── ServiceDrained     only deployments have it that take nothing new                        404
│   ├── UnknownInvocation      no such invocation                                                    404
│   ├── UnknownDeployment      no such deployment                                                    404
│   │   └── DeploymentGone     an invocation began on one that was removed                           404
│   ├── UnknownSchedule        no such schedule                                                      404
│   ├── InvalidInput           the body does not fit the handler's input                             400
│   ├── Conflict               the thing is there, in a state that does not allow it                 409
│   ├── JournalGone            what an invocation was called with is no longer kept                  410
│   ├── NotRestartable         this kind of invocation cannot be restarted                           422
│   ├── TooEarly               the invocation has not begun yet                                      425
│   ├── NotOffered             the open interface has it, this engine does not                       501
│   ├── TooLarge               a body above its limit                                                413
│   ├── Unauthenticated        the request's signature is missing, stale, or of an unknown engine    401
│   ├── DeploymentRejected     an endpoint's manifest cannot be accepted                       400, 409
│   └── NotInHandler           a context was asked for outside of a handler
├── ProtocolError
│   ├── LocalProtocolError     our own side broke the service protocol: a bug here
│   └── RemoteProtocolError    the peer broke it: the attempt fails and is made again
├── TransportError             the connection to a service failed: the attempt is made again
├── PortUnavailable            a port to listen on cannot be had: choose another, or stop who has it
├── StoreError                 the store cannot be read or written: the engine stops
│   └── StoreLocked            another engine holds it
├── Overloaded                 more wait already than may: ask again later                           429
└── EngineStopping             the engine shuts down; ask again later                                503

TerminalError                  raised by handlers: recorded, given to the caller, never retried
├── Cancelled                  the invocation itself was cancelled                               409
├── TimedOut                   what was awaited with a `timeout` did not come in time                408
└── AllFailed                  `first_succeeded` found no success
RetryableError                 raised by handlers: the attempt is made again, after the given delay
SdkInternalBaseException       control flow of the SDK (a BaseException): handlers must let it pass
├── SuspendedException         the attempt ends here and goes on later
└── SdkInternalException       the attempt ends here: it failed

What only one part raises is defined there, as one of these. Callers meet, as a PerdureError, of clients `HttpError` and
`InvocationFailed` (`sdk/client_errors.py`), of replay `JournalMismatch` (`sdk/journal.py`), of models
`ModelUnavailable` (`llm/weights.py`), of the CLI `EngineUnreachable`, `RequestRefused` (`cli/remote.py`) and
`ImportFailed` (`cli/exits.py`). As an HTTP status only they see `NoSuchPath`, `TooSlow`, `UnsupportedMediaType`,
`BadQuery`, `TooManyQueries` and `QueryFailed` (`server/`).
"""

import errno
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import timedelta
from difflib import get_close_matches

_COMPARED_MAX = 100
_NAME_COMPARED_MAX = 500


class PerdureError(Exception):
    """Base of all errors that are perdure's own. `http_status` is what an HTTP edge answers with."""

    http_status = 500


class UsageError(PerdureError):
    """The request, or the code that calls us, is wrong. Asking again the same way gives the same answer."""

    http_status = 400


class UnknownTarget(UsageError):
    """No deployment has the handler that was asked for; the message names what is near of what is `known`, sorted."""

    http_status = 404

    def __init__(self, target: str, known: Sequence[str]) -> None:
        near = known
        if len(known) > _COMPARED_MAX:  # anybody may ask for what is not there: of however many, few are compared
            first = max(0, bisect_left(known, target) - _COMPARED_MAX // 2)
            near = known[first : first + _COMPARED_MAX]
        close = get_close_matches(target[:_NAME_COMPARED_MAX], near, n=1, cutoff=0.75)
        if close:
            hint = f"Did you mean {close[0]}?"
        elif known:
            shown = ", ".join(known[:20])
            hint = f"What exists: {shown}{' and more' if len(known) > 20 else ''}."
        else:
            hint = "Nothing that can be called is deployed yet: `perdure deployments register URL` adds a deployment."
        super().__init__(f"no {target} in any deployment. {hint}")


class UnknownInvocation(UsageError):
    """The engine has no invocation with this id, or no longer."""

    http_status = 404

    def __init__(self, invocation_id: str) -> None:
        super().__init__(f"no invocation {invocation_id}: it never was, or was purged")


class UnknownDeployment(UsageError):
    """The engine has no deployment with this id."""

    http_status = 404

    def __init__(self, deployment_id: str) -> None:
        super().__init__(f"no deployment {deployment_id}: `perdure deployments list` shows what is registered")


class UnknownSchedule(UsageError):
    """The engine has no schedule with this id."""

    http_status = 404

    def __init__(self, schedule_id: str) -> None:
        super().__init__(f"no schedule {schedule_id!r}: `perdure schedules list` shows what there is")


class DeploymentGone(UnknownDeployment):
    """An invocation is pinned to a deployment that was removed."""

    def __init__(self, deployment_id: str, invocation_id: str) -> None:
        UsageError.__init__(
            self,
            f"deployment {deployment_id}, on which it began, was removed: `perdure invocations resume {invocation_id} "
            "--deployment latest` lets it go on elsewhere, if the code there fits its journal",
        )


class ServiceDrained(UnknownTarget):
    """The deployments that have a service take no new invocations."""

    def __init__(self, service: str, draining: Sequence[str]) -> None:
        UsageError.__init__(
            self,
            f"service {service} takes no new invocations: {', '.join(draining)} is being drained, and no other "
            "deployment has it. Register one that does, or the same again to end the draining.",
        )


class InvalidInput(UsageError):
    """The body does not fit what the handler takes; the message says where."""


class Conflict(UsageError):
    """The thing exists, in a state that does not allow what was asked."""

    http_status = 409


class JournalGone(UsageError):
    """The journal of an invocation that has ended is no longer kept."""

    http_status = 410


class NotRestartable(UsageError):
    """This kind of invocation cannot be restarted."""

    http_status = 422


class TooEarly(UsageError):
    """The invocation has not begun, so there is nothing yet to do this to."""

    http_status = 425


class NotOffered(UsageError):
    """The open interface has it, and this engine does not; the message names what there is instead."""

    http_status = 501


class TooLarge(UsageError):
    """A body above its limit."""

    http_status = 413


class Unauthenticated(UsageError):
    """A request to a service is not signed by an engine that it knows, or not for this time and path."""

    http_status = 401


class NotInHandler(UsageError):
    """Something that needs a handler's context was used outside of one."""


class ProtocolError(PerdureError):
    """The service protocol was broken."""


class LocalProtocolError(ProtocolError):
    """We were about to break the service protocol ourselves: a bug in perdure."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the service protocol."""


class TransportError(PerdureError):
    """A connection to a service could not be made, or broke.

    `retry_after_ms` is the delay that the peer asked for, if it did (429 and 503 with Retry-After).
    """

    def __init__(self, message: str, *, retry_after_ms: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_ms = retry_after_ms


class DeploymentRejected(UsageError):
    """What an endpoint says of itself cannot be accepted; `restate_code` is the open interface's code."""

    def __init__(self, message: str, *, restate_code: str | None = None, http_status: int = 400) -> None:
        super().__init__(message)
        self.restate_code = restate_code
        self.http_status = http_status


class PortUnavailable(PerdureError):
    """A port to listen on cannot be bound, mostly because another process has it."""

    def __init__(self, host: str, port: int, cause: OSError) -> None:
        if cause.errno == errno.EADDRINUSE:
            why = "another process listens there. Stop it, or choose another port (0 takes a free one)"
        else:
            why = (cause.strerror or str(cause)).lower()
        super().__init__(f"cannot listen on {host}:{port}: {why}")


class StoreError(PerdureError):
    """The store cannot be read or written. Nothing of the batch at hand was written."""


class StoreLocked(StoreError):
    """Another engine holds the store."""


class Overloaded(PerdureError):
    """More wait to begin than a backlog allows. Nothing was taken in: asking again after a while is safe."""

    http_status = 429

    def __init__(self, message: str, *, retry_after_ms: int) -> None:
        super().__init__(message)
        self.retry_after_ms = retry_after_ms


class EngineStopping(PerdureError):
    """The engine is shutting down and takes nothing new."""

    http_status = 503


def text_of(value: object) -> str:
    """`str(value)`, also of what has a broken one: what is told of an error must not be another error."""
    if type(value) is str:
        return value
    try:
        return str(value)
    except Exception:  # noqa: BLE001  the value is user code's
        return f"<{type(value).__name__} whose str() fails>"


class TerminalError(Exception):
    """Ends an invocation (or a run) in failure, with no retry. The caller sees message, code and metadata.

    Raise it from a handler for what no retry can mend. A message that is no text, such as the exception that was
    caught, becomes its `str()`. `metadata` needs protocol version 6 or later.
    """

    def __init__(self, message: object, status_code: int = 500, metadata: Mapping[str, str] | None = None) -> None:
        self.message = text_of(message)
        super().__init__(self.message)
        self.status_code = status_code
        self.metadata: dict[str, str] | None = dict(metadata) if metadata else None


class Cancelled(TerminalError):
    """The invocation was cancelled; raised where it waits. What it does from here on is to clean up."""

    def __init__(self) -> None:
        super().__init__("cancelled", 409)


class TimedOut(TerminalError):
    """What a handler waited for with a `timeout` did not come in time; the message says what, and how long it was."""

    def __init__(self, message: object) -> None:
        super().__init__(message, 408)


class AllFailed(TerminalError):
    """`first_succeeded` found no success. Its status code is that of all failures, if they have one in common."""

    def __init__(self, failures: Sequence[TerminalError]) -> None:
        self.failures = list(failures)
        told = "; ".join(f"{failure.status_code} {failure.message}" for failure in failures)
        codes = {failure.status_code for failure in failures}
        super().__init__(f"all {len(failures)} failed: {told}", codes.pop() if len(codes) == 1 else 500)


class RetryableError(Exception):
    """Fails the attempt; the engine makes it again, after `retry_after` when given, else by its policy."""

    def __init__(self, message: object, status_code: int = 500, retry_after: timedelta | None = None) -> None:
        self.message = text_of(message)
        super().__init__(self.message)
        self.status_code = status_code
        self.retry_after = retry_after


class SdkInternalBaseException(BaseException):
    """Control flow between the SDK and itself. A handler that catches it must raise it again."""


class SuspendedException(SdkInternalBaseException):
    """The attempt ends at this await; a later one goes on from here."""


class SdkInternalException(SdkInternalBaseException):
    """The attempt failed (journal mismatch, protocol violation, lost connection) and ends at this await."""


def is_internal_exception(error: BaseException | None) -> bool:
    """Whether `error` is the SDK's control flow, itself or as the cause of what wraps it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, SdkInternalBaseException):
            return True
        seen.add(id(error))  # a chain of causes may be a circle
        error = error.__cause__ or error.__context__
    return False
