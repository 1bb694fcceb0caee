"""The services as an endpoint that knows no newer protocol version than `CONFORMANCE_VERSION`, for any ASGI server."""

import json
import os
from typing import Any

from tests.conformance.app import app as services

VERSION = int(os.environ.get("CONFORMANCE_VERSION", "7"))


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    async def announce(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [(name, value) for name, value in message["headers"] if name != b"content-length"]
        elif message.get("body"):
            manifest = json.loads(message["body"])
            manifest["maxProtocolVersion"] = VERSION
            message["body"] = json.dumps(manifest).encode()
        await send(message)

    asks = scope["type"] == "http" and scope["path"].endswith("/discover")
    await services(scope, receive, announce if asks else send)
