"""Committers for tests: in the loop's own thread, so that all happens the same way each time; and one that crashes."""

import asyncio
from collections.abc import Callable
from typing import TypeAlias, cast

from perdure.engine.batch import Row, Sealed
from perdure.engine.committer import OnCommitted
from perdure.engine.store.writer import Writer
from perdure.errors import StoreError
from perdure.testing.store import target_name

Place: TypeAlias = tuple[int, int]
"""Of an entry: the number of its invocation, and its index."""


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


class Known:
    """The invocation of this id. `number` is what keys its rows; None: it was not admitted yet."""

    def __init__(self, id: str, number: int | None) -> None:
        self.number = number
        self._id = id

    def note(self, row: Row) -> None:
        """Shown each row of an invocation that is committed."""
        if row[1] == self._id:
            self.number = cast(int, row[0])


class Nth:
    """The n-th to come of a target's invocations, from 1, after those that are numbered up to `since`."""

    def __init__(self, target: str, n: int, since: int) -> None:
        self.number: int | None = None
        self._target = target
        self._n = n
        self._since = since
        self._seen: set[int] = set()

    def note(self, row: Row) -> None:
        """Shown each row of an invocation that is committed."""
        number, _, service, key, handler, *_ = cast(tuple[int, str, str, str | None, str], row)
        if number > self._since and target_name(service, key, handler) == self._target:
            self._seen.add(number)
            if self.number is None and len(self._seen) == self._n:
                self.number = number


class CrashPoint:
    """Before or after the commit of one entry of one invocation's journal. `crash` is called there, once."""

    def __init__(self, invocation: Known | Nth, index: int, *, before: bool, crash: Callable[[], None]) -> None:
        self.before = before
        self.crash = crash
        self.reached = False
        self._invocation = invocation
        self._index = index

    def is_in(self, sealed: Sealed) -> bool:
        """Whether a commit holds the entry."""
        if self.reached:
            return False
        rows = dict(sealed.statements)
        for row in rows.get("invocation", ()):
            self._invocation.note(row)
        where = (self._invocation.number, self._index)
        self.reached = any(row[:2] == where for row in rows.get("journal", ()))
        return self.reached


class CrashingCommitter(InlineCommitter):
    """Crashes at a point that is set later, if at all. `commits`: told of the entries that are committed together."""

    def __init__(
        self,
        writer: Writer,
        loop: asyncio.AbstractEventLoop,
        point: Callable[[], CrashPoint | None],
        commits: list[set[Place]],
    ) -> None:
        super().__init__(writer, loop)
        self._point = point
        self._commits = commits

    def _commit(self, sealed: Sealed, done: OnCommitted) -> None:
        point = self._point()
        if point is None or not point.is_in(sealed):
            super()._commit(sealed, done)
            self._commits.append({(row[0], row[1]) for row in _journal_rows(sealed)})
            return
        if not point.before:
            self._writer.commit(sealed)
        point.crash()
        done(StoreError("a crash for the test"))


def _journal_rows(sealed: Sealed) -> list[tuple[int, int]]:
    return cast(list[tuple[int, int]], dict(sealed.statements).get("journal", []))
