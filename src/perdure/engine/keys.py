"""Who holds a key, and who waits for it: exclusive handlers of one key run one at a time, in order of arrival.

The truth is in the invocations' rows (the one that is not scheduled, pending or completed holds the key; the pending
ones wait), so this is a cache: a key that is asked for is read from the store, and dropped when nothing happens on it.
"""

from collections import deque
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

Key: TypeAlias = tuple[str, str, str]
"""Scope ('' where there is none), service and key."""


@dataclass(slots=True)
class Queue:
    """One key: the number of the invocation that holds it, and of those that wait, in order."""

    holder: int | None = None
    waiting: deque[int] = field(default_factory=deque[int])


class Keys:
    """All keys at which something happens. `load` reads a key's queue from the store."""

    def __init__(self, load: Callable[[Key], Queue]) -> None:
        self._load = load
        self._queues: dict[Key, Queue] = {}

    def take(self, key: Key, number: int) -> bool:
        """Whether the invocation has the key now; if not, it waits at the end of the queue."""
        queue = self._queue(key)
        if queue.holder is None:
            queue.holder = number
            return True
        queue.waiting.append(number)
        return False

    def holder(self, key: Key) -> int | None:
        """The number of the invocation that has the key."""
        return self._queue(key).holder

    def waiting(self, key: Key) -> Iterable[int]:
        """Those that wait for the key, in order; mutations by their negated places."""
        return self._queue(key).waiting

    def release(self, key: Key, number: int) -> int | None:
        """Give up the key, or the place in its queue; the number of the invocation that has the key now by this."""
        queue = self._queue(key)
        if queue.holder != number:
            queue.waiting.remove(number)
            return None
        queue.holder = queue.waiting.popleft() if queue.waiting else None
        return queue.holder

    def drop(self, key: Key, in_memory: Container[int]) -> None:
        """Forget a key at which nothing happens: nobody waits, and its holder, if any, is at rest in the store.

        Only for keys of which all is on disk: it is read from there when it is asked for again.
        """
        queue = self._queues.get(key)
        if queue is not None and not queue.waiting and (queue.holder is None or queue.holder not in in_memory):
            del self._queues[key]

    def _queue(self, key: Key) -> Queue:
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = self._load(key)
        return queue
