"""Invocations over HTTP: see one; cancel, kill, pause, resume, restart and purge it."""

from typing import Literal

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from perdure.engine.faces.invocations import Invocations
from perdure.engine.faces.views import InvocationView
from perdure.errors import InvalidInput
from perdure.server.admin.answers import engine_of, json_response, read_query
from perdure.server.admin.operation import Operation
from perdure.server.durations import field_ms


class CancelQuery(Struct, frozen=True):
    """`kill_after`: kill it if it has not ended after this time, such as `30s` or `PT30S`."""

    kill_after: str | None = None


class Cancelled(Struct, frozen=True):
    """`done`: it has ended by this; else its code is told. `note`: what could not be done as usual."""

    done: bool
    note: str | None = None


class ResumeQuery(Struct, frozen=True):
    """`deployment`: `keep` goes on where it was, `latest` where new invocations go; or the id of a deployment."""

    deployment: str = "keep"


class RestartQuery(Struct, frozen=True, rename={"from_entry": "from"}):
    """`from`: the last journal entry to take over; 0 is the input alone. `deployment`: `latest`, `keep` or an id."""

    from_entry: int = 0
    deployment: str = "latest"


class Restarted(Struct, frozen=True):
    new_invocation_id: str


class DeleteQuery(Struct, frozen=True):
    mode: Literal["Cancel", "Kill", "Purge", "cancel", "kill", "purge"] = "Cancel"


async def show(request: Request) -> Response:
    """Everything that is known of one invocation, with the reason for which it waits."""
    return json_response(_invocations(request).describe(_invocation_id(request)))


async def cancel(request: Request) -> Response:
    """202: the handler is told at its next await, and may still clean up. 200: it has ended, as it had not begun or
    its code is gone."""
    kill_after_ms = field_ms("kill_after", read_query(request, CancelQuery).kill_after)
    told = await _invocations(request).cancel(_invocation_id(request), kill_after_ms=kill_after_ms)
    return json_response(Cancelled(told.done, told.note), status=200 if told.done else 202)


async def kill(request: Request) -> Response:
    """200: it has ended, and what it waited for too."""
    await _invocations(request).kill(_invocation_id(request))
    return Response()


async def pause(request: Request) -> Response:
    """202: its attempt is cut off, and none is made until it is resumed. 200: it was paused already."""
    paused = await _invocations(request).pause(_invocation_id(request))
    return Response(status_code=202 if paused else 200)


async def resume(request: Request) -> Response:
    """200: it is tried again now, on its deployment or another."""
    deployment = read_query(request, ResumeQuery).deployment
    await _invocations(request).resume(_invocation_id(request), deployment=deployment)
    return Response()


async def restart_as_new(request: Request) -> Response:
    """200: a new invocation has the same input, and the old one's journal as far as that was asked for."""
    asked = read_query(request, RestartQuery)
    new = await _invocations(request).restart_as_new(
        _invocation_id(request), from_entry=asked.from_entry, deployment=asked.deployment
    )
    return json_response(Restarted(new))


async def purge(request: Request) -> Response:
    """200: an invocation that had ended is forgotten, with its result, and the state of a workflow."""
    await _invocations(request).purge(_invocation_id(request))
    return Response()


async def purge_journal(request: Request) -> Response:
    """200: the journal of an invocation that had ended is forgotten; its result is kept."""
    await _invocations(request).purge(_invocation_id(request), journal_only=True)
    return Response()


async def delete(request: Request) -> Response:
    """202: the older way to cancel, kill or purge."""
    invocation_id = _invocation_id(request)
    match read_query(request, DeleteQuery).mode.lower():
        case "cancel":
            await _invocations(request).cancel(invocation_id)
        case "kill":
            await _invocations(request).kill(invocation_id)
        case "purge":
            await _invocations(request).purge(invocation_id)
        case mode:
            raise InvalidInput(f"query: mode is {mode!r}: Cancel, Kill or Purge")
    return Response(status_code=202)


def _invocations(request: Request) -> Invocations:
    engine = engine_of(request)
    return engine.invocations


def _invocation_id(request: Request) -> str:
    return request.path_params["invocation_id"]


_GOES_ON = {409: "It has ended already"}
_RESTS = {409: "It is in no status in which this can be done", 425: "It has not begun"}
_HAS_ENDED = {409: "It has not ended", 425: "It has not begun"}

OPERATIONS = [
    Operation(
        method="GET",
        path="/invocations/{invocation_id}",
        endpoint=show,
        tag="invocations",
        summary="Show an invocation",
        answers={200: InvocationView},
    ),
    Operation(
        method="DELETE",
        path="/invocations/{invocation_id}",
        endpoint=delete,
        tag="invocations",
        summary="Cancel, kill or purge an invocation",
        answers={202: None},
        query=DeleteQuery,
        errors=_RESTS,
        deprecated=True,
    ),
    Operation(
        method="PATCH",
        path="/invocations/{invocation_id}/cancel",
        endpoint=cancel,
        tag="invocations",
        summary="Cancel an invocation",
        answers={200: Cancelled, 202: Cancelled},
        query=CancelQuery,
        errors=_GOES_ON,
    ),
    Operation(
        method="PATCH",
        path="/invocations/{invocation_id}/kill",
        endpoint=kill,
        tag="invocations",
        summary="Kill an invocation",
        answers={200: None},
        errors=_GOES_ON,
    ),
    Operation(
        method="PATCH",
        path="/invocations/{invocation_id}/pause",
        endpoint=pause,
        tag="invocations",
        summary="Pause an invocation",
        answers={200: None, 202: None},
        errors={409: "It has ended, or not begun"},
    ),
    Operation(
        method="PATCH",
        path="/invocations/{invocation_id}/resume",
        endpoint=resume,
        tag="invocations",
        summary="Resume an invocation",
        answers={200: None},
        query=ResumeQuery,
        errors={**_RESTS, 409: "It runs, or has ended; or the deployment is being drained"},
    ),
    Operation(
        method="PATCH",
        path="/invocations/{invocation_id}/restart-as-new",
        endpoint=restart_as_new,
        tag="invocations",
        summary="Run an invocation again, as a new one",
        answers={200: Restarted},
        query=RestartQuery,
        errors={**_HAS_ENDED, 410: "Its journal is no longer kept", 422: "It is a workflow's"},
    ),
    Operation(
        method="PATCH",
        path="/invocations/{invocation_id}/purge",
        endpoint=purge,
        tag="invocations",
        summary="Forget an invocation",
        answers={200: None},
        errors=_HAS_ENDED,
    ),
    Operation(
        method="PATCH",
        path="/invocations/{invocation_id}/purge-journal",
        endpoint=purge_journal,
        tag="invocations",
        summary="Forget the journal of an invocation",
        answers={200: None},
        errors=_HAS_ENDED,
    ),
]
