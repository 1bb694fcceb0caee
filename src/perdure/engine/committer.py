"""Commits batches on a thread of its own, one after the other, while the loop gathers the next."""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Protocol, TypeAlias

from perdure.engine.batch import Sealed
from perdure.engine.store.writer import Writer

OnCommitted: TypeAlias = Callable[[Exception | None], None]


class Committer(Protocol):
    """What makes batches durable. `done` is called in the loop's thread, with the error if nothing was written."""

    def submit(self, sealed: Sealed, done: OnCommitted) -> None: ...

    def close(self) -> None: ...


class ThreadCommitter:
    """The committer of every engine but a simulated one."""

    def __init__(self, writer: Writer, loop: asyncio.AbstractEventLoop) -> None:
        self._writer = writer
        self._loop = loop
        self._queue: SimpleQueue[tuple[Sealed, OnCommitted] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="perdure-committer", daemon=True)
        self._thread.start()

    def submit(self, sealed: Sealed, done: OnCommitted) -> None:
        self._queue.put((sealed, done))

    def close(self) -> None:
        """Commits what was submitted, then ends the thread."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (submitted := self._queue.get()) is not None:
            sealed, done = submitted
            error: Exception | None = None
            try:
                self._writer.commit(sealed)
            except Exception as caught:  # noqa: BLE001 - the edge of a thread: whatever it was stops the engine
                error = caught
            self._loop.call_soon_threadsafe(done, error)
