"""The state that came with Start, kept up with what the attempt writes.

It serves reads past the journal's end only: during replay the journal says what a read gave.
"""

from collections.abc import Iterable

from perdure.protocol import wire_pb2 as pb


class StateMap:
    """Keys and values known here. `partial`: a key that is not known may still exist."""

    __slots__ = ("_values", "partial")

    def __init__(self) -> None:
        self._values: dict[bytes, bytes | None] = {}  # None: known not to exist
        self.partial = True

    def load(self, entries: Iterable[pb.StartMessage.StateEntry], partial: bool) -> None:
        for entry in entries:
            self._values[entry.key] = entry.value
        self.partial = partial

    def knows(self, key: bytes) -> bool:
        return not self.partial or key in self._values

    def get(self, key: bytes) -> bytes | None:
        return self._values.get(key)

    def keys(self) -> list[bytes]:
        """The existing keys, in order; the truth only if not `partial`."""
        return sorted(key for key, value in self._values.items() if value is not None)

    def set(self, key: bytes, value: bytes) -> None:
        self._values[key] = value

    def clear(self, key: bytes) -> None:
        self._values[key] = None

    def clear_all(self) -> None:
        """After this nothing exists but what is written later, so the map is complete."""
        self._values.clear()
        self.partial = False
