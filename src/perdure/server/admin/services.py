"""Services over HTTP: the revision of each that new invocations go to, with its handlers and the options that hold."""

from typing import Any

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from perdure.engine.options import Overrides
from perdure.errors import UnknownTarget
from perdure.server.admin.answers import engine_of, json_response, read_json
from perdure.server.admin.operation import Operation
from perdure.server.admin.service_views import (
    HandlersView,
    HandlerView,
    ServicesView,
    ServiceView,
    service_view,
    services_view,
)
from perdure.server.durations import field_ms
from perdure.server.ingress_openapi import service_document

TAG = "services"


class ConfigureRequest(Struct, forbid_unknown_fields=True):
    """The body of `PATCH /services/{service}`; what is left out, or null, stays as it is.

    Durations are ISO 8601 (`PT1H`) or friendly (`1h 30m`). `reset` takes back first what was set before.
    """

    public: bool | None = None
    idempotency_retention: str | None = None
    workflow_completion_retention: str | None = None
    journal_retention: str | None = None
    inactivity_timeout: str | None = None
    abort_timeout: str | None = None
    reset: bool = False


async def list_services(request: Request) -> Response:
    registry = await engine_of(request).deployments.committed()
    return json_response(services_view(registry))


async def show_service(request: Request) -> Response:
    registry = await engine_of(request).deployments.committed()
    return json_response(service_view(registry, request.path_params["service"]))


async def show_openapi(request: Request) -> Response:
    registry = await engine_of(request).deployments.committed()
    service, server_url = request.path_params["service"], request.app.state.ingress_url
    return json_response(service_document(registry, service, server_url))


async def configure(request: Request) -> Response:
    """Sets options over those in the code, for all handlers of the service, until a new revision is registered."""
    asked = await read_json(request, ConfigureRequest)
    changes = Overrides(
        public=asked.public,
        idempotency_retention_ms=field_ms("idempotency_retention", asked.idempotency_retention),
        workflow_completion_retention_ms=field_ms("workflow_completion_retention", asked.workflow_completion_retention),
        journal_retention_ms=field_ms("journal_retention", asked.journal_retention),
        inactivity_timeout_ms=field_ms("inactivity_timeout", asked.inactivity_timeout),
        abort_timeout_ms=field_ms("abort_timeout", asked.abort_timeout),
    )
    engine = engine_of(request)
    service: str = request.path_params["service"]
    await engine.deployments.configure_service(service, changes, reset=asked.reset)
    return json_response(service_view(engine.registry, service))


async def list_handlers(request: Request) -> Response:
    registry = await engine_of(request).deployments.committed()
    return json_response(HandlersView(service_view(registry, request.path_params["service"]).handlers))


async def show_handler(request: Request) -> Response:
    registry = await engine_of(request).deployments.committed()
    service, name = request.path_params["service"], request.path_params["handler"]
    handlers = service_view(registry, service).handlers
    for handler in handlers:
        if handler.name == name:
            return json_response(handler)
    raise UnknownTarget(f"{service}/{name}", [f"{service}/{handler.name}" for handler in handlers])


OPERATIONS = [
    Operation(
        method="GET",
        path="/services",
        endpoint=list_services,
        tag=TAG,
        summary="List services",
        answers={200: ServicesView},
    ),
    Operation(
        method="GET",
        path="/services/{service}",
        endpoint=show_service,
        tag=TAG,
        summary="Show a service",
        answers={200: ServiceView},
    ),
    Operation(
        method="GET",
        path="/services/{service}/openapi",
        endpoint=show_openapi,
        tag=TAG,
        summary="How to call a service over the ingress, as OpenAPI",
        answers={200: dict[str, Any]},
    ),
    Operation(
        method="PATCH",
        path="/services/{service}",
        endpoint=configure,
        tag=TAG,
        summary="Set options of a service",
        body=ConfigureRequest,
        answers={200: ServiceView},
    ),
    Operation(
        method="GET",
        path="/services/{service}/handlers",
        endpoint=list_handlers,
        tag=TAG,
        summary="List the handlers of a service",
        answers={200: HandlersView},
    ),
    Operation(
        method="GET",
        path="/services/{service}/handlers/{handler}",
        endpoint=show_handler,
        tag=TAG,
        summary="Show a handler",
        answers={200: HandlerView},
    ),
]
