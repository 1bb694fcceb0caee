"""How a harness hears of attempts that fail."""

import msgspec

from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import Envelope
from perdure.testing.stuck import Watch
from perdure.transport.connection import InvokeRequest, Sender


class Listening:
    """An attempt's sender that notices errors, and can have them pause the invocation instead of retrying."""

    def __init__(self, sender: Sender, request: InvokeRequest, pauses: bool, watch: Watch) -> None:
        self._sender = sender
        self._request = request
        self._pauses = pauses
        self._watch = watch

    def send(self, envelope: Envelope) -> None:
        if isinstance(envelope.message, pb.ErrorMessage):
            target = f"{self._request.service}/{self._request.handler}"
            if self._pauses:
                self._watch.refuse(self._request.invocation_id, target, envelope.message)
                error = pb.ErrorMessage()
                error.CopyFrom(envelope.message)
                error.behavior = pb.PAUSE
                envelope = msgspec.structs.replace(envelope, message=error)
            self._watch.failed = True
        self._sender.send(envelope)

    def close(self) -> None:
        self._sender.close()

    def abort(self) -> None:
        self._sender.abort()
