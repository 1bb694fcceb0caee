"""Deployments and services as the admin API shows them: the shapes and words of the open interface.

Options are shown as they hold, after the engine's defaults and what operators said, so that nobody has to look those
up. What there is none of is left out.
"""

from typing import Any, Literal, cast

from msgspec import UNSET, Struct, UnsetType, to_builtins

from perdure.engine.deployment import Deployment, ServiceRevision, effective_handler_type
from perdure.engine.leftovers import Leftover, Leftovers
from perdure.engine.options import HandlerOptions, Overrides, merge_options
from perdure.engine.registration import Info, Registration
from perdure.engine.registry import Registry
from perdure.protocol.discovery import HandlerManifest, Payload
from perdure.times import duration_text, time_text

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

DrainStatus = Literal["active", "draining", "drained"]
"""Whether new invocations go to a deployment; if not, whether any are left there."""


class RetryPolicyView(Struct, frozen=True):
    initial_interval: str
    exponentiation_factor: float
    max_attempts: int | None
    max_interval: str
    on_max_attempts: str


class OptionsView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What holds. Durations read as people write them: `1d`, `1m 30s`."""

    public: bool
    inactivity_timeout: str
    abort_timeout: str
    journal_retention: str
    idempotency_retention: str
    workflow_completion_retention: str | None = None
    enable_lazy_state: bool
    retry_policy: RetryPolicyView


class HandlerView(OptionsView, frozen=True, kw_only=True, omit_defaults=True):
    name: str
    ty: str | None = None
    documentation: str | None = None
    metadata: dict[str, str] = {}
    input_description: str
    output_description: str
    input_json_schema: Any | UnsetType = UNSET
    output_json_schema: Any | UnsetType = UNSET


class RevisionView(Struct, frozen=True):
    revision: int
    deployment_id: str


class ServiceView(OptionsView, frozen=True, kw_only=True, omit_defaults=True):
    """A revision of a service. `overrides` are the options that an operator set, `revisions` all that there are."""

    name: str
    ty: str
    deployment_id: str
    revision: int
    documentation: str | None = None
    metadata: dict[str, str] = {}
    handlers: list[HandlerView]
    overrides: dict[str, str | bool] = {}
    revisions: list[RevisionView]


class ServicesView(Struct, frozen=True):
    services: list[ServiceView]


class HandlersView(Struct, frozen=True):
    handlers: list[HandlerView]


class ServiceName(Struct, frozen=True):
    name: str
    revision: int


class _DeploymentView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`serves`: the services whose new invocations go there; `promoted`: those of them that a promotion sends there."""

    type: Literal["http"]
    id: str
    uri: str
    protocol_type: str
    http_version: str
    additional_headers: dict[str, str] = {}
    metadata: dict[str, str] = {}
    created_at: str
    min_protocol_version: int
    max_protocol_version: int
    sdk_version: str | None = None
    status: DrainStatus
    remove_when_drained: bool = False
    serves: list[str]
    promoted: list[str] = []
    info: list[Info] = []


class DeploymentView(_DeploymentView, frozen=True, kw_only=True, omit_defaults=True):
    services: list[ServiceName]


class DeploymentsView(Struct, frozen=True):
    deployments: list[DeploymentView]


class DeploymentDetail(_DeploymentView, frozen=True, kw_only=True, omit_defaults=True):
    """A deployment with its services in full, and how many invocations are `left` that have not ended."""

    left: int
    left_by_status: dict[str, int] = {}
    services: list[ServiceView]


class DrainView(Struct, frozen=True):
    """What is left on a deployment, the first by name, with what they wait for."""

    id: str
    status: DrainStatus
    remove_when_drained: bool
    left: int
    left_by_status: dict[str, int]
    invocations: list[Leftover]


class RegistrationView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    id: str
    services: list[ServiceView]
    min_protocol_version: int
    max_protocol_version: int
    sdk_version: str | None = None
    info: list[Info] = []


def registration_view(registry: Registry, registration: Registration) -> RegistrationView:
    """The answer to `POST /deployments`."""
    deployment = registration.deployment
    return RegistrationView(
        id=deployment.id,
        services=[_service_view(registry, revision) for revision in deployment.service_revisions()],
        min_protocol_version=deployment.manifest.min_protocol_version,
        max_protocol_version=deployment.manifest.max_protocol_version,
        sdk_version=deployment.sdk_version,
        info=list(registration.info),
    )


def deployments_view(registry: Registry, left: Leftovers) -> DeploymentsView:
    """The answer to `GET /deployments`: of each service only name and revision."""
    return DeploymentsView(
        [
            DeploymentView(
                **_common(registry, left, deployment),
                services=[ServiceName(name, revision) for name, revision in deployment.revisions.items()],
            )
            for deployment in registry.deployments.values()
        ]
    )


def deployment_view(
    registry: Registry, left: Leftovers, deployment: Deployment, info: tuple[Info, ...] = ()
) -> DeploymentDetail:
    """The answer to `GET /deployments/{id}`, also for one that is only planned."""
    return DeploymentDetail(
        **_common(registry, left, deployment),
        info=list(info),
        left=left.count(deployment.id),
        left_by_status=_counts(left, deployment),
        services=[_service_view(registry, revision) for revision in deployment.service_revisions()],
    )


