"""The admin port: deployments, services, invocations; health and version. Each answer is JSON."""

import logging
from http import HTTPStatus
from typing import Any

from msgspec import Struct
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from perdure.engine.engine import Engine, wall_clock_ms
from perdure.errors import DeploymentRejected, PerdureError, TransportError
from perdure.server.admin import absent, batches, deployments, invocations, query, rules, schedules, services, state
from perdure.server.admin.answers import engine_of, error_response, json_response
from perdure.server.admin.openapi import openapi_document
from perdure.server.admin.operation import Operation, routes_of
from perdure.server.query.queries import Queries, QueryLimits
from perdure.server.readiness import check_ready
from perdure.version import __version__

logger = logging.getLogger(__name__)

ADMIN_API_VERSION_MIN = 2
ADMIN_API_VERSION_MAX = 4
"""The versions of the open admin interface whose paths and bodies are spoken here."""
_VERSION_PREFIXES = {f"v{version}" for version in range(ADMIN_API_VERSION_MIN, ADMIN_API_VERSION_MAX + 1)}


def admin_app(engine: Engine, *, ingress_url: str, query_limits: QueryLimits | None = None) -> Starlette:
    """Whoever made it ends its queries: `app.state.queries.close()`."""
    app = Starlette(
        routes=routes_of(OPERATIONS),
        middleware=[Middleware(VersionPrefix)],
        exception_handlers={PerdureError: explain, HTTPException: explain_http, Exception: explain_bug},
    )
    app.state.engine = engine
    app.state.ingress_url = ingress_url
    app.state.queries = Queries(engine, wall_clock_ms, query_limits)
    return app


class VersionPrefix:
    """Takes `/v2`, `/v3` and `/v4` off a path: clients of the open interface put the version there that they found in
    common by `/version`, and what we serve is the same in all of them."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            _, prefix, rest = (*scope["path"].split("/", 2), "")[:3]
            if prefix in _VERSION_PREFIXES:
                scope = {**scope, "path": "/" + rest}
        await self.app(scope, receive, send)


async def health(request: Request) -> Response:
    """200 once recovery is done."""
    check_ready(engine_of(request))
    return Response()


class ClusterHealth(Struct, frozen=True):
    """There is no cluster: one engine, which is healthy if it answers."""

    cluster_name: str


async def cluster_health(request: Request) -> Response:
    """As `/health`, for clients that ask here."""
    check_ready(engine_of(request))
    return json_response(ClusterHealth("perdure"))


class Version(Struct, frozen=True, kw_only=True):
    """The engine's version, the versions of the open admin interface that it speaks, and where its ingress is."""

    version: str
    min_admin_api_version: int = ADMIN_API_VERSION_MIN
    max_admin_api_version: int = ADMIN_API_VERSION_MAX
    ingress_endpoint: str
    features: dict[str, bool] = {}


async def version(request: Request) -> Response:
    return json_response(Version(version=__version__, ingress_endpoint=request.app.state.ingress_url))


async def openapi(_: Request) -> Response:
    """This document: OpenAPI 3.1."""
    return json_response(openapi_document(OPERATIONS))


OPERATIONS = [
    Operation(
        method="GET", path="/health", endpoint=health, tag="engine", summary="Ask for health", answers={200: None}
    ),
    Operation(
        method="GET",
        path="/cluster-health",
        endpoint=cluster_health,
        tag="engine",
        summary="Ask for health",
        answers={200: ClusterHealth},
        deprecated=True,
    ),
    Operation(
        method="GET", path="/version", endpoint=version, tag="engine", summary="Show versions", answers={200: Version}
    ),
    Operation(
        method="GET",
        path="/openapi",
        endpoint=openapi,
        tag="engine",
        summary="Describe this API",
        answers={200: dict[str, Any]},
    ),
    *deployments.OPERATIONS,
    *services.OPERATIONS,
    *invocations.OPERATIONS,
    *query.OPERATIONS,
    *batches.OPERATIONS,
    *state.OPERATIONS,
    *schedules.OPERATIONS,
    *rules.OPERATIONS,
    *absent.OPERATIONS,
]


async def explain(_: Request, error: Exception) -> Response:
    assert isinstance(error, PerdureError)
    match error:
        case DeploymentRejected():
            return error_response(error.http_status, str(error), error.restate_code)
        case TransportError():  # only discovery opens connections here
            return error_response(error.http_status, str(error), "META0003")
        case _:
            return error_response(error.http_status, str(error))


async def explain_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    match error.status_code:
        case 404:
            message = (
                f"no {path}: the admin port has /deployments, /services, /invocations and more: /openapi lists all"
            )
        case 405:
            message = f"{request.method} is not allowed on {path}"
        case status:
            message = HTTPStatus(status).phrase
    return error_response(error.status_code, message, headers=error.headers)


async def explain_bug(request: Request, _: Exception) -> Response:
    """The server logs the exception itself; a client never sees it."""
    logger.error("A request to the admin port failed", extra={"path": request.url.path})
    return error_response(500, "internal error: the engine's log says more")
