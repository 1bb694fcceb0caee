"""Calling services from outside of handlers, through the ingress."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypedDict, TypeVar, Unpack
from urllib.parse import quote

import msgspec
import pyqwest

from perdure.errors import PerdureError
from perdure.sdk.definition import HandlerDefinition, HandlerFunction, handler_of
from perdure.sdk.schema import content_type_of
from perdure.sdk.serde import JsonSerde

I = TypeVar("I")  # noqa: E741 - a handler's input; O is its output
O = TypeVar("O")  # noqa: E741


class HttpError(PerdureError):
    """The ingress refused the request, or the handler failed: then the status is the terminal error's code."""

    def __init__(self, status_code: int, message: str, body: str) -> None:
        super().__init__(f"{status_code}: {message}")
        self.status_code = status_code
        self.message = message
        self.body = body


@dataclass(frozen=True, slots=True)
class DurableClientSendHandle:
    """What a send gives back. `new` is false where its idempotency or workflow key was seen before."""

    invocation_id: str
    status_code: int
    new: bool


class CallOptions(TypedDict, total=False):
    """What may be said with a call. The same idempotency key gives the same invocation, thus the same result."""

    idempotency_key: str | None
    headers: Mapping[str, str] | None


class SendOptions(CallOptions, total=False):
    """What may be said with a send: also, that it is to begin later."""

    send_delay: timedelta | None


@dataclass(frozen=True, slots=True)
class _Target:
    service: str
    handler: str
    key: str | None

    @property
    def path(self) -> str:
        parts = (self.service, self.key, self.handler)
        return "/".join(quote(part, safe="") for part in parts if part is not None)


class DurableClient:
    """Calls and sends to services; made by `create_client`.

    A call waits for its result, however long that takes. One whose connection broke can be made again, if it has an
    idempotency key. All raise `HttpError`, and `OSError` where the ingress cannot be reached.
    """

    def __init__(self, http: pyqwest.Client, ingress_url: str, headers: Mapping[str, str]) -> None:
        self._http = http
        self._ingress_url = ingress_url.rstrip("/")
        self._headers = headers

    async def service_call(self, handler: HandlerFunction[I, O], arg: I, **options: Unpack[CallOptions]) -> O:
        return await self._call(handler, None, arg, options)

    async def object_call(self, handler: HandlerFunction[I, O], key: str, arg: I, **options: Unpack[CallOptions]) -> O:
        return await self._call(handler, key, arg, options)

    async def workflow_call(
        self, handler: HandlerFunction[I, O], key: str, arg: I, **options: Unpack[CallOptions]
    ) -> O:
        return await self._call(handler, key, arg, options)

    async def service_send(
        self, handler: HandlerFunction[I, Any], arg: I, **options: Unpack[SendOptions]
    ) -> DurableClientSendHandle:
        return await self._send(handler, None, arg, options)

    async def object_send(
        self, handler: HandlerFunction[I, Any], key: str, arg: I, **options: Unpack[SendOptions]
    ) -> DurableClientSendHandle:
        return await self._send(handler, key, arg, options)

    async def workflow_send(
        self, handler: HandlerFunction[I, Any], key: str, arg: I, **options: Unpack[SendOptions]
    ) -> DurableClientSendHandle:
        return await self._send(handler, key, arg, options)

    async def generic_call(
        self, service: str, handler: str, arg: bytes, key: str | None = None, **options: Unpack[CallOptions]
    ) -> bytes:
        """Calls by name, bytes to bytes. What is sent is announced as JSON, unless `headers` has a content type."""
        return (await self._post("call", _Target(service, handler, key), arg, "application/json", options)).content

    async def generic_send(
        self, service: str, handler: str, arg: bytes, key: str | None = None, **options: Unpack[SendOptions]
    ) -> DurableClientSendHandle:
        """Sends by name; else like `generic_call`."""
        return _handle(
            await self._post("send", _Target(service, handler, key), arg, "application/json", options, _delay(options))
        )

    async def resolve_awakeable(self, awakeable_id: str, value: Any) -> None:
        """Gives an awakeable its value, as JSON."""
        headers = {"content-type": "application/json"}
        await self._request(f"{_awakeable(awakeable_id)}/resolve", JsonSerde[Any]().serialize(value), headers)

    async def reject_awakeable(self, awakeable_id: str, reason: str) -> None:
        """Fails an awakeable: whoever awaits it gets a terminal error."""
        headers = {"content-type": "text/plain"}
        await self._request(f"{_awakeable(awakeable_id)}/reject", reason.encode(), headers)

    async def _call(self, handler: HandlerFunction[I, O], key: str | None, arg: I, options: CallOptions) -> Any:
        definition = handler_of(handler)
        response = await self._post("call", *_addressed(definition, key, arg), options)
        return definition.output_serde.deserialize(response.content)

    async def _send(
        self, handler: HandlerFunction[I, Any], key: str | None, arg: I, options: SendOptions
    ) -> DurableClientSendHandle:
        addressed = _addressed(handler_of(handler), key, arg)
        return _handle(await self._post("send", *addressed, options, _delay(options)))

    async def _post(
        self, verb: str, target: _Target, body: bytes, content_type: str | None, options: CallOptions, query: str = ""
    ) -> pyqwest.FullResponse:
        headers = {**({"content-type": content_type} if content_type else {}), **(options.get("headers") or {})}
        idempotency_key = options.get("idempotency_key")
        if idempotency_key is not None:
            headers["idempotency-key"] = idempotency_key
        return await self._request(f"restate/{verb}/{target.path}{query}", body, headers)

    async def _request(self, path: str, body: bytes, headers: Mapping[str, str]) -> pyqwest.FullResponse:
        response = await self._http.post(f"{self._ingress_url}/{path}", {**self._headers, **headers}, body)
        if response.status >= 400:
            raise HttpError(response.status, _message(response), response.text())
        return response


@asynccontextmanager
async def create_client(
    ingress_url: str = "http://localhost:8080", headers: Mapping[str, str] | None = None
) -> AsyncGenerator[DurableClient]:
    """A client of an ingress; `headers` go with each request.

    async with perdure.create_client("http://localhost:8080") as client:
        answer = await client.service_call(router_answer, "I was charged twice")
    """
    async with pyqwest.HTTPTransport(tls_include_system_certs=True) as transport:
        yield DurableClient(pyqwest.Client(transport), ingress_url, headers or {})


def _addressed(definition: HandlerDefinition, key: str | None, arg: Any) -> tuple[_Target, bytes, str | None]:
    """Where a call goes, its body, and the body's content type."""
    target = _Target(definition.service.name, definition.name, key)
    if not definition.takes_input:
        return target, b"", None
    return target, definition.input_serde.serialize(arg), definition.accept or content_type_of(definition.input_serde)


def _awakeable(awakeable_id: str) -> str:
    return f"restate/awakeables/{quote(awakeable_id, safe='')}"


def _delay(options: SendOptions) -> str:
    delay = options.get("send_delay")
    return f"?delay={delay // timedelta(milliseconds=1)}ms" if delay else ""


def _handle(response: pyqwest.FullResponse) -> DurableClientSendHandle:
    accepted = msgspec.json.decode(response.content, type=_Accepted)
    return DurableClientSendHandle(accepted.invocationId, response.status, accepted.status == "Accepted")


class _Accepted(msgspec.Struct):
    invocationId: str
    status: str


class _Failure(msgspec.Struct):
    message: str


def _message(response: pyqwest.FullResponse) -> str:
    try:
        return msgspec.json.decode(response.content, type=_Failure).message
    except msgspec.DecodeError:
        return response.text()
