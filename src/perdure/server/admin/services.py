"""Services over HTTP: the latest revision of each, with its handlers and the options that hold."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perdure.engine.engine import Engine
from perdure.engine.registry_views import handlers_view, service_view, services_view
from perdure.errors import UnknownTarget
from perdure.server.admin.answers import json_response


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


ROUTES = [
    Route("/services", list_services, methods=["GET"]),
    Route("/services/{service}", show_service, methods=["GET"]),
    Route("/services/{service}/handlers", list_handlers, methods=["GET"]),
    Route("/services/{service}/handlers/{handler}", show_handler, methods=["GET"]),
]