def drain_view(registry: Registry, left: Leftovers, deployment: Deployment, limit: int) -> DrainView:
    """The answer to `GET /deployments/{id}/drain`."""
    return DrainView(
        id=deployment.id,
        status=_status(registry, left, deployment),
        remove_when_drained=deployment.draining,
        left=left.count(deployment.id),
        left_by_status=_counts(left, deployment),
        invocations=left.first(deployment.id, limit),
    )


def services_view(registry: Registry) -> ServicesView:
    """The answer to `GET /services`: the revision of each that new invocations go to."""
    return ServicesView([_service_view(registry, revision) for _, revision in sorted(registry.services.items())])


def service_view(registry: Registry, name: str) -> ServiceView:
    """The answer to `GET /services/{name}`; raises `UnknownTarget`."""
    return _service_view(registry, registry.service(name))


def _common(registry: Registry, left: Leftovers, deployment: Deployment) -> dict[str, Any]:
    serves = registry.serves(deployment.id)
    return {
        "type": "http",
        "id": deployment.id,
        "uri": deployment.uri,
        "protocol_type": _WORDS[deployment.protocol_mode],
        "http_version": deployment.http_version,
        "additional_headers": deployment.additional_headers,
        "metadata": deployment.metadata,
        "created_at": time_text(deployment.created_at_ms),
        "min_protocol_version": deployment.manifest.min_protocol_version,
        "max_protocol_version": deployment.manifest.max_protocol_version,
        "sdk_version": deployment.sdk_version,
        "status": _status(registry, left, deployment),
        "remove_when_drained": deployment.draining,
        "serves": serves,
        "promoted": [name for name in serves if registry.promotions.get(name) == deployment.id],
    }


def _status(registry: Registry, left: Leftovers, deployment: Deployment) -> DrainStatus:
    if registry.serves(deployment.id):
        return "active"
    return "draining" if left.any(deployment.id) else "drained"


def _counts(left: Leftovers, deployment: Deployment) -> dict[str, int]:
    return {status.value: count for status, count in left.by_status(deployment.id).items()}


def _service_view(registry: Registry, revision: ServiceRevision) -> ServiceView:
    service = revision.manifest
    return ServiceView(
        name=service.name,
        ty=_WORDS[service.ty],
        deployment_id=revision.deployment_id,
        revision=revision.revision,
        documentation=service.documentation,
        metadata=service.metadata or {},
        handlers=[_handler_view(registry, revision, handler) for handler in service.handlers],
        overrides=_overrides_view(registry.overrides(revision)),
        revisions=[RevisionView(each.revision, each.deployment_id) for each in registry.revisions(service.name)],
        **_options(registry.options(revision), is_workflow=service.ty == "WORKFLOW"),
    )


def _handler_view(registry: Registry, revision: ServiceRevision, handler: HandlerManifest) -> HandlerView:
    service = revision.manifest
    handler_type = effective_handler_type(service.ty, handler.ty)
    options = merge_options(registry.defaults, service, handler, registry.overrides(revision))
    return HandlerView(
        name=handler.name,
        ty=None if handler_type is None else _WORDS.get(handler_type, "Workflow"),
        documentation=handler.documentation,
        metadata=handler.metadata or {},
        input_description=_input_description(handler.input),
        output_description=_output_description(handler.output),
        input_json_schema=UNSET if handler.input is None else handler.input.json_schema,
        output_json_schema=UNSET if handler.output is None else handler.output.json_schema,
        **_options(options, is_workflow=handler_type == "WORKFLOW"),
    )


def _overrides_view(overrides: Overrides | None) -> dict[str, str | bool]:
    said: dict[str, Any] = {} if overrides is None else to_builtins(overrides)
    return {
        name.removesuffix("_ms"): duration_text(value) if name.endswith("_ms") else value
        for name, value in said.items()
    }


def _options(options: HandlerOptions, *, is_workflow: bool) -> dict[str, Any]:
    retries = options.retry_policy
    retention = duration_text(options.workflow_completion_retention_ms)
    return {
        "public": not options.ingress_private,
        "inactivity_timeout": duration_text(options.inactivity_timeout_ms),
        "abort_timeout": duration_text(options.abort_timeout_ms),
        "journal_retention": duration_text(options.journal_retention_ms),
        "idempotency_retention": duration_text(options.idempotency_retention_ms),
        "workflow_completion_retention": retention if is_workflow else None,
        "enable_lazy_state": options.enable_lazy_state,
        "retry_policy": RetryPolicyView(
            initial_interval=duration_text(retries.initial_interval_ms),
            exponentiation_factor=retries.factor,
            max_attempts=retries.max_attempts,
            max_interval=duration_text(retries.max_interval_ms),
            on_max_attempts=_WORDS[retries.on_max_attempts],
        ),
    }


def _input_description(payload: Payload | None) -> str:
    if payload is None:
        return "any value, or none"
    if payload.content_type is None:
        return "none"
    if payload.json_schema is not UNSET:
        return _json_description(payload.json_schema)
    optional = "" if payload.required else "none or "
    return f"{optional}value of content-type '{payload.content_type}'"


def _output_description(payload: Payload | None) -> str:
    if payload is not None and payload.content_type is not None and payload.json_schema is not UNSET:
        return _json_description(payload.json_schema)
    content_type = "application/json" if payload is None else payload.content_type
    return "none" if content_type is None else f"value of content-type '{content_type}'"


def _json_description(schema: Any) -> str:
    """As clients of the open interface show it: `JSON integer`."""
    type = cast(dict[str, Any], schema).get("type") if isinstance(schema, dict) else None
    return f"JSON {type}" if isinstance(type, str) else "JSON value"
