"""What goes wrong with calls of a model, on purpose."""

import asyncio
import threading
from collections.abc import Callable

import msgspec
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from perdure.llm import completions
from perdure.llm.chat import ChatRequest
from perdure.llm.endpoint import Spoken, interface_at
from perdure.llm.sse import event
from perdure.retry_after import may_pass
from perdure.testing.call_log import Call, Fate

_GLANCE_S = 0.01


class Fault(msgspec.Struct, frozen=True):
    """What goes wrong with one call; as it stands, nothing does. Refusals have the provider's own body."""

    delay_s: float = 0.0
    """Before anything is said."""
    until: threading.Event | None = None
    """The same, for as long as this is not set: a test may do something meanwhile, such as cancel or kill who asked."""
    stall_s: float = 0.0
    """In the middle of the response."""
    status: int | None = None
    """Refuse with this status, such as 429 or 500."""
    filtered: bool = False
    """Refuse the content, as the provider's filter does."""
    message: str = "a planned fault"
    """What a refusal says."""
    retry_after: float | str | None = 0.01
    """`Retry-After` of refusals that may pass: seconds, or a date as HTTP writes it."""
    cut: bool = False
    """Cut the connection in the middle of the response."""
    hang_up: bool = False
    """Cut the connection before there is any response."""


class Aim(msgspec.Struct):
    """A fault for certain calls."""

    fault: Fault
    at: str | Callable[[ChatRequest], bool]
    nth: int | None
    times: int | None
    seen: int = 0
    spent: int = 0

    def hits(self, call: Call) -> bool:
        """Whether it is for this call; to be asked once a call. Who lets it happen says so in `spent`."""
        if not (self.at in call.question if isinstance(self.at, str) else self.at(call.request)):
            return False
        self.seen += 1
        return (self.nth is None or self.seen == self.nth) and (self.times is None or self.spent < self.times)


class Faulty:
    """ASGI middleware behind a `CallLog`: lets happen what `choose` says of each call."""

    def __init__(self, app: ASGIApp, choose: Callable[[Call], Fault]) -> None:
        self._app = app
        self._choose = choose

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call: Call | None = scope.get("call")
        if call is None:  # it asks for no answer, but which models there are, say
            return await self._app(scope, receive, send)
        fault = self._choose(call)
        await asyncio.sleep(fault.delay_s)
        while fault.until is not None and not fault.until.is_set():  # noqa: ASYNC110  by another thread
            await asyncio.sleep(_GLANCE_S)
        if fault.hang_up:
            await _hang_up(call, scope)
        elif fault.filtered or fault.status is not None:
            call.fate = Fate.REFUSED  # where a filter's refusal has the status of a success, too
            await _refusal(fault, call, scope["path"])(scope, receive, send)
        elif fault.cut or fault.stall_s:
            await self._haltingly(fault, call, scope, receive, send)
        else:
            await self._app(scope, receive, send)
        return None

    async def _haltingly(self, fault: Fault, call: Call, scope: Scope, receive: Receive, send: Send) -> None:
        said: list[Message] = []

        async def keep(message: Message) -> None:
            said.append(message)

        await self._app(scope, receive, keep)
        start, *rest = said
        body = b"".join(message["body"] for message in rest)
        half = len(body) // 2
        await send(start)
        await send({"type": "http.response.body", "body": body[:half], "more_body": True})
        await asyncio.sleep(fault.stall_s)
        if fault.cut:
            await _hang_up(call, scope)
        else:
            await send({"type": "http.response.body", "body": body[half:]})


class CloseableProtocol(HttpToolsProtocol):
    """HTTP/1.1 that lets an app close the connection, which ASGI has no message for."""

    def on_message_begin(self) -> None:
        """Puts into the scope what closes the connection."""
        super().on_message_begin()
        self.scope["extensions"] = {"perdure.hang_up": {"close": self.transport.close}}


async def _hang_up(call: Call, scope: Scope) -> None:
    call.fate = Fate.CUT
    scope["extensions"]["perdure.hang_up"]["close"]()
    await asyncio.sleep(0)  # by then the server has seen that it is closed, and adds nothing


def _refusal(fault: Fault, call: Call, path: str) -> Response:
    interface = interface_at(path)
    speaks: Spoken = interface.speaks if interface else completions
    if fault.filtered:
        status, body = speaks.filtered(fault.message)
        if status < 400 and call.request.stream:
            return Response(event(body), status, media_type="text/event-stream")
        return JSONResponse(body, status)
    status = fault.status or 500
    seconds = fault.retry_after if isinstance(fault.retry_after, float | int) else None
    passes = may_pass(status)  # so that it says when to come back
    headers = {"retry-after": str(fault.retry_after)} if passes and fault.retry_after is not None else {}
    return JSONResponse(speaks.refusal(status, fault.message, seconds if passes else None), status, headers)
