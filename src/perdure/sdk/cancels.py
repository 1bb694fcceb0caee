"""Cancels on their way to user code: before it sees one, all handlers that it called are told."""

from perdure.protocol import wire_pb2 as pb
from perdure.protocol.ids import CANCEL_SIGNAL
from perdure.sdk.awaiting import Handle
from perdure.sdk.commands import Commands

_VOID = pb.Void()


class Cancels:
    """The cancels that came and were not seen yet, and the callees that they are to reach.

    A callee is known by the handle of its id. It cannot be told before that id has come.
    """

    __slots__ = ("_callees", "_commands", "_given_up", "waiting")

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._callees: dict[Handle, str | None] = {}  # None: its id has not come yet
        self._given_up: set[Handle] = set()  # to be told as soon as their ids have come
        self.waiting = 0
        """How many came that user code has not seen."""

    def add_callee(self, callee: Handle) -> None:
        """From now on, a cancel is passed on to this callee."""
        self._callees[callee] = None

    def learn(self, handle: Handle, notification: pb.NotificationMessage) -> None:
        """Takes note of a callee's id, if that is what has become visible."""
        if handle in self._callees:
            self._callees[handle] = notification.invocation_id
        elif handle in self._given_up:
            self._given_up.remove(handle)
            self._tell(notification.invocation_id)

    def give_up(self, callee: Handle) -> None:
        """Cancels one callee, at once or when its id has come: nobody waits for it any more."""
        if callee not in self._callees:
            return
        id = self._callees.pop(callee)
        if id is None:
            self._given_up.add(callee)
        else:
            self._tell(id)

    def unknown_callee(self) -> Handle | None:
        """A callee whose id has not come, so that no cancel can be seen yet; None if there is none."""
        return next((handle for handle, callee in self._callees.items() if callee is None), None)

    def pass_on(self) -> None:
        """Tells all callees, whose ids are known, of a cancel that user code sees now.

        Raises:
            JournalMismatch: telling them is not what the journal holds here.
        """
        self.waiting -= 1
        callees, self._callees = self._callees, {}
        for callee in callees.values():
            self._tell(callee or "")

    def _tell(self, callee: str) -> None:
        self._commands.issue(pb.SendSignalCommandMessage(target_invocation_id=callee, idx=CANCEL_SIGNAL, void=_VOID))
