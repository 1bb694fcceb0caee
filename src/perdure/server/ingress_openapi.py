"""OpenAPI 3.1 documents of services: how each handler is called over the ingress, made from what the registry knows.

One for each service and one for all, which also has the ingress's own paths (`openapi_builtin`). Private handlers are
left out. Pure, but for remembering the last document of all.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from perdure.engine.registry import Registry, ResolvedHandler, ServiceRevision
from perdure.protocol.discovery import Payload
from perdure.server.openapi_builtin import ANSWERS, BUILTIN_PATHS, BUILTIN_SCHEMAS, PARAMETERS, errors, operation
from perdure.server.openapi_schemas import Components, example_of
from perdure.server.validation import usable_schema
from perdure.version import __version__

JsonObject = dict[str, Any]


class Documents:
    """The documents as bytes; the one of all is made again when a service has changed."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._of_all: tuple[list[ServiceRevision], bytes] | None = None

    def document(self, service: str | None) -> bytes:
        """Raises `UnknownTarget` where there is no such service, or all of it is private."""
        if service is not None:
            return msgspec.json.encode(service_document(self._registry, service))
        revisions = list(self._registry.services.values())
        if self._of_all is None or self._of_all[0] != revisions:
            self._of_all = revisions, msgspec.json.encode(services_document(self._registry))
        return self._of_all[1]


def service_document(registry: Registry, name: str, server_url: str = "/") -> JsonObject:
    """The document of one service; raises `UnknownTarget` where there is none that can be called from outside."""
    revision = registry.public_service(name)
    info = {"title": name, "version": str(revision.revision)}
    return _document(registry, [revision], info, server_url, {}, {})


def services_document(registry: Registry, server_url: str = "/") -> JsonObject:
    """The document of all services, and of the ingress's own paths."""
    info = {
        "title": "perdure ingress",
        "version": __version__,
        "description": "Every handler that can be called, and what can be asked of invocations.",
    }
    revisions = [registry.services[name] for name in sorted(registry.services)]
    return _document(registry, revisions, info, server_url, BUILTIN_PATHS, BUILTIN_SCHEMAS)


def _document(
    registry: Registry,
    revisions: Sequence[ServiceRevision],
    info: JsonObject,
    server_url: str,
    paths: JsonObject,
    schemas: JsonObject,
) -> JsonObject:
    components = Components()
    paths = dict(paths)
    tags: list[JsonObject] = [{"name": "Invocations"}] if paths else []
    for revision in revisions:
        resolved = [registry.resolve(revision.name, handler.name) for handler in revision.manifest.handlers]
        public = [each for each in resolved if not each.options.ingress_private]
        if not public:
            continue
        tag = {"name": revision.name}
        if revision.manifest.documentation:
            tag["description"] = revision.manifest.documentation
            if len(revisions) == 1 and not schemas:
                info = {**info, "description": revision.manifest.documentation}
        tags.append(tag)
        for handler in public:
            paths.update(_handler_paths(handler, components))
    return {
        "openapi": "3.1.0",
        "info": info,
        "servers": [{"url": server_url}],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": {**ANSWERS["schemas"], **schemas, **components.schemas},
            "responses": ANSWERS["responses"],
            "parameters": PARAMETERS,
        },
    }


