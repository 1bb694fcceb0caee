"""Durable promises: a workflow's, completed once, by name, by its handlers or from outside."""

from perdure.engine import journaling, lifecycle
from perdure.engine.answers import Failure
from perdure.engine.batch import Promise
from perdure.engine.commands.rejection import CommandRejected
from perdure.engine.effects import Respond
from perdure.engine.events import PromiseCompleted
from perdure.engine.invocation import Invocation, Waiter
from perdure.engine.ledger import Ledger
from perdure.errors import Conflict, PerdureError, UsageError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.ids import workflow_invocation_id
from perdure.protocol.messages import Envelope, MessageType

ALREADY_COMPLETED = 409


def on_get_promise(ledger: Ledger, invocation: Invocation, envelope: Envelope) -> None:
    """Answer with the promise's result as soon as it has one."""
    command = envelope.message
    assert isinstance(command, pb.GetPromiseCommandMessage)
    promise = _promise(ledger, invocation, command.key)
    journaling.append(ledger, invocation, envelope)
    if promise.result is None:
        promise.waiters.append(
            Waiter(invocation.number, command.result_completion_id, MessageType.GET_PROMISE_COMPLETION)
        )
    else:
        _answer(ledger, invocation, command.result_completion_id, promise.result, MessageType.GET_PROMISE_COMPLETION)


def on_peek_promise(ledger: Ledger, invocation: Invocation, envelope: Envelope) -> None:
    """Answer now: with the result, or with nothing."""
    command = envelope.message
    assert isinstance(command, pb.PeekPromiseCommandMessage)
    promise = _promise(ledger, invocation, command.key)
    journaling.append(ledger, invocation, envelope)
    result = promise.result or pb.NotificationMessage(void=pb.Void())
    _answer(ledger, invocation, command.result_completion_id, result, MessageType.PEEK_PROMISE_COMPLETION)


def on_complete_promise(ledger: Ledger, invocation: Invocation, envelope: Envelope) -> None:
    """Complete a promise: the first wins, later ones get a 409."""
    command = envelope.message
    assert isinstance(command, pb.CompletePromiseCommandMessage)
    promise = _promise(ledger, invocation, command.key)
    answer = pb.NotificationMessage(completion_id=command.result_completion_id)
    result = pb.NotificationMessage()
    match command.WhichOneof("completion"):
        case "completion_value":
            result.value.CopyFrom(command.completion_value)
        case "completion_failure":
            result.failure.CopyFrom(command.completion_failure)
        case _:
            raise CommandRejected(f"promise {command.key} is completed with neither value nor failure")
    journaling.append(ledger, invocation, envelope)
    is_first = promise.result is None
    if is_first:
        answer.void.SetInParent()
    else:
        answer.failure.CopyFrom(pb.Failure(code=ALREADY_COMPLETED, message=_completed_before(promise)))
    lifecycle.notify(ledger, invocation, MessageType.COMPLETE_PROMISE_COMPLETION, answer)
    if is_first:
        _complete(ledger, promise, result)


def on_promise_completed(ledger: Ledger, event: PromiseCompleted) -> None:
    """Complete a promise for somebody outside, who is told if that came too late."""
    answer: PerdureError | None = None
    try:
        manifest = ledger.registry.service(event.service).manifest
        if manifest.ty != "WORKFLOW":
            raise UsageError(f"{event.service} is no workflow: only workflows have promises")
        promise = ledger.promises.of((event.scope or "", event.service, event.key, event.name))
        if promise.result is not None:
            raise Conflict(_completed_before(promise))
        result = pb.NotificationMessage()
        if isinstance(event.result, Failure):
            result.failure.CopyFrom(pb.Failure(code=event.result.code, message=event.result.message))
        else:
            result.value.content = event.result
        _complete(ledger, promise, result)
    except PerdureError as error:
        answer = error
    ledger.batch.effects.append(Respond(event.request, answer))


def _complete(ledger: Ledger, promise: Promise, result: pb.NotificationMessage) -> None:
    promise.result = result
    scope, service, key, _ = promise.key
    if ledger.find(workflow_invocation_id(service, key, scope or None)) is None:
        # It waits for its workflow as long as results are kept, or it would be kept for ever if that never comes.
        promise.expires_at_ms = ledger.now_ms + ledger.registry.defaults.retention_ms
    waiters, promise.waiters = promise.waiters, []
    for waiter in waiters:
        waiting = ledger.find_number(waiter.number)
        if waiting is not None:
            _answer(ledger, waiting, waiter.completion_id, result, MessageType(waiter.type))


def _completed_before(promise: Promise) -> str:
    return f"promise {promise.key[-1]} was completed before"


def _promise(ledger: Ledger, invocation: Invocation, name: str) -> Promise:
    if invocation.service_type != "WORKFLOW":
        raise CommandRejected(f"{invocation.target} is no workflow: only workflows have promises")
    return ledger.promises.of((*invocation.object_key, name))


def _answer(
    ledger: Ledger, invocation: Invocation, completion_id: int, result: pb.NotificationMessage, type: MessageType
) -> None:
    answer = pb.NotificationMessage(completion_id=completion_id)
    answer.MergeFrom(result)
    lifecycle.notify(ledger, invocation, type, answer)
