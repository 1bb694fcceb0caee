"""A model's endpoint on loopback: whoever can reply to a request can be served as a model, in four interfaces.

It runs in a thread of its own with its own event loop, so that it answers whatever the rest of the process does.
"""

import asyncio
import re
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from perdure.llm import anthropic, completions, gemini, responses
from perdure.llm.answers import Answer, Complete, complete
from perdure.llm.chat import ChatRequest, Reply

Respond = Callable[[ChatRequest], Awaitable[Reply | Answer]]

RESPONSE_ID_HEADER = "x-response-id"
"""Where an answer's id is said once more, for those who note it on its way."""


class Unanswerable(Exception):
    """Raised by who replies, for what cannot be answered: the client is told why, and that asking again won't help."""


class Spoken(Protocol):
    """How one interface reads requests, and writes answers and refusals; each has a module."""

    def request(self, body: bytes) -> ChatRequest:
        """Reads a body. Raises `msgspec.DecodeError` where it is none."""
        ...

    def response(self, answer: Complete) -> dict[str, Any]:
        """The body of an answer."""
        ...

    def events(self, answer: Complete, asked: ChatRequest) -> Iterator[bytes]:
        """The answer in pieces."""
        ...

    def response_id(self, answer: Complete) -> str:
        """The id by which this interface tells one answer from all others."""
        ...

    def refusal(self, status: int, message: str, retry_after_s: float | None = None) -> dict[str, Any]:
        """The body that goes with a status that is no success."""
        ...

    def filtered(self, message: str) -> tuple[int, dict[str, Any]]:
        """Status and body where the provider's content filter is triggered."""
        ...


class Interface(NamedTuple):
    """One way to ask a model, and where."""

    name: str
    path: re.Pattern[str]
    speaks: Spoken


INTERFACES = [
    Interface("chat", re.compile(r"/v1/chat/completions"), completions),
    Interface("responses", re.compile(r"/v1/responses"), responses),
    Interface("anthropic", re.compile(r"/v1/messages"), anthropic),
    Interface(
        "gemini",
        re.compile(r"/v1\w*/models/(?P<model>[^/:]+):(?P<verb>generateContent|streamGenerateContent)"),
        gemini,
    ),
]


def interface_at(path: str) -> Interface | None:
    """The interface that is served under this path."""
    return next((each for each in INTERFACES if each.path.fullmatch(path)), None)


def read(interface: Interface, path: str, body: bytes) -> ChatRequest:
    """A request that came by this interface. Raises `msgspec.DecodeError` or `UnicodeDecodeError` where it is none."""
    asked = interface.speaks.request(body)
    said = interface.path.fullmatch(path)
    if said is not None and "model" in said.groupdict():
        asked.model, asked.stream = said["model"], said["verb"].startswith("stream")
    return asked


def chat_app(respond: Respond, model: str) -> Starlette:
    """The endpoint as an ASGI app: OpenAI's and Anthropic's interfaces under `/v1`, Gemini's under `/v1beta`."""

    async def ask(request: Request) -> Response:
        path = f"/{request.path_params['path']}"
        interface = interface_at(path)
        if interface is None:
            return JSONResponse(completions.refusal(404, f"no model is asked at {path}"), status_code=404)
        try:
            asked = read(interface, path, await request.body())
            answer = complete(await respond(asked), asked, model)
        except (msgspec.DecodeError, UnicodeDecodeError, Unanswerable) as error:
            refusal = interface.speaks.refusal(400, f"this cannot be answered: {error}")
            return JSONResponse(refusal, status_code=400)
        headers = {RESPONSE_ID_HEADER: interface.speaks.response_id(answer)}
        if asked.stream:
            return StreamingResponse(interface.speaks.events(answer, asked), 200, headers, "text/event-stream")
        return JSONResponse(interface.speaks.response(answer), 200, headers)

    async def models(request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": model, "object": "model", "owned_by": "perdure"}]})

    return Starlette(routes=[Route("/v1/models", models), Route("/{path:path}", ask, methods=["POST"])])


class LoopbackServer:
    """Serves an ASGI app on 127.0.0.1 until closed; port 0 takes a free one. A context manager.

    `root_url` is where it is, `base_url` the same with the `/v1` that OpenAI's clients want.
    """

    def __init__(self, app: ASGIApp, port: int = 0, http: type[asyncio.Protocol] | None = None) -> None:
        self._listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        self.root_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.base_url = f"{self.root_url}/v1"
        config = uvicorn.Config(
            app, http=http or "auto", log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=1
        )
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
