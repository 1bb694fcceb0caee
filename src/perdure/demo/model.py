"""The model of the demo, behind a door where calls are counted: the user's own endpoint, or the embedded one."""

import os

import pyqwest
from starlette.types import ASGIApp, Receive, Scope, Send

from perdure.llm.client import MODEL_DEFAULT, OPENAI_URL, TIMEOUT_S, ModelEndpoint
from perdure.llm.endpoint import LoopbackServer, chat_app
from perdure.llm.local import MODEL, LocalModel
from perdure.llm.weights import fetch_weights
from perdure.testing.call_log import CallLog


class CountedModel:
    """A model on loopback that notes its calls. `name` is for people."""

    def __init__(self) -> None:
        base_url, api_key = os.environ.get("OPENAI_BASE_URL"), os.environ.get("OPENAI_API_KEY")
        app: ASGIApp
        if base_url or api_key:
            upstream = (base_url or OPENAI_URL).rstrip("/")
            app, self.name = _Relay(upstream), f"the model at {upstream}"
        else:
            app, self.name = chat_app(LocalModel(fetch_weights()).reply, MODEL), "SmolLM2-135M, embedded"
        self.log = CallLog(app)
        self.base_url = LoopbackServer(self.log).base_url
        model = os.environ.get("OPENAI_MODEL") or MODEL_DEFAULT
        self.endpoint = ModelEndpoint(self.base_url, model, api_key)


class _Relay:
    """Hands each request to another endpoint, and its response back."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._client = pyqwest.Client(pyqwest.HTTPTransport(timeout=TIMEOUT_S, enable_otel=False))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = (await receive())["body"]
        passed_on = (b"authorization", b"content-type", b"idempotency-key")
        headers = [(name.decode(), value.decode()) for name, value in scope["headers"] if name in passed_on]
        url = self._upstream + str(scope["path"]).removeprefix("/v1")
        try:
            response = await self._client.execute(scope["method"], url, headers, body)
        except (OSError, pyqwest.ReadError, pyqwest.WriteError, pyqwest.RemoteProtocolError) as error:
            await _answer(send, 502, f"{self._upstream} cannot be reached: {error}".encode(), "text/plain")
        else:
            kind = response.headers.get("content-type", "application/json")
            await _answer(send, response.status, response.content, kind)


async def _answer(send: Send, status: int, body: bytes, content_type: str) -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
