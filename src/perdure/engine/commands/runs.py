"""Run: a step that the service executes, and whose result the engine keeps."""

from perdure.engine import journaling, lifecycle
from perdure.engine.invocation import Invocation
from perdure.engine.ledger import Ledger
from perdure.engine.replay import check_run_completion
from perdure.errors import RemoteProtocolError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import Envelope, MessageType
from perdure.protocol.versions import RUN_ACKS


def on_run(ledger: Ledger, invocation: Invocation, envelope: Envelope) -> None:
    journaling.append(ledger, invocation, envelope)


def on_propose_run_completion(ledger: Ledger, invocation: Invocation, envelope: Envelope) -> None:
    """Keep a run's result. The service is told once it is on disk: by an acknowledgement, or by the result itself.

    The place of the acknowledgement among the notifications is the place of the result in every later replay.
    """
    proposal = envelope.message
    assert isinstance(proposal, pb.ProposeRunCompletionMessage)
    completion_id = proposal.result_completion_id
    check_run_completion(invocation, completion_id)
    notification = pb.NotificationMessage(completion_id=completion_id)
    match proposal.WhichOneof("result"):
        case "value":
            notification.value.content = proposal.value
        case "failure":
            notification.failure.CopyFrom(proposal.failure)
        case _:
            raise RemoteProtocolError(f"the proposed completion {completion_id} has neither value nor failure")
    acknowledgement = None
    if envelope.requested_ack and invocation.protocol_version >= RUN_ACKS:
        acknowledgement = Envelope(
            MessageType.PROPOSE_RUN_COMPLETION_ACK, pb.ProposeRunCompletionAckMessage(completion_id=completion_id)
        )
    lifecycle.notify(ledger, invocation, MessageType.RUN_COMPLETION, notification, acknowledgement)
