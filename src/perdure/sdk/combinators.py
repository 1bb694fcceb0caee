"""Waiting for several durable futures at once, in an order that is the same on replay.

`asyncio.gather` and its like know nothing of journals; these do. All of them take futures of one context only.
In a plain `def` handler use `.result()` where others `await`, and `for` where others `async for`.
"""

from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from operator import itemgetter
from typing import Any, Generic, TypeVar

from perdure.errors import UsageError
from perdure.protocol import wire_pb2 as pb
from perdure.sdk.awaiting import Handle
from perdure.sdk.futures import Durable, DurableFuture, Ready
from perdure.sdk.progress import Progress
from perdure.sdk.waits import RepeatedWaiter, Waiter

T = TypeVar("T")


def gather(*futures: DurableFuture[Any]) -> Durable[list[DurableFuture[Any]]]:
    """Waits for all. Gives the futures: await each for its value, or its failure."""
    return _Gather(futures) if futures else Ready([])


def select(**futures: DurableFuture[Any]) -> Durable[list[Any]]:
    """Waits for the first. Gives `[name, value]`, made for `match`; raises if what completed is a failure.

    match await select(approved=approval, timeout=ctx.sleep(timedelta(hours=1))):
        case ["approved", verdict]: ...
        case ["timeout", _]: ...
    """
    if not futures:
        raise UsageError("select needs at least one future")
    return _Select(futures)


def wait_completed(
    *futures: DurableFuture[T],
) -> Durable[tuple[list[DurableFuture[T]], list[DurableFuture[T]]]]:
    """Waits until at least one is completed. Gives the completed and the others, each in the order given."""
    return _WaitCompleted(futures) if futures else Ready(([], []))


def as_completed(*futures: DurableFuture[T]) -> "AsCompleted[T]":
    """Gives each future as it completes.

    async for future in as_completed(first, second):
        print(await future)
    """
    return AsCompleted(futures)


class AsCompleted(Generic[T]):
    """What `as_completed` gives: iterate it, with `async for` or, in a plain `def` handler, with `for`."""

    def __init__(self, futures: Sequence[DurableFuture[T]]) -> None:
        self._futures = futures

    async def __aiter__(self) -> AsyncIterator[DurableFuture[T]]:
        if not self._futures:
            return
        completions = _Completions(self._futures)
        try:
            while completions.expected():
                for future in await completions:
                    yield future
        finally:
            completions.close()

    def __iter__(self) -> Iterator[DurableFuture[T]]:
        if not self._futures:
            return
        completions = _Completions(self._futures)
        try:
            while completions.expected():
                yield from completions.result()
        finally:
            completions.close()


class _Completions(Durable[list[DurableFuture[T]]]):
    """The next futures that are completed, again and again, each once. Looks only at those under which something came.

    Several that are completed by the time they are asked for are given in the order that they were passed in.
    """

    __slots__ = ("_completed", "_expected", "_waiter")

    def __init__(self, futures: Sequence[DurableFuture[T]]) -> None:
        super().__init__(shared_progress(futures))
        self._expected: dict[Handle, list[tuple[int, DurableFuture[T]]]] = {}
        for position, future in enumerate(futures):
            self._expected.setdefault(future.handle, []).append((position, future))
        self._waiter = RepeatedWaiter(list(self._expected))
        self._completed: list[tuple[int, DurableFuture[T]]] = []

    def expected(self) -> bool:
        """Whether some were not given yet."""
        return bool(self._expected)

    def missing(self) -> Collection[Handle]:
        arrived = self._waiter.arrived
        while arrived:
            self._look_at(arrived.popleft())
        if self._waiter.unwatched:
            self.progress.wait_later(self._waiter)
        return () if self._completed else self._expected.keys()

    def _look_at(self, handle: Handle) -> None:
        here = self._expected.get(handle, ())
        self._completed += [each for each in here if each[1].is_completed()]
        left = [each for each in here if not each[1].is_completed()]
        if left:
            self._expected[handle] = left
            self._waiter.watch_again(handle)
        elif here:
            del self._expected[handle]
            self._waiter.drop(handle)

    def waiter(self, missing: Collection[Handle]) -> Waiter:
        return self._waiter

    def value(self) -> list[DurableFuture[T]]:
        completed = sorted(self._completed, key=itemgetter(0))
        self._completed.clear()
        return [future for _, future in completed]

    def close(self) -> None:
        """No more are asked for."""
        self.progress.wait_no_more(self._waiter)


class _Gather(Durable[list[DurableFuture[Any]]]):
    __slots__ = ("_futures",)

    combinator = pb.ALL_COMPLETED

    def __init__(self, futures: Sequence[DurableFuture[Any]]) -> None:
        super().__init__(shared_progress(futures))
        self._futures = futures

    def missing(self) -> Sequence[Handle]:
        return [future.handle for future in self._futures if not future.is_completed()]

    def value(self) -> list[DurableFuture[Any]]:
        return list(self._futures)


class _WaitCompleted(Durable[tuple[list[DurableFuture[T]], list[DurableFuture[T]]]]):
    __slots__ = ("_futures",)

    combinator = pb.FIRST_COMPLETED

    def __init__(self, futures: Sequence[DurableFuture[T]]) -> None:
        super().__init__(shared_progress(futures))
        self._futures = futures

    def missing(self) -> Sequence[Handle]:
        handles: list[Handle] = []
        for future in self._futures:
            if future.is_completed():
                return ()
            handles.append(future.handle)
        return handles

    def value(self) -> tuple[list[DurableFuture[T]], list[DurableFuture[T]]]:
        done = [future for future in self._futures if future.is_completed()]
        return done, [future for future in self._futures if not future.is_completed()]


class _Select(Durable[list[Any]]):
    __slots__ = ("_first", "_named")

    combinator = pb.FIRST_COMPLETED

    def __init__(self, named: dict[str, DurableFuture[Any]]) -> None:
        self._named = named
        self._first = _WaitCompleted(list(named.values()))
        super().__init__(self._first.progress)

    def missing(self) -> Sequence[Handle]:
        return self._first.missing()

    def value(self) -> list[Any]:
        name, future = next((name, future) for name, future in self._named.items() if future.is_completed())
        return [name, future.value()]


def shared_progress(futures: Sequence[DurableFuture[Any]]) -> Progress:
    """What the futures that are to be combined belong to.

    Raises:
        UsageError: one is no durable future, or they are of different contexts.
    """
    for future in futures:
        # Code without type hints passes coroutines and asyncio futures, as asyncio's own functions take them.
        if not isinstance(future, DurableFuture):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise UsageError(f"only futures of the context can be combined, not {type(future).__name__}")
        if future.progress is not futures[0].progress:
            raise UsageError("only futures of one context can be combined")
    return futures[0].progress
