"""The services on the official SDK, with all bytes of their attempts written down: an ASGI app around its app.

Served by hypercorn in the peers' environment; `RECORDING_FILE` takes one JSON line an attempt.
"""

import json
import os
from pathlib import Path
from typing import Any

from tests.conformance.announcing import app as official

FILE = Path(os.environ["RECORDING_FILE"])


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http" or "/invoke/" not in scope["path"]:
        await official(scope, receive, send)
        return
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    *_, service, handler = scope["path"].split("/")
    attempt: dict[str, Any] = {
        "service": service,
        "handler": handler,
        "content_type": headers["content-type"],
        "http": scope["http_version"],
        "invocation_id": headers["x-restate-invocation-id"],
        "engine_to_service": [],
        "service_to_engine": [],
    }

    async def recording_receive() -> dict[str, Any]:
        message = await receive()
        if message.get("body"):
            attempt["engine_to_service"].append(message["body"].hex())
        return message

    async def recording_send(message: dict[str, Any]) -> None:
        if message.get("body"):
            attempt["service_to_engine"].append(message["body"].hex())
        await send(message)

    try:
        await official(scope, recording_receive, recording_send)
    finally:
        _write_down(attempt)


def _write_down(attempt: dict[str, Any]) -> None:
    with FILE.open("a") as file:
        file.write(json.dumps(attempt) + "\n")
