"""Schedules: handlers that are started by the clock. What is kept of each, and which is due next.

Two records a schedule: what its owner said, which changes when it is edited, and how far it has come, which changes
each time it is due. Both live in the store's settings and, all of them, here.
"""

import heapq
from collections.abc import Mapping
from typing import Literal, TypeAlias

from msgspec import Struct, json
from msgspec.structs import replace

from perdure.engine.events import Setting, Target
from perdure.engine.recurrence import next_due_ms
from perdure.errors import UnknownSchedule
from perdure.protocol.ids import InvocationId

DEFINITION = "schedule"
PROGRESS = "schedule-progress"
"""The kinds of settings that they are stored as."""

CLOCK_SET_BACK_MS = 60 * 60 * 1000
"""A clock that goes back further than this was wrong before; by less, what was due is not due again."""

Overlap: TypeAlias = Literal["allow", "skip"]
CatchUp: TypeAlias = Literal["once", "none"]


class Schedule(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is started when, as its owner said it; either `cron` or `every_ms`.

    `overlap`: whether it starts another while the last one still runs.
    `catch_up`: whether it starts one for all the times that were missed while no engine ran.
    `anchor_ms`: where multiples of `every_ms` are counted from. `version` counts edits.
    """

    id: str
    target: Target
    cron: str | None = None
    every_ms: int | None = None
    timezone: str = "UTC"
    input: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    limit_key: str | None = None
    paused: bool = False
    overlap: Overlap = "allow"
    catch_up: CatchUp = "once"
    description: str = ""
    version: int = 0
    created_at_ms: int = 0
    modified_at_ms: int = 0
    anchor_ms: int = 0

    def due_after(self, after_ms: int) -> int | None:
        """When it is due next; None if never, or paused."""
        if self.paused:
            return None
        return next_due_ms(self.cron, self.every_ms, self.timezone, self.anchor_ms, after_ms)


class Progress(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a schedule has come. `last_error`: why the latest time that was due began nothing."""

    next_at_ms: int | None = None
    last_fired_at_ms: int | None = None
    last_invocation_id: InvocationId | None = None
    last_skipped_at_ms: int | None = None
    last_error: str | None = None


class Schedules:
    """All schedules in memory, and in which order they are due."""

    def __init__(self, definitions: Mapping[str, bytes], progress: Mapping[str, bytes]) -> None:
        """`definitions`, `progress`: the stored records by id."""
        self.definitions = {id: json.decode(record, type=Schedule) for id, record in definitions.items()}
        self.progress = {id: json.decode(record, type=Progress) for id, record in progress.items()}
        self._due: list[tuple[int, str]] = []  # those that were changed since stand in it twice
        self._seen_ms = max((self._latest_of(id) for id in self.definitions), default=0)
        self._order()

    def get(self, id: str) -> Schedule:
        """Raises `UnknownSchedule`."""
        schedule = self.definitions.get(id)
        if schedule is None:
            raise UnknownSchedule(id)
        return schedule

    def define(self, schedule: Schedule, progress: Progress) -> tuple[Setting, Setting]:
        """Keep a schedule that is new or was edited; what to store of it."""
        self.definitions[schedule.id] = schedule
        return (DEFINITION, schedule.id, json.encode(schedule)), self.advance(schedule.id, progress)

    def advance(self, id: str, progress: Progress) -> Setting:
        """A schedule has come further; what to store of it."""
        self.progress[id] = progress
        if progress.next_at_ms is not None:
            heapq.heappush(self._due, (progress.next_at_ms, id))
        if len(self._due) > 2 * len(self.definitions) + 16:
            self._order()
        return PROGRESS, id, json.encode(progress)

    def remove(self, id: str) -> tuple[Setting, Setting]:
        """Forget a schedule; what to take out of the store."""
        del self.definitions[id], self.progress[id]
        return (DEFINITION, id, None), (PROGRESS, id, None)

    def next_due_ms(self) -> int | None:
        """When the next is due; None if none is."""
        while self._due:
            due_ms, id = self._due[0]
            if self._is_next(id, due_ms):
                return due_ms
            heapq.heappop(self._due)
        return None

    def pop_due(self, now_ms: int) -> tuple[Schedule, int] | None:
        """The earliest that is due, with the time that it was due at. It is due no more until it has advanced."""
        due_ms = self.next_due_ms()
        if due_ms is None or due_ms > now_ms:
            return None
        _, id = heapq.heappop(self._due)
        return self.definitions[id], due_ms

    def see(self, now_ms: int) -> list[Setting]:
        """The clock says `now_ms`. If it was set back by far, times are found anew; what to store of that."""
        set_back = self._seen_ms - now_ms > CLOCK_SET_BACK_MS
        self._seen_ms = now_ms if set_back else max(self._seen_ms, now_ms)
        changed: list[Setting] = []
        for id, schedule in self.definitions.items() if set_back else ():
            progress = self.progress[id]
            next_at_ms = schedule.due_after(now_ms)
            if next_at_ms != progress.next_at_ms:
                changed.append(self.advance(id, replace(progress, next_at_ms=next_at_ms)))
        return changed

    def _latest_of(self, id: str) -> int:
        """The latest time at which something happened to it."""
        progress = self.progress[id]
        return max(
            self.definitions[id].modified_at_ms, progress.last_fired_at_ms or 0, progress.last_skipped_at_ms or 0
        )

    def _is_next(self, id: str, due_ms: int) -> bool:
        return id in self.progress and self.progress[id].next_at_ms == due_ms

    def _order(self) -> None:
        self._due = [
            (progress.next_at_ms, id) for id, progress in self.progress.items() if progress.next_at_ms is not None
        ]
        heapq.heapify(self._due)
