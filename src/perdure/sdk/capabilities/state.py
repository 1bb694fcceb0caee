"""State: the keys and values of a virtual object or workflow."""

from typing import Any, TypeVar

from perdure.protocol import wire_pb2 as pb
from perdure.sdk.capabilities.capability import Capability, as_value, checked, chosen
from perdure.sdk.futures import Durable, DurableFuture, Ready
from perdure.sdk.serde import Serde, TypeHint

T = TypeVar("T")


class ReadsState(Capability):
    """Reads the state that goes with the key."""

    __slots__ = ()

    def key(self) -> str:
        """The key of the object, or the id of the workflow."""
        return self._progress.machine.intake.start.key

    def get(
        self, name: str, serde: Serde[T] | None = None, type_hint: type[T] | None = None
    ) -> DurableFuture[T | None]:
        """What is stored under `name`; None if nothing is. Await it."""
        progress = self._progress
        handle = progress.do(progress.machine.state.read, _key(name))
        return DurableFuture(progress, handle, as_value(chosen(serde, type_hint)))

    def recall(self, name: str, type_hint: type[T] | None = None) -> Durable[T | None]:
        """`get` for a value that is never written again once it is there, such as an item of a list that only grows.

        What came with the attempt is read without an entry in the journal, so it is not stored a second time. Await it.
        """
        progress = self._progress
        content = progress.do(progress.machine.state.recall, _key(name))
        if content is None:
            return self.get(name, type_hint=type_hint)
        return Ready(chosen(None, type_hint).deserialize(content))

    def state_keys(self) -> DurableFuture[list[str]]:
        """The names under which something is stored. Await it."""
        progress = self._progress
        return DurableFuture(progress, progress.do(progress.machine.state.read_keys), _as_names)


class WritesState(Capability):
    """Changes the state that goes with the key."""

    __slots__ = ()

    def set(self, name: str, value: T, serde: Serde[T] | None = None) -> None:
        """Stores a value under `name`."""
        self._write(name, chosen(serde, _type_of(value)).serialize(value))

    def clear(self, name: str) -> None:
        """Removes what is stored under `name`."""
        self._progress.do(self._progress.machine.state.clear, _key(name))

    def clear_all(self) -> None:
        """Removes all that is stored."""
        self._progress.do(self._progress.machine.state.clear_all)

    def _write(self, name: str, value: bytes) -> None:
        self._progress.do(self._progress.machine.state.set, _key(name), value)


def _key(name: str) -> bytes:
    return checked("the name of a state", name).encode()


def _type_of(value: object) -> TypeHint:
    """Bytes are stored as they are; what else there is says itself how it becomes JSON."""
    return bytes if isinstance(value, (bytes, bytearray, memoryview)) else Any


def _as_names(notification: pb.NotificationMessage) -> list[str]:
    return [key.decode() for key in notification.state_keys.keys]
