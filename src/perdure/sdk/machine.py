"""The replay machine of one attempt: messages of the engine and commands of the code in, messages out.

    engine ──► intake ──► journal          recorded commands, which the code's own are compared with
                     └──► notifications    what came back; user code sees it by R1
    code   ──► commands, state ──► engine

`Machine` joins these parts, and ends the attempt. No clock, no random, no asyncio.

Source of facts: service protocol, sections "Journal semantics" and "The SDK side".
"""

from collections.abc import Callable, Iterable

from google.protobuf.message import Message

from perdure.errors import LocalProtocolError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.ids import FIRST_AWAKEABLE_SIGNAL, awakeable_id
from perdure.protocol.messages import Envelope, MessageType
from perdure.protocol.versions import FUTURE_TREES
from perdure.sdk.awaiting import Handle, Wait, any_of, flatten, only
from perdure.sdk.cancels import Cancels
from perdure.sdk.commands import Commands
from perdure.sdk.intake import Intake
from perdure.sdk.journal import Journal
from perdure.sdk.limits import Limits, TimeLimit
from perdure.sdk.notifications import Notifications
from perdure.sdk.proposals import Proposals, Result
from perdure.sdk.state_commands import StateCommands
from perdure.sdk.state_map import StateMap


class Machine:
    """One attempt's journal, and what of it user code has seen.

    `emit` is given each message for the engine, in order; it must not call back.
    `expected_key` is the object's key that the request names, and is signed for; None where it names none.
    """

    __slots__ = (
        "_cancels",
        "_emit",
        "_next_signal",
        "closed",
        "commands",
        "intake",
        "journal",
        "limits",
        "notifications",
        "proposals",
        "state",
        "version",
    )

    def __init__(self, version: int, emit: Callable[[Envelope], None], expected_key: str | None = None) -> None:
        self.version = version
        self._emit = emit
        self.journal = journal = Journal()
        self.commands = commands = Commands(journal, emit)
        self.limits = limits = Limits()
        self._cancels = cancels = Cancels(commands)
        self.notifications = notifications = Notifications(limits, cancels)
        self.proposals = proposals = Proposals(version, emit)
        known = StateMap()
        self.state = StateCommands(commands, journal, notifications, known)
        self.intake = Intake(version, expected_key, journal, notifications, proposals, known)
        self._next_signal = FIRST_AWAKEABLE_SIGNAL
        self.closed = False
        """Whether the terminal message is out, or the connection lost: nothing is sent or taken in any more."""

    # What user code asks

    @property
    def used(self) -> tuple[int, int, int]:
        """How far it has been used: commands, completions, signals."""
        return self.journal.index, self.commands.next_completion_id, self._next_signal

    @property
    def has_added(self) -> bool:
        """Whether this attempt has brought the journal anything new: entries, or results of runs."""
        return self.journal.written > 0 or self.proposals.any

    def issue_call(self, command: pb.CallCommandMessage) -> tuple[int, int]:
        """Calls a handler, which a cancel will reach; gives the handles of the callee's id and of its result."""
        id_handle, result_handle = self.commands.issue_call(command)
        self._cancels.add_callee(id_handle)
        return id_handle, result_handle

    def limit(self, handle: Handle, limit: TimeLimit, due_ms: int, callee: int | None = None) -> None:
        """Sets a timer beside what was issued before. If the timer is first, that fails, and its callee is cancelled.

        `callee` is the handle of the callee's id.
        """
        timer, _ = self.commands.issue_timer(limit.timer_name, due_ms)
        self.limits.add(handle, timer, limit.message, callee)

    def limit_signal(self, name: str, limit: TimeLimit, due_ms: int) -> int:
        """Sets a timer for one wait for a signal; gives the handle of that wait."""
        timer, _ = self.commands.issue_timer(limit.timer_name, due_ms)
        self.limits.add_signal(name, timer, limit.message)
        return timer

    def awakeable(self) -> tuple[str, Handle]:
        """A new awakeable: the id for the outside, and the handle. No command is made."""
        signal = self._next_signal
        self._next_signal += 1
        return awakeable_id(self.intake.start.id, signal), -signal

    def propose(self, handle: int, result: Result) -> None:
        """Offers the result of a run to the engine, unless the attempt has ended meanwhile."""
        if not self.closed:
            self.proposals.make(handle, result)

    # What the engine is told of waiting

    def awaiting(self, waits: Iterable[Wait]) -> pb.Future:
        """The tree of what user code waits for, as the engine is told."""
        if self._cancels.waiting:
            callee = self._cancels.unknown_callee()
            assert callee is not None, "else the cancel would have been revealed"
            return only(callee)
        return any_of(waits, self.limits.limited)

    def hint_awaiting(self, waits: Iterable[Wait]) -> None:
        """Tells the engine, which speaks version 7 or later, what user code waits for."""
        self._emit(Envelope(MessageType.AWAITING_ON, pb.AwaitingOnMessage(awaiting_on=self.awaiting(waits))))

    # How it ends

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
        self.commands.issue(output)
        self.journal.check_blocked()
        self._end(MessageType.END, pb.EndMessage())

    def close(self) -> None:
        """Ends the attempt without a word: the connection is lost."""
        self.closed = True

    def _end(self, type: MessageType, message: Message) -> None:
        if self.closed:
            raise LocalProtocolError(f"{type.name} after the end of the attempt")
        self.closed = True
        self._emit(Envelope(type, message))
