"""What `/restate/health` tells of an engine: what can be called from outside."""

import json
from typing import cast

import msgspec
from starlette.types import Message

from perdure.engine.engine import Engine
from perdure.protocol.discovery import HandlerManifest, ServiceManifest
from perdure.server.ingress import Ingress
from tests.unit.server.fake_engine import MANIFEST, FakeEngine


async def test_private_services_are_not_named() -> None:
    engine = FakeEngine()
    locker = ServiceManifest(name="Locker", ty="SERVICE", handlers=[HandlerManifest(name="open", ingress_private=True)])
    engine.deploy("http://locker:9080", msgspec.structs.replace(MANIFEST, services=[locker]))
    body = b""

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        nonlocal body
        body += message.get("body", b"")

    path = "/restate/health"
    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "headers": []}
    await Ingress(cast("Engine", engine))(scope, receive, send)
    assert json.loads(body)["services"] == ["Cart", "Echo", "MultiAgentClaimApproval", "Signup"]
