"""The replay machine of one attempt: messages of the engine and commands of the code in, messages out.

Invariant R1: notifications become visible to user code one at a time, in the order in which the journal holds them,
and the next one only when all user code waits again. What user code does is then a function of the journal alone:
on replay it sees the same things in the same order, so it issues the same commands. `reveal` is the only way for a
notification to become visible; whoever calls it upholds R1.

No clock, no random, no asyncio. Source of facts: service protocol, sections "Journal semantics" and "The SDK side".
"""

from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum, auto
from hashlib import sha256
from typing import Any, TypeAlias

from google.protobuf.message import Message

from perdure.errors import LocalProtocolError, RemoteProtocolError, UsageError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.ids import CANCEL_SIGNAL, FIRST_AWAKEABLE_SIGNAL, awakeable_id
from perdure.protocol.messages import TYPES, Envelope, MessageType, is_command, is_notification
from perdure.protocol.versions import FUTURE_TREES, RANDOM_SEED, RUN_ACKS
from perdure.sdk.awaiting import CANCEL, Handle, Wait, any_of, flatten, only
from perdure.sdk.journal import Journal
from perdure.sdk.limits import TIMED_OUT, Expiry, Limits, TimeLimit
from perdure.sdk.state_map import StateMap

Result: TypeAlias = bytes | pb.Failure

_VOID = pb.Void()
_COMPLETION_ID, _SIGNAL_ID = "completion_id", "signal_id"


class Phase(Enum):
    """Where an attempt stands."""

    STARTING = auto()
    COLLECTING = auto()
    """Start came; the entries that it announced are coming in."""
    RUNNING = auto()
    """All known entries are here: user code runs, first along them, then past them."""
    CLOSED = auto()
    """The terminal message is out. Nothing is sent or taken in any more."""


