"""Invocations over HTTP: see one, cancel it, kill it, let it go on."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perdure.engine.engine import Engine
from perdure.protocol.ids import parse_invocation_id
from perdure.server.admin.answers import json_response


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


ROUTES = [
    Route("/invocations/{invocation_id}", show, methods=["GET"]),
    Route("/invocations/{invocation_id}/cancel", cancel, methods=["PATCH"]),
    Route("/invocations/{invocation_id}/kill", kill, methods=["PATCH"]),
    Route("/invocations/{invocation_id}/resume", resume, methods=["PATCH"]),
]
