"""The OpenAPI 3.1 document of the admin port, made from its operations."""

import inspect
import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from msgspec import Struct

from perdure.server.admin.operation import Operation
from perdure.version import __version__

JsonObject = dict[str, Any]
Schemas = dict[Any, JsonObject]
"""By the type that each describes."""

_REF = "#/components/schemas/{name}"
_PATH_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")


class Error(Struct):
    """What went wrong, where, and what to do; `restate_code` is the open interface's code for it, if it has one."""

    message: str
    restate_code: str | None = None


def openapi_document(operations: Sequence[Operation]) -> JsonObject:
    """The document. Operations are listed in the order in which they are declared."""
    types: list[Any] = [Error]
    for operation in operations:
        types += [operation.body, operation.query, *operation.answers.values()]
    types = list(dict.fromkeys(type for type in types if type is not None))
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    schema_of = dict(zip(types, schemas, strict=True))
    queries = {type: components.pop(_name(schema_of[type])) for type in {each.query for each in operations} - {None}}
    paths: JsonObject = {}
    for operation in operations:
        path = _PATH_PARAMETER.sub(r"{\1}", operation.path)
        paths.setdefault(path, {})[operation.method.lower()] = _operation(operation, schema_of, queries)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "perdure admin API",
            "version": __version__,
            "description": "Deployments, services, invocations and state of one engine.",
        },
        "paths": paths,
        "components": {"schemas": components},
        "tags": [{"name": tag} for tag in dict.fromkeys(operation.tag for operation in operations)],
    }


def _operation(operation: Operation, schema_of: Schemas, queries: Schemas) -> JsonObject:
    described: JsonObject = {
        "operationId": _operation_id(operation),
        "tags": [operation.tag],
        "summary": operation.summary,
        "responses": {
            **{str(status): _answer(operation, status, schema_of) for status in operation.answers},
            **{
                str(status): {"description": when, **_json(schema_of[Error])}
                for status, when in sorted(_errors(operation).items())
            },
        },
    }
    if description := inspect.getdoc(operation.endpoint):
        described["description"] = description
    if parameters := [*_path_parameters(operation), *_query_parameters(queries.get(operation.query))]:
        described["parameters"] = parameters
    if operation.body is not None:
        described["requestBody"] = {"required": True, **_json(schema_of[operation.body])}
    if operation.deprecated:
        described["deprecated"] = True
    return described


def _answer(operation: Operation, status: int, schema_of: Schemas) -> JsonObject:
    type = operation.answers[status]
    answer: JsonObject = {"description": HTTPStatus(status).phrase}
    if type is not None:
        answer |= _json(schema_of[type])
        answer["content"] |= {media: {} for media in operation.also_as}
    return answer


def _errors(operation: Operation) -> dict[int, str]:
    errors = {500: "A bug in the engine; its log says more", 503: "The engine starts or stops: ask again"}
    if operation.body is not None:
        errors[413] = "The body is too large"
        errors[415] = "The body is not said to be JSON"
    if "{" in operation.path or operation.body is not None or operation.query is not None:
        errors[400] = "The request does not fit; the message says where"
    if "{" in operation.path:
        errors[404] = "There is nothing of this name"
    return errors | dict(operation.errors)


def _path_parameters(operation: Operation) -> Iterable[JsonObject]:
    for name in _PATH_PARAMETER.findall(operation.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _query_parameters(query: JsonObject | None) -> Iterable[JsonObject]:
    if query is None:
        return
    for name, schema in query["properties"].items():
        yield {"name": name, "in": "query", "required": name in query.get("required", ()), "schema": schema}


def _name(reference: JsonObject) -> str:
    return reference["$ref"].rpartition("/")[2]


def _json(schema: Any) -> JsonObject:
    return {"content": {"application/json": {"schema": schema}}}


def _operation_id(operation: Operation) -> str:
    """Unique: one endpoint may serve several methods and paths."""
    place = "_".join(re.findall(r"\w+", operation.path))
    return f"{operation.method.lower()}_{place}"
