"""A model that says what a test wants, served like a real one, that counts who asked for what.

    with ScriptedModel(lambda request: Reply(content="42")) as model:
        environment = {"OPENAI_BASE_URL": model.base_url}
        ...
        assert model.log.count("What is six times seven?") == 1

It serves OpenAI's chat completions and responses on loopback, in a thread of its own.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from perdure.llm.chat import ChatRequest, Function, Reply, ToolCall
from perdure.llm.endpoint import LoopbackServer, chat_app
from perdure.testing.call_log import CallLog

Script = Callable[[ChatRequest], Reply]


class Fault(msgspec.Struct, frozen=True):
    """What goes wrong with one call; as it stands, nothing does."""

    delay_s: float = 0.0
    status: int | None = None
    """Refuse with this status, such as 429 or 500."""
    cut: bool = False
    """Cut the connection in the middle of the response."""


def first_tool(request: ChatRequest) -> Reply:
    """Where nothing is scripted: calls the first tool that is offered; without tools, repeats the question."""
    if request.tools:
        return Reply(tool_calls=[ToolCall("call_1", Function(request.tools[0].function.name))])
    return Reply(content=f"You asked: {request.question}")


class ScriptedModel:
    """Replies by `script`. `faults` befall the next calls, one each; `usually` befalls all others."""

    def __init__(self, script: Script = first_tool, *, usually: Fault | None = None) -> None:
        self.script = script
        self.usually = usually or Fault()
        self.faults: deque[Fault] = deque()
        self.log = CallLog(_Faulty(chat_app(self._reply, "scripted"), self))
        self._server = LoopbackServer(self.log)
        self.base_url = self._server.base_url

    def close(self) -> None:
        """Stops serving."""
        self._server.close()

    async def _reply(self, request: ChatRequest) -> Reply:
        return self.script(request)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class _Faulty:
    """ASGI middleware that lets the model's faults happen."""

    def __init__(self, app: ASGIApp, model: ScriptedModel) -> None:
        self._app = app
        self._model = model

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = self._model.faults.popleft() if self._model.faults else self._model.usually
        await asyncio.sleep(fault.delay_s)
        if fault.status is not None:
            await send({"type": "http.response.start", "status": fault.status, "headers": [(b"retry-after", b"0.01")]})
            await send({"type": "http.response.body", "body": b'{"error": {"message": "a planned fault"}}'})
        elif fault.cut:  # a response that ends before its announced length closes the connection
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})
            await send({"type": "http.response.body", "body": b'{"choices"', "more_body": True})
        else:
            await self._app(scope, receive, send)
