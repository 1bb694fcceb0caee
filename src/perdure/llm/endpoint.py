"""A chat-completions endpoint on loopback: whoever can reply to a request can be served as a model.

It runs in a thread of its own with its own event loop, so that it answers whatever the rest of the process does.
"""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from perdure.llm.chat import ChatRequest, Reply, completion

Respond = Callable[[ChatRequest], Awaitable[Reply]]


def chat_app(respond: Respond, model: str) -> Starlette:
    """The endpoint as an ASGI app, under `/v1`."""

    async def complete(request: Request) -> Response:
        try:
            asked = msgspec.json.decode(await request.body(), type=ChatRequest)
        except msgspec.DecodeError as error:
            return JSONResponse({"error": {"message": f"not a chat request: {error}"}}, status_code=400)
        return JSONResponse(completion(await respond(asked), model))

    async def models(request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": model, "object": "model", "owned_by": "perdure"}]})

    return Starlette(
        routes=[
            Route("/v1/chat/completions", complete, methods=["POST"]),
            Route("/v1/models", models),
        ]
    )


class LoopbackServer:
    """Serves an ASGI app on 127.0.0.1 until closed; port 0 takes a free one. A context manager."""

    def __init__(self, app: ASGIApp, port: int = 0) -> None:
        self._listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        self.base_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="model endpoint", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Returns once nothing is served any more; requests in flight get a second."""
        self._server.should_exit = True
        self._thread.join()

    def _serve(self) -> None:
        with self._listener:
            asyncio.run(self._server.serve(sockets=[self._listener]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
