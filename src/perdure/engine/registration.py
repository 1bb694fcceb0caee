"""What a registration would do, and whether it may. Pure: a plan changes nothing."""

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from perdure.engine.addresses import Address
from perdure.engine.deployment import Deployment, ServiceRevision
from perdure.engine.registry import Registry
from perdure.errors import DeploymentRejected
from perdure.protocol.discovery import Manifest, ServiceManifest, check_manifest
from perdure.protocol.ids import DeploymentId

InFlight: TypeAlias = Callable[[DeploymentId | None, str, str], int]
"""How many invocations of a deployment's handler have not ended; with None, of those that no deployment has yet."""


class Info(Struct, frozen=True):
    """Something that whoever registers should know, though it stops nothing."""

    code: str
    message: str


class Registration(Struct, frozen=True):
    """A registration that may be made: the deployment as it would be, and what that does to what is there."""

    deployment: Deployment
    outcome: Literal["created", "exists", "replaced"]
    changed: bool
    """Whether there is anything to store; also true where only the peer's SDK was upgraded."""
    info: tuple[Info, ...] = ()


class Manner(Struct, frozen=True):
    """How a registration is meant: `force` replaces what is at the URI, `breaking` takes from callers what they had.

    Force implies breaking, as in the open interface.
    """

    force: bool = False
    breaking: bool = False


GENTLE = Manner()


def _none_in_flight(_: DeploymentId | None, __: str, ___: str) -> int:
    return 0


def plan(
    registry: Registry,
    address: Address,
    manifest: Manifest,
    *,
    new_id: DeploymentId,
    now_ms: int,
    manner: Manner = GENTLE,
    metadata: Mapping[str, str] | None = None,
    sdk_version: str | None = None,
    in_flight: InFlight = _none_in_flight,
) -> Registration:
    """What registering this manifest would do. `new_id` is used where the URI is new.

    Raises:
        DeploymentRejected: the manifest cannot be served; it differs from what this URI served before, without force
            (META0004); or it takes handlers from callers, or makes a service another kind, without breaking (META0006).
    """
    check_manifest(manifest)
    existing = registry.deployment_at(address.uri)
    if existing is not None:
        metadata = existing.metadata if metadata is None else metadata
        return plan_replacement(
            registry,
            existing,
            replace(
                _deployment(existing.id, address, manifest, existing.created_at_ms, metadata), sdk_version=sdk_version
            ),
            manner=manner,
            in_flight=in_flight,
        )
    deployment = replace(
        _deployment(new_id, address, manifest, now_ms, metadata or {}),
        revisions={service.name: registry.next_revision(service.name) for service in manifest.services},
        sdk_version=sdk_version,
    )
    lost = _lost(registry, manifest, None, in_flight)
    if lost and not (manner.breaking or manner.force):
        raise DeploymentRejected(
            f"new calls would lose what they have: {'; '.join(info.message for info in lost)}. Keep it until nobody "
            "calls it any more, give the service another name, or use breaking (`--breaking`).",
            restate_code="META0006",
            http_status=409,
        )
    return Registration(deployment, "created", changed=True, info=(*lost, *_promoted(registry, deployment)))


def plan_replacement(
    registry: Registry,
    existing: Deployment,
    planned: Deployment,
    *,
    manner: Manner,
    in_flight: InFlight = _none_in_flight,
) -> Registration:
    """What putting `planned` in the place of a deployment would do; the revisions of its services are given here.

    Raises:
        DeploymentRejected: it differs in more than versions and metadata, without force (META0004).
    """
    differences = _differences(existing, planned)
    ended = (Info("drain-ended", f"{existing.id} takes new invocations again"),) if existing.draining else ()
    if not differences:
        deployment = replace(planned, revisions=existing.revisions)
        return Registration(deployment, "exists", changed=deployment != existing, info=ended)
    lost = _lost(registry, planned.manifest, existing, in_flight)
    if not manner.force:
        hurt = f" With force, {'; '.join(info.message for info in lost)}." if lost else ""
        raise DeploymentRejected(
            f"{existing.uri} is registered already, as {existing.id}, and differs now: {'; '.join(differences)}.{hurt} "
            "Invocations in flight on it may not fit the new code: serve that at another address and register it "
            "there, or use force (`--force`) to put it in place of the old.",
            restate_code="META0004",
            http_status=409,
        )
    deployment = replace(
        planned,
        revisions={
            service.name: existing.revisions[service.name]
            if existing.service(service.name) == service
            else registry.next_revision(service.name)
            for service in planned.manifest.services
        },
    )
    info = (*lost, *ended, *_promoted(registry, deployment))
    return Registration(deployment, "replaced", changed=True, info=info)


