"""How an attempt ends by itself: with a result, by suspending, or with an error."""

from perdure.engine import attempts, journaling, lifecycle
from perdure.engine.events import AttemptFailed
from perdure.engine.invocation import Invocation, Step
from perdure.engine.ledger import Ledger
from perdure.engine.waiting import awaited_future, settle
from perdure.errors import RemoteProtocolError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import Envelope


def on_output(ledger: Ledger, invocation: Invocation, envelope: Envelope) -> None:
    """Journal the result; it counts once the service says that it has ended."""
    command = envelope.message
    assert isinstance(command, pb.OutputCommandMessage)
    if command.WhichOneof("result") is None:
        raise RemoteProtocolError("an output has neither value nor failure")
    journaling.append(ledger, invocation, envelope)
    invocation.output = command


def on_end(ledger: Ledger, invocation: Invocation, envelope: Envelope) -> None:
    """The handler has ended: so has the invocation."""
    if invocation.output is None:
        raise RemoteProtocolError("the service ended the invocation without an output")
    invocation.attempt = 0
    invocation.forget_replay()
    lifecycle.complete(ledger, invocation, invocation.output)


def on_suspension(ledger: Ledger, invocation: Invocation, envelope: Envelope) -> None:
    """Sleep until what it waits for is there; if it came meanwhile, go on at once."""
    message = envelope.message
    assert isinstance(message, pb.SuspensionMessage)
    future = awaited_future(message, invocation.protocol_version)
    invocation.attempt = 0
    if settle(future, invocation.known) is None:
        invocation.awaiting = future
        invocation.advance(Step.SUSPENDED, ledger.now_ms)
        ledger.touch(invocation)
    else:
        lifecycle.make_ready(ledger, invocation, Step.RESUMED)
    invocation.forget_replay()


def on_error(ledger: Ledger, invocation: Invocation, envelope: Envelope) -> None:
    """The attempt failed, and the service says why."""
    error = envelope.message
    assert isinstance(error, pb.ErrorMessage)
    attempts.on_failed(
        ledger,
        AttemptFailed(
            invocation.number,
            invocation.attempt,
            error.code or 500,
            error.message,
            error.stacktrace,
            error.related_command_index if error.HasField("related_command_index") else None,
            error.related_command_name if error.HasField("related_command_name") else None,
            error.related_command_type if error.HasField("related_command_type") else None,
            error.next_retry_delay if error.HasField("next_retry_delay") else None,
            error.behavior,
        ),
    )


def on_awaiting_on(ledger: Ledger, invocation: Invocation, envelope: Envelope) -> None:
    """A hint that the handler only waits, and for what: for people to read, until it does something again."""
    message = envelope.message
    assert isinstance(message, pb.AwaitingOnMessage)
    journaling.hint(ledger, invocation, message.awaiting_on)
