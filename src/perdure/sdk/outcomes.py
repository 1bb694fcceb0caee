"""Waiting for several durable futures by how they end: the first success, all successes, or whatever comes of each.

Which of them was first is the journal's to say, as with `combinators`; of those that are completed already, the first
in the order given counts as first. In a plain `def` handler use `.result()` where others `await`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar, overload

from perdure.errors import AllFailed, TerminalError, UsageError
from perdure.protocol import wire_pb2 as pb
from perdure.sdk.awaiting import Handle
from perdure.sdk.combinators import shared_progress
from perdure.sdk.futures import Durable, DurableFuture, Ready

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")


@dataclass(frozen=True, slots=True)
class Succeeded(Generic[T_co]):
    """What came of a future that gave a value."""

    value: T_co


@dataclass(frozen=True, slots=True)
class Failed:
    """What came of a future that failed."""

    error: TerminalError


Outcome: TypeAlias = Succeeded[T] | Failed
"""What came of a future. It is made for `match`."""


def first_succeeded(*futures: DurableFuture[T]) -> Durable[T]:
    """Waits for the first that succeeds, and gives its value; raises `AllFailed` if none does."""
    if not futures:
        raise UsageError("first_succeeded needs at least one future")
    return _FirstSucceeded(futures)


@overload
def all_succeeded(first: DurableFuture[A], second: DurableFuture[B], /) -> Durable[tuple[A, B]]: ...
@overload
def all_succeeded(
    first: DurableFuture[A], second: DurableFuture[B], third: DurableFuture[C], /
) -> Durable[tuple[A, B, C]]: ...
@overload
def all_succeeded(
    first: DurableFuture[A], second: DurableFuture[B], third: DurableFuture[C], fourth: DurableFuture[D], /
) -> Durable[tuple[A, B, C, D]]: ...
@overload
def all_succeeded(*futures: DurableFuture[T]) -> Durable[tuple[T, ...]]: ...
def all_succeeded(*futures: DurableFuture[Any]) -> Durable[Any]:
    """Waits for all, and gives their values; raises the first failure at once, whatever becomes of the others."""
    return _AllSucceeded(futures) if futures else Ready(())


@overload
def all_settled(first: DurableFuture[A], second: DurableFuture[B], /) -> Durable[tuple[Outcome[A], Outcome[B]]]: ...
@overload
def all_settled(
    first: DurableFuture[A], second: DurableFuture[B], third: DurableFuture[C], /
) -> Durable[tuple[Outcome[A], Outcome[B], Outcome[C]]]: ...
@overload
def all_settled(
    first: DurableFuture[A], second: DurableFuture[B], third: DurableFuture[C], fourth: DurableFuture[D], /
) -> Durable[tuple[Outcome[A], Outcome[B], Outcome[C], Outcome[D]]]: ...
@overload
def all_settled(*futures: DurableFuture[T]) -> Durable[tuple[Outcome[T], ...]]: ...
def all_settled(*futures: DurableFuture[Any]) -> Durable[Any]:
    """Waits for all, and gives what came of each, `Succeeded(value)` or `Failed(error)`, in the order given.

    A cancel of the handler, which is no failure of a future, is raised all the same.
    """
    return _AllSettled(futures) if futures else Ready(())


class _Several(Durable[T]):
    """Futures that are taken as soon as they are seen to be completed: two waits for one signal need two signals."""

    __slots__ = ("_futures",)

    ended_by: ClassVar[bool | None]
    """What lets the others not matter any more: a failure (True), a success (False), nothing (None)."""

    def __init__(self, futures: Sequence[DurableFuture[Any]]) -> None:
        super().__init__(shared_progress(futures))
        self._futures = futures

    def missing(self) -> Sequence[Handle]:
        handles: list[Handle] = []
        for future in self._futures:
            if not future.is_completed():
                handles.append(future.handle)
                continue
            future.settle()
            if future.has_failed() is self.ended_by:
                return ()
        return handles


class _FirstSucceeded(_Several[Any]):
    __slots__ = ()

    combinator = pb.FIRST_SUCCEEDED_OR_ALL_FAILED
    ended_by = False

    def value(self) -> Any:
        failures: list[TerminalError] = []
        for future in self._futures:
            if future.is_completed():
                try:
                    return future.value()
                except TerminalError as error:
                    failures.append(error)
        raise AllFailed(failures)


class _AllSucceeded(_Several[tuple[Any, ...]]):
    __slots__ = ()

    combinator = pb.ALL_SUCCEEDED_OR_FIRST_FAILED
    ended_by = True

    def value(self) -> tuple[Any, ...]:
        for future in self._futures:
            if future.has_failed():
                future.value()
        return tuple(future.value() for future in self._futures)


class _AllSettled(_Several[tuple[Outcome[Any], ...]]):
    __slots__ = ()

    combinator = pb.ALL_COMPLETED
    ended_by = None

    def value(self) -> tuple[Outcome[Any], ...]:
        return tuple(_outcome(future) for future in self._futures)


def _outcome(future: DurableFuture[Any]) -> Outcome[Any]:
    try:
        return Succeeded(future.value())
    except TerminalError as error:
        return Failed(error)
