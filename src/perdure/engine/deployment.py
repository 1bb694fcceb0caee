"""A deployment: an endpoint that was registered, with the revisions of the services that it brought."""

from typing import Literal

import msgspec
from msgspec import Struct

from perdure.engine.addresses import EMBEDDED_URI, Address
from perdure.protocol.discovery import HandlerType, Manifest, ProtocolMode, ServiceManifest, ServiceType
from perdure.protocol.ids import DeploymentId
from perdure.protocol.versions import VERSION_MAX, negotiate


class Deployment(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A registered endpoint. `revisions` holds the revision of each service of its manifest.

    `draining`: it takes no new invocations, and is removed when the last one on it has ended.
    """

    id: DeploymentId
    uri: str
    manifest: Manifest
    revisions: dict[str, int]
    created_at_ms: int
    use_http_11: bool = False
    additional_headers: dict[str, str] = {}
    metadata: dict[str, str] = {}
    sdk_version: str | None = None
    draining: bool = False

    @property
    def address(self) -> Address:
        return Address(self.uri, self.use_http_11, self.additional_headers)

    @property
    def is_embedded(self) -> bool:
        """Whether its services are in the engine's own process."""
        return self.uri == EMBEDDED_URI

    @property
    def protocol_mode(self) -> ProtocolMode:
        return "REQUEST_RESPONSE" if self.use_http_11 else self.manifest.protocol_mode

    @property
    def http_version(self) -> Literal["HTTP/1.1", "HTTP/2.0"]:
        """The embedded deployment's says nothing: no HTTP lies between, but clients want one of the two."""
        return "HTTP/1.1" if self.use_http_11 else "HTTP/2.0"

    @property
    def protocol_version(self) -> int:
        """The version that new invocations are pinned to."""
        version = negotiate(self.manifest.min_protocol_version, self.manifest.max_protocol_version)
        assert version is not None, f"{self.id} was admitted without a protocol version up to {VERSION_MAX}"
        return version

    def service(self, name: str) -> ServiceManifest | None:
        return next((service for service in self.manifest.services if service.name == name), None)

    def service_revisions(self) -> "list[ServiceRevision]":
        return [
            ServiceRevision(service.name, self.revisions[service.name], self.id, service)
            for service in self.manifest.services
        ]

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


def effective_handler_type(service_type: ServiceType, handler_type: HandlerType | None) -> HandlerType | None:
    """The type of a handler, where a manifest may leave it out."""
    match service_type:
        case "SERVICE":
            return None
        case "VIRTUAL_OBJECT":
            return handler_type or "EXCLUSIVE"
        case "WORKFLOW":
            return handler_type or "WORKFLOW"
