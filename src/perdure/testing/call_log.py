"""Who asked a model for what, and how often: written down at the model's own door."""

import threading
from collections import Counter
from enum import Enum
from typing import Any

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from perdure.llm.chat import ChatRequest
from perdure.llm.endpoint import INTERFACES


class Fate(Enum):
    """How a call ended, as the model's side saw it."""

    UNDER_WAY = "under way"
    ANSWERED = "answered"
    REFUSED = "refused"
    CUT = "cut"


class Call(msgspec.Struct):
    """One request that reached the endpoint."""

    key: str | None
    """Its `Idempotency-Key`: the step that asked, as `perdure.run_key()` names it."""
    question: str
    has_tools: bool
    messages: list[dict[str, Any]]
    """The conversation that it goes on with."""
    fate: Fate = Fate.UNDER_WAY


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

    def count_by_key(self) -> Counter[str]:
        """How often each step asked."""
        return Counter(call.key for call in self.calls if call.key is not None)

    def count(self, question: str) -> int:
        """How often this was asked, with or without tools."""
        return sum(call.question == question for call in self.calls)

    def wait_for(self, calls: int, timeout_s: float = 30.0) -> None:
        """Blocks until so many calls have been made since the beginning.

        Raises:
            TimeoutError: they were not.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._calls) >= calls, timeout_s):
                raise TimeoutError(f"{len(self._calls)} calls within {timeout_s} s, waited for {calls}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            return await self._app(scope, receive, send)
        body = await _body(receive)
        call = _call(scope, body)
        with self._changed:
            self._calls.append(call)
            self._changed.notify_all()

        async def again() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def watched(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.start" and message["status"] != 200:
                call.fate = Fate.REFUSED
            elif call.fate is Fate.UNDER_WAY and message["type"] == "http.response.body":
                call.fate = Fate.CUT if message.get("more_body") else Fate.ANSWERED

        try:
            await self._app(scope, again, watched)
        finally:
            if call.fate is Fate.UNDER_WAY:
                call.fate = Fate.CUT
        return None


def _call(scope: Scope, body: bytes) -> Call:
    headers: dict[bytes, bytes] = dict(scope["headers"])
    key = headers.get(b"idempotency-key")
    try:
        asked = INTERFACES[scope["path"]].request(body)
    except (KeyError, msgspec.DecodeError):
        asked = ChatRequest([])  # the app behind refuses it; that it was asked is noted
    return Call(key.decode() if key else None, asked.question, bool(asked.tools), asked.messages)


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body
