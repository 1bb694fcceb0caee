"""Results of runs that are offered to the engine, and become visible once it has stored them."""

from collections.abc import Callable
from typing import TypeAlias

from perdure.errors import RemoteProtocolError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import Envelope, MessageType
from perdure.protocol.versions import RUN_ACKS

Result: TypeAlias = bytes | pb.Failure
"""What comes of a run, or of a handler."""


class Proposals:
    """The proposals of one attempt."""

    __slots__ = ("_emit", "_version", "any", "waiting")

    def __init__(self, version: int, emit: Callable[[Envelope], None]) -> None:
        self._version = version
        self._emit = emit
        self.waiting: dict[int | str, pb.NotificationMessage] = {}
        """Those that the engine has not stored yet, as notifications, by handle."""
        self.any = False
        """Whether there ever was one."""

    def make(self, handle: int, result: Result) -> None:
        """Offers a result to the engine."""
        proposal = pb.ProposeRunCompletionMessage(result_completion_id=handle)
        notification = pb.NotificationMessage(completion_id=handle)
        if isinstance(result, bytes):
            proposal.value = result
            notification.value.content = result
        else:
            proposal.failure.CopyFrom(result)
            notification.failure.CopyFrom(result)
        self.waiting[handle] = notification
        self.any = True
        self._emit(Envelope(MessageType.PROPOSE_RUN_COMPLETION, proposal, self._version >= RUN_ACKS))

    def acknowledged(self, ack: pb.ProposeRunCompletionAckMessage) -> pb.NotificationMessage:
        """The notification that an ack stands for.

        Raises:
            RemoteProtocolError: there was nothing to acknowledge.
        """
        notification = self.waiting.get(ack.completion_id)
        if notification is None or self._version < RUN_ACKS:
            raise RemoteProtocolError(f"an ack came for run {ack.completion_id}, which was not proposed")
        return notification
