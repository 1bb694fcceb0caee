"""The processor: one event at a time, from outside into the ledger. It looks up and dispatches, nothing else."""

from collections.abc import Callable
from typing import TypeVar, assert_never

from perdure.engine import attempts, due, firing, interventions, operations
from perdure.engine.answers import Answer
from perdure.engine.commands import MESSAGES, CommandRejected, promises
from perdure.engine.effects import Respond
from perdure.engine.events import (
    AttachRequested,
    AttemptFailed,
    AttemptInterrupted,
    AttemptStarted,
    CancelRequested,
    CommitAwaited,
    DeploymentChanged,
    Event,
    KillRequested,
    MessageReceived,
    PauseRequested,
    PromiseCompleted,
    PurgeRequested,
    RestartRequested,
    ResumeRequested,
    ScheduleTriggered,
    SettingsChanged,
    SignalSent,
    StatePatched,
    Submitted,
    TimersDue,
)
from perdure.engine.ledger import Ledger
from perdure.engine.replay import check_command, issue
from perdure.errors import PerdureError, RemoteProtocolError
from perdure.protocol.failure_codes import PROTOCOL_VIOLATION
from perdure.protocol.messages import MessageType, is_command


class Processor:
    """The single writer. What comes of an event lies in the ledger's batch."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def recover(self, now_ms: int) -> None:
        """Start again what was running, or about to run, when the last engine on this store ended."""
        ledger = self.ledger
        ledger.now_ms = now_ms
        for number, place in ledger.reader.ready():
            ledger.flow.queue(number, place)

    def apply(self, event: Event, now_ms: int) -> None:
        """Take in one event.

        A peer's mistake fails its attempt, a caller's is told to the caller; an exception that leaves here is a bug
        of ours or a broken store, and the engine stops.
        """
        ledger = self.ledger
        ledger.now_ms = now_ms
        match event:
            case MessageReceived():
                _on_message(ledger, event)
            case Submitted():
                operations.on_submitted(ledger, event)
            case AttemptStarted():
                attempts.on_started(ledger, event)
            case AttemptFailed():
                attempts.on_failed(ledger, event)
            case AttemptInterrupted():
                attempts.on_interrupted(ledger, event)
            case TimersDue():
                due.on_timers_due(ledger, event)
            case SignalSent():
                operations.on_signal(ledger, event)
            case PromiseCompleted():
                promises.on_promise_completed(ledger, event)
            case AttachRequested():
                operations.on_attach(ledger, event)
            case CancelRequested():
                _answer(ledger, event, interventions.on_cancel)
            case KillRequested():
                _answer(ledger, event, interventions.on_kill)
            case PauseRequested():
                _answer(ledger, event, interventions.on_pause)
            case ResumeRequested():
                _answer(ledger, event, interventions.on_resume)
            case RestartRequested():
                _answer(ledger, event, interventions.on_restart)
            case PurgeRequested():
                _answer(ledger, event, interventions.on_purge)
            case StatePatched():
                _answer(ledger, event, interventions.on_state_patched)
            case CommitAwaited():
                ledger.batch.effects.append(Respond(event.request, None))
            case SettingsChanged():
                ledger.batch.change_settings(event.changes)
                ledger.batch.effects.append(Respond(event.request, None))
            case ScheduleTriggered():
                firing.on_triggered(ledger, event)
            case DeploymentChanged():
                ledger.batch.deployments[event.deployment_id] = event.record
                ledger.batch.change_settings(event.settings)
                ledger.batch.effects.append(Respond(event.request, None))
            case _:
                assert_never(event)


Asked = TypeVar(
    "Asked",
    CancelRequested,
    KillRequested,
    PauseRequested,
    ResumeRequested,
    RestartRequested,
    PurgeRequested,
    StatePatched,
)


def _answer(ledger: Ledger, event: Asked, act: Callable[[Ledger, Asked], Answer]) -> None:
    """Have it done, and tell whoever asked what came of it."""
    try:
        answer = act(ledger, event)
    except PerdureError as error:
        answer = error
    ledger.batch.effects.append(Respond(event.request, answer))


def _on_message(ledger: Ledger, event: MessageReceived) -> None:
    invocation = ledger.running(event.number, event.attempt)
    if invocation is None:
        return
    handler = MESSAGES.get(event.envelope.type)
    try:
        if handler is None:
            raise RemoteProtocolError(f"a service may not send {MessageType(event.envelope.type).name} messages")
        if is_command(event.envelope.type):
            invocation.hint = None
            check_command(invocation, event.envelope.message)
            handler(ledger, invocation, event.envelope)
            issue(invocation, event.envelope)
        else:
            handler(ledger, invocation, event.envelope)
    except CommandRejected as error:
        attempts.reject(ledger, invocation, error.code, str(error))
    except RemoteProtocolError as error:
        attempts.reject(ledger, invocation, PROTOCOL_VIOLATION, str(error))
