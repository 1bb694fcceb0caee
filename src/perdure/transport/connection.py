"""What engine and SDK know of the way between them: each end hands the other envelopes, and says when it is done.

Messages are pushed: `Receiver.message` is called as soon as one is there, in the loop's thread, and must not block.
One connection carries one attempt. Its life, as the engine sees it:

    sender = transport.open(request, receiver)         Start, journal, then notifications go out by sender.send
    sender.close()                                     half-close: the service should suspend, or finish
    receiver.message(...)                              commands come in, a terminal message last
    receiver.closed(None)                              the peer is done; with an error, the connection broke
    sender.abort()                                     drop it: nothing more is sent or received
"""

from typing import Protocol

from msgspec import Struct

from perdure.protocol.discovery import Manifest
from perdure.protocol.messages import Envelope


class InvokeRequest(Struct, frozen=True):
    """The head of an attempt: which handler of the deployment, by which version of the protocol."""

    service: str
    handler: str
    version: int
    invocation_id: str
    key: str | None = None


class Receiver(Protocol):
    """The end that takes in. Calls come one at a time; `closed` is the last, and comes once."""

    def message(self, envelope: Envelope) -> None: ...

    def closed(self, error: Exception | None) -> None: ...


class Sender(Protocol):
    """The end that gives out. None of it blocks, raises, or calls the receiver back before it returns."""

    def send(self, envelope: Envelope) -> None: ...

    def close(self) -> None:
        """Nothing more will be sent; what was sent still arrives. The other direction stays open."""
        ...

    def abort(self) -> None:
        """Drop both directions at once. The receiver of this side hears nothing more, not even `closed`."""
        ...


class Transport(Protocol):
    """The way to one deployment."""

    @property
    def sdk_version(self) -> str | None:
        """What the endpoint calls its SDK, once it was discovered; None if it does not say."""
        ...

    async def discover(self) -> Manifest:
        """What the endpoint serves.

        Raises:
            TransportError: it cannot be reached.
            DeploymentRejected: what it answers is not a manifest that we can use.
        """
        ...

    def open(self, request: InvokeRequest, receiver: Receiver) -> Sender:
        """Begins an attempt; what waits (connecting, sending) happens in the background.

        The sender is usable at once, so that Start and journal go out with the head; a peer that refuses (404, 415,
        429 ...) or cannot be reached is told by `receiver.closed(TransportError)`.
        """
        ...

    async def close(self) -> None:
        """Drops all connections; attempts on them hear `closed` with an error."""
        ...
