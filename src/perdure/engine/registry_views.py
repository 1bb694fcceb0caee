"""Deployments and services as the admin API shows them: the shapes and words of the open interface.

Options are shown as they hold, after the engine's defaults, so that nobody has to look those up.
"""

from datetime import UTC, datetime
from typing import Any

from msgspec import UNSET

from perdure.engine.options import HandlerOptions, merge_options
from perdure.engine.registry import Deployment, Registration, Registry, ServiceRevision, effective_handler_type
from perdure.protocol.discovery import HandlerManifest, Payload, ServiceManifest

JsonObject = dict[str, Any]

_WORDS = {
    "SERVICE": "Service",
    "VIRTUAL_OBJECT": "VirtualObject",
    "WORKFLOW": "Workflow",
    "EXCLUSIVE": "Exclusive",
    "SHARED": "Shared",
    "BIDI_STREAM": "BidiStream",
    "REQUEST_RESPONSE": "RequestResponse",
    "PAUSE": "Pause",
    "KILL": "Kill",
}
_UNITS_MS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1))


def registration_view(registry: Registry, registration: Registration) -> JsonObject:
    """The answer to `POST /deployments`."""
    deployment = registration.deployment
    return {
        "id": deployment.id,
        "services": [_service_view(registry, revision) for revision in _revisions(deployment)],
        **_versions(deployment),
        "info": [{"code": info.code, "message": info.message} for info in registration.info],
    }


def deployments_view(registry: Registry) -> JsonObject:
    """The answer to `GET /deployments`: of each service only name and revision."""
    return {
        "deployments": [
            _deployment(deployment)
            | {"services": [{"name": name, "revision": revision} for name, revision in deployment.revisions.items()]}
            for deployment in registry.deployments.values()
        ]
    }


def deployment_view(registry: Registry, deployment_id: str) -> JsonObject:
    """The answer to `GET /deployments/{id}`; raises `UnknownDeployment`."""
    deployment = registry.deployment(deployment_id)
    return _deployment(deployment) | {
        "services": [_service_view(registry, revision) for revision in _revisions(deployment)]
    }


def services_view(registry: Registry) -> JsonObject:
    """The answer to `GET /services`: the latest revision of each."""
    return {"services": [_service_view(registry, revision) for _, revision in sorted(registry.services.items())]}


def service_view(registry: Registry, name: str) -> JsonObject:
    """The answer to `GET /services/{name}`; raises `UnknownTarget`."""
    return _service_view(registry, registry.service(name))


def handlers_view(registry: Registry, name: str) -> JsonObject:
    """The answer to `GET /services/{name}/handlers`; raises `UnknownTarget`."""
    return {"handlers": service_view(registry, name)["handlers"]}


def _deployment(deployment: Deployment) -> JsonObject:
    return {
        "id": deployment.id,
        "uri": deployment.uri,
        "protocol_type": _WORDS[deployment.protocol_mode],
        "http_version": deployment.http_version,
        "additional_headers": deployment.additional_headers,
        "metadata": deployment.metadata,
        "created_at": datetime.fromtimestamp(deployment.created_at_ms / 1000, UTC).isoformat().replace("+00:00", "Z"),
        **_versions(deployment),
        "info": [],
    }


def _versions(deployment: Deployment) -> JsonObject:
    return {
        "min_protocol_version": deployment.manifest.min_protocol_version,
        "max_protocol_version": deployment.manifest.max_protocol_version,
        "sdk_version": deployment.sdk_version,
    }


def _revisions(deployment: Deployment) -> list[ServiceRevision]:
    return [
        ServiceRevision(service.name, deployment.revisions[service.name], deployment.id, service)
        for service in deployment.manifest.services
    ]


def _service_view(registry: Registry, revision: ServiceRevision) -> JsonObject:
    service = revision.manifest
    options = merge_options(registry.defaults, service, None)
    return {
        "name": service.name,
        "ty": _WORDS[service.ty],
        "deployment_id": revision.deployment_id,
        "revision": revision.revision,
        "documentation": service.documentation,
        "metadata": service.metadata or {},
        **_options(options, is_workflow=service.ty == "WORKFLOW"),
        "handlers": [_handler_view(registry, service, handler) for handler in service.handlers],
        "info": [],
    }


def _handler_view(registry: Registry, service: ServiceManifest, handler: HandlerManifest) -> JsonObject:
    handler_type = effective_handler_type(service.ty, handler.ty)
    view: JsonObject = {
        "name": handler.name,
        "documentation": handler.documentation,
        "metadata": handler.metadata or {},
        "input_description": _input_description(handler.input),
        "output_description": _output_description(handler.output),
        **_options(merge_options(registry.defaults, service, handler), is_workflow=handler_type == "WORKFLOW"),
        "info": [],
    }
    if handler_type is not None:
        view["ty"] = _WORDS[handler_type]
    for name, payload in (("input_json_schema", handler.input), ("output_json_schema", handler.output)):
        if payload is not None and payload.json_schema is not UNSET:
            view[name] = payload.json_schema
    return view


def _options(options: HandlerOptions, *, is_workflow: bool) -> JsonObject:
    retries = options.retry_policy
    view: JsonObject = {
        "public": not options.ingress_private,
        "inactivity_timeout": friendly_duration(options.inactivity_timeout_ms),
        "abort_timeout": friendly_duration(options.abort_timeout_ms),
        "journal_retention": friendly_duration(options.journal_retention_ms),
        "idempotency_retention": friendly_duration(options.idempotency_retention_ms),
        "enable_lazy_state": options.enable_lazy_state,
        "retry_policy": {
            "initial_interval": friendly_duration(retries.initial_interval_ms),
            "exponentiation_factor": retries.factor,
            "max_attempts": retries.max_attempts,
            "max_interval": friendly_duration(retries.max_interval_ms),
            "on_max_attempts": _WORDS[retries.on_max_attempts],
        },
    }
    if is_workflow:
        view["workflow_completion_retention"] = friendly_duration(options.workflow_completion_retention_ms)
    return view


def _input_description(payload: Payload | None) -> str:
    if payload is None:
        return "any value, or none"
    if payload.content_type is None:
        return "none"
    optional = "" if payload.required else "none or "
    return f"{optional}value of content-type '{payload.content_type}'"


def _output_description(payload: Payload | None) -> str:
    content_type = "application/json" if payload is None else payload.content_type
    return "none" if content_type is None else f"value of content-type '{content_type}'"


def friendly_duration(duration_ms: int) -> str:
    """A duration as people write it: `1d`, `1m 30s`, `0s`."""
    parts: list[str] = []
    for unit, unit_ms in _UNITS_MS:
        count, duration_ms = divmod(duration_ms, unit_ms)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts) or "0s"
