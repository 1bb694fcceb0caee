"""Deployments as the admin API shows them: the shapes and words of the open interface, and what is left on each."""

from typing import Any, Literal

from msgspec import Struct

from perdure.engine.deployment import Deployment
from perdure.engine.leftovers import Leftover, Leftovers
from perdure.engine.registration import Info, Registration
from perdure.engine.registry import Registry
from perdure.server.admin.service_views import ServiceView, revision_view
from perdure.times import time_text

_MODES = {"BIDI_STREAM": "BidiStream", "REQUEST_RESPONSE": "RequestResponse"}

DrainStatus = Literal["active", "draining", "drained"]
"""Whether new invocations go to a deployment; if not, whether any are left there."""


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
        services=[revision_view(registry, revision) for revision in deployment.service_revisions()],
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
        services=[revision_view(registry, revision) for revision in deployment.service_revisions()],
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


def _common(registry: Registry, left: Leftovers, deployment: Deployment) -> dict[str, Any]:
    serves = registry.serves(deployment.id)
    return {
        "type": "http",
        "id": deployment.id,
        "uri": deployment.uri,
        "protocol_type": _MODES[deployment.protocol_mode],
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
