"""Services over HTTP: the latest revision of each, with its handlers and the options that hold."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from perdure.engine.engine import Engine
from perdure.engine.registry_views import handlers_view, service_view, services_view
from perdure.errors import UnknownTarget
from perdure.server.admin.answers import json_response
from perdure.server.admin.operation import Operation


async def list_services(request: Request) -> Response:
    engine: Engine = request.app.state.engine
    return json_response(services_view(engine.registry))


async def show_service(request: Request) -> Response:
    engine: Engine = request.app.state.engine
    return json_response(service_view(engine.registry, request.path_params["service"]))


async def list_handlers(request: Request) -> Response:
    engine: Engine = request.app.state.engine
    return json_response(handlers_view(engine.registry, request.path_params["service"]))


async def show_handler(request: Request) -> Response:
    engine: Engine = request.app.state.engine
    service, name = request.path_params["service"], request.path_params["handler"]
    handlers = handlers_view(engine.registry, service)["handlers"]
    for handler in handlers:
        if handler["name"] == name:
            return json_response(handler)
    raise UnknownTarget(f"{service}/{name}", [f"{service}/{handler['name']}" for handler in handlers])


OPERATIONS = [
    Operation(
        method="GET",
        path="/services",
        endpoint=list_services,
        tag="services",
        summary="List services",
        answers={200: dict[str, Any]},
    ),
    Operation(
        method="GET",
        path="/services/{service}",
        endpoint=show_service,
        tag="services",
        summary="Show a service",
        answers={200: dict[str, Any]},
    ),
    Operation(
        method="GET",
        path="/services/{service}/handlers",
        endpoint=list_handlers,
        tag="services",
        summary="List the handlers of a service",
        answers={200: dict[str, Any]},
    ),
    Operation(
        method="GET",
        path="/services/{service}/handlers/{handler}",
        endpoint=show_handler,
        tag="services",
        summary="Show a handler",
        answers={200: dict[str, Any]},
    ),
]