def _handler_paths(resolved: ResolvedHandler, components: Components) -> Iterable[tuple[str, JsonObject]]:
    service, handler = resolved.service, resolved.handler
    keyed = resolved.service_type != "SERVICE"
    is_workflow = resolved.handler_type == "WORKFLOW"
    target = f"{service}/{{key}}/{handler}" if keyed else f"{service}/{handler}"
    key = ["key"] if keyed else []
    modifiers = ["priority"] if is_workflow else ["idempotencyKey", "priority"]
    body = _request_body(resolved, components)
    outcome = _output(resolved, components)
    what = resolved.manifest.documentation

    def call(verb: str, name: str, summary: str, answers: JsonObject, *parameters: str) -> JsonObject:
        shown = operation(
            f"{name}_{service}_{handler}",
            service,
            summary,
            [*key, *parameters],
            {**answers, **errors(body is not None)},
        )
        if what:
            shown["description"] = what
        if body is not None:
            shown["requestBody"] = body
        return {"post": shown}

    accepted = {"202": {"$ref": "#/components/responses/Accepted"}}
    for path, prefix, extra in (("/restate", "", []), ("/restate/scope/{scope}", "scoped_", ["scope", "limitKey"])):
        yield (
            f"{path}/call/{target}",
            call("call", f"{prefix}call", f"Call {handler} and wait for its result", outcome, *extra, *modifiers),
        )
        yield (
            f"{path}/send/{target}",
            call("send", f"{prefix}send", f"Have {handler} run, now or later", accepted, *extra, *modifiers, "delay"),
        )
    found = {**outcome, "404": {"$ref": "#/components/responses/NotFound"}, **errors(False)}
    if is_workflow:
        base, parameters = f"/restate/workflow/{service}/{{key}}", key
    else:
        base, parameters = f"/restate/invocation/{target}/{{idempotencyKey}}", [*key, "idempotencyKeyInPath"]
    id = f"{service}_{handler}"
    yield f"{base}/attach", {"get": operation(f"attach_{id}", service, "Wait for a result", parameters, found)}
    not_ready = {**found, "470": {"$ref": "#/components/responses/NotReady"}}
    yield (
        f"{base}/output",
        {"get": operation(f"output_{id}", service, "A result if it is there", parameters, not_ready)},
    )
    if is_workflow:
        yield from _promise_paths(service)


def _promise_paths(service: str) -> Iterable[tuple[str, JsonObject]]:
    for path, prefix, extra in (("/restate", "", []), ("/restate/scope/{scope}", "scoped_", ["scope"])):
        for act, content in (("resolve", "application/json"), ("reject", "text/plain")):
            shown = operation(
                f"{prefix}{act}_promise_{service}",
                service,
                f"{act.capitalize()} a promise of the workflow",
                [*extra, "key", "promise"],
                {
                    "202": {"description": "It is completed"},
                    "409": {"$ref": "#/components/responses/Error", "description": "It was completed before"},
                    **errors(True),
                },
            )
            shown["requestBody"] = {"content": {content: {"schema": {} if act == "resolve" else {"type": "string"}}}}
            yield f"{path}/promises/{service}/{{key}}/{{promise}}/{act}", {"post": shown}


def _request_body(resolved: ResolvedHandler, components: Components) -> JsonObject | None:
    payload = resolved.manifest.input
    if payload is not None and payload.content_type is None:
        return None
    accept = "*/*" if payload is None or payload.content_type is None else payload.content_type
    schema = _schema(f"{resolved.service}.{resolved.handler}.input", payload, components)
    return {
        "required": payload is not None and payload.required is True,
        "content": {media.partition(";")[0].strip(): schema for media in accept.split(",")},
    }


def _output(resolved: ResolvedHandler, components: Components) -> JsonObject:
    payload = resolved.manifest.output
    answer: JsonObject = {"description": "The result", "headers": ANSWERS["headers"]}
    if payload is None or payload.content_type is not None:
        media = "application/json" if payload is None or payload.content_type is None else payload.content_type
        answer["content"] = {media: _schema(f"{resolved.service}.{resolved.handler}.output", payload, components)}
    return {"200": answer}


def _schema(name: str, payload: Payload | None, components: Components) -> JsonObject:
    """A media type's schema and example. A schema that nothing can be checked against is not shown either."""
    if payload is None or payload.json_schema is UNSET or not usable_schema(payload.json_schema):
        return {}
    shown: JsonObject = {"schema": components.add(name, payload.json_schema)}
    for example in example_of(payload.json_schema):
        shown["example"] = example
    return shown
