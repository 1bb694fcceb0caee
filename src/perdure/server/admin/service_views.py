"""Services as the admin API shows them: the shapes and words of the open interface.

Options are shown as they hold, after the engine's defaults and what operators said, so that nobody has to look those
up. What there is none of is left out.
"""

from typing import Any, cast

from msgspec import UNSET, Struct, UnsetType, to_builtins

from perdure.engine.deployment import ServiceRevision, effective_handler_type
from perdure.engine.options import HandlerOptions, Overrides, merge_options
from perdure.engine.registry import Registry
from perdure.protocol.discovery import HandlerManifest, Payload
from perdure.times import duration_text

_WORDS = {
    "SERVICE": "Service",
    "VIRTUAL_OBJECT": "VirtualObject",
    "WORKFLOW": "Workflow",
    "EXCLUSIVE": "Exclusive",
    "SHARED": "Shared",
    "PAUSE": "Pause",
    "KILL": "Kill",
}


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


def services_view(registry: Registry) -> ServicesView:
    """The answer to `GET /services`: the revision of each that new invocations go to."""
    return ServicesView([revision_view(registry, revision) for _, revision in sorted(registry.services.items())])


def service_view(registry: Registry, name: str) -> ServiceView:
    """The answer to `GET /services/{name}`; raises `UnknownTarget`."""
    return revision_view(registry, registry.service(name))


def revision_view(registry: Registry, revision: ServiceRevision) -> ServiceView:
    """A service as it is in one deployment."""
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
