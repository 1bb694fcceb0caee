"""Schedules over HTTP: make one, look at it, edit it, trigger it, delete it."""

from msgspec import Struct
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from perdure.engine.events import Target
from perdure.engine.schedules import Schedule
from perdure.server.admin.answers import engine_of, json_response, read_json, read_query
from perdure.server.admin.operation import Operation
from perdure.server.admin.schedule_bodies import NewSchedule, ScheduleEdit, edited_schedule
from perdure.server.admin.schedule_checks import check_request
from perdure.server.admin.schedule_views import SchedulesView, ScheduleView, schedule_view


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
    return json_response(SchedulesView([schedule_view(engine, each) for each in engine.schedules.all()]))


async def create(request: Request) -> Response:
    """201: its first time is `next_at`."""
    asked = await read_json(request, NewSchedule)
    engine = engine_of(request)
    wanted = edited_schedule(Schedule(id=asked.id, target=Target("", "")), asked)
    check_request(wanted, None, engine.registry)
    return json_response(
        schedule_view(engine, await engine.schedules.create(wanted)), 201, {"location": f"/schedules/{asked.id}"}
    )


async def show(request: Request) -> Response:
    engine = engine_of(request)
    return json_response(schedule_view(engine, engine.schedules.get(request.path_params["schedule_id"])))


async def edit(request: Request) -> Response:
    """Times are found anew when `cron`, `every`, `timezone` or `paused` change; what went by while paused is gone."""
    asked = await read_json(request, ScheduleEdit)
    engine = engine_of(request)
    present = engine.schedules.get(request.path_params["schedule_id"]).schedule
    if asked.version is not None:
        present = replace(present, version=asked.version)
    wanted = edited_schedule(present, asked)
    check_request(wanted, present, engine.registry)
    return json_response(schedule_view(engine, await engine.schedules.edit(wanted)))


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
