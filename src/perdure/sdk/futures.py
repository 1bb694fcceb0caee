"""What user code awaits. Awaitable many times; in a plain `def` handler, `.result()` blocks the thread instead."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Generator, Sequence
from typing import Any, TypeVar

from perdure.errors import TerminalError, TimedOut
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.ids import CANCEL_SIGNAL
from perdure.sdk.awaiting import Handle
from perdure.sdk.progress import Progress
from perdure.sdk.waits import Waiter

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_VOID = pb.Void()


class Durable(ABC, Awaitable[T_co]):
    """Something whose value is, or follows from, what the journal holds."""

    __slots__ = ("progress",)

    combinator: "pb.CombinatorType | None" = None

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        """What it belongs to; all of one attempt share it."""

    @abstractmethod
    def missing(self) -> Collection[Handle]:
        """The handles to wait for; none once the value is there."""

    def waiter(self, missing: Collection[Handle]) -> Waiter:
        """What waits for the handles that are missing."""
        return Waiter(self.combinator, missing)

    @abstractmethod
    def value(self) -> T_co:
        """The value, once nothing is missing; raises if it is a failure."""

    def __await__(self) -> Generator[Any, None, T_co]:
        while missing := self.missing():
            yield from self.progress.wait(self.waiter(missing))
        return self.value()

    def result(self) -> T_co:
        """Like `await`, for handlers that are plain `def`: blocks the thread.

        Raises:
            UsageError: it was called on the event loop, and would block it.
        """
        while missing := self.missing():
            self.progress.wait_in_thread(self.waiter(missing))
        return self.value()


class Ready(Durable[T_co]):
    """A value that is here already: of a combination of no futures, or recalled from state.

    It belongs to no attempt, so its `progress` is not set.
    """

    __slots__ = ("_value",)

    def __init__(self, value: T_co) -> None:
        self._value = value

    def missing(self) -> Sequence[Handle]:
        return ()

    def value(self) -> T_co:
        return self._value


class DurableFuture(Durable[T]):
    """The result of one durable operation: a run, a call, a timer, an awakeable ..."""

    __slots__ = ("_decode", "_error", "_failure", "_settled", "_value", "handle")

    def __init__(self, progress: Progress, handle: Handle, decode: Callable[[pb.NotificationMessage], T]) -> None:
        self.progress = progress
        self.handle = handle
        self._decode = decode
        self._settled = False
        self._failure: pb.Failure | None = None
        self._error: TerminalError | None = None
        """Why the value could not be read."""

    def is_completed(self) -> bool:
        """Whether awaiting it would not wait. Changes only while the handler awaits something: R1."""
        return self._settled or self.progress.machine.notifications.is_ready(self.handle)

    def has_failed(self) -> bool:
        """Whether it is completed, and a failure: awaiting it would raise."""
        if not self._settled:
            if not self.is_completed():
                return False
            self._read(self.progress.machine.notifications.look(self.handle))
        return self._failure is not None or self._error is not None

    def missing(self) -> Sequence[Handle]:
        return () if self.is_completed() else (self.handle,)

    def value(self) -> T:
        self.settle()
        if self._error is not None:
            raise self._error
        if self._failure is not None:
            if self.progress.machine.limits.timed_out(self.handle, self._failure):
                raise TimedOut(self._failure.message)
            raise terminal_error(self._failure)
        return self._value

    def settle(self) -> None:
        """Takes what is ready, so that it is this future's, whoever else waits for the same."""
        if self._settled:
            return
        self._read(self.progress.machine.notifications.take(self.handle))
        self._settled = True

    def _read(self, notification: pb.NotificationMessage) -> None:
        self._error = None  # `has_failed` may have seen a signal that another future took
        self._failure = notification.failure if notification.HasField("failure") else None
        if self._failure is not None:
            return
        try:
            self._value = self._decode(notification)
        except TerminalError as error:  # raised wherever it is awaited, and however often; all else ends the attempt
            self._error = error


class DurableSleepFuture(DurableFuture[None]):
    """A timer."""

    __slots__ = ()


class DurableCallFuture(DurableFuture[T]):
    """The result of a call."""

    __slots__ = ("_invocation_id",)

    def __init__(
        self,
        progress: Progress,
        handle: Handle,
        decode: Callable[[pb.NotificationMessage], T],
        invocation_id: DurableFuture[str],
    ) -> None:
        super().__init__(progress, handle, decode)
        self._invocation_id = invocation_id

    def invocation_id(self) -> DurableFuture[str]:
        """The id of the invocation that was called."""
        return self._invocation_id

    def cancel_invocation(self) -> Durable[None]:
        """Cancels the invocation that was called. Await it."""
        return _Cancel(self._invocation_id)


class SendHandle:
    """An invocation that was sent off: nobody waits for its result."""

    __slots__ = ("_invocation_id",)

    def __init__(self, invocation_id: DurableFuture[str]) -> None:
        self._invocation_id = invocation_id

    def invocation_id(self) -> DurableFuture[str]:
        """The id of the invocation that was sent."""
        return self._invocation_id

    def cancel_invocation(self) -> Durable[None]:
        """Cancels the invocation that was sent. Await it."""
        return _Cancel(self._invocation_id)


class _Cancel(Durable[None]):
    """A cancel, sent as soon as the id of its target is known."""

    __slots__ = ("_invocation_id", "_sent")

    def __init__(self, invocation_id: DurableFuture[str]) -> None:
        super().__init__(invocation_id.progress)
        self._invocation_id = invocation_id
        self._sent = False

    def missing(self) -> Sequence[Handle]:
        return self._invocation_id.missing()

    def value(self) -> None:
        if not self._sent:
            self._sent = True
            cancel(self.progress, self._invocation_id.value())


def cancel(progress: Progress, invocation_id: str) -> None:
    """Sends a cancel to another invocation."""
    command = pb.SendSignalCommandMessage(target_invocation_id=invocation_id, idx=CANCEL_SIGNAL, void=_VOID)
    progress.do(progress.machine.commands.issue, command)


def terminal_error(failure: pb.Failure) -> TerminalError:
    """The error that a recorded failure is to user code."""
    return TerminalError(failure.message, failure.code, {entry.key: entry.value for entry in failure.metadata})


def as_none(notification: pb.NotificationMessage) -> None:
    """The value of what only happens: a timer, a promise that was resolved."""


def as_invocation_id(notification: pb.NotificationMessage) -> str:
    return notification.invocation_id
