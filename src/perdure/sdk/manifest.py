"""What services say of themselves in discovery, from their definitions."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from msgspec import UNSET

from perdure.protocol.discovery import HandlerManifest, Manifest, Payload, ProtocolMode, ServiceManifest
from perdure.protocol.versions import VERSION_MAX, VERSION_MIN
from perdure.sdk.definition import HandlerDefinition, InvocationRetryPolicy, Options, ServiceDefinition
from perdure.sdk.limits import whole_ms
from perdure.sdk.schema import content_type_of, json_schema_of


def manifest_of(services: Iterable[ServiceDefinition], protocol_mode: ProtocolMode) -> Manifest:
    """The manifest of an endpoint that serves these services."""
    return Manifest(
        protocol_mode=protocol_mode,
        min_protocol_version=VERSION_MIN,
        max_protocol_version=VERSION_MAX,
        services=[_service(service) for service in services],
    )


def _service(service: ServiceDefinition) -> ServiceManifest:
    return ServiceManifest(
        name=service.name,
        ty=service.kind,
        handlers=[_handler(handler) for handler in service.handlers.values()],
        **_options(service.service_tag.options),
    )


def _handler(handler: HandlerDefinition) -> HandlerManifest:
    return HandlerManifest(
        name=handler.name,
        ty=handler.kind,
        input=_input(handler),
        output=_output(handler),
        workflow_completion_retention=_ms(handler.options.workflow_retention),
        **_options(handler.options),
    )


def _input(handler: HandlerDefinition) -> Payload:
    if not handler.takes_input:
        return Payload()  # no content type: no body is expected
    return Payload(
        content_type=handler.accept or content_type_of(handler.input_serde),
        json_schema=json_schema_of(handler.input_serde, "input") or UNSET,
        required=handler.input_required,
    )


def _output(handler: HandlerDefinition) -> Payload:
    if not handler.returns_output:
        return Payload(set_content_type_if_empty=False)
    return Payload(
        content_type=handler.content_type or content_type_of(handler.output_serde),
        json_schema=json_schema_of(handler.output_serde, "output") or UNSET,
        set_content_type_if_empty=False,
    )


def _options(options: Options) -> dict[str, Any]:
    policy = options.invocation_retry_policy or InvocationRetryPolicy()
    return {
        "documentation": options.description,
        "metadata": dict(options.metadata) if options.metadata else None,
        "inactivity_timeout": _ms(options.inactivity_timeout),
        "abort_timeout": _ms(options.abort_timeout),
        "journal_retention": _ms(options.journal_retention),
        "idempotency_retention": _ms(options.idempotency_retention),
        "enable_lazy_state": options.enable_lazy_state,
        "ingress_private": options.ingress_private,
        "retry_policy_initial_interval": _ms(policy.initial_interval),
        "retry_policy_max_interval": _ms(policy.max_interval),
        "retry_policy_max_attempts": policy.max_attempts,
        "retry_policy_exponentiation_factor": policy.exponentiation_factor,
        "retry_policy_on_max_attempts": policy.on_max_attempts.upper() if policy.on_max_attempts else None,
    }


def _ms(time: timedelta | None) -> int | None:
    return None if time is None else whole_ms(time)
