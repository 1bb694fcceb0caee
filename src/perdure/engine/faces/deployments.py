"""`engine.deployments`: endpoints registered by their address, promoted, drained, removed."""

import logging
from collections.abc import Callable, Mapping

from msgspec import Struct
from msgspec.structs import asdict, replace

from perdure.engine.addresses import EMBEDDED_URI, Address, check_address
from perdure.engine.deployment import Deployment
from perdure.engine.events import DeploymentChanged, Event, Setting, SettingsChanged
from perdure.engine.faces.ask import Ask
from perdure.engine.faces.changes import Changes
from perdure.engine.faces.ways import Ways
from perdure.engine.leftovers import Leftovers
from perdure.engine.options import Overrides
from perdure.engine.registration import GENTLE, Manner, Registration, plan, plan_replacement
from perdure.engine.registry import Registry
from perdure.errors import Conflict, DeploymentRejected, UsageError
from perdure.protocol import ids
from perdure.protocol.discovery import Manifest
from perdure.transport.connection import Transport

logger = logging.getLogger(__name__)

_SHOWN = 3  # invocations that a refusal names


class DeploymentUpdate(Struct, frozen=True):
    """What is to become of a deployment; None leaves it as it is."""

    uri: str | None = None
    use_http_11: bool | None = None
    additional_headers: Mapping[str, str] | None = None
    metadata: Mapping[str, str] | None = None

    @property
    def way(self) -> bool:
        """Whether the way to it is to change."""
        return self.uri is not None or self.use_http_11 is not None or self.additional_headers is not None


