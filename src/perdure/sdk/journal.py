"""The journal's cursor: the recorded command that comes next, against the one that the code issues now.

Source of facts: service protocol, sections "Journal semantics" and "Non-determinism check".
"""

from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec
from google.protobuf.message import Message

from perdure.errors import PerdureError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import Entry, MessageType


class JournalMismatch(PerdureError):
    """The code does not follow its journal. The invocation cannot go on with this code.

    `attempted` is None where the code waits for what its journal says has long been there.
    """

    def __init__(self, index: int, recorded: Entry, attempted: Entry | None) -> None:
        super().__init__(f"journal mismatch at command {index}")
        self.index = index
        self.recorded = recorded
        self.attempted = attempted


class Journal:
    """Commands in order, the recorded ones first. `index` is that of the last command; 0 is the Input."""

    __slots__ = ("_recorded", "index", "written")

    def __init__(self) -> None:
        self._recorded: deque[Entry] = deque()
        self.index = 0
        self.written = 0
        """How many commands are new in this attempt."""

    def record(self, type: int, command: Message) -> None:
        """Takes in a command that the engine replays."""
        self._recorded.append((type, command))

    @property
    def replaying(self) -> bool:
        """Whether recorded commands are left that the code did not issue yet."""
        return bool(self._recorded)

    @property
    def next_type(self) -> int | None:
        """The type of the recorded command that comes next; None past the last."""
        return self._recorded[0][0] if self._recorded else None

    def reads_next(self, key: bytes) -> bool:
        """Whether the recorded command that comes next reads this key of the state."""
        type, command = self._recorded[0] if self._recorded else (None, None)
        reads = type in (MessageType.GET_EAGER_STATE, MessageType.GET_LAZY_STATE)
        return reads and getattr(command, "key", None) == key

    def runs_next(self, name: str) -> bool:
        """Whether the recorded command that comes next is the run of this name."""
        type, command = self._recorded[0] if self._recorded else (None, None)
        return type == MessageType.RUN and getattr(command, "name", None) == name

    def follow(self, type: int, command: Message) -> Message | None:
        """The recorded command that `command` repeats; None where it is new.

        Raises:
            JournalMismatch: another command is recorded here. The cursor stands behind it.
        """
        self.index += 1
        if not self._recorded:
            self.written += 1
            return None
        entry = self._recorded.popleft()
        if entry[0] != type or not _REPEATS.get(type, _equals)(entry[1], command):
            raise JournalMismatch(self.index, entry, (type, command))
        return entry[1]

    def check_blocked(self) -> None:
        """The code waits, or has ended, and nothing more will come for it.

        Raises:
            JournalMismatch: recorded commands are left, so that the code once went on here.
        """
        if self._recorded:
            raise JournalMismatch(self.index + 1, self._recorded[0], None)


def _equals(recorded: Message, attempted: Message) -> bool:
    return recorded == attempted or _equals_but_json(recorded, attempted)


def _equals_but_json(recorded: Message, attempted: Message) -> bool:
    """Whether all that differs is how JSON is written: another SDK or serializer, other spaces, other order of keys."""
    copy = attempted.__class__()
    copy.CopyFrom(attempted)
    for of, holder, name in _PAYLOADS:
        if isinstance(recorded, of):
            held, now = recorded, copy
            if holder is not None:
                if not recorded.HasField(holder) or not copy.HasField(holder):
                    return False
                held, now = getattr(recorded, holder), getattr(copy, holder)
            if _canonical(getattr(held, name)) == _canonical(getattr(now, name)):
                setattr(now, name, getattr(held, name))
    return recorded == copy


_PAYLOADS: list[tuple[type[Message], str | None, str]] = [
    (pb.CallCommandMessage, None, "parameter"),
    (pb.OneWayCallCommandMessage, None, "parameter"),
    (pb.SetStateCommandMessage, "value", "content"),
    (pb.OutputCommandMessage, "value", "content"),
    (pb.SendSignalCommandMessage, "value", "content"),
    (pb.CompleteAwakeableCommandMessage, "value", "content"),
    (pb.CompletePromiseCommandMessage, "completion_value", "content"),
]
"""Where commands hold what users wrote: class, the Value if it is in one, field."""


def _canonical(payload: bytes) -> bytes:
    try:
        return msgspec.json.encode(msgspec.json.decode(payload), order="sorted")
    except (msgspec.DecodeError, UnicodeError, RecursionError):  # bytes that are no JSON, or none that can be read
        return payload


def _same_name(recorded: Any, attempted: Any) -> bool:
    return recorded.name == attempted.name


def _same_key(recorded: Any, attempted: Any) -> bool:
    return recorded.key == attempted.key and recorded.name == attempted.name


def _same_but_time(recorded: pb.OneWayCallCommandMessage, attempted: pb.OneWayCallCommandMessage) -> bool:
    attempted.invoke_time = recorded.invoke_time  # computed from the clock, so never the same twice
    return _equals(recorded, attempted)


_REPEATS: dict[int, Callable[[Any, Any], bool]] = {  # Any: the row's key is the messages' type
    MessageType.SLEEP: _same_name,
    MessageType.GET_EAGER_STATE: _same_key,  # the result is the journal's to say
    MessageType.GET_EAGER_STATE_KEYS: _same_name,
    MessageType.ONE_WAY_CALL: _same_but_time,
}
