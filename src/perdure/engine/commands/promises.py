"""Durable promises: a workflow's, completed once, by name."""

from perdure.engine.batch import Promise
from perdure.engine.commands.rejection import CommandRejected
from perdure.engine.invocation import Invocation, Waiter
from perdure.engine.ledger import Ledger
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import Envelope, MessageType


def on_get_promise(ledger: Ledger, invocation: Invocation, envelope: Envelope) -> None:
    """Answer with the promise's result as soon as it has one."""
    command = envelope.message
    assert isinstance(command, pb.GetPromiseCommandMessage)
    promise = _promise(ledger, invocation, command.key)
    ledger.append(invocation, envelope)
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
    ledger.append(invocation, envelope)
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
    ledger.append(invocation, envelope)
    if promise.result is not None:
        answer.failure.CopyFrom(pb.Failure(code=409, message=f"promise {command.key} was completed before"))
        ledger.notify(invocation, MessageType.COMPLETE_PROMISE_COMPLETION, answer)
        return
    promise.result = result
    waiters, promise.waiters = promise.waiters, []
    answer.void.SetInParent()
    ledger.notify(invocation, MessageType.COMPLETE_PROMISE_COMPLETION, answer)
    for waiter in waiters:
        waiting = ledger.find_number(waiter.number)
        if waiting is not None:
            _answer(ledger, waiting, waiter.completion_id, result, MessageType(waiter.type))


def _promise(ledger: Ledger, invocation: Invocation, name: str) -> Promise:
    if invocation.service_type != "WORKFLOW":
        raise CommandRejected(f"{invocation.target} is no workflow: only workflows have promises")
    return ledger.promise((*invocation.object_key, name))


def _answer(
    ledger: Ledger, invocation: Invocation, completion_id: int, result: pb.NotificationMessage, type: MessageType
) -> None:
    answer = pb.NotificationMessage(completion_id=completion_id)
    answer.MergeFrom(result)
    ledger.notify(invocation, type, answer)