class Deployments:
    """The deployments of a registry. `clock` gives the time in milliseconds."""

    def __init__(
        self,
        registry: Registry,
        ways: Ways,
        leftovers: Leftovers,
        clock: Callable[[], int],
        ask: Ask,
        apply: Callable[[Event], None],
    ) -> None:
        self.registry = registry
        self.left = leftovers
        self._ways = ways
        self._clock = clock
        self._ask = ask
        self._apply = apply
        self._changes = Changes(ask)

    async def committed(self) -> Registry:
        """The registry, once all that it says is on disk, for whoever shows it."""
        async with self._changes:
            return self.registry

    # ---- registering ----

    async def register(
        self,
        address: Address,
        *,
        manner: Manner = GENTLE,
        dry_run: bool = False,
        metadata: Mapping[str, str] | None = None,
    ) -> Registration:
        """Ask an endpoint what it serves, and serve that from now on; with `dry_run`, only say what would happen.

        Raises:
            UsageError: not an address.
            TransportError: the endpoint cannot be reached.
            DeploymentRejected: what it serves cannot be accepted; the message says why and what to do.
        """
        address = check_address(address)
        discovered = await self._ways.discover(address)
        async with self._changes:
            registration = plan(
                self.registry,
                address,
                discovered.manifest,
                new_id=ids.new_deployment_id(),
                now_ms=self._clock(),
                manner=manner,
                metadata=metadata,
                sdk_version=discovered.sdk_version,
                in_flight=self.left.of_handler,
            )
            await self._carry_out(registration, dry_run)
        return registration

    def embed(self, transport: Transport, manifest: Manifest) -> None:
        """Serve the services in this process: one deployment, the same over all restarts, with what it serves now.

        Whoever changes code and starts again wants that code to run: what gets lost by it is a warning. Nothing is
        awaited: an engine that starts recovers in the same turn, before any timer, and both are one commit.
        """
        registration = plan(
            self.registry,
            Address(EMBEDDED_URI),
            manifest,
            new_id=ids.new_deployment_id(),
            now_ms=self._clock(),
            manner=Manner(force=True),
            in_flight=self.left.of_handler,
        )
        for info in registration.info:
            logger.warning("%s", info.message, extra={"code": info.code})
        self._ways.embed(registration.deployment.id, transport)
        if registration.changed:
            self._apply(self._change(0, registration.deployment))

    async def update(
        self, deployment_id: str, changes: DeploymentUpdate, *, overwrite: bool = False, dry_run: bool = False
    ) -> Registration:
        """Change how a deployment is reached; with `overwrite`, ask it anew what it serves, and take whatever it says.

        Raises:
            UnknownDeployment
            UsageError: not an address.
            TransportError: the endpoint cannot be reached (with `overwrite`).
            Conflict: another deployment is at this address, or it is the embedded one.
            DeploymentRejected: what it serves cannot be accepted.
        """
        discovered = None
        address = self._address_after(self.registry.deployment(deployment_id), changes, overwrite)
        if overwrite:
            discovered = await self._ways.discover(address)
        async with self._changes:
            existing = self.registry.deployment(deployment_id)
            planned = replace(
                existing,
                uri=address.uri,
                use_http_11=address.use_http_11,
                additional_headers=dict(address.additional_headers),
                metadata=existing.metadata if changes.metadata is None else dict(changes.metadata),
            )
            if discovered is None:
                registration = Registration(planned, "replaced", changed=planned != existing)
            else:
                registration = plan_replacement(
                    self.registry,
                    existing,
                    replace(planned, manifest=discovered.manifest, sdk_version=discovered.sdk_version),
                    manner=Manner(force=True),
                    in_flight=self.left.of_handler,
                )
            await self._carry_out(registration, dry_run)
        return registration

    def _address_after(self, existing: Deployment, changes: DeploymentUpdate, overwrite: bool) -> Address:
        if existing.is_embedded:
            if changes.way or overwrite:
                raise Conflict(
                    f"{existing.id} is in the engine's own process: only its metadata can be changed; "
                    "it serves the code that `perdure up` was started with"
                )
            return existing.address
        address = check_address(
            Address(
                existing.uri if changes.uri is None else changes.uri,
                existing.use_http_11 if changes.use_http_11 is None else changes.use_http_11,
                existing.additional_headers if changes.additional_headers is None else changes.additional_headers,
            )
        )
        other = self.registry.deployment_at(address.uri)
        if other is not None and other.id != existing.id:
            raise DeploymentRejected(
                f"{address.uri} is registered already, as {other.id}: two deployments cannot share an address",
                restate_code="META0004",
                http_status=409,
            )
        return address

    async def _carry_out(self, registration: Registration, dry_run: bool) -> None:
        if registration.changed and not dry_run:
            self._ways.leave(registration.deployment.id)
            await self._store(registration.deployment)

    # ---- routing ----

    async def promote(self, deployment_id: str) -> None:
        """Have new invocations of all its services go to a deployment, until the next promotion.

        Raises:
            UnknownDeployment
            Conflict: it is being drained.
        """
        async with self._changes:
            await self._store_settings(self.registry.promote(deployment_id))

    async def demote(self, deployment_id: str) -> None:
        """End its promotion: new invocations go to the latest again. Raises `UnknownDeployment`."""
        async with self._changes:
            await self._store_settings(self.registry.demote(deployment_id))

    async def configure_service(self, name: str, changes: Overrides, *, reset: bool = False) -> None:
        """Put an operator's word over the code's, for the revision of a service that new invocations go to.

        `reset` forgets what was said before. Raises `UnknownTarget`, or `UsageError` for what the service cannot have.
        """
        async with self._changes:
            revision = self.registry.service(name)
            if changes.workflow_completion_retention_ms is not None and revision.manifest.ty != "WORKFLOW":
                raise UsageError(f"workflow_completion_retention: service {name} is no workflow")
            before = Overrides() if reset else self.registry.overrides(revision) or Overrides()
            said = {field: value for field, value in asdict(changes).items() if value is not None}
            await self._store_settings(self.registry.override(revision, replace(before, **said)))

    # ---- removing ----

    async def remove(self, deployment_id: str, *, force: bool = False) -> None:
        """Forget a deployment. With `force` also one that has invocations left, which then cannot go on there.

        Raises:
            UnknownDeployment
            Conflict: invocations are left on it, or it is the embedded one.
        """
        async with self._changes:
            deployment = self._removable(deployment_id)
            if not force and self.left.any(deployment.id):
                raise Conflict(self._refusal(deployment))
            await self._ask(lambda request: self._removal(request, deployment))

    async def drain(self, deployment_id: str) -> None:
        """Take no new invocations there, and remove it once the last one has ended; at once, if none is left.

        Raises:
            UnknownDeployment
            Conflict: it is the embedded one.
        """
        async with self._changes:
            deployment = replace(self._removable(deployment_id), draining=True)
            await self._store(deployment)

    def after_commit(self) -> None:
        """Removes what is drained by now."""
        for deployment in self.registry.draining:
            if not self.left.any(deployment.id):
                self._apply(self._removal(0, deployment))

    def _removable(self, deployment_id: str) -> Deployment:
        deployment = self.registry.deployment(deployment_id)
        if deployment.is_embedded and self._ways.in_use(deployment.id):
            raise Conflict(
                f"{deployment.id} is in the engine's own process: it is there for as long as `perdure up` serves it. "
                "Start the engine without its services to remove it"
            )
        return deployment

    def _removal(self, request: int, deployment: Deployment) -> DeploymentChanged:
        settings = self.registry.remove(deployment.id)
        self._ways.leave(deployment.id)
        logger.info("deployment removed", extra={"deployment_id": deployment.id, "uri": deployment.uri})
        return DeploymentChanged(request, deployment.id, None, settings)

    def _refusal(self, deployment: Deployment) -> str:
        count = self.left.count(deployment.id)
        statuses = ", ".join(f"{number} {status}" for status, number in self.left.by_status(deployment.id).items())
        examples = ", ".join(
            f"{each.id} ({each.target}: {each.waiting_reason or each.status})"
            for each in self.left.first(deployment.id, _SHOWN)
        )
        return (
            f"{deployment.id} has {max(count, 1)} invocations that have not ended"
            f"{f' ({statuses}), such as {examples}' if examples else ''}. "
            f"`perdure deployments remove {deployment.id} --drain` removes it when they have; with `--force` they "
            "cannot go on until they are resumed on another deployment."
        )

    # ---- storing ----

    async def _store(self, deployment: Deployment) -> None:
        await self._ask(lambda request: self._change(request, deployment))

    def _change(self, request: int, deployment: Deployment) -> DeploymentChanged:
        settings = self.registry.put(deployment)
        logger.info("deployment stored", extra={"deployment_id": deployment.id, "uri": deployment.uri})
        return DeploymentChanged(request, deployment.id, deployment.encode(), settings)

    async def _store_settings(self, settings: tuple[Setting, ...]) -> None:
        await self._ask(lambda request: SettingsChanged(request, settings))
