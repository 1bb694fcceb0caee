"""Reading and writing the state that goes with a key.

What came with Start, and what the attempt writes, is read at once; all else is asked of the engine.
"""

from perdure.errors import UsageError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import MessageType
from perdure.sdk.commands import Commands
from perdure.sdk.journal import Journal
from perdure.sdk.notifications import Notifications
from perdure.sdk.state_map import StateMap

_VOID = pb.Void()


class StateCommands:
    """The commands of one attempt that are about state. Reads give the handle of their result."""

    __slots__ = ("_commands", "_journal", "_known", "_notifications")

    def __init__(self, commands: Commands, journal: Journal, notifications: Notifications, known: StateMap) -> None:
        self._commands = commands
        self._journal = journal
        self._notifications = notifications
        self._known = known

    def read(self, key: bytes) -> int:
        """Reads a key: from what is known here, visible at once, or else from the engine."""
        handle = self._commands.completion_id()  # an eager read takes an id too, although it sends none
        lazy = self._journal.next_type == MessageType.GET_LAZY_STATE
        if lazy or (not self._journal.replaying and not self._known.knows(key)):
            self._commands.issue(pb.GetLazyStateCommandMessage(key=key, result_completion_id=handle))
            return handle
        value = self._known.get(key)
        command = pb.GetEagerStateCommandMessage(key=key)
        if value is None:
            command.void.CopyFrom(_VOID)
        else:
            command.value.content = value
        read = self._commands.issue(command)
        if read.HasField("value"):
            self._show(handle, pb.NotificationMessage(completion_id=handle, value=read.value))
        else:
            self._show(handle, pb.NotificationMessage(completion_id=handle, void=_VOID))
        return handle

    def read_keys(self) -> int:
        """Reads the names of all keys, like `read`."""
        handle = self._commands.completion_id()
        lazy = self._journal.next_type == MessageType.GET_LAZY_STATE_KEYS
        if lazy or (not self._journal.replaying and self._known.partial):
            self._commands.issue(pb.GetLazyStateKeysCommandMessage(result_completion_id=handle))
            return handle
        read = self._commands.issue(pb.GetEagerStateKeysCommandMessage(value=pb.StateKeys(keys=self._known.keys())))
        self._show(handle, pb.NotificationMessage(completion_id=handle, state_keys=read.value))
        return handle

    def _show(self, handle: int, read: pb.NotificationMessage) -> None:
        """What a command itself brings is visible with it; R1 is about what comes later."""
        self._notifications.ready[handle] = read

    def recall(self, key: bytes) -> bytes | None:
        """What a key holds, without an entry in the journal; None where it must be read with one.

        Only for what is never written again: the journal does not keep it, so later attempts must find the same.

        Raises:
            UsageError: an earlier attempt found it, and this one does not.
        """
        if self._journal.reads_next(key):
            return None
        value = self._known.get(key)
        if value is None and self._journal.replaying:
            raise UsageError(
                f"state {key.decode(errors='replace')!r} came with an earlier attempt and does not come any more: the "
                "state has outgrown the engine's eager_state_bytes_max. Raise it, and resume the invocation"
            )
        return value

    def set(self, key: bytes, value: bytes) -> None:
        self._commands.issue(pb.SetStateCommandMessage(key=key, value=pb.Value(content=value)))
        self._known.set(key, value)

    def clear(self, key: bytes) -> None:
        self._commands.issue(pb.ClearStateCommandMessage(key=key))
        self._known.clear(key)

    def clear_all(self) -> None:
        self._commands.issue(pb.ClearAllStateCommandMessage())
        self._known.clear_all()
