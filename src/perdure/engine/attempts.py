"""What becomes of an invocation when an attempt at it starts, fails, or is cut."""

import logging

from msgspec.structs import replace

from perdure.engine import lifecycle
from perdure.engine.effects import StopAttempt
from perdure.engine.events import AttemptFailed, AttemptInterrupted, AttemptStarted
from perdure.engine.invocation import Invocation, LastFailure, Status, Step
from perdure.engine.ledger import Ledger
from perdure.engine.retries import next_delay_ms
from perdure.engine.ways_on import after_mismatch
from perdure.errors import UnknownDeployment, UnknownTarget
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.failure_codes import JOURNAL_MISMATCH
from perdure.protocol.ids import DeploymentId
from perdure.times import bounded_ms

logger = logging.getLogger(__name__)


def on_started(ledger: Ledger, event: AttemptStarted) -> None:
    """An attempt has its slots. It takes place only if the invocation is still ready for it."""
    invocation = ledger.find_number(event.number)
    if invocation is None or invocation.status is not Status.READY:
        return
    ledger.last_attempt += 1
    invocation.attempt = ledger.last_attempt
    invocation.advance(Step.STARTED, ledger.now_ms)
    if invocation.running_at_ms is None:
        invocation.running_at_ms = ledger.now_ms
    ledger.keep(invocation)
    lifecycle.pin(ledger, invocation)


def on_failed(ledger: Ledger, event: AttemptFailed) -> None:
    """The attempt failed: back off, pause or end, by what the service asked for, else by the retry policy.

    A journal that no longer fits the code pauses at once: to try again would find the same.
    """
    invocation = ledger.running(event.number, event.attempt)
    if invocation is None:
        return
    if event.code == JOURNAL_MISMATCH and event.behavior != pb.FAIL:
        event = replace(event, message=f"{event.message}\n{after_mismatch(invocation, ledger.registry)}")
    invocation.attempt = 0
    invocation.failures += 1
    invocation.last_failure = LastFailure(
        event.code,
        event.message,
        ledger.now_ms,
        event.stacktrace,
        event.command_index,
        event.command_name,
        event.command_type,
    )
    ledger.note(
        invocation,
        "TransientError",
        {
            "error_code": event.code,
            "error_message": event.message,
            "error_stacktrace": event.stacktrace or None,
            "restate_doc_error_code": None,
            "related_command_index": event.command_index,
            "related_command_name": event.command_name,
            "related_command_type": event.command_type,
        },
    )
    if event.behavior == pb.FAIL:
        lifecycle.fail(ledger, invocation, event.code, event.message)
    elif event.behavior == pb.PAUSE or event.code == JOURNAL_MISMATCH:
        invocation.advance(Step.GAVE_UP, ledger.now_ms)
        ledger.touch(invocation)
    else:
        _try_again(ledger, invocation, event)
    invocation.forget_replay()
    _log(ledger, invocation, event)


def _log(ledger: Ledger, invocation: Invocation, event: AttemptFailed) -> None:
    said = event.message
    if invocation.status is not Status.PAUSED or event.code != JOURNAL_MISMATCH:  # whose message says what follows
        said += ("\n" if "\n" in said else "; ") + _what_follows(ledger, invocation)
    logger.warning(
        "attempt at %s failed (%s): %s",
        invocation.target,
        invocation.id,
        said,
        extra={"action": "attempt_failed", "invocation_id": invocation.id, "code": event.code},
    )


def _what_follows(ledger: Ledger, invocation: Invocation) -> str:
    if invocation.retry_at_ms is not None:
        return f"the next attempt is in {(invocation.retry_at_ms - ledger.now_ms) / 1000:g} s"
    if invocation.status is Status.PAUSED:
        return f"it is paused: `perdure invocations resume {invocation.id}` tries it again"
    return "it has failed for good"


def _try_again(ledger: Ledger, invocation: Invocation, event: AttemptFailed) -> None:
    policy = ledger.registry.defaults.retry_policy
    if invocation.deployment_id is not None:
        target = invocation.target
        try:
            resolved = ledger.registry.resolve_pinned(
                DeploymentId(invocation.deployment_id), target.service, target.handler
            )
            policy = resolved.options.retry_policy
        except (UnknownDeployment, UnknownTarget):
            pass  # the deployment lost the handler, and with it its own policy
    delay_ms = event.retry_delay_ms
    if delay_ms is None:
        delay_ms = next_delay_ms(policy, invocation.failures)
    if delay_ms is None and policy.on_max_attempts == "KILL":
        lifecycle.fail(ledger, invocation, event.code, event.message)
    elif delay_ms is None:
        invocation.advance(Step.GAVE_UP, ledger.now_ms)
        ledger.touch(invocation)
    else:
        invocation.advance(Step.FAILED, ledger.now_ms)
        invocation.retry_at_ms = ledger.now_ms + bounded_ms(delay_ms)
        ledger.last_attempt += 1
        invocation.attempt = ledger.last_attempt
        ledger.touch(invocation)
        ledger.timers.add((invocation.retry_at_ms, invocation.number, -invocation.attempt))


def on_retry_due(ledger: Ledger, number: int, attempt: int) -> None:
    """The back-off is over, unless somebody resumed the invocation before."""
    invocation = ledger.find_number(number)
    if invocation is not None and invocation.status is Status.BACKING_OFF and invocation.attempt == attempt:
        lifecycle.make_ready(ledger, invocation, Step.RESUMED)


def on_interrupted(ledger: Ledger, event: AttemptInterrupted) -> None:
    """We cut the attempt ourselves, since the engine stops: the next engine on this store makes it again."""
    invocation = ledger.running(event.number, event.attempt)
    if invocation is not None:
        invocation.attempt = 0
        invocation.advance(Step.RESUMED, ledger.now_ms)


def reject(ledger: Ledger, invocation: Invocation, code: int, message: str) -> None:
    """Drop the running attempt for its peer's mistake; the retry policy says what comes next."""
    ledger.batch.effects.append(StopAttempt(invocation.number, invocation.attempt))
    on_failed(ledger, AttemptFailed(invocation.number, invocation.attempt, code, message))
