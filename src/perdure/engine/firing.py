"""What happens when a schedule is due: its invocation, and its next time, in one batch.

The invocation's id follows from the schedule and the time, so that one time begins one invocation at most, whatever
clocks and crashes do. A time that begins nothing says why, on the schedule and in the log.
"""

import logging

from msgspec.structs import replace

from perdure.engine.admission import admit
from perdure.engine.answers import Accepted
from perdure.engine.effects import Respond
from perdure.engine.events import ScheduleTriggered, Target
from perdure.engine.invocation import Status
from perdure.engine.ledger import Ledger
from perdure.engine.registry import ResolvedHandler
from perdure.engine.schedules import Progress, Schedule
from perdure.engine.targets import check_key
from perdure.errors import Conflict, PerdureError, UsageError
from perdure.protocol.ids import scheduled_invocation_id, workflow_invocation_id
from perdure.times import time_text

logger = logging.getLogger(__name__)

SCHEDULE_HEADER = "x-perdure-schedule"
TIME_HEADER = "x-perdure-scheduled-at"

MISSED_AFTER_MS = 60_000
"""A time is missed when nothing came of it for so long. One that is late by less still gets its turn."""


def fire_due(ledger: Ledger, limit: int) -> None:
    """Start what is due by now, at most `limit` of them."""
    for kind, name, record in ledger.schedules.see(ledger.now_ms):
        ledger.batch.settings[kind, name] = record
    for _ in range(limit):
        due = ledger.schedules.pop_due(ledger.now_ms)
        if due is None:
            return
        _fire(ledger, *due)


def _fire(ledger: Ledger, schedule: Schedule, due_ms: int) -> None:
    missed = ledger.now_ms - due_ms > MISSED_AFTER_MS
    next_at_ms = schedule.due_after(ledger.now_ms if missed else due_ms)
    progress = replace(ledger.schedules.progress[schedule.id], next_at_ms=next_at_ms)
    try:
        _check_turn(ledger, schedule, progress, due_ms, missed=missed)
        progress = _start(ledger, schedule, progress, due_ms, manual=False)
    except PerdureError as error:
        progress = replace(progress, last_skipped_at_ms=ledger.now_ms, last_error=str(error))
        logger.warning("a schedule starts nothing: %s", error, extra={"schedule": schedule.id, "due": due_ms})
    _keep(ledger, schedule, progress)


def on_triggered(ledger: Ledger, event: ScheduleTriggered) -> None:
    """Start now what a schedule starts; its times stay as they are."""
    try:
        schedule = ledger.schedules.get(event.schedule_id)
        progress = _start(ledger, schedule, ledger.schedules.progress[schedule.id], ledger.now_ms, manual=True)
    except PerdureError as error:
        ledger.batch.effects.append(Respond(event.request, error))
        return
    _keep(ledger, schedule, progress)
    assert progress.last_invocation_id is not None
    ledger.batch.effects.append(Respond(event.request, Accepted(progress.last_invocation_id, True)))


def check_target(resolved: ResolvedHandler, target: Target) -> None:
    """Raises `UsageError` where a schedule cannot start this."""
    if resolved.handler_type != "WORKFLOW":
        check_key(resolved, target)
    elif target.key is not None:
        raise UsageError(f"{target}: a workflow runs once for each key: leave the key out, and each time gets its own")


def _check_turn(ledger: Ledger, schedule: Schedule, progress: Progress, due_ms: int, *, missed: bool) -> None:
    """Raises `Conflict` where the schedule itself says that nothing is to be started this time."""
    if missed and schedule.catch_up == "none":
        raise Conflict(f"{time_text(due_ms)} was missed, and this schedule does not catch up")
    last = ledger.find(progress.last_invocation_id) if progress.last_invocation_id is not None else None
    if schedule.overlap == "skip" and last is not None and last.status is not Status.COMPLETED:
        raise Conflict(f"{last.id}, which it started last, is still {last.status}")


def _start(ledger: Ledger, schedule: Schedule, progress: Progress, at_ms: int, *, manual: bool) -> Progress:
    """Begin the invocation for a time."""
    target = schedule.target
    resolved = ledger.registry.resolve(target.service, target.handler)
    check_target(resolved, target)
    if resolved.handler_type == "WORKFLOW":
        target = replace(target, key=f"{schedule.id}-{time_text(at_ms)}")
        id = workflow_invocation_id(target.service, target.key or "", target.scope)
    elif manual:
        id = ledger.new_id(target.scope or target.key)
    else:
        id = scheduled_invocation_id(schedule.id, at_ms, target.scope or target.key)
    if ledger.find(id) is not None:
        raise Conflict(f"{time_text(at_ms)} has come before, and started {id}: the clock was set back")
    headers = (*schedule.headers, (SCHEDULE_HEADER, schedule.id), (TIME_HEADER, time_text(at_ms)))
    invocation = admit(ledger, resolved, target, id, schedule.input, headers=headers, limit_key=schedule.limit_key)
    invocation.schedule_id = schedule.id
    return replace(progress, last_fired_at_ms=ledger.now_ms, last_invocation_id=id, last_error=None)


def _keep(ledger: Ledger, schedule: Schedule, progress: Progress) -> None:
    kind, name, record = ledger.schedules.advance(schedule.id, progress)
    ledger.batch.settings[kind, name] = record
