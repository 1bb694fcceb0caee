"""A mutation: an object's state replaced as a whole, by an operator.

It waits for the object's key as an exclusive handler would, so that it never changes what a handler is reading.
"""

import hashlib
from collections.abc import Iterable

import msgspec


def state_version(entries: Iterable[tuple[bytes, bytes]]) -> str:
    """What names the content of a state, for those who change it only if it is still what they saw."""
    digest = hashlib.sha256()
    for name, value in sorted(entries):
        for part in (name, value):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:32]


class Mutation(msgspec.Struct, frozen=True):
    """The state that an object is to have; with `version`, only if it has that version still."""

    state: dict[str, bytes]
    version: str | None = None

    def encode(self) -> bytes:
        """The bytes to store."""
        return msgspec.json.encode(self)

    @staticmethod
    def decode(stored: bytes) -> "Mutation":
        return msgspec.json.decode(stored, type=Mutation)

    def fits(self, entries: Iterable[tuple[bytes, bytes]]) -> bool:
        """Whether the state is still the one that it was meant for."""
        return self.version is None or self.version == state_version(entries)
