"""The endpoint manifest: what a deployment says of itself, written by an SDK and read by an engine.

Times are milliseconds. `None` means: not said, the engine's default holds.
Source of facts: service protocol, section "Discovery manifest".
"""

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import force_setattr

from perdure.errors import DeploymentRejected
from perdure.protocol.versions import VERSION_MAX, VERSION_MIN, negotiate
from perdure.times import DELAY_MS_MAX

MANIFEST_VERSION_MIN = 1
MANIFEST_VERSION_MAX = 4

ProtocolMode = Literal["BIDI_STREAM", "REQUEST_RESPONSE"]
ServiceType = Literal["SERVICE", "VIRTUAL_OBJECT", "WORKFLOW"]
HandlerType = Literal["WORKFLOW", "EXCLUSIVE", "SHARED"]
Milliseconds = Annotated[int, Meta(ge=0)]
"""At most `DELAY_MS_MAX`, and as that if it is more: `for ever` reaches us as the largest number that an SDK has."""

_TRIES_MAX = 2**53
_MOST = {
    **dict.fromkeys(
        (
            "inactivity_timeout",
            "abort_timeout",
            "journal_retention",
            "idempotency_retention",
            "workflow_completion_retention",
            "retry_policy_initial_interval",
            "retry_policy_max_interval",
        ),
        DELAY_MS_MAX,
    ),
    "retry_policy_max_attempts": _TRIES_MAX,
}

_NAME = r"([a-zA-Z]|_[a-zA-Z0-9])[a-zA-Z0-9._-]*"
_HANDLER_NAME = r"([a-zA-Z]|_[a-zA-Z0-9])[a-zA-Z0-9_]*"


