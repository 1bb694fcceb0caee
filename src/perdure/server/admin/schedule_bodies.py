"""What can be said of a schedule over HTTP, and the schedule that comes of it."""

from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.structs import replace

from perdure.engine.events import Target
from perdure.engine.schedules import CatchUp, Overlap, Schedule
from perdure.errors import UsageError
from perdure.server.durations import field_ms

CONTENT_TYPE = "content-type"
JSON = "application/json"
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


def edited_schedule(schedule: Schedule, asked: NewSchedule | ScheduleEdit) -> Schedule:
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
        of_input = {name: headers[name] for name in (CONTENT_TYPE,) if name in headers}
        headers = of_input | {name.lower(): value for name, value in asked.headers.items()}
    if asked.input is not UNSET:
        changes["input"] = msgspec.json.encode(asked.input)
        headers[CONTENT_TYPE] = JSON
    elif asked.input_base64 is not UNSET:
        changes["input"] = asked.input_base64
        headers.setdefault(CONTENT_TYPE, _BYTES)
    edited = replace(schedule, **changes, headers=tuple(headers.items()))
    if asked.input_base64 is not UNSET or asked.headers is not UNSET:
        _check_input(edited)
    return edited


def _check_input(schedule: Schedule) -> None:
    """Raises `UsageError` where the input is not what its content type says."""
    if schedule.input and dict(schedule.headers).get(CONTENT_TYPE) == JSON and json_input(schedule) is UNSET:
        raise UsageError(
            f"the input is not the JSON that its {CONTENT_TYPE} says: name another in `headers`, such as {_BYTES}"
        )


def json_input(schedule: Schedule) -> Raw | UnsetType:
    """The input where it is the JSON that its content type says."""
    if not schedule.input or dict(schedule.headers).get(CONTENT_TYPE) != JSON:
        return UNSET
    try:
        msgspec.json.decode(schedule.input)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return UNSET  # a program that embeds the engine may give any bytes
    return Raw(schedule.input)
