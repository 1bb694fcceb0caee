"""A mutation: an object's state replaced as a whole, by an operator.

It waits for the object's key as an exclusive handler would, so that it never changes what a handler is reading.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Iterable

import msgspec


def state_version(entries: Iterable[tuple[bytes, bytes]]) -> str:
    """What names the content of a state, for those who change it only if it is still what they saw.

    The official CLI computes it from what it read, in the same way.
    """
    digest = hashlib.sha256()
    for position, (name, value) in enumerate(sorted(entries)):
        digest.update(position.to_bytes(8, "big") + b"\x01" + name + b"\x02" + value + b"\x03")
    return urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()


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
