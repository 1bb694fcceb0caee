"""Deployments at work: registered by their address, reached by their transport."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from perdure.engine.cycle import Answer
from perdure.engine.events import DeploymentRegistered, Event
from perdure.engine.registry import EMBEDDED_URI, Registration, Registry, normal_uri
from perdure.errors import Conflict, UsageError
from perdure.protocol import ids
from perdure.protocol.ids import DeploymentId
from perdure.transport.connection import Transport
from perdure.transport.http import HttpTransport

logger = logging.getLogger(__name__)

Ask: TypeAlias = Callable[[Callable[[int], Event]], Awaitable[Answer]]
"""`Cycle.ask`: applies an event, and answers after its commit."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_IN_HEADER_VALUES = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Deployments:
    """The ways to the deployments of a registry. `clock` gives the time in milliseconds."""

    def __init__(self, registry: Registry, clock: Callable[[], int]) -> None:
        self._registry = registry
        self._clock = clock
        self._transports: dict[DeploymentId, Transport] = {}
        # One registration after the other, each to its commit: a plan counts on the registry as it is, and what is
        # said to exist already must be on disk.
        self._admission = asyncio.Lock()

    def transport_of(self, deployment_id: DeploymentId) -> Transport:
        """The way to a deployment, made when it is first needed.

        Raises:
            UnknownDeployment: there is none.
            Conflict: it is the services embedded in this process, which were not given this time.
        """
        transport = self._transports.get(deployment_id)
        if transport is None:
            deployment = self._registry.deployment(deployment_id)
            if deployment.uri == EMBEDDED_URI:
                raise Conflict(
                    "this engine was started without its embedded services: start it with `perdure up module:attr`"
                )
            transport = self._transports[deployment_id] = HttpTransport(
                deployment.uri, use_http_11=deployment.use_http_11, additional_headers=deployment.additional_headers
            )
        return transport

    async def register(
        self,
        ask: Ask,
        uri: str,
        *,
        force: bool,
        breaking: bool,
        dry_run: bool,
        use_http_11: bool,
        additional_headers: Mapping[str, str] | None,
        metadata: Mapping[str, str] | None,
    ) -> Registration:
        """Discover what an endpoint serves, plan, and serve it unless `dry_run`. Raises as `Engine.register`."""
        uri = normal_uri(uri)
        if uri == EMBEDDED_URI:
            raise UsageError(f"uri: {uri} is this engine's own: its services are given to `perdure up`")
        _check_headers(additional_headers or {})
        transport = HttpTransport(uri, use_http_11=use_http_11, additional_headers=additional_headers)
        try:
            manifest = await transport.discover()
        finally:
            await transport.close()
        outdated = None
        async with self._admission:
            registration = self._registry.plan(
                uri,
                manifest,
                new_id=ids.new_deployment_id(),
                now_ms=self._clock(),
                force=force,
                breaking=breaking,
                use_http_11=use_http_11,
                additional_headers=additional_headers,
                metadata=metadata,
                sdk_version=transport.sdk_version,
            )
            if registration.changed and not dry_run:
                outdated = self._transports.pop(registration.deployment.id, None)
                await self._serve(ask, registration)
        if outdated is not None:
            await outdated.close()
        return registration

    async def register_embedded(self, ask: Ask, transport: Transport) -> None:
        """Serve the services in this process: one deployment, the same over all restarts, with what it serves now."""
        registration = self._registry.plan(
            EMBEDDED_URI,
            await transport.discover(),
            new_id=ids.new_deployment_id(),
            now_ms=self._clock(),
            force=True,
        )
        self._transports[registration.deployment.id] = transport
        if registration.changed:
            await self._serve(ask, registration)

    async def _serve(self, ask: Ask, registration: Registration) -> None:
        deployment = registration.deployment
        self._registry.apply(registration)
        await ask(lambda request: DeploymentRegistered(request, deployment.id, deployment.encode()))
        logger.info("deployment registered", extra={"deployment_id": deployment.id, "uri": deployment.uri})

    async def close(self) -> None:
        """Drops all connections."""
        for transport in self._transports.values():
            await transport.close()


def _check_headers(headers: Mapping[str, str]) -> None:
    """Raises `UsageError` for what cannot be sent. Values are not shown: they may be secrets."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise UsageError(f"additional_headers: {name!r} is no header name: letters, digits and `-` make one")
        if _NOT_IN_HEADER_VALUES.search(value):
            raise UsageError(f"additional_headers: the value of {name!r} has a line break or another control character")
