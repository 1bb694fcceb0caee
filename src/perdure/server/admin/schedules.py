"""Schedules over HTTP: make one, look at it, edit it, trigger it, delete it."""

from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from perdure.engine.engine import Engine
from perdure.engine.events import Target
from perdure.engine.faces.schedules import ScheduleState
from perdure.engine.schedules import CatchUp, Overlap, Schedule
from perdure.errors import UnknownInvocation, UsageError
from perdure.server.admin.answers import engine_of, json_response, read_json, read_query
from perdure.server.admin.operation import Operation
from perdure.server.admin.schedule_checks import check_request
from perdure.server.durations import field_ms
from perdure.times import duration_text, time_text

_CONTENT_TYPE = "content-type"
_JSON = "application/json"
_BYTES = "application/octet-stream"


class ScheduleTarget(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The handler that is started; `key` where it is an object's."""

    service: str
    handler: str
    key: str | None = None
    scope: str | None = None


class ScheduleFields(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be said of a new schedule, and changed of one that is there."""

    cron: str | UnsetType = UNSET
    every: str | UnsetType = UNSET
    timezone: str | UnsetType = UNSET
    input: Any = UNSET
    input_base64: bytes | UnsetType = UNSET
    headers: dict[str, str] | UnsetType = UNSET
    limit_key: str | UnsetType | None = UNSET
    paused: bool | UnsetType = UNSET
    overlap: Overlap | UnsetType = UNSET
    catch_up: CatchUp | UnsetType = UNSET
    description: str | UnsetType = UNSET


class NewSchedule(ScheduleFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A schedule: a target, and either `cron` or `every`.

    `cron`: five fields, or six with the second first, in `timezone`. `every`: a duration, such as `15m`.
    `input`: any JSON; or `input_base64`, bytes of the `content-type` that `headers` say.
    `overlap`: `skip` starts none while the last one still runs.
    `catch_up`: `once` makes up for all that was missed while no engine ran by one, `none` by none.
    """

    id: str
    target: ScheduleTarget


class ScheduleEdit(ScheduleFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a schedule is to become; what is left out stays as it is.

    `version`: the version that the edit is based on. If the schedule has another by now, the edit is refused.
    """

    target: ScheduleTarget | UnsetType = UNSET
    version: int | None = None


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


class Triggered(Struct, frozen=True):
    """What was started."""

    invocation_id: str


class Trigger(Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing to say. That it is JSON keeps web pages of others from sending it."""


class DeleteQuery(Struct, frozen=True):
    """`version`: refuse if the schedule has another by now."""

    version: int | None = None


async def list_schedules(request: Request) -> Response:
    engine = engine_of(request)
    return json_response(SchedulesView([_view(engine, each) for each in engine.schedules.all()]))


async def create(request: Request) -> Response:
    """201: its first time is `next_at`."""
    asked = await read_json(request, NewSchedule)
    engine = engine_of(request)
    wanted = _edited(Schedule(id=asked.id, target=Target("", "")), asked)
    check_request(wanted, None, engine.registry)
    return json_response(
        _view(engine, await engine.schedules.create(wanted)), 201, {"location": f"/schedules/{asked.id}"}
    )


async def show(request: Request) -> Response:
    engine = engine_of(request)
    return json_response(_view(engine, engine.schedules.get(request.path_params["schedule_id"])))


async def edit(request: Request) -> Response:
    """Times are found anew when `cron`, `every`, `timezone` or `paused` change; what went by while paused is gone."""
    asked = await read_json(request, ScheduleEdit)
    engine = engine_of(request)
    present = engine.schedules.get(request.path_params["schedule_id"]).schedule
    if asked.version is not None:
        present = replace(present, version=asked.version)
    wanted = _edited(present, asked)
    check_request(wanted, present, engine.registry)
    return json_response(_view(engine, await engine.schedules.edit(wanted)))


async def delete(request: Request) -> Response:
    """What it started goes on."""
    engine = engine_of(request)
    await engine.schedules.delete(request.path_params["schedule_id"], read_query(request, DeleteQuery).version)
    return Response()


async def trigger(request: Request) -> Response:
    """Start one now, also where the schedule is paused; its own times stay as they are."""
    await read_json(request, Trigger)
    engine = engine_of(request)
    accepted = await engine.schedules.trigger(request.path_params["schedule_id"])
    return json_response(Triggered(accepted.invocation_id))


def _edited(schedule: Schedule, asked: NewSchedule | ScheduleEdit) -> Schedule:
    """The schedule with all that was asked for."""
    changes: dict[str, Any] = {
        name: value
        for name in ("timezone", "limit_key", "paused", "overlap", "catch_up", "description")
        if (value := getattr(asked, name)) is not UNSET
    }
    if isinstance(asked.target, ScheduleTarget):
        changes["target"] = Target(asked.target.service, asked.target.handler, asked.target.key, asked.target.scope)
    if asked.cron is not UNSET or asked.every is not UNSET:
        changes["cron"] = None if asked.cron is UNSET else asked.cron
        changes["every_ms"] = None if isinstance(asked.every, UnsetType) else field_ms("every", asked.every)
    if asked.input is not UNSET and asked.input_base64 is not UNSET:
        raise UsageError("a schedule has either `input`, any JSON, or `input_base64`")
    headers = dict(schedule.headers)
    if not isinstance(asked.headers, UnsetType):
        of_input = {name: headers[name] for name in (_CONTENT_TYPE,) if name in headers}
        headers = of_input | {name.lower(): value for name, value in asked.headers.items()}
    if asked.input is not UNSET:
        changes["input"] = msgspec.json.encode(asked.input)
        headers[_CONTENT_TYPE] = _JSON
    elif asked.input_base64 is not UNSET:
        changes["input"] = asked.input_base64
        headers.setdefault(_CONTENT_TYPE, _BYTES)
    edited = replace(schedule, **changes, headers=tuple(headers.items()))
    if asked.input_base64 is not UNSET or asked.headers is not UNSET:
        _check_input(edited)
    return edited


def _check_input(schedule: Schedule) -> None:
    """Raises `UsageError` where the input is not what its content type says."""
    if schedule.input and dict(schedule.headers).get(_CONTENT_TYPE) == _JSON and _json_input(schedule) is UNSET:
        raise UsageError(
            f"the input is not the JSON that its {_CONTENT_TYPE} says: name another in `headers`, such as {_BYTES}"
        )


def _json_input(schedule: Schedule) -> Raw | UnsetType:
    """The input where it is the JSON that its content type says."""
    if not schedule.input or dict(schedule.headers).get(_CONTENT_TYPE) != _JSON:
        return UNSET
    try:
        msgspec.json.decode(schedule.input)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return UNSET  # a program that embeds the engine may give any bytes
    return Raw(schedule.input)


def _view(engine: Engine, state: ScheduleState) -> ScheduleView:
    schedule, progress = state.schedule, state.progress
    target, headers = schedule.target, dict(schedule.headers)
    json = _json_input(schedule)
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


_NO_HANDLER = "No deployment has the handler; or the key is missing, or not wanted"

OPERATIONS = [
    Operation(
        method="GET",
        path="/schedules",
        endpoint=list_schedules,
        tag="schedules",
        summary="List schedules",
        answers={200: SchedulesView},
    ),
    Operation(
        method="POST",
        path="/schedules",
        endpoint=create,
        tag="schedules",
        summary="Create a schedule",
        body=NewSchedule,
        answers={201: ScheduleView},
        errors={404: _NO_HANDLER, 409: "There is a schedule with this id"},
    ),
    Operation(
        method="GET",
        path="/schedules/{schedule_id}",
        endpoint=show,
        tag="schedules",
        summary="Show a schedule",
        answers={200: ScheduleView},
    ),
    Operation(
        method="PATCH",
        path="/schedules/{schedule_id}",
        endpoint=edit,
        tag="schedules",
        summary="Edit a schedule",
        body=ScheduleEdit,
        answers={200: ScheduleView},
        errors={409: "The schedule has another version by now"},
    ),
    Operation(
        method="DELETE",
        path="/schedules/{schedule_id}",
        endpoint=delete,
        tag="schedules",
        summary="Delete a schedule",
        query=DeleteQuery,
        answers={200: None},
        errors={409: "The schedule has another version by now"},
    ),
    Operation(
        method="POST",
        path="/schedules/{schedule_id}/trigger",
        endpoint=trigger,
        tag="schedules",
        summary="Start now what a schedule starts",
        body=Trigger,
        answers={200: Triggered},
    ),
]
