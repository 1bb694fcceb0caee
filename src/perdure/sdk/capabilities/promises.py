"""Durable promises: named values of a workflow that its handlers wait for, look at and complete."""

from collections.abc import Awaitable, Generator
from datetime import timedelta
from typing import Any, Generic, TypeVar

from perdure.protocol import wire_pb2 as pb
from perdure.sdk.capabilities.capability import Capability, as_value_of, checked, chosen, issued
from perdure.sdk.failures import failure
from perdure.sdk.futures import DurableFuture, as_none
from perdure.sdk.limits import time_limit
from perdure.sdk.progress import Progress
from perdure.sdk.serde import Serde

T = TypeVar("T")


class DurablePromise(Awaitable[T], Generic[T]):
    """A promise of one workflow, by name. It is completed once, and read any number of times."""

    __slots__ = ("_name", "_progress", "_serde")

    def __init__(self, progress: Progress, name: str, serde: Serde[T]) -> None:
        self._progress = progress
        self._name = name
        self._serde = serde

    def value(self, *, timeout: timedelta | None = None) -> DurableFuture[T]:
        """The value, to be awaited or combined with others; it fails with `TimedOut` after `timeout`.

        The promise itself stays as it is: it can be completed, and asked for again.
        """
        limit = time_limit(timeout, f"promise {self._name!r}", "was not completed")
        handle = issued(self._progress, pb.GetPromiseCommandMessage(key=self._name), limit)
        return self._read(handle)

    def __await__(self) -> Generator[Any, None, T]:
        return self.value().__await__()

    def peek(self) -> DurableFuture[T | None]:
        """The value if it is there already, else None. Await it."""
        handle = issued(self._progress, pb.PeekPromiseCommandMessage(key=self._name))
        return self._read(handle)

    def resolve(self, value: T) -> DurableFuture[None]:
        """Completes it with a value. Await it: it raises if the promise was completed before."""
        content = pb.Value(content=self._serde.serialize(value))
        return self._complete(pb.CompletePromiseCommandMessage(key=self._name, completion_value=content))

    def reject(self, message: str, code: int = 500) -> DurableFuture[None]:
        """Completes it with a failure: who awaits it gets a TerminalError. Await it, as `resolve`."""
        rejection = failure(message, code)
        return self._complete(pb.CompletePromiseCommandMessage(key=self._name, completion_failure=rejection))

    def _read(self, handle: int) -> DurableFuture[Any]:
        return DurableFuture(self._progress, handle, as_value_of(f"the value of promise {self._name!r}", self._serde))

    def _complete(self, command: pb.CompletePromiseCommandMessage) -> DurableFuture[None]:
        return DurableFuture(self._progress, issued(self._progress, command), as_none)


class Promises(Capability):
    """The promises of a workflow."""

    __slots__ = ()

    def promise(self, name: str, serde: Serde[T] | None = None, type_hint: type[T] | None = None) -> DurablePromise[T]:
        """The promise of this name; all handlers of one workflow share it."""
        return DurablePromise(self._progress, checked("the name of a promise", name), chosen(serde, type_hint))
