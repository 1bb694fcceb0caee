"""Deployments over HTTP: register one, see what is registered."""

from typing import Any

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from perdure.engine.engine import Engine
from perdure.engine.registry_views import deployment_view, deployments_view, registration_view
from perdure.server.admin.answers import json_response, read_json
from perdure.server.admin.operation import Operation


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


OPERATIONS = [
    Operation(
        method="POST",
        path="/deployments",
        endpoint=register,
        tag="deployments",
        summary="Register a deployment",
        body=RegisterRequest,
        answers={200: dict[str, Any], 201: dict[str, Any]},
        errors={409: "Another deployment is registered at this address"},
    ),
    Operation(
        method="GET",
        path="/deployments",
        endpoint=list_deployments,
        tag="deployments",
        summary="List deployments",
        answers={200: dict[str, Any]},
    ),
    Operation(
        method="GET",
        path="/deployments/{deployment_id}",
        endpoint=show_deployment,
        tag="deployments",
        summary="Show a deployment",
        answers={200: dict[str, Any]},
    ),
]
