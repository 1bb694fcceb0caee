"""One operation of the admin port, declared once: the routes and the OpenAPI document are both made from it."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Literal, TypeAlias

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perdure.errors import InvalidInput

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]
Method: TypeAlias = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class Operation(Struct, frozen=True, kw_only=True):
    """What a method does at a path. The endpoint's docstring is shown to users as the description.

    `answers`: status to the type of its JSON body; None where there is no body.
    `body`, `query`: types that the endpoint reads with `read_json` and `read_query`. A query is a Struct of which
        each field is a parameter.
    `errors`: status to when that is answered, beyond what the declaration itself tells (400 for a body or query that
        does not fit, 404 for a path that names something, 413 and 415 for a body, 500, 503).
    `also_as`: media types in which a successful answer can be had besides JSON.
    """

    method: Method
    path: str
    endpoint: Endpoint
    tag: str
    summary: str
    answers: Mapping[int, Any]
    body: Any = None
    query: type[Struct] | None = None
    errors: Mapping[int, str] = {}
    also_as: tuple[str, ...] = ()
    deprecated: bool = False


def routes_of(operations: Iterable[Operation]) -> list[Route]:
    """One route a path, so that a method that is not allowed is answered with all that are."""
    paths: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        methods = paths.setdefault(operation.path, {})
        assert operation.method not in methods, f"{operation.method} {operation.path} is declared twice"
        methods[operation.method] = operation
    return [Route(path, _by_method(methods), methods=list(methods)) for path, methods in paths.items()]


def _by_method(methods: Mapping[str, Operation]) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        operation = methods["GET" if request.method == "HEAD" else request.method]
        if operation.query is None and request.query_params:
            name = next(iter(request.query_params))
            raise InvalidInput(f"query: no parameter {name!r} here; {operation.method} {operation.path} has none")
        return await operation.endpoint(request)

    return endpoint
