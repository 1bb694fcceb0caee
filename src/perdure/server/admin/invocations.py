"""Invocations over HTTP: see one, cancel it, kill it, let it go on."""

from starlette.requests import Request
from starlette.responses import Response

from perdure.engine.engine import Engine
from perdure.engine.views import InvocationView
from perdure.protocol.ids import parse_invocation_id
from perdure.server.admin.answers import json_response
from perdure.server.admin.operation import Operation


async def show(request: Request) -> Response:
    engine: Engine = request.app.state.engine
    return json_response(engine.describe(_invocation_id(request)))


async def cancel(request: Request) -> Response:
    """202: the handler is told at its next await, and may still clean up."""
    engine: Engine = request.app.state.engine
    await engine.cancel(_invocation_id(request))
    return Response(status_code=202)


async def kill(request: Request) -> Response:
    """200: it has ended, and what it waited for too."""
    engine: Engine = request.app.state.engine
    await engine.kill(_invocation_id(request))
    return Response()


async def resume(request: Request) -> Response:
    """200: it is tried again now."""
    engine: Engine = request.app.state.engine
    await engine.resume(_invocation_id(request))
    return Response()


def _invocation_id(request: Request) -> str:
    """The id in the path; raises `UsageError` where it cannot be one."""
    invocation_id: str = request.path_params["invocation_id"]
    parse_invocation_id(invocation_id)
    return invocation_id


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
        method="PATCH",
        path="/invocations/{invocation_id}/cancel",
        endpoint=cancel,
        tag="invocations",
        summary="Cancel an invocation",
        answers={202: None},
        errors={409: "It has ended already"},
    ),
    Operation(
        method="PATCH",
        path="/invocations/{invocation_id}/kill",
        endpoint=kill,
        tag="invocations",
        summary="Kill an invocation",
        answers={200: None},
        errors={409: "It has ended already"},
    ),
    Operation(
        method="PATCH",
        path="/invocations/{invocation_id}/resume",
        endpoint=resume,
        tag="invocations",
        summary="Resume an invocation",
        answers={200: None},
        errors={409: "It has ended already"},
    ),
]
