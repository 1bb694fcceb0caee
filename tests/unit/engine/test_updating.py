"""A deployment that is asked anew what it serves is what it says then, its SDK too."""

from perdure.engine.addresses import Address
from perdure.engine.config import EngineConfig
from perdure.engine.engine import Engine
from perdure.engine.faces.deployments import DeploymentUpdate
from perdure.protocol.discovery import HandlerManifest, Manifest, ServiceManifest
from perdure.transport.connection import InvokeRequest, Receiver, Sender

GREETER = ServiceManifest(name="Greeter", ty="SERVICE", handlers=[HandlerManifest(name="greet")])
MANIFEST = Manifest(protocol_mode="BIDI_STREAM", min_protocol_version=5, max_protocol_version=7, services=[GREETER])


class Way:
    """To an endpoint whose SDK is upgraded whenever it is looked at."""

    upgrades = 0

    def __init__(self, address: Address) -> None:
        self.sdk_version: str | None = None

    async def discover(self) -> Manifest:
        Way.upgrades += 1
        self.sdk_version = f"perdure/{Way.upgrades}"
        return MANIFEST

    def open(self, request: InvokeRequest, receiver: Receiver) -> Sender:
        raise NotImplementedError

    async def close(self) -> None: ...


async def test_an_upgraded_sdk_is_known_after_an_update() -> None:
    engine = Engine(EngineConfig(data_dir=None), connect=Way)
    await engine.start()
    try:
        deployment = (await engine.deployments.register(Address("http://greeter:9080"))).deployment
        assert deployment.sdk_version == "perdure/1"
        await engine.deployments.update(deployment.id, DeploymentUpdate(), overwrite=True)
        registry = await engine.deployments.committed()
        assert registry.deployment(deployment.id).sdk_version == "perdure/2"
    finally:
        await engine.stop()