def _deployment(
    id: DeploymentId, address: Address, manifest: Manifest, created_at_ms: int, metadata: Mapping[str, str]
) -> Deployment:
    return Deployment(
        id=id,
        uri=address.uri,
        manifest=manifest,
        revisions={},
        created_at_ms=created_at_ms,
        use_http_11=address.use_http_11,
        additional_headers=dict(address.additional_headers),
        metadata=dict(metadata),
    )


def _lost(registry: Registry, manifest: Manifest, replaced: Deployment | None, in_flight: InFlight) -> tuple[Info, ...]:
    """What callers, and invocations that have begun, would miss once the manifest is served."""
    info: list[Info] = []
    for service in manifest.services:
        latest = registry.latest.get(service.name)
        if latest is not None and (replaced is None or replaced.service(service.name) != service):
            info += _lost_of(latest, service, replaced, in_flight)
    kept = {service.name for service in manifest.services}
    for service in replaced.manifest.services if replaced is not None else ():
        if service.name not in kept:
            left = _in_flight(replaced, service.name, [handler.name for handler in service.handlers], in_flight)
            info.append(Info("service-removed", f"service {service.name} is no longer in this deployment{left}"))
    return tuple(info)


def _lost_of(
    latest: ServiceRevision, service: ServiceManifest, replaced: Deployment | None, in_flight: InFlight
) -> list[Info]:
    info: list[Info] = []
    before = latest.manifest
    if before.ty != service.ty:
        message = (
            f"service {service.name} is a {before.ty} in {latest.deployment_id} and would become a {service.ty}: its "
            "keys, state and inbox would be lost to callers"
        )
        info.append(Info("service-type-changed", message))
    replaced_service = replaced.service(service.name) if replaced is not None else None
    had = [*before.handlers, *(replaced_service.handlers if replaced_service is not None else ())]
    gone = sorted({handler.name for handler in had} - {handler.name for handler in service.handlers})
    info += [
        Info(
            "handler-removed",
            f"{service.name}/{name} is gone: callers get 404{_in_flight(replaced, service.name, [name], in_flight)}",
        )
        for name in gone
    ]
    return info


def _in_flight(replaced: Deployment | None, service: str, handlers: list[str], in_flight: InFlight) -> str:
    """In words, how many invocations would find no code: what is pinned to a deployment that stays does."""
    homes = [None] if replaced is None else [None, replaced.id]
    count = sum(in_flight(home, service, handler) for home in homes for handler in handlers)
    return f", and {count} {'invocation' if count == 1 else 'invocations'} of it could not go on" if count else ""


def _promoted(registry: Registry, deployment: Deployment) -> list[Info]:
    return [
        Info(
            "promoted-elsewhere",
            f"new invocations of {service} keep going to {registry.promotions[service]}, which is promoted: "
            f"`perdure deployments promote {deployment.id}` brings them here",
        )
        for service in deployment.revisions
        if registry.promotions.get(service, deployment.id) != deployment.id
    ]


def _differences(existing: Deployment, planned: Deployment) -> list[str]:
    """What makes a registration more than the same again, in words. Protocol versions and metadata do not count."""
    before = {service.name: service for service in existing.manifest.services}
    after = {service.name: service for service in planned.manifest.services}
    differences: list[str] = []
    if added := sorted(after.keys() - before.keys()):
        differences.append(f"new: {', '.join(added)}")
    if removed := sorted(before.keys() - after.keys()):
        differences.append(f"removed: {', '.join(removed)}")
    if changed := sorted(name for name in before.keys() & after.keys() if before[name] != after[name]):
        differences.append(f"changed: {', '.join(changed)}")
    if existing.protocol_mode != planned.protocol_mode or existing.use_http_11 != planned.use_http_11:
        differences.append("the way to it (HTTP version or protocol mode)")
    if existing.additional_headers != planned.additional_headers:
        differences.append("additional headers")
    return differences
