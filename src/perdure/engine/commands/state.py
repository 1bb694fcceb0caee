"""State of virtual objects and workflows.

Values are served from what is committed. That is exact: an exclusive handler's own writes are in its SDK's view, and
its predecessor's were committed before it started. The names are not in the view of an SDK that was given no state, so
those that wait for a commit count too.
"""

from perdure.engine import journaling, lifecycle
from perdure.engine.commands.rejection import CommandRejected
from perdure.engine.invocation import Invocation
from perdure.engine.keys import Key
from perdure.engine.ledger import Ledger
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import Envelope, MessageType


def on_eager_read(ledger: Ledger, invocation: Invocation, envelope: Envelope) -> None:
    """The SDK read from the state that it was given at the start, and says what it saw."""
    _object(invocation)
    journaling.append(ledger, invocation, envelope)


def on_get_lazy_state(ledger: Ledger, invocation: Invocation, envelope: Envelope) -> None:
    """Answer with a value, or with nothing."""
    command = envelope.message
    assert isinstance(command, pb.GetLazyStateCommandMessage)
    value = ledger.reader.state_value(_object(invocation), command.key)
    notification = pb.NotificationMessage(completion_id=command.result_completion_id)
    if value is None:
        notification.void.SetInParent()
    else:
        notification.value.content = value
    journaling.append(ledger, invocation, envelope)
    lifecycle.notify(ledger, invocation, MessageType.GET_LAZY_STATE_COMPLETION, notification)


def on_get_lazy_state_keys(ledger: Ledger, invocation: Invocation, envelope: Envelope) -> None:
    """Answer with the names, sorted."""
    command = envelope.message
    assert isinstance(command, pb.GetLazyStateKeysCommandMessage)
    key = _object(invocation)
    entries = dict.fromkeys(ledger.reader.state_names(key), b"")
    for batch in (ledger.committing, ledger.batch):
        if batch is not None:
            batch.change_state(key, entries)
    journaling.append(ledger, invocation, envelope)
    notification = pb.NotificationMessage(
        completion_id=command.result_completion_id, state_keys=pb.StateKeys(keys=sorted(entries))
    )
    lifecycle.notify(ledger, invocation, MessageType.GET_LAZY_STATE_KEYS_COMPLETION, notification)


def on_set_state(ledger: Ledger, invocation: Invocation, envelope: Envelope) -> None:
    command = envelope.message
    assert isinstance(command, pb.SetStateCommandMessage)
    key = _writable_object(invocation)
    journaling.append(ledger, invocation, envelope)
    ledger.batch.state[*key, command.key] = command.value.content


def on_clear_state(ledger: Ledger, invocation: Invocation, envelope: Envelope) -> None:
    command = envelope.message
    assert isinstance(command, pb.ClearStateCommandMessage)
    key = _writable_object(invocation)
    journaling.append(ledger, invocation, envelope)
    ledger.batch.state[*key, command.key] = None


def on_clear_all_state(ledger: Ledger, invocation: Invocation, envelope: Envelope) -> None:
    key = _writable_object(invocation)
    journaling.append(ledger, invocation, envelope)
    ledger.batch.clear_object(key)


def _object(invocation: Invocation) -> Key:
    if invocation.service_type == "SERVICE":
        raise CommandRejected(f"{invocation.target} is a plain service: only virtual objects and workflows have state")
    return invocation.object_key


def _writable_object(invocation: Invocation) -> Key:
    if invocation.handler_type == "SHARED":
        raise CommandRejected(f"{invocation.target} is a shared handler: it may read state, and not write it")
    return _object(invocation)
