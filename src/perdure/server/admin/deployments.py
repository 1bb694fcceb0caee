"""Deployments over HTTP: register one, see what is registered."""

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perdure.engine.engine import Engine
from perdure.engine.registry_views import deployment_view, deployments_view, registration_view
from perdure.server.admin.answers import json_response, read_json


class RegisterRequest(Struct, forbid_unknown_fields=True):
    """The body of `POST /deployments`.

    `force` replaces a deployment at the same URI; `breaking` lets a service become another kind; `dry_run` only says
    what would come of it.
    """

    uri: str
    additional_headers: dict[str, str] | None = None
    use_http_11: bool = False
    metadata: dict[str, str] | None = None
    force: bool = False
    breaking: bool = False
    dry_run: bool = False


async def register(request: Request) -> Response:
    """201 for a new deployment, 200 for one that was there, replaced or not."""
    asked = await read_json(request, RegisterRequest)
    engine: Engine = request.app.state.engine
    registration = await engine.register(
        asked.uri,
        force=asked.force,
        breaking=asked.breaking,
        dry_run=asked.dry_run,
        use_http_11=asked.use_http_11,
        additional_headers=asked.additional_headers,
        metadata=asked.metadata,
    )
    return json_response(
        registration_view(engine.registry, registration),
        status=201 if registration.outcome == "created" else 200,
        headers={"location": f"/deployments/{registration.deployment.id}"},
    )


async def list_deployments(request: Request) -> Response:
    engine: Engine = request.app.state.engine
    return json_response(deployments_view(engine.registry))


async def show_deployment(request: Request) -> Response:
    engine: Engine = request.app.state.engine
    return json_response(deployment_view(engine.registry, request.path_params["deployment_id"]))


ROUTES = [
    Route("/deployments", register, methods=["POST"]),
    Route("/deployments", list_deployments, methods=["GET"]),
    Route("/deployments/{deployment_id}", show_deployment, methods=["GET"]),
]