class Machine:
    """One attempt's journal, and what of it user code has seen.

    `emit` is given each message for the engine, in order; it must not call back.
    """

    __slots__ = (
        "_callees",
        "_cancels",
        "_expected",
        "_further_signals",
        "_given_up",
        "_has_proposed",
        "_next_completion_id",
        "_next_signal",
        "_pending",
        "_proposed",
        "_seen",
        "emit",
        "expected_key",
        "input",
        "input_closed",
        "journal",
        "limits",
        "on_arrival",
        "phase",
        "ready",
        "start",
        "state",
        "version",
    )

    def __init__(self, version: int, emit: Callable[[Envelope], None], expected_key: str | None = None) -> None:
        self.version = version
        self.emit = emit
        self.expected_key = expected_key
        """The object's key that the request names, and is signed for; None where it names none."""
        self.phase = Phase.STARTING
        self.input_closed = False
        self.start = _NO_START
        self.input = _NO_INPUT
        self.journal = Journal()
        self.state = StateMap()
        self.ready: dict[Handle, pb.NotificationMessage] = {}
        """Notifications that are visible and not yet taken."""
        self._further_signals: deque[pb.NotificationMessage] = deque()
        self._pending: deque[tuple[Handle, pb.NotificationMessage]] = deque()
        self._seen: set[Handle] = set()
        self._expected = 0
        self._next_completion_id = 1
        self._next_signal = FIRST_AWAKEABLE_SIGNAL
        self._proposed: dict[int, pb.NotificationMessage] = {}
        self._has_proposed = False
        self._callees: dict[Handle, str | None] = {}
        self._given_up: set[Handle] = set()
        self._cancels = 0
        self.limits = Limits()
        self.on_arrival: dict[Handle, Callable[[], None]] = {}
        """Who is told that a notification came, before it is visible: nothing that is journaled may depend on it."""

    # What the engine says

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
                self._acknowledged(message)
            else:
                raise RemoteProtocolError(f"{_name(type)} came after the replayed entries, where it may not")
        elif self.phase is Phase.COLLECTING:
            self._collect(type, message)
        elif self.phase is Phase.STARTING:
            self._started(type, message)

    def receive_end(self) -> None:
        """The engine sends nothing more: what cannot go on now is to be suspended.

        Raises:
            RemoteProtocolError: entries that were announced are missing.
        """
        self.input_closed = True
        if self.phase is Phase.STARTING:
            raise RemoteProtocolError("the engine closed its side before Start")
        if self.phase is Phase.COLLECTING:
            raise RemoteProtocolError(
                f"the engine closed its side with {self._expected} of {self.start.known_entries} known entries missing"
            )

    def _started(self, type: int, message: Any) -> None:
        if type != MessageType.START:
            raise RemoteProtocolError(f"{_name(type)} came where Start must be")
        if message.known_entries == 0:
            raise RemoteProtocolError("Start announces no entries; the Input must be one")
        if self.expected_key is not None and message.key != self.expected_key:
            raise RemoteProtocolError(
                f"the request is for the key {self.expected_key!r}, and Start for {message.key!r}"
            )
        self.start = message
        self._expected = message.known_entries
        self.state.load(message.state_map, message.partial_state)
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
            self.journal.record(type, message)
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
        else:
            handle = -notification.signal_id if kind == _SIGNAL_ID else notification.signal_name
        if isinstance(handle, int) and handle != CANCEL:  # the others may come any number of times
            if handle in self._seen:
                return
            self._seen.add(handle)
            self._proposed.pop(handle, None)
            if handle in self.on_arrival:
                self.on_arrival.pop(handle)()
        self._pending.append((handle, notification))

    def _acknowledged(self, ack: pb.ProposeRunCompletionAckMessage) -> None:
        notification = self._proposed.get(ack.completion_id)
        if notification is None or self.version < RUN_ACKS:
            raise RemoteProtocolError(f"an ack came for run {ack.completion_id}, which was not proposed")
        self._notified(notification)

    # What user code asks

    @property
    def used(self) -> tuple[int, int, int]:
        """How far it has been used: commands, completions, signals."""
        return self.journal.index, self._next_completion_id, self._next_signal

    @property
    def has_added(self) -> bool:
        """Whether this attempt has brought the journal anything new: entries, or results of runs."""
        return self.journal.written > 0 or self._has_proposed

    @property
    def random_seed(self) -> int:
        """The seed of the invocation's random numbers; version 5 does not carry one."""
        if self.version >= RANDOM_SEED:
            return self.start.random_seed
        return int.from_bytes(sha256(self.start.id).digest()[:8], "big")

    def issue(self, command: Message) -> None:
        """The next command: repeats the recorded one, or is new and goes out.

        Raises:
            JournalMismatch: the journal holds another one here.
        """
        type = TYPES[command.__class__]
        if self.journal.follow(type, command) is None:
            self.emit(Envelope(type, command))

    def issue_completable(self, command: Any) -> int:
        """Like `issue`, for a command with one completion; gives its handle."""
        command.result_completion_id = handle = self._completion_id()
        self.issue(command)
        return handle

    def issue_call(self, command: pb.CallCommandMessage) -> tuple[int, int]:
        """Like `issue`; gives the handles of the callee's id and of its result. A cancel will reach the callee."""
        command.invocation_id_notification_idx = id_handle = self._completion_id()
        command.result_completion_id = result_handle = self._completion_id()
        self._callees[id_handle] = None
        self.issue(command)
        return id_handle, result_handle

    def issue_send(self, command: pb.OneWayCallCommandMessage) -> int:
        """Like `issue`; gives the handle of the callee's id."""
        command.invocation_id_notification_idx = handle = self._completion_id()
        self.issue(command)
        return handle

    def issue_timer(self, name: str, due_ms: int) -> tuple[int, int]:
        """Like `issue`, for a sleep; gives its handle, and when it is due, which a recorded one says itself."""
        handle = self._completion_id()
        command = pb.SleepCommandMessage(name=name, wake_up_time=due_ms, result_completion_id=handle)
        recorded: Any = self.journal.follow(MessageType.SLEEP, command)
        if recorded is None:
            self.emit(Envelope(MessageType.SLEEP, command))
            return handle, due_ms
        return handle, recorded.wake_up_time

    def limit(self, handle: Handle, limit: TimeLimit, due_ms: int, callee: int | None = None) -> None:
        """Sets a timer beside what was issued before. If the timer is first, that fails, and its callee is cancelled.

        `callee` is the handle of the callee's id.
        """
        timer, _ = self.issue_timer(limit.timer_name, due_ms)
        self.limits.add(handle, timer, limit.message, callee)

    def limit_signal(self, name: str, limit: TimeLimit, due_ms: int) -> int:
        """Sets a timer for one wait for a signal; gives the handle of that wait."""
        timer, _ = self.issue_timer(limit.timer_name, due_ms)
        self.limits.add_signal(name, timer, limit.message)
        return timer

    def read_state(self, key: bytes) -> int:
        """Reads a key: from what came with Start, visible at once, or else from the engine."""
        handle = self._completion_id()  # an eager read takes an id too, although it sends none
        lazy = self.journal.next_type == MessageType.GET_LAZY_STATE
        if lazy or (not self.journal.replaying and not self.state.knows(key)):
            self.issue(pb.GetLazyStateCommandMessage(key=key, result_completion_id=handle))
            return handle
        value = self.state.get(key)
        command = pb.GetEagerStateCommandMessage(key=key)
        if value is None:
            command.void.CopyFrom(_VOID)
        else:
            command.value.content = value
        recorded = self.journal.follow(MessageType.GET_EAGER_STATE, command)
        if recorded is None:
            self.emit(Envelope(MessageType.GET_EAGER_STATE, command))
        result: Any = recorded or command
        if result.HasField("value"):
            self.ready[handle] = pb.NotificationMessage(completion_id=handle, value=result.value)
        else:
            self.ready[handle] = pb.NotificationMessage(completion_id=handle, void=_VOID)
        return handle

    def recall(self, key: bytes) -> bytes | None:
        """What a key holds, without an entry in the journal; None where it must be read with one.

        Only for what is never written again: the journal does not keep it, so later attempts must find the same.

        Raises:
            UsageError: an earlier attempt found it, and this one does not.
        """
        if self.journal.reads_next(key):
            return None
        value = self.state.get(key)
        if value is None and self.journal.replaying:
            raise UsageError(
                f"state {key.decode(errors='replace')!r} came with an earlier attempt and does not come any more: the "
                "state has outgrown the engine's eager_state_bytes_max. Raise it, and resume the invocation"
            )
        return value

    def read_state_keys(self) -> int:
        """Reads the names of all keys, like `read_state`."""
        handle = self._completion_id()
        lazy = self.journal.next_type == MessageType.GET_LAZY_STATE_KEYS
        if lazy or (not self.journal.replaying and self.state.partial):
            self.issue(pb.GetLazyStateKeysCommandMessage(result_completion_id=handle))
            return handle
        command = pb.GetEagerStateKeysCommandMessage(value=pb.StateKeys(keys=self.state.keys()))
        recorded = self.journal.follow(MessageType.GET_EAGER_STATE_KEYS, command)
        if recorded is None:
            self.emit(Envelope(MessageType.GET_EAGER_STATE_KEYS, command))
        result: Any = recorded or command
        self.ready[handle] = pb.NotificationMessage(completion_id=handle, state_keys=result.value)
        return handle

    def set_state(self, key: bytes, value: bytes) -> None:
        self.issue(pb.SetStateCommandMessage(key=key, value=pb.Value(content=value)))
        self.state.set(key, value)

    def clear_state(self, key: bytes) -> None:
        self.issue(pb.ClearStateCommandMessage(key=key))
        self.state.clear(key)

    def clear_all_state(self) -> None:
        self.issue(pb.ClearAllStateCommandMessage())
        self.state.clear_all()

    def awakeable(self) -> tuple[str, Handle]:
        """A new awakeable: the id for the outside, and the handle. No command is made."""
        signal = self._next_signal
        self._next_signal += 1
        return awakeable_id(self.start.id, signal), -signal

    def has_result(self, handle: int) -> bool:
        """Whether the result of a run has come, visible or not: then it must not be executed."""
        return handle in self._seen

    def propose(self, handle: int, result: Result) -> None:
        """Offers the result of a run to the engine. It becomes visible once the engine has stored it."""
        if self.phase is Phase.CLOSED:
            return
        proposal = pb.ProposeRunCompletionMessage(result_completion_id=handle)
        notification = pb.NotificationMessage(completion_id=handle)
        if isinstance(result, bytes):
            proposal.value = result
            notification.value.content = result
        else:
            proposal.failure.CopyFrom(result)
            notification.failure.CopyFrom(result)
        self._proposed[handle] = notification
        self._has_proposed = True
        self.emit(Envelope(MessageType.PROPOSE_RUN_COMPLETION, proposal, self.version >= RUN_ACKS))

    def _completion_id(self) -> int:
        handle = self._next_completion_id
        self._next_completion_id = handle + 1
        return handle

    # How it goes on

    @property
    def proposing(self) -> bool:
        """Whether a proposed result waits for the engine to store it."""
        return bool(self._proposed)

    def reveal(self) -> Handle | None:
        """Makes the next notification visible (R1); None if there is none that user code may see now.

        `CANCEL` is given when a cancel came and all callees were told: what waits is to be cancelled.

        Raises:
            JournalMismatch: telling the callees is not what the journal holds here.
        """
        while True:
            if self._cancels and self._unknown_callee() is None:
                self._cancels -= 1
                self._cancel_callees()
                return CANCEL
            if not self._pending:
                return None
            handle, notification = self._pending.popleft()
            if handle == CANCEL:
                self._cancels += 1
                continue
            if self.limits:
                if self.limits.too_late(handle):
                    continue
                expiry = self.limits.expire(handle)
                if expiry is not None:
                    handle, notification = expiry.handle, self._expired(expiry)
                else:
                    self.limits.met(handle)
            if handle in self.ready and isinstance(handle, str):
                self._further_signals.append(notification)
            else:
                self.ready[handle] = notification
            if handle in self._callees:
                self._callees[handle] = notification.invocation_id
            elif handle in self._given_up:
                self._given_up.remove(handle)
                self._cancel(notification.invocation_id)
            if not self._cancels:  # a cancel that waits for a callee's id comes before all that follows it
                return handle

    def take_cancel(self) -> bool:
        """Whether a cancel came that was not visible yet; by this it is, out of its turn, and all callees are told.

        Raises:
            JournalMismatch: telling the callees is not what the journal holds here.
        """
        came = self._cancels > 0 or any(handle == CANCEL for handle, _ in self._pending)
        if not came or self._unknown_callee() is not None:
            return False
        if self._cancels:
            self._cancels -= 1
        else:
            del self._pending[next(at for at, (handle, _) in enumerate(self._pending) if handle == CANCEL)]
        self._cancel_callees()
        return True

    def _expired(self, expiry: Expiry) -> pb.NotificationMessage:
        """What is shown of something whose time is over. Its callee is told, at once or when its id is known."""
        if expiry.callee is not None and expiry.callee in self._callees:
            callee = self._callees.pop(expiry.callee)
            if callee is None:
                self._given_up.add(expiry.callee)
            else:
                self._cancel(callee)
        return pb.NotificationMessage(failure=pb.Failure(code=TIMED_OUT, message=expiry.message))

    def is_ready(self, handle: Handle) -> bool:
        """Whether something visible can be taken under a handle."""
        return handle in self.ready or (bool(self.limits) and self.limits.signal_of(handle) in self.ready)

    def failed(self, handle: Handle) -> bool:
        """Whether what is ready under a handle is a failure."""
        return self.look(handle).HasField("failure")

    def look(self, handle: Handle) -> pb.NotificationMessage:
        """What is ready under a handle, which stays there."""
        return self.ready[self._held_under(handle)]

    def _held_under(self, handle: Handle) -> Handle:
        """A signal that came is found under its name by those with a limit, too, and counts for more than the limit."""
        signal = self.limits.signal_of(handle)
        return signal if signal is not None and signal in self.ready else handle

    def take(self, handle: Handle) -> pb.NotificationMessage:
        """What is ready under a handle, once. Of several signals with one name, the oldest."""
        if self.limits:
            held_under = self._held_under(handle)
            self.limits.met(handle)
            handle = held_under
        notification = self.ready.pop(handle)
        for further in self._further_signals:
            if further.signal_name == handle:
                self._further_signals.remove(further)
                self.ready[handle] = further
                break
        return notification

    def _unknown_callee(self) -> Handle | None:
        return next((handle for handle, callee in self._callees.items() if callee is None), None)

    def _cancel_callees(self) -> None:
        callees, self._callees = self._callees, {}
        for callee in callees.values():
            self._cancel(callee or "")

    def _cancel(self, callee: str) -> None:
        self.issue(pb.SendSignalCommandMessage(target_invocation_id=callee, idx=CANCEL_SIGNAL, void=_VOID))

    def check_blocked(self) -> None:
        """User code waits, and `reveal` gave nothing.

        Raises:
            JournalMismatch: more commands are recorded, so that the code once did not wait here.
        """
        if self.journal.replaying:
            raise self.journal.blocked()

    def awaiting(self, waits: Iterable[Wait]) -> pb.Future:
        """The tree of what user code waits for, as the engine is told."""
        if self._cancels:
            callee = self._unknown_callee()
            assert callee is not None, "else the cancel would have been revealed"
            return only(callee)
        return any_of(waits, self.limits.limited)

    # How it ends

    def hint_awaiting(self, waits: Iterable[Wait]) -> None:
        """Tells the engine, which speaks version 7 or later, what user code waits for."""
        self.emit(Envelope(MessageType.AWAITING_ON, pb.AwaitingOnMessage(awaiting_on=self.awaiting(waits))))

    def suspend(self, waits: Iterable[Wait]) -> None:
        """Ends the attempt until something has come that user code waits for."""
        tree = self.awaiting(waits)
        suspension = pb.SuspensionMessage()
        if self.version >= FUTURE_TREES:
            suspension.awaiting_on.CopyFrom(tree)
        else:
            flatten(tree, suspension)
        self._end(MessageType.SUSPENSION, suspension)

    def fail(self, error: pb.ErrorMessage) -> None:
        """Ends the attempt in failure; the engine makes it again."""
        self._end(MessageType.ERROR, error)

    def finish(self, result: Result) -> None:
        """Ends the invocation. An Output that is recorded already is not sent again.

        Raises:
            JournalMismatch: the journal holds another command, or another result, here.
        """
        output = pb.OutputCommandMessage()
        if isinstance(result, bytes):
            output.value.content = result
            if not result:
                output.value.SetInParent()
        else:
            output.failure.CopyFrom(result)
        self.issue(output)
        self.check_blocked()
        self._end(MessageType.END, pb.EndMessage())

    def close(self) -> None:
        """Ends the attempt without a word: the connection is lost."""
        self.phase = Phase.CLOSED

    def _end(self, type: MessageType, message: Message) -> None:
        if self.phase is Phase.CLOSED:
            raise LocalProtocolError(f"{type.name} after the end of the attempt")
        self.phase = Phase.CLOSED
        self.emit(Envelope(type, message))


def _name(type: int) -> str:
    try:
        return MessageType(type).name
    except ValueError:
        return f"message type {type:#06x}"


_NO_START = pb.StartMessage()
_NO_INPUT = pb.InputCommandMessage()
