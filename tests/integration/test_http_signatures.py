"""What an engine signs bears the engine's time."""

import json
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Any

import pytest

from perdure.engine.addresses import Address
from perdure.engine.config import EngineConfig
from perdure.engine.engine import Engine
from perdure.errors import DeploymentRejected
from perdure.key_files import write_new_key
from perdure.protocol.identity import TOKEN_HEADER, SigningKey
from perdure.transport.http import HttpTransport
from tests.integration.attempts import open_attempt
from tests.integration.h2_peer import Stream, h2_peer

NOW_MS = 1_800_000_000_999


async def refuses(stream: Stream) -> None:
    stream.head(401)
    stream.data(b"", end=True)


def claims(stream: Stream) -> Any:
    part = stream.headers[TOKEN_HEADER].split(".")[1]
    return json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))


async def test_signatures_are_of_the_clock_that_the_transport_is_given() -> None:
    async with h2_peer(refuses) as peer:
        transport = HttpTransport(peer.uri, signer=SigningKey.new(), clock=lambda: NOW_MS / 1000)
        with pytest.raises(DeploymentRejected):
            await transport.discover()
        await open_attempt(transport, key="ann").result()
        await transport.close()
    discovery, attempt = (claims(stream) for stream in peer.streams)
    assert (discovery["aud"], discovery["iat"]) == ("/discover", NOW_MS // 1000)
    assert (attempt["aud"], attempt["sub"], attempt["iat"]) == ("/invoke/Echo/echo", "ann", NOW_MS // 1000)


async def test_an_engine_signs_by_its_own_clock(tmp_path: Path) -> None:
    write_new_key(tmp_path / "key.pem")
    config = EngineConfig(data_dir=tmp_path / "data", request_identity_key=tmp_path / "key.pem")
    engine = Engine(config, clock=lambda: NOW_MS)
    await engine.start()
    try:
        async with h2_peer(refuses) as peer:
            with pytest.raises(DeploymentRejected):
                await engine.deployments.register(Address(peer.uri))
    finally:
        await engine.stop()
    assert claims(peer.streams[0])["iat"] == NOW_MS // 1000
