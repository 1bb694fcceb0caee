"""Committers for tests: in the loop's own thread, so that all happens the same way each time; and one that crashes."""

import asyncio
from collections.abc import Callable

from perdure.engine.batch import Sealed
from perdure.engine.committer import OnCommitted
from perdure.engine.store.writer import Writer
from perdure.errors import StoreError


class InlineCommitter:
    """Commits in the loop's thread: nothing is on its way in another one."""

    def __init__(self, writer: Writer, loop: asyncio.AbstractEventLoop) -> None:
        self._writer = writer
        self._loop = loop

    def submit(self, sealed: Sealed, done: OnCommitted) -> None:
        self._loop.call_soon(self._commit, sealed, done)

    def _commit(self, sealed: Sealed, done: OnCommitted) -> None:
        error: Exception | None = None
        try:
            self._writer.commit(sealed)
        except Exception as caught:  # noqa: BLE001 - the edge: whatever it was stops the engine
            error = caught
        done(error)

    def close(self) -> None: ...


class CrashPoint:
    """Before or after the commit of one entry of one invocation's journal. `crash` is called there, once."""

    def __init__(
        self, invocation_id: str, number: int | None, index: int, *, before: bool, crash: Callable[[], None]
    ) -> None:
        self.before = before
        self.crash = crash
        self.reached = False
        self._invocation_id = invocation_id
        self._index = index
        self._number: object = number  # None: not admitted yet

    def is_in(self, sealed: Sealed) -> bool:
        """Whether a commit holds the entry."""
        if self.reached:
            return False
        rows = dict(sealed.statements)
        for number, id, *_ in rows.get("invocation", ()):
            if id == self._invocation_id:
                self._number = number
        self.reached = any(row[:2] == (self._number, self._index) for row in rows.get("journal", ()))
        return self.reached


class CrashingCommitter(InlineCommitter):
    """Crashes at a point that is set later, if at all."""

    def __init__(self, writer: Writer, loop: asyncio.AbstractEventLoop, point: Callable[[], CrashPoint | None]) -> None:
        super().__init__(writer, loop)
        self._point = point

    def _commit(self, sealed: Sealed, done: OnCommitted) -> None:
        point = self._point()
        if point is None or not point.is_in(sealed):
            super()._commit(sealed, done)
            return
        if not point.before:
            self._writer.commit(sealed)
        point.crash()
        done(StoreError("a crash for the test"))
