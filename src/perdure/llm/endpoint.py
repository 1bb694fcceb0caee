"""An OpenAI-compatible endpoint on loopback: whoever can reply to a request can be served as a model.

It runs in a thread of its own with its own event loop, so that it answers whatever the rest of the process does.
"""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from perdure.llm import chat, responses
from perdure.llm.chat import ChatRequest, Reply

Respond = Callable[[ChatRequest], Awaitable[Reply]]


class Interface(NamedTuple):
    """One way to ask a model: how its requests are read, and how a reply is written."""

    request: Callable[[bytes], ChatRequest]
    response: Callable[[Reply, str], dict[str, Any]]


INTERFACES = {
    "/v1/chat/completions": Interface(chat.request, chat.completion),
    "/v1/responses": Interface(responses.request, responses.response),
}


def chat_app(respond: Respond, model: str) -> Starlette:
    """The endpoint as an ASGI app, under `/v1`."""

    async def complete(interface: Interface, request: Request) -> Response:
        try:
            asked = interface.request(await request.body())
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return JSONResponse({"error": {"message": f"this cannot be answered: {error}"}}, status_code=400)
        return JSONResponse(interface.response(await respond(asked), model))

    async def models(request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": model, "object": "model", "owned_by": "perdure"}]})

    return Starlette(
        routes=[
            *(Route(path, partial(complete, each), methods=["POST"]) for path, each in INTERFACES.items()),
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
