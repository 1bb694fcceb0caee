"""What the OpenAPI documents of the ingress share: parameters, answers, errors, and the paths of the ingress itself."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from perdure.protocol.priorities import PRIORITY_MAX
from perdure.protocol.scopes import LEVEL
from perdure.server.ingress_targets import IdempotentTarget, InvocationTarget, WorkflowTarget

JsonObject = dict[str, Any]

_TEXT: JsonObject = {"type": "string"}
_NAME = {"type": "string", "pattern": f"^{LEVEL}$"}


def _parameter(place: str, name: str, description: str, schema: Mapping[str, Any] = _TEXT) -> JsonObject:
    return {
        "name": name,
        "in": place,
        "required": place == "path",
        "description": description,
        "schema": dict(schema),
    }


PARAMETERS: JsonObject = {
    "key": _parameter("path", "key", "The key of the object or workflow", {"type": "string"}),
    "scope": _parameter("path", "scope", "The scope, which is part of what is called", _NAME),
    "promise": _parameter("path", "promise", "The name of the promise", {"type": "string", "minLength": 1}),
    "signal": _parameter("path", "name", "The name of the signal", {"type": "string", "minLength": 1}),
    "service": _parameter("path", "service", "The name of the service"),
    "invocationId": _parameter("path", "invocationId", "The id of the invocation, `inv_1...`"),
    "awakeableId": _parameter("path", "awakeableId", "The id of the awakeable, `sign_1...`"),
    "idempotencyKeyInPath": _parameter("path", "idempotencyKey", "The idempotency key of the request"),
    "idempotencyKey": _parameter(
        "header", "idempotency-key", "Asking again with the same key joins the same invocation", {"type": "string"}
    ),
    "priority": _parameter(
        "header",
        "x-perdure-priority",
        "Which of those that wait goes first: higher before lower",
        {"type": "integer", "minimum": -PRIORITY_MAX, "maximum": PRIORITY_MAX, "default": 0},
    ),
    "limitKey": _parameter(
        "query",
        "limit-key",
        "One or two levels, `a` or `a/b`, under which the invocation counts; the header x-restate-limit-key wins",
        {"type": "string", "pattern": f"^({LEVEL}(/{LEVEL})?)?$"},
    ),
    "delay": {
        **_parameter("query", "delay", "When to begin: `10s`, `1h 30m`, `01:30:00`, or ISO 8601 such as `PT10S`"),
        "example": "10s",
    },
}


def _content(schema: JsonObject) -> JsonObject:
    return {"content": {"application/json": {"schema": schema}}}


def _error(description: str) -> JsonObject:
    return {
        "description": description,
        "headers": {
            "x-restate-error-source": {
                "description": "As `source` in the body",
                "schema": {"type": "string", "enum": ["ingress", "invocation"]},
            }
        },
        **_content({"$ref": "#/components/schemas/Error"}),
    }


ANSWERS: JsonObject = {
    "headers": {
        "x-restate-id": {"description": "The invocation's id", "schema": _TEXT},
        "idempotency-expires": {
            "description": "Until when the result can be had again",
            "schema": {"type": "string", "format": "date-time"},
        },
    },
    "responses": {
        "Accepted": {
            "description": "It was taken in, or had been before",
            "headers": {"x-restate-id": {"description": "The invocation's id", "schema": _TEXT}},
            **_content({"$ref": "#/components/schemas/Accepted"}),
        },
        "Error": _error("What went wrong: before anything ran (`ingress`), or in the handler (`invocation`)"),
        "BadRequest": _error("The request does not fit; the message says where"),
        "NotFound": _error("There is no such invocation"),
        "NotReady": _error("The invocation has not ended yet"),
        "TooLarge": _error("The body is too large"),
        "TooMany": _error("Too much waits already: ask again after `retry-after` seconds"),
        "Unavailable": _error("The engine starts or stops: ask again after `retry-after` seconds"),
    },
    "schemas": {
        "Error": {
            "type": "object",
            "required": ["code", "message", "source"],
            "properties": {
                "code": {"type": "integer"},
                "message": {"type": "string"},
                "source": {"type": "string", "enum": ["ingress", "invocation"]},
                "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        },
        "Accepted": {
            "type": "object",
            "required": ["invocationId", "status"],
            "properties": {
                "invocationId": {"type": "string"},
                "status": {"type": "string", "enum": ["Accepted", "PreviouslyAccepted"]},
                "executionTime": {"type": "string", "format": "date-time", "description": "When it begins, if delayed"},
            },
        },
    },
}


def errors(has_body: bool) -> JsonObject:
    """The errors that every operation may answer."""
    refused = {"400": "BadRequest", "429": "TooMany", "503": "Unavailable", "default": "Error"}
    if has_body:
        refused["413"] = "TooLarge"
    return {status: {"$ref": f"#/components/responses/{name}"} for status, name in sorted(refused.items())}


def operation(
    id: str, tag: str, summary: str, parameters: Iterable[str], responses: Mapping[str, JsonObject]
) -> JsonObject:
    shown: JsonObject = {"operationId": id, "tags": [tag], "summary": summary, "responses": dict(responses)}
    if references := [{"$ref": f"#/components/parameters/{name}"} for name in parameters]:
        shown["parameters"] = references
    return shown


def _builtin(
    id: str,
    summary: str,
    parameters: Iterable[str],
    responses: Mapping[str, JsonObject],
    body: JsonObject | None = None,
) -> JsonObject:
    shown = operation(id, "Invocations", summary, parameters, {**responses, **errors(body is not None)})
    if body is not None:
        shown["requestBody"] = body
    return shown


_ANYTHING: JsonObject = {"*/*": {}}
_RESULT: JsonObject = {
    "200": {"description": "The result", "headers": ANSWERS["headers"], "content": _ANYTHING},
    "404": {"$ref": "#/components/responses/NotFound"},
}
_RESULT_IF_READY = {**_RESULT, "470": {"$ref": "#/components/responses/NotReady"}}
_TARGET = {"required": True, **_content({"$ref": "#/components/schemas/InvocationJson"})}
_TOLD = {"202": {"description": "It is told"}, "404": {"$ref": "#/components/responses/NotFound"}}
_VALUE: JsonObject = {"content": {"application/json": {"schema": {}}}}
_REASON: JsonObject = {"content": {"text/plain": {"schema": _TEXT}}}
_DOCUMENT = {"200": {"description": "The document", **_content({"type": "object"})}}
_LOOKUP = {
    "200": {
        "description": "The id, computed from the target; whether there is such an invocation is not looked at",
        **_content(
            {"type": "object", "required": ["invocationId"], "properties": {"invocationId": {"type": "string"}}}
        ),
    }
}

_, BUILTIN_SCHEMAS = msgspec.json.schema_components(
    [WorkflowTarget, IdempotentTarget, InvocationTarget], ref_template="#/components/schemas/{name}"
)
BUILTIN_SCHEMAS["InvocationJson"] = {
    "oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in BUILTIN_SCHEMAS],
    "discriminator": {
        "propertyName": "target",
        "mapping": {
            "workflow": "#/components/schemas/WorkflowTarget",
            "idempotentInvocation": "#/components/schemas/IdempotentTarget",
            "invocation": "#/components/schemas/InvocationTarget",
        },
    },
}

BUILTIN_PATHS: JsonObject = {
    "/restate/health": {
        "get": _builtin(
            "health",
            "Which services there are, once the engine is ready",
            [],
            {
                "200": {
                    "description": "It is",
                    **_content(
                        {
                            "type": "object",
                            "required": ["services"],
                            "properties": {"services": {"type": "array", "items": {"type": "string"}}},
                        }
                    ),
                }
            },
        )
    },
    "/restate/lookup": {"post": _builtin("lookup", "The id of an invocation", [], _LOOKUP, _TARGET)},
    "/restate/attach": {"post": _builtin("attach", "Wait for a result", [], _RESULT, _TARGET)},
    "/restate/output": {"post": _builtin("output", "A result if it is there", [], _RESULT_IF_READY, _TARGET)},
    "/restate/attach/{invocationId}": {
        "get": _builtin("attach_by_id", "Wait for a result", ["invocationId"], _RESULT),
    },
    "/restate/output/{invocationId}": {
        "get": _builtin("output_by_id", "A result if it is there", ["invocationId"], _RESULT_IF_READY),
    },
    "/restate/awakeables/{awakeableId}/resolve": {
        "post": _builtin("resolve_awakeable", "Give an awakeable its value", ["awakeableId"], _TOLD, _VALUE),
    },
    "/restate/awakeables/{awakeableId}/reject": {
        "post": _builtin("reject_awakeable", "Say why an awakeable has no value", ["awakeableId"], _TOLD, _REASON),
    },
    "/restate/signals/{invocationId}/{name}/resolve": {
        "post": _builtin("resolve_signal", "Send a signal with a value", ["invocationId", "signal"], _TOLD, _VALUE),
    },
    "/restate/signals/{invocationId}/{name}/reject": {
        "post": _builtin(
            "reject_signal", "Send a signal that is a failure", ["invocationId", "signal"], _TOLD, _REASON
        ),
    },
    "/openapi": {"get": _builtin("openapi", "This document", [], _DOCUMENT)},
    "/openapi/{service}": {"get": _builtin("openapi_of_service", "The same of one service", ["service"], _DOCUMENT)},
}
