"""What all capabilities are built on: the attempt's progress, the way between values and recorded bytes."""

from collections.abc import Callable
from typing import Any, TypeVar

from google.protobuf.message import Message

from perdure.errors import UsageError
from perdure.protocol import wire_pb2 as pb
from perdure.sdk.futures import DurableCallFuture, SendHandle
from perdure.sdk.limits import TimeLimit
from perdure.sdk.progress import Progress
from perdure.sdk.serde import DefaultSerde, Serde, TypeHint, read, serde_for

T = TypeVar("T")


class Capability:
    """One thing that a handler can do. All that it knows is how the attempt makes progress."""

    __slots__ = ("_progress",)

    def __init__(self, progress: Progress) -> None:
        self._progress = progress


def issued(progress: Progress, command: Message, limit: TimeLimit | None = None) -> int:
    """Issues a command with one completion, and a timer right behind it if it has a limit; gives its handle."""

    def issue() -> int:
        handle = progress.machine.commands.issue_completable(command)
        progress.limit(handle, limit)
        return handle

    return progress.do(issue)


def chosen(serde: Serde[Any] | None, type_hint: TypeHint) -> Serde[Any]:
    """The serde that was given, or else the one for the type."""
    if serde is None or (isinstance(serde, DefaultSerde) and serde.type_hint is None):
        return serde_for(type_hint)
    return serde


def as_value(serde: Serde[T]) -> Callable[[pb.NotificationMessage], Any]:
    """How a notification's value is read; one without a value is None."""

    def decode(notification: pb.NotificationMessage) -> T | None:
        return serde.deserialize(notification.value.content) if notification.HasField("value") else None

    return decode


def as_value_of(what: str, serde: Serde[T]) -> Callable[[pb.NotificationMessage], Any]:
    """`as_value` for what others wrote: one that stands for no such value is a failure, as no retry mends it.

    What a handler wrote itself, the results of its runs and its state, is retried: its code was changed, and can be
    changed again.
    """

    def decode(notification: pb.NotificationMessage) -> T | None:
        if not notification.HasField("value"):
            return None
        return read(what, serde, notification.value.content)

    return decode


def checked_id(invocation_id: str) -> str:
    """The id of an invocation, which is `checked`; what stands for an invocation in handlers may have none yet."""
    if isinstance(invocation_id, (SendHandle, DurableCallFuture)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UsageError(
            "an invocation id must be a str: give `await ....invocation_id()`, which waits until it is known"
        )
    return checked("an invocation id", invocation_id)


def checked(what: str, text: str) -> str:
    """A text that a command is to carry.

    Raises:
        UsageError: it is no text, or one that UTF-8 cannot hold.
    """
    # Keys come from everywhere, also as numbers and as what a model wrote.
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UsageError(f"{what} must be a str, not {type(text).__name__}")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise UsageError(f"{what} cannot be written as UTF-8, it holds half of a character: {text!a}") from None
    return text
