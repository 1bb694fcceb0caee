"""Deployments over HTTP: register one, see what is registered, say where new invocations go, remove one."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from perdure.engine.addresses import Address
from perdure.engine.engine import Engine
from perdure.engine.faces.deployments import DeploymentUpdate
from perdure.engine.registration import Manner
from perdure.errors import InvalidInput, NotOffered
from perdure.server.admin.answers import engine_of, json_response, read_json, read_query
from perdure.server.admin.deployment_views import (
    DeploymentDetail,
    DeploymentsView,
    DrainView,
    RegistrationView,
    deployment_view,
    deployments_view,
    drain_view,
    registration_view,
)
from perdure.server.admin.operation import Operation

TAG = "deployments"


class RegisterRequest(Struct, forbid_unknown_fields=True):
    """The body of `POST /deployments`.

    `force` replaces a deployment at the same URI; `breaking` lets a service become another kind, or lose handlers;
    `dry_run` only says what would come of it. `arn`, `assume_role_arn` and `auth` are answered with 501.
    """

    uri: str | None = None
    additional_headers: dict[str, str] | None = None
    use_http_11: bool = False
    metadata: dict[str, str] | None = None
    force: bool | None = None
    breaking: bool = False
    dry_run: bool = False
    arn: str | None = None
    assume_role_arn: str | None = None
    auth: dict[str, Any] | None = None


class UpdateRequest(Struct, forbid_unknown_fields=True):
    """The body of `PATCH /deployments/{deployment_id}`; what is left out stays as it is.

    `overwrite` asks the endpoint anew what it serves, and takes whatever it says; else it is not asked.
    """

    uri: str | None = None
    additional_headers: dict[str, str] | None = None
    use_http_11: bool | None = None
    metadata: dict[str, str] | None = None
    overwrite: bool = False
    dry_run: bool = False
    arn: str | None = None
    assume_role_arn: str | None = None


class RemoveQuery(Struct):
    """`force` removes a deployment that has invocations left, `drain` waits for them."""

    force: bool = False
    drain: bool = False


class DrainQuery(Struct):
    """How many invocations are shown."""

    limit: Annotated[int, Meta(ge=0, le=1000)] = 100


class Removal(Struct):
    """What became of a deployment that was to be removed, and how many invocations were `left` on it."""

    id: str
    status: Literal["removed", "draining"]
    left: int


async def register(request: Request) -> Response:
    """Asks the endpoint what it serves, and routes new invocations there. 201 for a new deployment, 200 for one that
    was there, replaced or not."""
    asked = await read_json(request, RegisterRequest)
    _refuse_lambda(asked.arn or asked.assume_role_arn)
    if asked.auth is not None:
        raise NotOffered("auth: Google tokens are not offered here: send a header of your own by `additional_headers`")
    if asked.uri is None:
        raise InvalidInput("the body does not fit: missing required field `uri`")
    engine = engine_of(request)
    registration = await engine.deployments.register(
        Address(asked.uri, asked.use_http_11, asked.additional_headers or {}),
        manner=Manner(force=bool(asked.force), breaking=asked.breaking),
        dry_run=asked.dry_run,
        metadata=asked.metadata,
    )
    return json_response(
        registration_view(engine.registry, registration),
        status=201 if registration.outcome == "created" else 200,
        headers={"location": f"/deployments/{registration.deployment.id}"},
    )


async def list_deployments(request: Request) -> Response:
    deployments = engine_of(request).deployments
    return json_response(deployments_view(await deployments.committed(), deployments.left))


async def show_deployment(request: Request) -> Response:
    engine = engine_of(request)
    await engine.deployments.committed()
    return json_response(_detail(engine, request.path_params["deployment_id"]))


async def update(request: Request) -> Response:
    """Another address for the same code, such as a patched build, or other headers. Services are asked for anew only
    with `overwrite`."""
    asked = await read_json(request, UpdateRequest)
    _refuse_lambda(asked.arn or asked.assume_role_arn)
    engine = engine_of(request)
    registration = await engine.deployments.update(
        request.path_params["deployment_id"],
        DeploymentUpdate(asked.uri, asked.use_http_11, asked.additional_headers, asked.metadata),
        overwrite=asked.overwrite,
        dry_run=asked.dry_run,
    )
    view = deployment_view(engine.registry, engine.deployments.left, registration.deployment, registration.info)
    return json_response(view)


async def remove(request: Request) -> Response:
    """Refused while invocations are left on it, unless with `drain`, which removes it when the last has ended, or with
    `force`, after which they cannot go on until they are resumed on another deployment."""
    asked = read_query(request, RemoveQuery)
    if asked.force and asked.drain:
        raise InvalidInput("query: force and drain exclude each other")
    engine = engine_of(request)
    deployment_id: str = request.path_params["deployment_id"]
    left = engine.deployments.left.count(deployment_id)
    if asked.drain:
        await engine.deployments.drain(deployment_id)
    else:
        await engine.deployments.remove(deployment_id, force=asked.force)
    status = "draining" if deployment_id in engine.registry.deployments else "removed"
    return json_response(Removal(deployment_id, status, left), 202)


async def show_drain(request: Request) -> Response:
    """How many invocations are left on it, and what the first of them wait for."""
    asked = read_query(request, DrainQuery)
    deployments = engine_of(request).deployments
    registry = await deployments.committed()
    deployment = registry.deployment(request.path_params["deployment_id"])
    return json_response(drain_view(registry, deployments.left, deployment, asked.limit))


async def promote(request: Request) -> Response:
    """New invocations of all its services go there until the next promotion, whatever is registered meanwhile."""
    engine = engine_of(request)
    await engine.deployments.promote(request.path_params["deployment_id"])
    return json_response(_detail(engine, request.path_params["deployment_id"]))


async def demote(request: Request) -> Response:
    """Its promotion ends: new invocations go to the latest deployment again."""
    engine = engine_of(request)
    await engine.deployments.demote(request.path_params["deployment_id"])
    return json_response(_detail(engine, request.path_params["deployment_id"]))


def _detail(engine: Engine, deployment_id: str) -> DeploymentDetail:
    return deployment_view(engine.registry, engine.deployments.left, engine.registry.deployment(deployment_id))


def _refuse_lambda(asked: str | None) -> None:
    if asked is not None:
        raise NotOffered("arn: AWS Lambda is not offered here: serve the services over HTTP, and register their `uri`")


_NOT_REACHED = {500: "The endpoint cannot be reached, or a bug in the engine", 501: "Lambda, or Google tokens"}

OPERATIONS = [
    Operation(
        method="POST",
        path="/deployments",
        endpoint=register,
        tag=TAG,
        summary="Register a deployment",
        body=RegisterRequest,
        answers={200: RegistrationView, 201: RegistrationView},
        errors={409: "It differs from what is registered, or takes handlers from callers", **_NOT_REACHED},
    ),
    Operation(
        method="GET",
        path="/deployments",
        endpoint=list_deployments,
        tag=TAG,
        summary="List deployments",
        answers={200: DeploymentsView},
    ),
    Operation(
        method="GET",
        path="/deployments/{deployment_id}",
        endpoint=show_deployment,
        tag=TAG,
        summary="Show a deployment",
        answers={200: DeploymentDetail},
    ),
    *(
        Operation(
            method=method,
            path="/deployments/{deployment_id}",
            endpoint=update,
            tag=TAG,
            summary="Change how a deployment is reached",
            body=UpdateRequest,
            answers={200: DeploymentDetail},
            errors={409: "Another deployment is at this address, or it is the embedded one", **_NOT_REACHED},
            deprecated=method == "PUT",
        )
        for method in ("PATCH", "PUT")
    ),
    Operation(
        method="DELETE",
        path="/deployments/{deployment_id}",
        endpoint=remove,
        tag=TAG,
        summary="Remove a deployment",
        query=RemoveQuery,
        answers={202: Removal},
        errors={409: "Invocations are left on it, or it is the embedded one"},
    ),
    Operation(
        method="GET",
        path="/deployments/{deployment_id}/drain",
        endpoint=show_drain,
        tag=TAG,
        summary="Show what is left on a deployment",
        query=DrainQuery,
        answers={200: DrainView},
    ),
    Operation(
        method="PATCH",
        path="/deployments/{deployment_id}/promote",
        endpoint=promote,
        tag=TAG,
        summary="Send new invocations to a deployment",
        answers={200: DeploymentDetail},
        errors={409: "It is being drained"},
    ),
    Operation(
        method="DELETE",
        path="/deployments/{deployment_id}/promote",
        endpoint=demote,
        tag=TAG,
        summary="Send new invocations to the latest again",
        answers={200: DeploymentDetail},
    ),
]
