"""Who asked a model for what, and how often: written down at the model's own door."""

import asyncio
import hashlib
import threading
from collections import Counter
from collections.abc import Callable
from enum import Enum
from typing import Any

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from perdure.llm.chat import ChatRequest
from perdure.llm.endpoint import RESPONSE_ID_HEADER, interface_at, read


class Fate(Enum):
    """How a call ended, as the model's side saw it."""

    UNDER_WAY = "under way"
    ANSWERED = "answered"
    REFUSED = "refused"
    CUT = "cut"
    ABANDONED = "abandoned"
    """The client went away before it had the answer, as one does that is cancelled, or dies."""


class Call(msgspec.Struct):
    """One request that reached the endpoint."""

    number: int
    """1 for the first."""
    interface: str
    """`chat`, `responses`, `gemini` or `anthropic`."""
    key: str | None
    """Its `Idempotency-Key`: the step that asked, as `perdure.run_key()` names it."""
    digest: str
    """The same for calls that ask the very same: of the path and of all that is in the body."""
    request: ChatRequest
    fate: Fate = Fate.UNDER_WAY
    response_id: str = ""
    """The id of the answer, as clients read it, once there is one; no other answer has it."""

    @property
    def question(self) -> str:
        """What the user said last."""
        return self.request.question

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The conversation that it goes on with."""
        return self.request.messages

    @property
    def model(self) -> str:
        """The model that was asked for."""
        return self.request.model

    @property
    def has_tools(self) -> bool:
        """Whether the model may call any."""
        return bool(self.request.tools)


class CallLog:
    """ASGI middleware that notes every reply that is asked for. May be read from any thread."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._calls: list[Call] = []
        self._changed = threading.Condition()

    @property
    def calls(self) -> list[Call]:
        """All calls so far, oldest first."""
        with self._changed:
            return list(self._calls)

    @property
    def repeated(self) -> list[Call]:
        """Calls that ask what was asked, to the letter, by an earlier call that was answered."""
        answered: set[str] = set()
        repeated: list[Call] = []
        for call in self.calls:
            if call.digest in answered:
                repeated.append(call)
            elif call.fate is Fate.ANSWERED:
                answered.add(call.digest)
        return repeated

    def count_by_key(self) -> Counter[str]:
        """How often each step asked."""
        return Counter(call.key for call in self.calls if call.key is not None)

    def count(self, question: str) -> int:
        """How often this was asked, with or without tools."""
        return sum(call.question == question for call in self.calls)

    def clear(self) -> None:
        """Forgets all calls."""
        with self._changed:
            self._calls.clear()

    def wait_for(self, calls: int, timeout_s: float = 30.0) -> None:
        """Blocks until so many calls have been made since the beginning.

        Raises:
            TimeoutError: they were not.
        """
        self.wait_until(lambda made: len(made) >= calls, timeout_s, f"waited for {calls}")

    def wait_until(
        self, condition: Callable[[list[Call]], bool], timeout_s: float = 30.0, what: str = "the condition never held"
    ) -> None:
        """Blocks until this is true of the calls; it is asked again whenever one comes in or ends.

        Raises:
            TimeoutError: it never was; `what` is part of the message.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self._calls), timeout_s):
                raise TimeoutError(f"{len(self._calls)} calls within {timeout_s} s, {what}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            return await self._app(scope, receive, send)
        body = await _body(receive)
        with self._changed:
            call = _call(len(self._calls) + 1, scope, body)
            self._calls.append(call)
            self._changed.notify_all()
        unread = True

        async def again() -> Message:
            nonlocal unread
            if unread:
                unread = False
                return {"type": "http.request", "body": body, "more_body": False}
            return await asyncio.Future[Message]()  # it is here that a client is missed

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers: dict[bytes, bytes] = dict(message["headers"])
                call.response_id = headers.get(RESPONSE_ID_HEADER.encode(), b"").decode()
                if message["status"] >= 400:
                    self._ends(call, Fate.REFUSED)
            elif not message.get("more_body"):
                self._ends(call, Fate.ANSWERED)
            await send(message)

        answering = asyncio.ensure_future(self._app({**scope, "call": call}, again, watched))
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                self._ends(call, Fate.ABANDONED)
                answering.cancel()
            await asyncio.wait((answering,))
            if not answering.cancelled():
                answering.result()
        finally:
            answering.cancel()
            leaving.cancel()
            self._ends(call, Fate.CUT)
        return None

    def _ends(self, call: Call, fate: Fate) -> None:
        with self._changed:
            if call.fate is Fate.UNDER_WAY:
                call.fate = fate
            self._changed.notify_all()


def _call(number: int, scope: Scope, body: bytes) -> Call:
    headers: dict[bytes, bytes] = dict(scope["headers"])
    key = headers.get(b"idempotency-key")
    path: str = scope["path"]
    interface = interface_at(path)
    try:
        asked = read(interface, path, body) if interface else ChatRequest([])
    except (msgspec.DecodeError, UnicodeDecodeError):
        asked = ChatRequest([])  # the app behind refuses it; that it was asked is noted
    name = interface.name if interface else path
    return Call(number, name, key.decode() if key else None, _digest(path, body), asked)


def _digest(path: str, body: bytes) -> str:
    try:
        said = msgspec.json.encode(msgspec.json.decode(body), order="sorted")
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = body
    return hashlib.sha256(path.encode() + b"\n" + said).hexdigest()[:16]


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
