"""A journal, ready to be asserted on: what an invocation did, one entry a step, each with what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast, overload

from google.protobuf.message import Message

from perdure.protocol import wire_pb2 as pb
from perdure.protocol.ids import CANCEL_SIGNAL
from perdure.protocol.messages import Envelope, MessageType, is_command
from perdure.testing.store import decoded

_TYPES: dict[int, str] = {
    MessageType.INPUT: "input",
    MessageType.OUTPUT: "output",
    MessageType.RUN: "run",
    MessageType.SLEEP: "sleep",
    MessageType.CALL: "call",
    MessageType.ONE_WAY_CALL: "send",
    MessageType.GET_LAZY_STATE: "get-state",
    MessageType.GET_EAGER_STATE: "get-state",
    MessageType.GET_LAZY_STATE_KEYS: "get-state-keys",
    MessageType.GET_EAGER_STATE_KEYS: "get-state-keys",
    MessageType.SET_STATE: "set-state",
    MessageType.CLEAR_STATE: "clear-state",
    MessageType.CLEAR_ALL_STATE: "clear-all-state",
    MessageType.SIGNAL: "signal",
}


@dataclass(slots=True)
class Entry:
    """One step. `value` is what came of it, or what it carries; `failure` is the message if it failed."""

    index: int
    type: str
    """`run`, `call`, `send`, `sleep`, `get-state`, `set-state`, `signal`, ..., and first `input`, last `output`."""
    name: str
    """Of a run, sleep or signal its name, of a call or send its target, of a state its name."""
    value: Any = None
    completed: bool = True
    failure: str | None = None

    def __str__(self) -> str:
        if not self.completed:
            outcome = "not completed"
        else:
            outcome = repr(self.value) if self.failure is None else f"failed: {self.failure}"
        return f"{self.index}: {self.type}{f' {self.name!r}' if self.name else ''}: {outcome}"


class Journal(Sequence[Entry]):
    """The entries of one invocation, in order."""

    def __init__(self, invocation_id: str, envelopes: Sequence[Envelope]) -> None:
        self.invocation_id = invocation_id
        self._entries: list[Entry] = []
        pending: dict[int, Entry] = {}
        for index, envelope in enumerate(envelopes):
            if is_command(envelope.type):
                entry = _command(index, envelope)
                completion = getattr(envelope.message, "result_completion_id", 0)
                if completion and envelope.type != MessageType.ONE_WAY_CALL:
                    entry.completed = False
                    pending[completion] = entry
                self._entries.append(entry)
                continue
            notification = envelope.message
            assert isinstance(notification, pb.NotificationMessage)
            if envelope.type == MessageType.SIGNAL:
                self._entries.append(_completed(Entry(index, "signal", _signal_name(notification)), notification))
            elif entry := pending.pop(notification.completion_id, None):
                _completed(entry, notification)

    def names(self, type: str | None = None) -> list[str]:
        """The names of the entries that have one, in order; of one type, or of all but input and output."""
        return [each.name for each in self._entries if each.name and type in (None, each.type)]

    def types(self) -> list[str]:
        """The types of the entries, in order."""
        return [entry.type for entry in self._entries]

    def runs(self, name: str | None = None) -> list[Entry]:
        """The runs, or those of one name."""
        return self.of("run", name)

    def of(self, type: str, name: str | None = None) -> list[Entry]:
        """The entries of a type, or those of them that have this name."""
        return [each for each in self._entries if each.type == type and name in (None, each.name)]

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Entry]: ...
    def __getitem__(self, index: int | slice) -> Entry | Sequence[Entry]:
        return self._entries[index]

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return "\n".join([f"journal of {self.invocation_id}:", *(f"  {entry}" for entry in self._entries)])


def entry_name(envelope: Envelope) -> str:
    """The type of a journal's entry and its name, for messages: `run 'charge'`."""
    if is_command(envelope.type):
        entry = _command(0, envelope)
        return f"{entry.type} {entry.name!r}" if entry.name else entry.type
    if envelope.type == MessageType.SIGNAL:
        assert isinstance(envelope.message, pb.NotificationMessage)
        return f"signal {_signal_name(envelope.message)!r}"
    if envelope.type == MessageType.CALL_INVOCATION_ID_COMPLETION:
        return "the id of a call or send"
    command = envelope.type & 0x7FFF | 0x0400
    return f"the result of a {_TYPES.get(command, MessageType(envelope.type).name.lower().replace('_', '-'))}"


def _command(index: int, envelope: Envelope) -> Entry:
    type = _TYPES.get(envelope.type) or MessageType(envelope.type).name.lower().replace("_", "-")
    message = envelope.message
    match message:
        case pb.CallCommandMessage() | pb.OneWayCallCommandMessage():
            parts = (message.service_name, message.key, message.handler_name)
            return Entry(index, type, "/".join(part for part in parts if part), decoded(message.parameter))
        case pb.SetStateCommandMessage():
            return Entry(index, type, message.key.decode(), decoded(message.value.content))
        case pb.OutputCommandMessage():
            return _completed(Entry(index, type, ""), message)
        case pb.InputCommandMessage():
            return Entry(index, type, "", decoded(message.value.content))
        case pb.GetEagerStateCommandMessage():
            return _completed(Entry(index, type, message.key.decode()), message)
        case _:
            name = getattr(message, "name", "") or getattr(message, "key", "")
            return Entry(index, type, name.decode() if isinstance(name, bytes) else str(name))


def _completed(entry: Entry, outcome: Message) -> Entry:
    """The entry, with what came of it."""
    entry.completed = True
    match outcome.WhichOneof("result"):
        case "value":
            entry.value = decoded(cast(Any, outcome).value.content)
        case "failure":
            entry.failure = cast(Any, outcome).failure.message
        case "state_keys":
            entry.value = [key.decode() for key in cast(Any, outcome).state_keys.keys]
        case _:
            pass
    return entry


def _signal_name(signal: pb.NotificationMessage) -> str:
    if signal.signal_id == CANCEL_SIGNAL:
        return "cancel"
    return signal.signal_name or f"awakeable {signal.signal_id}"
