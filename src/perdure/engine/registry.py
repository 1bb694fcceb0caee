"""Which deployment serves a call: the deployments, the revisions of their services, and what operators said of them.

Pure and in memory. Each change is made here first, and returns the settings that whoever asked for it is to store.
What is served is derived: of each service the promoted revision, else the highest that takes new invocations.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct, json

from perdure.engine.addresses import normal_uri
from perdure.engine.config import HandlerDefaults
from perdure.engine.deployment import Deployment, ServiceRevision, effective_handler_type
from perdure.engine.events import Setting
from perdure.engine.options import HandlerOptions, Overrides, merge_options
from perdure.errors import Conflict, ServiceDrained, UnknownDeployment, UnknownTarget
from perdure.protocol.discovery import HandlerManifest, HandlerType, ServiceType
from perdure.protocol.ids import DeploymentId

PROMOTION = "promotion"
"""Settings by service: the deployment that it was promoted to."""
OVERRIDES = "service"
"""Settings by `service@revision`."""
LAST_REVISION = "revision"
"""Settings by service: the highest revision that there ever was, where that one is gone."""


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


def _no_settings(_: str) -> Mapping[str, bytes]:
    return {}


class Registry:
    """Deployments in the order in which they came.

    `services` holds the revision of each service that new invocations go to, `latest` the highest that could take
    them, and `promotions` the deployments that go before it.
    """

    def __init__(
        self,
        defaults: HandlerDefaults,
        deployments: Iterable[Deployment] = (),
        settings: Callable[[str], Mapping[str, bytes]] = _no_settings,
    ) -> None:
        """`settings` gives the stored settings of a kind."""
        self.defaults = defaults
        self.deployments: dict[DeploymentId, Deployment] = {deployment.id: deployment for deployment in deployments}
        self.promotions = {
            service: DeploymentId(json.decode(record, type=str)) for service, record in settings(PROMOTION).items()
        }
        self._overrides = {
            _parse_override_name(name): json.decode(record, type=Overrides)
            for name, record in settings(OVERRIDES).items()
        }
        self._last_revisions = {
            service: json.decode(record, type=int) for service, record in settings(LAST_REVISION).items()
        }
        self.services: dict[str, ServiceRevision] = {}
        self.latest: dict[str, ServiceRevision] = {}
        self._resolved: dict[tuple[str, str], ResolvedHandler] = {}
        self._pinned: dict[tuple[DeploymentId, str, str], ResolvedHandler] = {}
        self._index()

    # ---- asking ----

    def resolve(self, service: str, handler: str) -> ResolvedHandler:
        """Where a new invocation goes. One look-up.

        Raises:
            UnknownTarget: no deployment has it; the message names what is near.
            ServiceDrained: those that have it take nothing new.
        """
        resolved = self._resolved.get((service, handler))
        if resolved is None:
            self.check_drained(service)
            raise UnknownTarget(f"{service}/{handler}", self.targets())
        return resolved

    def check_drained(self, service: str) -> None:
        """Raises `ServiceDrained` where only deployments have a service that take nothing new."""
        draining = [deployment.id for deployment in self.draining if service in deployment.revisions]
        if service not in self.services and draining:
            raise ServiceDrained(service, draining)

    def resolve_pinned(self, deployment_id: DeploymentId, service: str, handler: str) -> ResolvedHandler:
        """Where an invocation goes on that has begun: the handler as it is in the deployment that it is pinned to.

        Raises:
            UnknownDeployment: it was removed.
            UnknownTarget: the deployment was replaced, and no longer has the handler.
        """
        resolved = self._pinned.get((deployment_id, service, handler))
        if resolved is None:
            deployment = self.deployments.get(deployment_id)
            if deployment is None:
                raise UnknownDeployment(deployment_id)
            raise UnknownTarget(
                f"{service}/{handler}",
                [f"{manifest.name}/{it.name}" for manifest in deployment.manifest.services for it in manifest.handlers],
            )
        return resolved

    def resolve_chosen(self, deployment_id: DeploymentId, service: str, handler: str) -> ResolvedHandler:
        """Where somebody wants an invocation to go on that began on another deployment.

        Raises:
            UnknownDeployment, UnknownTarget: as `resolve_pinned`.
            Conflict: the deployment is being drained.
        """
        resolved = self.resolve_pinned(deployment_id, service, handler)
        _check_takes(resolved.deployment)
        return resolved

    def targets(self) -> Sequence[str]:
        """Every `Service/handler` that can be called, sorted."""
        return self._targets

    def public_targets(self) -> Sequence[str]:
        """Those of them that can be called from outside."""
        return self._public_targets

    def public_services(self) -> list[str]:
        """The services of which something can be called from outside, sorted."""
        return sorted({target.partition("/")[0] for target in self._public_targets})

    def service(self, name: str) -> ServiceRevision:
        """The revision of a service that new invocations go to; raises `UnknownTarget` where there is none."""
        revision = self.services.get(name)
        if revision is None:
            raise UnknownTarget(f"service {name}", [f"service {known}" for known in sorted(self.services)])
        return revision

    def public_service(self, name: str) -> ServiceRevision:
        """The same for whoever asks from outside: a service that is private is none, nor is it named."""
        public = self.public_services()
        if name not in public:
            raise UnknownTarget(f"service {name}", [f"service {known}" for known in public])
        return self.services[name]

    def revisions(self, name: str) -> list[ServiceRevision]:
        """Every revision of a service that some deployment has, the oldest first."""
        found = (each for deployment in self.deployments.values() for each in deployment.service_revisions())
        return sorted((each for each in found if each.name == name), key=lambda each: each.revision)

    def next_revision(self, name: str) -> int:
        return self._last_revisions.get(name, 0) + 1

    def deployment(self, deployment_id: str) -> Deployment:
        """Raises `UnknownDeployment` where there is none with this id."""
        deployment = self.deployments.get(DeploymentId(deployment_id))
        if deployment is None:
            raise UnknownDeployment(deployment_id)
        return deployment

    def deployment_at(self, uri: str) -> Deployment | None:
        """The deployment that is registered under a (normal) URI; an older perdure stored other spellings."""
        return next((each for each in self.deployments.values() if normal_uri(each.uri) == uri), None)

    def serves(self, deployment_id: DeploymentId) -> list[str]:
        """The services whose new invocations go to a deployment."""
        return [name for name, revision in self.services.items() if revision.deployment_id == deployment_id]

    def overrides(self, revision: ServiceRevision) -> Overrides | None:
        """What an operator said of this revision of a service, if anything."""
        return self._overrides.get((revision.name, revision.revision))

    def options(self, revision: ServiceRevision) -> HandlerOptions:
        """The options of a service as a whole, in this revision."""
        return merge_options(self.defaults, revision.manifest, None, self.overrides(revision))

    # ---- changing ----

    def put(self, deployment: Deployment) -> tuple[Setting, ...]:
        """Take in a deployment, or put it in place of what it was. What was planned must fit the registry as it is."""
        self.deployments[deployment.id] = deployment
        return self._settle()

    def remove(self, deployment_id: DeploymentId) -> tuple[Setting, ...]:
        """Forget a deployment; what its services say falls back to the next lower revision."""
        del self.deployments[deployment_id]
        return self._settle()

    def promote(self, deployment_id: str) -> tuple[Setting, ...]:
        """Have new invocations of all services of a deployment go there, until the next promotion.

        Raises:
            UnknownDeployment
            Conflict: it is being drained.
        """
        deployment = self.deployment(deployment_id)
        _check_takes(deployment)
        services = [service.name for service in deployment.manifest.services]
        self.promotions.update(dict.fromkeys(services, deployment.id))
        self._index()
        return tuple((PROMOTION, service, json.encode(deployment.id)) for service in services)

    def demote(self, deployment_id: str) -> tuple[Setting, ...]:
        """End the promotion of a deployment: new invocations go to the latest again. Raises `UnknownDeployment`."""
        deployment = self.deployment(deployment_id)
        services = [service for service, promoted in self.promotions.items() if promoted == deployment.id]
        for service in services:
            del self.promotions[service]
        self._index()
        return tuple((PROMOTION, service, None) for service in services)

    def override(self, revision: ServiceRevision, overrides: Overrides) -> tuple[Setting, ...]:
        """What an operator says of a revision of a service, in place of all that was said before."""
        key = (revision.name, revision.revision)
        if overrides:
            self._overrides[key] = overrides
        else:
            self._overrides.pop(key, None)
        self._index()
        return ((OVERRIDES, _override_name(*key), json.encode(overrides) if overrides else None),)

    # ---- deriving ----

    def _settle(self) -> tuple[Setting, ...]:
        """Derive anew what is served, and let go of what was said of things that are gone."""
        changes: list[Setting] = []
        for service, promoted in list(self.promotions.items()):
            deployment = self.deployments.get(promoted)
            if deployment is None or deployment.draining or service not in deployment.revisions:
                del self.promotions[service]
                changes.append((PROMOTION, service, None))
        existing = {item for deployment in self.deployments.values() for item in deployment.revisions.items()}
        for key in self._overrides.keys() - existing:
            del self._overrides[key]
            changes.append((OVERRIDES, _override_name(*key), None))
        highest = self._highest(existing)
        changes += [
            (LAST_REVISION, service, json.encode(last))
            for service, last in self._last_revisions.items()
            if highest.get(service, 0) < last
        ]
        self._index()
        return tuple(changes)

    def _index(self) -> None:
        self.draining = [deployment for deployment in self.deployments.values() if deployment.draining]
        self.latest = {}
        self._pinned = {}
        for deployment in self.deployments.values():
            for revision in deployment.service_revisions():
                latest = self.latest.get(revision.name)
                if not deployment.draining and (latest is None or latest.revision < revision.revision):
                    self.latest[revision.name] = revision
                for handler in revision.manifest.handlers:
                    self._pinned[deployment.id, revision.name, handler.name] = self._resolve(
                        deployment, revision, handler
                    )
                self._last_revisions[revision.name] = max(revision.revision, self._last_revisions.get(revision.name, 0))
        self.services = self.latest | {
            service: revision
            for service, promoted in self.promotions.items()
            for revision in self.deployments[promoted].service_revisions()
            if revision.name == service
        }
        self._resolved = {
            (name, handler.name): self._pinned[revision.deployment_id, name, handler.name]
            for name, revision in self.services.items()
            for handler in revision.manifest.handlers
        }
        found = sorted((f"{service}/{handler}", it) for (service, handler), it in self._resolved.items())
        self._targets = [target for target, _ in found]
        self._public_targets = [target for target, it in found if not it.options.ingress_private]

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
            options=merge_options(self.defaults, service, handler, self.overrides(revision)),
        )

    @staticmethod
    def _highest(revisions: Iterable[tuple[str, int]]) -> dict[str, int]:
        highest: dict[str, int] = {}
        for service, revision in revisions:
            highest[service] = max(revision, highest.get(service, 0))
        return highest


def _check_takes(deployment: Deployment) -> None:
    """Raises `Conflict` where a deployment takes nothing new."""
    if deployment.draining:
        raise Conflict(
            f"{deployment.id} is being drained, and takes nothing new: choose another deployment, or register it again "
            "to keep it"
        )


def _override_name(service: str, revision: int) -> str:
    return f"{service}@{revision}"


def _parse_override_name(name: str) -> tuple[str, int]:
    service, _, revision = name.rpartition("@")
    return service, int(revision)
