"""Schedules as the admin API shows them: what was said of each, and how far it has come."""

from typing import Any

from msgspec import UNSET, Struct, UnsetType

from perdure.engine.engine import Engine
from perdure.engine.faces.schedules import ScheduleState
from perdure.engine.schedules import CatchUp, Overlap
from perdure.errors import UnknownInvocation
from perdure.server.admin.schedule_bodies import ScheduleTarget, json_input
from perdure.times import duration_text, time_text


class ScheduleView(Struct, frozen=True, kw_only=True):
    """A schedule, and how far it has come.

    `last_error`: why the latest time that was due started nothing. `last_failure`: how what it started last failed.
    """

    id: str
    target: ScheduleTarget
    cron: str | None
    every: str | None
    timezone: str
    input: Any = UNSET
    input_base64: bytes | UnsetType = UNSET
    headers: dict[str, str]
    limit_key: str | None
    paused: bool
    overlap: Overlap
    catch_up: CatchUp
    description: str
    version: int
    created_at: str
    modified_at: str
    next_at: str | None
    last_fired_at: str | None
    last_invocation_id: str | None
    last_skipped_at: str | None
    last_error: str | None
    last_failure: str | None


class SchedulesView(Struct, frozen=True):
    """All schedules, by id."""

    schedules: list[ScheduleView]


def schedule_view(engine: Engine, state: ScheduleState) -> ScheduleView:
    """The answer to `GET /schedules/{id}`."""
    schedule, progress = state.schedule, state.progress
    target, headers = schedule.target, dict(schedule.headers)
    json = json_input(schedule)
    return ScheduleView(
        id=schedule.id,
        target=ScheduleTarget(target.service, target.handler, target.key, target.scope),
        cron=schedule.cron,
        every=None if schedule.every_ms is None else duration_text(schedule.every_ms),
        timezone=schedule.timezone,
        input=json,
        input_base64=schedule.input if schedule.input and json is UNSET else UNSET,
        headers=headers,
        limit_key=schedule.limit_key,
        paused=schedule.paused,
        overlap=schedule.overlap,
        catch_up=schedule.catch_up,
        description=schedule.description,
        version=schedule.version,
        created_at=time_text(schedule.created_at_ms),
        modified_at=time_text(schedule.modified_at_ms),
        next_at=_time(progress.next_at_ms),
        last_fired_at=_time(progress.last_fired_at_ms),
        last_invocation_id=progress.last_invocation_id,
        last_skipped_at=_time(progress.last_skipped_at_ms),
        last_error=progress.last_error,
        last_failure=_last_failure(engine, progress.last_invocation_id),
    )


def _last_failure(engine: Engine, invocation_id: str | None) -> str | None:
    if invocation_id is None:
        return None
    try:
        outcome = engine.output(invocation_id)
    except UnknownInvocation:  # purged
        return None
    failure = outcome.failure if outcome is not None else None
    return None if failure is None else str(failure)


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else time_text(at_ms)
