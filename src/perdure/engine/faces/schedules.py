"""`engine.schedules`: schedules made, looked at, edited, triggered and deleted.

A change is checked and made in memory at once, and is shown once it is on disk: of two edits that are based on the
same version, one is refused.
"""

import re
from collections.abc import Callable

from msgspec import Struct, json
from msgspec.structs import replace

from perdure.engine import recurrence
from perdure.engine.answers import Accepted, Answer
from perdure.engine.events import ScheduleTriggered, Setting, SettingsChanged, Target
from perdure.engine.faces.ask import Ask
from perdure.engine.faces.changes import Changes
from perdure.engine.firing import check_target
from perdure.engine.ledger import Ledger
from perdure.engine.schedules import DEFINITION, PROGRESS, Progress, Schedule
from perdure.errors import Conflict, UnknownSchedule, UsageError
from perdure.protocol.scopes import check_scope

_ID = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
INPUT_BYTES_MAX = 256 * 1024


class ScheduleState(Struct, frozen=True):
    """A schedule, and how far it has come."""

    schedule: Schedule
    progress: Progress


class Scheduling:
    """The schedules of one engine. What is awaited here returns after the commit that it rests on."""

    def __init__(self, ledger: Ledger, ask: Ask, clock: Callable[[], int]) -> None:
        self._ledger = ledger
        self._schedules = ledger.schedules
        self._ask = ask
        self._clock = clock
        self._changes = Changes(ask)

    def all(self) -> list[ScheduleState]:
        """All schedules as they are on disk, by id."""
        reader = self._ledger.reader
        progress = reader.settings(PROGRESS)
        return [_decode(record, progress[id]) for id, record in sorted(reader.settings(DEFINITION).items())]

    def get(self, id: str) -> ScheduleState:
        """A schedule as it is on disk. Raises `UnknownSchedule`."""
        reader = self._ledger.reader
        definition, progress = reader.setting(DEFINITION, id), reader.setting(PROGRESS, id)
        if definition is None or progress is None:
            raise UnknownSchedule(id)
        return _decode(definition, progress)

    async def create(self, schedule: Schedule) -> ScheduleState:
        """Begin a schedule; its version and its times are set here.

        Raises:
            Conflict: there is one with this id.
            UsageError: it says nothing that could be done; the message names the field.
            UnknownTarget: no deployment has the handler, or the key is missing or not wanted.
        """
        async with self._changes:
            if schedule.id in self._schedules.definitions:
                raise Conflict(f"schedule {schedule.id} exists: edit it, or delete it first")
            self._check(schedule)
            self._check_target(schedule.target)
            now_ms = self._clock()
            schedule = replace(schedule, version=1, created_at_ms=now_ms, modified_at_ms=now_ms, anchor_ms=now_ms)
            return await self._define(schedule, Progress(next_at_ms=schedule.due_after(now_ms)))

    async def edit(self, schedule: Schedule) -> ScheduleState:
        """Put a schedule in the place of that with the same id, on whose present version it must be based.

        Raises:
            UnknownSchedule: there is none with this id.
            Conflict: it was edited since that version.
            UsageError, UnknownTarget: as in `create`.
        """
        async with self._changes:
            before, progress = self._schedules.get(schedule.id), self._schedules.progress[schedule.id]
            if schedule.version != before.version:
                raise Conflict(
                    f"schedule {schedule.id} is at version {before.version} and not {schedule.version}: somebody "
                    "edited it meanwhile. Look at it again, and edit that"
                )
            self._check(schedule)
            if schedule.target != before.target:  # else it may be gone: what starts nothing can still be paused
                self._check_target(schedule.target)
            now_ms = self._clock()
            schedule = replace(
                schedule,
                version=before.version + 1,
                created_at_ms=before.created_at_ms,
                modified_at_ms=now_ms,
                anchor_ms=before.anchor_ms if schedule.every_ms == before.every_ms else now_ms,
            )
            if _timing(schedule) != _timing(before):
                progress = replace(progress, next_at_ms=schedule.due_after(now_ms))
            return await self._define(schedule, progress)

    async def trigger(self, id: str) -> Accepted:
        """Start what it starts, now, also where it is paused; its own times stay as they are.

        Raises:
            UnknownSchedule: there is none with this id.
            UnknownTarget: no deployment has the handler any more.
        """
        accepted = await self._ask(lambda request: ScheduleTriggered(request, id))
        assert isinstance(accepted, Accepted)
        return accepted

    async def delete(self, id: str, version: int | None = None) -> None:
        """Start nothing any more; what was started goes on. Raises like `edit`, where a version is given."""
        async with self._changes:
            schedule = self._schedules.get(id)
            if version is not None and version != schedule.version:
                raise Conflict(f"schedule {id} is at version {schedule.version} and not {version}: it was not deleted")
            await self._store(self._schedules.remove(id))

    async def _define(self, schedule: Schedule, progress: Progress) -> ScheduleState:
        await self._store(self._schedules.define(schedule, progress))
        return ScheduleState(schedule, progress)

    async def _store(self, changes: tuple[Setting, ...]) -> Answer:
        return await self._ask(lambda request: SettingsChanged(request, changes))

    def _check(self, schedule: Schedule) -> None:
        if not _ID.fullmatch(schedule.id):
            raise UsageError(f"id: {schedule.id!r} is no id of a schedule: 1 to 64 letters, digits, `_`, `.` and `-`")
        recurrence.check(schedule.cron, schedule.every_ms, schedule.timezone)
        check_scope(schedule.target.scope, schedule.limit_key)
        if len(schedule.input) > INPUT_BYTES_MAX:
            raise UsageError(f"input: larger than {INPUT_BYTES_MAX} bytes: have the handler fetch what it needs")

    def _check_target(self, target: Target) -> None:
        check_target(self._ledger.registry.resolve(target.service, target.handler), target)


def _decode(definition: bytes, progress: bytes) -> ScheduleState:
    return ScheduleState(json.decode(definition, type=Schedule), json.decode(progress, type=Progress))


def _timing(schedule: Schedule) -> tuple[object, ...]:
    return schedule.cron, schedule.every_ms, schedule.timezone, schedule.paused
