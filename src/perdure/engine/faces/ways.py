"""The ways to deployments: a transport each, made when it is first needed and kept until the deployment changes."""

import asyncio
from collections.abc import Callable
from typing import TypeAlias

from perdure.engine.addresses import Address
from perdure.engine.registry import Registry
from perdure.errors import Conflict
from perdure.protocol.ids import DeploymentId
from perdure.transport.connection import Transport
from perdure.transport.http import HttpTransport, Signer
from perdure.transport.http_discovery import Discovered

Connect: TypeAlias = Callable[[Address], Transport]
"""Makes the way to an endpoint, without asking it anything yet."""


def over_http(address: Address, signer: Signer | None, clock: Callable[[], int]) -> Transport:
    """The way over HTTP; `signer` signs what is asked there, with the time in milliseconds that `clock` gives."""
    return HttpTransport(
        address.uri,
        use_http_11=address.use_http_11,
        additional_headers=dict(address.additional_headers),
        signer=signer,
        clock=lambda: clock() / 1000,
    )


class Ways:
    """The ways to the deployments of a registry."""

    def __init__(self, registry: Registry, connect: Connect) -> None:
        self._registry = registry
        self._connect = connect
        self._transports: dict[DeploymentId, Transport] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def to(self, deployment_id: DeploymentId) -> Transport:
        """The way to a deployment.

        Raises:
            UnknownDeployment: there is none.
            Conflict: it is the services embedded in this process, which were not given this time.
        """
        transport = self._transports.get(deployment_id)
        if transport is None:
            deployment = self._registry.deployment(deployment_id)
            if deployment.is_embedded:
                raise Conflict(
                    "this engine was started without its embedded services: start it with `perdure up module:attr`"
                )
            transport = self._transports[deployment_id] = self._connect(deployment.address)
        return transport

    def embed(self, deployment_id: DeploymentId, transport: Transport) -> None:
        """Have this be the way to a deployment, which is in this process."""
        self._transports[deployment_id] = transport

    def in_use(self, deployment_id: DeploymentId) -> bool:
        """Whether there is a way to a deployment by now."""
        return deployment_id in self._transports

    async def discover(self, address: Address) -> Discovered:
        """Ask an endpoint what it serves, on a way that is not kept. Raises `TransportError`, `DeploymentRejected`."""
        transport = self._connect(address)
        try:
            return Discovered(await transport.discover(), transport.sdk_version)
        finally:
            await transport.close()

    def leave(self, deployment_id: DeploymentId) -> None:
        """Close the way to a deployment, if there is one; attempts on it are made again on what is there then."""
        transport = self._transports.pop(deployment_id, None)
        if transport is not None:
            task = asyncio.ensure_future(transport.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Drop all connections."""
        for transport in self._transports.values():
            await transport.close()
        await asyncio.gather(*self._closing)
