"""What the engine says: Start, the entries that it replays, then notifications as they come.

Source of facts: service protocol, section "The SDK side".
"""

from enum import Enum, auto
from hashlib import sha256
from typing import Any

from perdure.errors import RemoteProtocolError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import Envelope, MessageType, is_command, is_notification
from perdure.protocol.versions import RANDOM_SEED
from perdure.sdk.awaiting import Handle
from perdure.sdk.journal import Journal
from perdure.sdk.notifications import Notifications
from perdure.sdk.proposals import Proposals
from perdure.sdk.state_map import StateMap

_COMPLETION_ID, _SIGNAL_ID = "completion_id", "signal_id"


class Phase(Enum):
    """What may come next."""

    STARTING = auto()
    COLLECTING = auto()
    """Start came; the entries that it announced are coming in."""
    RUNNING = auto()
    """All known entries are here: user code runs, first along them, then past them."""


class Intake:
    """Takes in the engine's messages, and gives each to the part of the machine that it is for."""

    __slots__ = (
        "_expected",
        "_expected_key",
        "_journal",
        "_notifications",
        "_proposals",
        "_state",
        "_version",
        "closed",
        "input",
        "phase",
        "start",
    )

    def __init__(
        self,
        version: int,
        expected_key: str | None,
        journal: Journal,
        notifications: Notifications,
        proposals: Proposals,
        state: StateMap,
    ) -> None:
        self._version = version
        self._expected_key = expected_key
        self._journal = journal
        self._notifications = notifications
        self._proposals = proposals
        self._state = state
        self._expected = 0  # entries that are still to come
        self.phase = Phase.STARTING
        self.start = _NO_START
        self.input = _NO_INPUT
        self.closed = False
        """Whether nothing more comes: what cannot go on now is to be suspended."""

    def receive(self, envelope: Envelope) -> None:
        """Takes in one message of the engine.

        Raises:
            RemoteProtocolError: it is not what may come here. The attempt must fail.
        """
        type = envelope.type
        message: Any = envelope.message  # its class goes with its type
        if self.phase is Phase.RUNNING:
            if is_notification(type):
                self._notified(message)
            elif type == MessageType.PROPOSE_RUN_COMPLETION_ACK:
                self._notified(self._proposals.acknowledged(message))
            else:
                raise RemoteProtocolError(f"{_name(type)} came after the replayed entries, where it may not")
        elif self.phase is Phase.COLLECTING:
            self._collect(type, message)
        else:
            self._started(type, message)

    def close(self) -> None:
        """The engine sends nothing more.

        Raises:
            RemoteProtocolError: entries that were announced are missing.
        """
        self.closed = True
        if self.phase is Phase.STARTING:
            raise RemoteProtocolError("the engine closed its side before Start")
        if self.phase is Phase.COLLECTING:
            raise RemoteProtocolError(
                f"the engine closed its side with {self._expected} of {self.start.known_entries} known entries missing"
            )

    @property
    def random_seed(self) -> int:
        """The seed of the invocation's random numbers; version 5 does not carry one."""
        if self._version >= RANDOM_SEED:
            return self.start.random_seed
        return int.from_bytes(sha256(self.start.id).digest()[:8], "big")

    def _started(self, type: int, message: Any) -> None:
        if type != MessageType.START:
            raise RemoteProtocolError(f"{_name(type)} came where Start must be")
        if message.known_entries == 0:
            raise RemoteProtocolError("Start announces no entries; the Input must be one")
        if self._expected_key is not None and message.key != self._expected_key:
            raise RemoteProtocolError(
                f"the request is for the key {self._expected_key!r}, and Start for {message.key!r}"
            )
        self.start = message
        self._expected = message.known_entries
        self._state.load(message.state_map, message.partial_state)
        self.phase = Phase.COLLECTING

    def _collect(self, type: int, message: Any) -> None:
        first = self._expected == self.start.known_entries
        if first != (type == MessageType.INPUT):
            raise RemoteProtocolError(f"{_name(type)} came where {'the Input' if first else 'a later entry'} must be")
        if first:
            self.input = message
        elif is_notification(type):
            self._notified(message)
        elif is_command(type):
            self._journal.record(type, message)
        else:
            raise RemoteProtocolError(f"{_name(type)} came among the replayed entries")
        self._expected -= 1
        if self._expected == 0:
            self.phase = Phase.RUNNING

    def _notified(self, notification: pb.NotificationMessage) -> None:
        kind = notification.WhichOneof("id")
        if kind is None or notification.WhichOneof("result") is None:
            raise RemoteProtocolError("a notification came without its id or its result")
        if kind == _COMPLETION_ID:
            handle: Handle = notification.completion_id
            self._proposals.waiting.pop(handle, None)
        else:
            handle = -notification.signal_id if kind == _SIGNAL_ID else notification.signal_name
        self._notifications.arrive(handle, notification)


def _name(type: int) -> str:
    try:
        return MessageType(type).name
    except ValueError:
        return f"message type {type:#06x}"


_NO_START = pb.StartMessage()
_NO_INPUT = pb.InputCommandMessage()