class _Camel(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """Manifest versions are negotiated, so a field that is not known is a mistake and not the future."""


class Payload(_Camel, frozen=True, kw_only=True):
    """What a handler takes, or gives. In `input`, an absent content type means that no body is expected."""

    content_type: str | None = None
    json_schema: Any | UnsetType = UNSET
    required: bool | None = None
    set_content_type_if_empty: bool | None = None


class Options(_Camel, frozen=True, kw_only=True):
    """What may be set for a service, and again for one of its handlers."""

    documentation: str | None = None
    metadata: dict[str, str] | None = None
    inactivity_timeout: Milliseconds | None = None
    abort_timeout: Milliseconds | None = None
    journal_retention: Milliseconds | None = None
    idempotency_retention: Milliseconds | None = None
    enable_lazy_state: bool | None = None
    ingress_private: bool | None = None
    retry_policy_initial_interval: Milliseconds | None = None
    retry_policy_max_interval: Milliseconds | None = None
    retry_policy_max_attempts: Annotated[int, Meta(ge=1)] | None = None
    retry_policy_exponentiation_factor: Annotated[float, Meta(gt=0)] | None = None
    retry_policy_on_max_attempts: Literal["PAUSE", "KILL"] | None = None

    def __post_init__(self) -> None:
        for name, most in _MOST.items():
            if (getattr(self, name, None) or 0) > most:
                force_setattr(self, name, most)


class HandlerManifest(Options, frozen=True, kw_only=True):
    name: str = msgspec.field()
    ty: HandlerType | None = None
    input: Payload | None = None
    output: Payload | None = None
    workflow_completion_retention: Milliseconds | None = None


class ServiceManifest(Options, frozen=True, kw_only=True):
    name: str = msgspec.field()
    ty: ServiceType = msgspec.field()
    handlers: list[HandlerManifest] = msgspec.field()


class Manifest(_Camel, frozen=True, kw_only=True):
    protocol_mode: ProtocolMode = msgspec.field()
    min_protocol_version: int = msgspec.field()
    max_protocol_version: int = msgspec.field()
    services: list[ServiceManifest] = msgspec.field()
    lambda_compression: str | None = None


# Fields by the manifest version that brought them; what is not listed was there from the first.
_SINCE: dict[str, int] = {
    **dict.fromkeys(("documentation", "metadata"), 2),
    **dict.fromkeys(
        (
            "inactivityTimeout",
            "abortTimeout",
            "journalRetention",
            "idempotencyRetention",
            "workflowCompletionRetention",
            "enableLazyState",
            "ingressPrivate",
        ),
        3,
    ),
    **dict.fromkeys(
        (
            "lambdaCompression",
            "retryPolicyInitialInterval",
            "retryPolicyMaxInterval",
            "retryPolicyMaxAttempts",
            "retryPolicyExponentiationFactor",
            "retryPolicyOnMaxAttempts",
        ),
        4,
    ),
}


def content_type(version: int) -> str:
    return f"application/vnd.restate.endpointmanifest.v{version}+json"


ACCEPT = ", ".join(content_type(version) for version in range(MANIFEST_VERSION_MIN, MANIFEST_VERSION_MAX + 1))
"""What an engine asks for."""


def accepted_version(accept: str | None) -> int | None:
    """The manifest version to answer with: the highest that `accept` names; None where it names none of ours."""
    if not accept or accept.strip() == "*/*":
        return 2  # what the official SDKs answer when nothing is asked for
    named = {part.split(";")[0].strip() for part in accept.split(",")}
    versions = range(MANIFEST_VERSION_MAX, MANIFEST_VERSION_MIN - 1, -1)
    return next((version for version in versions if content_type(version) in named), None)


def encode_manifest(manifest: Manifest, version: int) -> bytes:
    """The manifest as JSON, in a version that may be older than what it says.

    What only informs (documentation, metadata) is left out of versions that lack it.

    Raises:
        DeploymentRejected: it sets an option that the version cannot express, so the engine would not honour it.
    """
    document: dict[str, Any] = msgspec.to_builtins(manifest)
    places: list[dict[str, Any]] = [document, *document["services"]]
    places += [handler for service in document["services"] for handler in service["handlers"]]
    for place in places:
        for field in [field for field in place if _SINCE.get(field, 1) > version]:
            if field not in ("documentation", "metadata"):
                raise DeploymentRejected(
                    f"{field} is only supported in discovery manifest version {_SINCE[field]}; {version} was asked for",
                    http_status=500,
                )
            del place[field]
    return msgspec.json.encode(document)


def decode_manifest(content_type_header: str | None, body: bytes) -> Manifest:
    """The manifest that an endpoint answered with, checked.

    Raises:
        DeploymentRejected: it is not a manifest, or shares no protocol version with us; the message says where.
    """
    known = [content_type(version) for version in range(MANIFEST_VERSION_MIN, MANIFEST_VERSION_MAX + 1)]
    if content_type_header not in known:
        raise DeploymentRejected(
            f"the endpoint answered discovery with content type {content_type_header!r}; expected {known[0]} "
            f"to v{MANIFEST_VERSION_MAX}. Is this the address of a service endpoint?",
            restate_code="META0013",
        )
    try:
        manifest = msgspec.json.decode(body, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DeploymentRejected(f"the endpoint's manifest cannot be read: {error}", restate_code="META0013") from error
    check_manifest(manifest)
    return manifest


def check_manifest(manifest: Manifest) -> None:
    """Raises `DeploymentRejected` where the manifest cannot be served."""
    low, high = manifest.min_protocol_version, manifest.max_protocol_version
    if not 1 <= low <= high:
        raise DeploymentRejected(
            f"the manifest's protocol versions are {low} to {high}: not a range", restate_code="META0013"
        )
    if negotiate(low, high) is None:
        raise DeploymentRejected(
            f"the endpoint speaks protocol versions {low} to {high}, this engine {VERSION_MIN} to {VERSION_MAX}",
            restate_code="META0012",
        )
    seen: set[str] = set()
    for service in manifest.services:
        _check_name("service", service.name, _NAME)
        if service.name.lower() in ("restate", "openapi"):
            raise DeploymentRejected(f"the service name {service.name!r} is reserved", restate_code="META0005")
        if service.name in seen:
            raise DeploymentRejected(f"the manifest names service {service.name!r} twice", restate_code="META0013")
        seen.add(service.name)
        handlers: set[str] = set()
        for handler in service.handlers:
            _check_name(f"handler of {service.name}", handler.name, _HANDLER_NAME)
            if handler.name in handlers:
                raise DeploymentRejected(
                    f"the manifest names handler {service.name}/{handler.name} twice", restate_code="META0013"
                )
            handlers.add(handler.name)


def _check_name(what: str, name: str, pattern: str) -> None:
    if not re.fullmatch(pattern, name):
        raise DeploymentRejected(f"{what} {name!r} does not match {pattern}", restate_code="META0013")
