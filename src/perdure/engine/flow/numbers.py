"""Many whole numbers in order, eight bytes each: a million invocations may wait, and any may leave before its turn."""

from array import array
from bisect import bisect_left, insort
from collections.abc import Iterator

CHUNK = 512
"""How many lie together: what is moved when one comes or goes."""


class Numbers:
    """A sorted set of 64-bit integers. Adding, removing, and counting those before one cost little, however many."""

    __slots__ = ("_chunks", "_length")

    def __init__(self) -> None:
        self._chunks: list[array[int]] = []
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[int]:
        for chunk in self._chunks:
            yield from chunk

    def first(self) -> int:
        """The least; there must be one."""
        return self._chunks[0][0]

    def pop_first(self) -> int:
        """Takes out the least; there must be one."""
        chunk = self._chunks[0]
        number = chunk.pop(0)
        if not chunk:
            del self._chunks[0]
        self._length -= 1
        return number

    def add(self, number: int) -> None:
        """Takes in a number that is not here yet."""
        self._length += 1
        chunks = self._chunks
        at = self._chunk_of(number)
        if at == len(chunks):  # beyond all that is here: as what waits mostly comes
            if chunks and len(chunks[-1]) < CHUNK:
                chunks[-1].append(number)
            else:
                chunks.append(array("q", (number,)))
            return
        chunk = chunks[at]
        insort(chunk, number)
        if len(chunk) > CHUNK:
            chunks.insert(at + 1, chunk[CHUNK // 2 :])
            del chunk[CHUNK // 2 :]

    def remove(self, number: int) -> bool:
        """Takes out a number; whether it was here."""
        at = self._chunk_of(number)
        if at == len(self._chunks):
            return False
        chunk = self._chunks[at]
        index = bisect_left(chunk, number)
        if chunk[index] != number:
            return False
        del chunk[index]
        if not chunk:
            del self._chunks[at]
        self._length -= 1
        return True

    def __contains__(self, number: int) -> bool:
        at = self._chunk_of(number)
        if at == len(self._chunks):
            return False
        chunk = self._chunks[at]
        return chunk[bisect_left(chunk, number)] == number

    def before(self, number: int) -> int:
        """How many are less than this one."""
        at = self._chunk_of(number)
        count = sum(map(len, self._chunks[:at]))
        return count + (bisect_left(self._chunks[at], number) if at < len(self._chunks) else 0)

    def _chunk_of(self, number: int) -> int:
        """The index of the first chunk whose last number is not less than this one."""
        return bisect_left(self._chunks, number, key=_last)


def _last(chunk: "array[int]") -> int:
    return chunk[-1]
