"""Which deployment serves a call: deployments, the revisions of their services, and how a new one is admitted.

Pure and in memory. A registration is planned (which may be refused, and changes nothing), stored by whoever asked,
then applied. What is served is derived from the deployments alone: of each service, its highest revision.
"""

import re
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Literal
from urllib.parse import SplitResult, urlsplit, urlunsplit

import msgspec
from msgspec import Struct

from perdure.engine.config import HandlerDefaults
from perdure.engine.options import HandlerOptions, merge_options
from perdure.errors import DeploymentRejected, UnknownDeployment, UnknownTarget, UsageError
from perdure.protocol.discovery import (
    HandlerManifest,
    HandlerType,
    Manifest,
    ProtocolMode,
    ServiceManifest,
    ServiceType,
    check_manifest,
)
from perdure.protocol.ids import DeploymentId
from perdure.protocol.versions import VERSION_MAX, negotiate

EMBEDDED_URI = "inproc://embedded"

_NOT_IN_HOST_NAMES = re.compile(r"[\x00-\x20\x7f!\"#$%&'()*+,/:;<=>?@\[\\\]^`{|}]")


class Deployment(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A registered endpoint. `revisions` holds the revision of each service of its manifest."""

    id: DeploymentId
    uri: str
    manifest: Manifest
    revisions: dict[str, int]
    created_at_ms: int
    use_http_11: bool = False
    additional_headers: dict[str, str] = {}
    metadata: dict[str, str] = {}
    sdk_version: str | None = None

    @property
    def protocol_mode(self) -> ProtocolMode:
        return "REQUEST_RESPONSE" if self.use_http_11 else self.manifest.protocol_mode

    @property
    def http_version(self) -> Literal["HTTP/1.1", "HTTP/2.0"] | None:
        """None where no HTTP lies between: the embedded deployment."""
        if self.uri == EMBEDDED_URI:
            return None
        return "HTTP/1.1" if self.use_http_11 else "HTTP/2.0"

    @property
    def protocol_version(self) -> int:
        """The version that new invocations are pinned to."""
        version = negotiate(self.manifest.min_protocol_version, self.manifest.max_protocol_version)
        assert version is not None, f"{self.id} was admitted without a protocol version up to {VERSION_MAX}"
        return version

    def service(self, name: str) -> ServiceManifest | None:
        return next((service for service in self.manifest.services if service.name == name), None)

    def encode(self) -> bytes:
        """The bytes to store."""
        return msgspec.json.encode(self)

    @staticmethod
    def decode(stored: bytes) -> "Deployment":
        return msgspec.json.decode(stored, type=Deployment)


class ServiceRevision(Struct, frozen=True):
    """A version of a service, in the deployment that brought it."""

    name: str
    revision: int
    deployment_id: DeploymentId
    manifest: ServiceManifest


class ResolvedHandler(Struct, frozen=True):
    """All that the engine asks about the target of an invocation."""

    service: str
    handler: str
    service_type: ServiceType
    handler_type: HandlerType | None
    """None in plain services, said in full elsewhere."""
    manifest: HandlerManifest
    revision: int
    deployment: Deployment
    protocol_version: int
    options: HandlerOptions


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


class Registry:
    """Deployments in the order in which they came, and the latest revision of every service."""

    def __init__(self, defaults: HandlerDefaults, deployments: Iterable[Deployment] = ()) -> None:
        self.defaults = defaults
        self.deployments: dict[DeploymentId, Deployment] = {deployment.id: deployment for deployment in deployments}
        self.services: dict[str, ServiceRevision] = {}
        self._resolved: dict[tuple[str, str], ResolvedHandler] = {}
        self._pinned: dict[tuple[DeploymentId, str, str], ResolvedHandler] = {}
        self._index()

    def resolve(self, service: str, handler: str) -> ResolvedHandler:
        """Where a new invocation goes: the handler in the latest revision of its service. One look-up.

        Raises:
            UnknownTarget: no deployment has it; the message names what is near.
        """
        resolved = self._resolved.get((service, handler))
        if resolved is None:
            raise UnknownTarget(f"{service}/{handler}", self.targets())
        return resolved

    def resolve_pinned(self, deployment_id: DeploymentId, service: str, handler: str) -> ResolvedHandler:
        """Where an invocation goes on that has begun: the handler as it is in the deployment that it is pinned to.

        Raises:
            UnknownDeployment: the deployment is gone.
            UnknownTarget: the deployment was replaced, and no longer has the handler.
        """
        resolved = self._pinned.get((deployment_id, service, handler))
        if resolved is None:
            deployment = self.deployment(deployment_id)
            raise UnknownTarget(
                f"{service}/{handler}",
                [f"{manifest.name}/{it.name}" for manifest in deployment.manifest.services for it in manifest.handlers],
            )
        return resolved

    def targets(self) -> list[str]:
        """Every `Service/handler` that can be called, sorted."""
        return sorted(f"{service}/{handler}" for service, handler in self._resolved)

    def service(self, name: str) -> ServiceRevision:
        """The latest revision of a service; raises `UnknownTarget` where there is none."""
        revision = self.services.get(name)
        if revision is None:
            raise UnknownTarget(f"service {name}", [f"service {known}" for known in sorted(self.services)])
        return revision

    def deployment(self, deployment_id: str) -> Deployment:
        """Raises `UnknownDeployment` where there is none with this id."""
        deployment = self.deployments.get(DeploymentId(deployment_id))
        if deployment is None:
            raise UnknownDeployment(deployment_id)
        return deployment

    def deployment_at(self, uri: str) -> Deployment | None:
        """The deployment that is registered under a URI, however that is spelled."""
        wanted = normal_uri(uri)
        return next((deployment for deployment in self.deployments.values() if deployment.uri == wanted), None)

    def plan(
        self,
        uri: str,
        manifest: Manifest,
        *,
        new_id: DeploymentId,
        now_ms: int,
        force: bool = False,
        breaking: bool = False,
        use_http_11: bool = False,
        additional_headers: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
        sdk_version: str | None = None,
    ) -> Registration:
        """What registering this manifest would do; nothing is changed. `new_id` is used where the URI is new.

        Raises:
            DeploymentRejected: the manifest cannot be served; it differs from what this URI served before, without
                `force` (META0004); or a service has become another kind of service, without `breaking` (META0006).
        """
        check_manifest(manifest)
        existing = self.deployment_at(uri)
        self._check_service_types(manifest, breaking)
        planned = Deployment(
            id=existing.id if existing else new_id,
            uri=normal_uri(uri),
            manifest=manifest,
            revisions={},
            created_at_ms=existing.created_at_ms if existing else now_ms,
            use_http_11=use_http_11,
            additional_headers=dict(additional_headers or {}),
            metadata=dict(metadata) if metadata is not None else existing.metadata if existing else {},
            sdk_version=sdk_version,
        )
        if existing is None:
            deployment = msgspec.structs.replace(planned, revisions=self._next_revisions(manifest))
            return Registration(deployment, "created", changed=True, info=self._removed_handlers(manifest))

        differences = _differences(existing, planned)
        if not differences:
            deployment = msgspec.structs.replace(planned, revisions=existing.revisions)
            return Registration(deployment, "exists", changed=deployment != existing)
        if not force:
            raise DeploymentRejected(
                f"{existing.uri} is registered already, as {existing.id}, and differs now: {'; '.join(differences)}. "
                "Invocations in flight on it may not fit the new code: serve that at another address and register it "
                "there, or use force (`--force`) to put it in place of the old.",
                restate_code="META0004",
                http_status=409,
            )
        deployment = msgspec.structs.replace(planned, revisions=self._next_revisions(manifest, existing))
        return Registration(deployment, "replaced", changed=True, info=self._removed_handlers(manifest, existing))

    def apply(self, registration: Registration) -> None:
        """Serve what was planned. The plan must have been made on the registry as it is now."""
        self.deployments[registration.deployment.id] = registration.deployment
        self._index()

    def _index(self) -> None:
        self.services.clear()
        self._resolved.clear()
        self._pinned.clear()
        for deployment in self.deployments.values():
            for service in deployment.manifest.services:
                revision = ServiceRevision(service.name, deployment.revisions[service.name], deployment.id, service)
                latest = self.services.get(service.name)
                if latest is None or latest.revision < revision.revision:
                    self.services[service.name] = revision
                for handler in service.handlers:
                    self._pinned[deployment.id, service.name, handler.name] = self._resolve(
                        deployment, revision, handler
                    )
        for revision in self.services.values():
            for handler in revision.manifest.handlers:
                target = (revision.name, handler.name)
                self._resolved[target] = self._pinned[(revision.deployment_id, *target)]

    def _resolve(self, deployment: Deployment, revision: ServiceRevision, handler: HandlerManifest) -> ResolvedHandler:
        service = revision.manifest
        return ResolvedHandler(
            service=service.name,
            handler=handler.name,
            service_type=service.ty,
            handler_type=effective_handler_type(service.ty, handler.ty),
            manifest=handler,
            revision=revision.revision,
            deployment=deployment,
            protocol_version=deployment.protocol_version,
            options=merge_options(self.defaults, service, handler),
        )

    def _check_service_types(self, manifest: Manifest, breaking: bool) -> None:
        for service in manifest.services:
            latest = self.services.get(service.name)
            if latest is not None and latest.manifest.ty != service.ty and not breaking:
                raise DeploymentRejected(
                    f"service {service.name} is a {latest.manifest.ty} in {latest.deployment_id} and would become a "
                    f"{service.ty}: its keys, state and inbox would be lost to callers. Give it another name, or use "
                    "breaking (`--breaking`).",
                    restate_code="META0006",
                )

    def _next_revisions(self, manifest: Manifest, replaced: Deployment | None = None) -> dict[str, int]:
        """Counts up each service by itself; one that a replacement leaves as it was keeps its revision."""
        revisions: dict[str, int] = {}
        for service in manifest.services:
            if replaced is not None and replaced.service(service.name) == service:
                revisions[service.name] = replaced.revisions[service.name]
            else:
                latest = self.services.get(service.name)
                revisions[service.name] = latest.revision + 1 if latest is not None else 1
        return revisions

    def _removed_handlers(self, manifest: Manifest, replaced: Deployment | None = None) -> tuple[Info, ...]:
        """What can no longer be called, or is called elsewhere, once the manifest is served."""
        info: list[Info] = []
        for service in manifest.services:
            latest = self.services.get(service.name)
            before = {handler.name for handler in latest.manifest.handlers} if latest is not None else set[str]()
            info += [
                Info("handler-removed", f"{service.name}/{name} is gone: callers get 404")
                for name in sorted(before - {handler.name for handler in service.handlers})
            ]
        kept = {service.name for service in manifest.services}
        for service in replaced.manifest.services if replaced is not None else ():
            if service.name not in kept:
                info.append(Info("service-removed", f"service {service.name} is no longer in this deployment"))
        return tuple(info)


def effective_handler_type(service_type: ServiceType, handler_type: HandlerType | None) -> HandlerType | None:
    """The type of a handler, where a manifest may leave it out."""
    match service_type:
        case "SERVICE":
            return None
        case "VIRTUAL_OBJECT":
            return handler_type or "EXCLUSIVE"
        case "WORKFLOW":
            return handler_type or "WORKFLOW"


def normal_uri(uri: str) -> str:
    """The one spelling of an endpoint's address: lower-case host, no query, `/` as the shortest path.

    Raises:
        UsageError: it is not an http or https address; the message says what is wrong with it.
    """
    if uri == EMBEDDED_URI:
        return uri
    try:
        parts = urlsplit(uri if "://" in uri else f"http://{uri}")
        _check_address(parts)
    except ValueError as error:
        raise UsageError(
            f"uri: {uri!r} is not the address of a service endpoint ({error}): expected something like http://host:9080"
        ) from error
    user, at, place = parts.netloc.rpartition("@")
    return urlunsplit((parts.scheme, user + at + place.lower(), parts.path.rstrip("/") or "/", "", ""))


def _check_address(parts: SplitResult) -> None:
    """Raises `ValueError` where an HTTP client could not even try to connect."""
    if parts.scheme not in ("http", "https"):
        raise ValueError("neither http nor https")
    host = parts.hostname
    if not host:
        raise ValueError("it names no host")
    _ = parts.port  # read for its ValueError
    if "[" in parts.netloc:
        if IPv6Address(host).scope_id:
            raise ValueError("an address of IPv6 has no zone here")
    elif _NOT_IN_HOST_NAMES.search(host):
        raise ValueError(f"{host!r} is no host name")
    elif host.rstrip(".").rpartition(".")[2].isdecimal():
        IPv4Address(host)


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
