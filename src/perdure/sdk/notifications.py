"""What the engine has told an attempt, and how much of it user code sees.

Invariant R1: notifications become visible to user code one at a time, in the order in which the journal holds them,
and the next one only when all user code waits again. What user code does is then a function of the journal alone:
on replay it sees the same things in the same order, so it issues the same commands. `reveal` is the only way for a
notification to become visible, and `take_cancel` for a cancel out of its turn; whoever calls them upholds R1.
"""

from collections import deque
from collections.abc import Callable

from perdure.protocol import wire_pb2 as pb
from perdure.sdk.awaiting import CANCEL, Handle
from perdure.sdk.cancels import Cancels
from perdure.sdk.limits import TIMED_OUT, Expiry, Limits


class Notifications:
    """The notifications of one attempt: first pending, then ready, then taken."""

    __slots__ = ("_cancels", "_come", "_further_signals", "_limits", "_pending", "on_arrival", "ready")

    def __init__(self, limits: Limits, cancels: Cancels) -> None:
        self._limits = limits
        self._cancels = cancels
        self._come: set[Handle] = set()
        self._pending: deque[tuple[Handle, pb.NotificationMessage]] = deque()
        self.ready: dict[Handle, pb.NotificationMessage] = {}
        """Those that are visible and not yet taken; of signals with one name, the oldest."""
        self._further_signals: dict[Handle, deque[pb.NotificationMessage]] = {}  # visible too, behind those
        self.on_arrival: dict[Handle, Callable[[], None]] = {}
        """Who is told that a notification came, before it is visible: nothing that is journaled may depend on it."""

    def arrive(self, handle: Handle, notification: pb.NotificationMessage) -> None:
        """Takes in what the engine has sent. Of what can come only once, the first counts."""
        if isinstance(handle, int) and handle != CANCEL:  # the others may come any number of times
            if handle in self._come:
                return
            self._come.add(handle)
            if handle in self.on_arrival:
                self.on_arrival.pop(handle)()
        self._pending.append((handle, notification))

    def has_come(self, handle: Handle) -> bool:
        """Whether a completion is here, visible or not. A run with one must not be executed."""
        return handle in self._come

    def reveal(self) -> Handle | None:
        """Makes the next notification visible (R1); None if there is none that user code may see now.

        `CANCEL` is given when a cancel came and all callees were told: what waits is to be cancelled.

        Raises:
            JournalMismatch: telling the callees is not what the journal holds here.
        """
        cancels, limits = self._cancels, self._limits
        while True:
            if cancels.waiting and cancels.unknown_callee() is None:
                cancels.pass_on()
                return CANCEL
            if not self._pending:
                return None
            handle, notification = self._pending.popleft()
            if handle == CANCEL:
                cancels.waiting += 1
                continue
            if limits.any:
                if limits.too_late(handle):
                    continue
                expiry = limits.expire(handle)
                if expiry is not None:
                    handle, notification = expiry.handle, self._expired(expiry)
                else:
                    limits.met(handle)
            if handle in self.ready and isinstance(handle, str):
                self._further_signals.setdefault(handle, deque()).append(notification)
            else:
                self.ready[handle] = notification
            cancels.learn(handle, notification)
            if not cancels.waiting:  # else the cancel comes first, and what is ready by then is seen with it
                return handle

    def _expired(self, expiry: Expiry) -> pb.NotificationMessage:
        """What is shown of something whose time is over."""
        if expiry.callee is not None:
            self._cancels.give_up(expiry.callee)
        return pb.NotificationMessage(failure=pb.Failure(code=TIMED_OUT, message=expiry.message))

    def take_cancel(self) -> bool:
        """Whether a cancel came that was not visible yet; by this it is, out of its turn, and all callees are told.

        Raises:
            JournalMismatch: telling the callees is not what the journal holds here.
        """
        cancels = self._cancels
        at = None if cancels.waiting else next((at for at, (on, _) in enumerate(self._pending) if on == CANCEL), None)
        if (at is None and not cancels.waiting) or cancels.unknown_callee() is not None:
            return False
        if at is not None:
            del self._pending[at]
            cancels.waiting += 1
        cancels.pass_on()
        return True

    def is_ready(self, handle: Handle) -> bool:
        """Whether something visible can be taken under a handle."""
        return handle in self.ready or (self._limits.any and self._limits.signal_of(handle) in self.ready)

    def failed(self, handle: Handle) -> bool:
        """Whether what is ready under a handle is a failure."""
        return self.look(handle).HasField("failure")

    def look(self, handle: Handle) -> pb.NotificationMessage:
        """What is ready under a handle, which stays there."""
        return self.ready[self._held_under(handle)]

    def _held_under(self, handle: Handle) -> Handle:
        """A signal that came is found under its name by those with a limit, too, and counts for more than the limit."""
        signal = self._limits.signal_of(handle)
        return signal if signal is not None and signal in self.ready else handle

    def take(self, handle: Handle) -> pb.NotificationMessage:
        """What is ready under a handle, once. Of several signals with one name, the oldest."""
        if self._limits.any:
            held_under = self._held_under(handle)
            self._limits.met(handle)
            handle = held_under
        notification = self.ready.pop(handle)
        further = self._further_signals.get(handle)
        if further is not None:
            self.ready[handle] = further.popleft()
            if not further:
                del self._further_signals[handle]
        return notification
