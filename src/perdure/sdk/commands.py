"""What user code asks for, as commands: each repeats the recorded one that comes next, or is new and goes out.

Source of facts: service protocol, section "Journal semantics".
"""

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import TYPES, Envelope
from perdure.sdk.journal import Journal


class Commands:
    """Issues the commands of one attempt, and counts the ids of their completions.

    All that issue raise `JournalMismatch` where the journal holds another command.
    """

    __slots__ = ("_emit", "_journal", "next_completion_id")

    def __init__(self, journal: Journal, emit: Callable[[Envelope], None]) -> None:
        self._journal = journal
        self._emit = emit
        self.next_completion_id = 1

    def issue(self, command: Message) -> Any:
        """The next command. Gives the one that the journal holds: the recorded one, or this."""
        type = TYPES[command.__class__]
        recorded = self._journal.follow(type, command)
        if recorded is not None:
            return recorded
        self._emit(Envelope(type, command))
        return command

    def issue_completable(self, command: Any) -> int:
        """The next command, which has one completion; gives its handle."""
        command.result_completion_id = handle = self.completion_id()
        self.issue(command)
        return handle

    def issue_call(self, command: pb.CallCommandMessage) -> tuple[int, int]:
        """The next command; gives the handles of the callee's id and of its result."""
        command.invocation_id_notification_idx = id_handle = self.completion_id()
        command.result_completion_id = result_handle = self.completion_id()
        self.issue(command)
        return id_handle, result_handle

    def issue_send(self, command: pb.OneWayCallCommandMessage) -> int:
        """The next command; gives the handle of the callee's id."""
        command.invocation_id_notification_idx = handle = self.completion_id()
        self.issue(command)
        return handle

    def issue_timer(self, name: str, due_ms: int) -> tuple[int, int]:
        """The next command, a sleep; gives its handle, and when it is due, which a recorded one says itself."""
        handle = self.completion_id()
        sleep = self.issue(pb.SleepCommandMessage(name=name, wake_up_time=due_ms, result_completion_id=handle))
        return handle, sleep.wake_up_time

    def completion_id(self) -> int:
        """The id of the next completion, which is taken by this."""
        handle = self.next_completion_id
        self.next_completion_id = handle + 1
        return handle
