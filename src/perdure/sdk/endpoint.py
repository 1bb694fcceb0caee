"""The endpoint: services as an ASGI app that any engine of the protocol can drive.

    GET .../discover    POST .../invoke/{service}/{handler}    GET .../health

under any prefix. Full duplex over HTTP/2; over HTTP/1.1, requests and responses, between which handlers suspend.
With identity keys, discovery and invocations are for engines that sign with one of them; health is for everybody.
"""

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Literal, TypeAlias
from urllib.parse import unquote

from perdure.errors import (
    DeploymentRejected,
    EngineStopping,
    PerdureError,
    RemoteProtocolError,
    Unauthenticated,
    UnknownTarget,
    UsageError,
)
from perdure.protocol import discovery, versions
from perdure.protocol.discovery import Manifest, ProtocolMode
from perdure.sdk.attempt import Attempt
from perdure.sdk.definition import HandlerDefinition, ServiceDefinition
from perdure.sdk.exchange import HALF_CLOSE_GRACE_S, Exchange, Receive, Send, drain
from perdure.sdk.manifest import manifest_of
from perdure.sdk.progress import Clock
from perdure.sdk.termination import on_termination
from perdure.transport.connection import InvokeRequest, Sender
from perdure.version import __version__

Scope: TypeAlias = Mapping[str, Any]
Headers: TypeAlias = Mapping[str, str]

_MODES: dict[str, ProtocolMode] = {"bidi": "BIDI_STREAM", "request_response": "REQUEST_RESPONSE"}
_IDENTITY_KEYS = "PERDURE_IDENTITY_KEYS"
_SERVER = (b"x-restate-server", f"perdure/{__version__}".encode())


class Endpoint:
    """Services, ready to be served: by an ASGI server, or by an engine in the same process.

    `protocol` forces how engines connect, `"bidi"` or `"request_response"`; by default, the HTTP version decides.
    `identity_keys` are the public keys of the engines that may ask over HTTP, others get 401; by default, those in the
        variable PERDURE_IDENTITY_KEYS, with spaces or commas between them. Where neither is there, whoever asks is
        answered; a list or a variable without a key in it is refused.
    `clock` is the time that handlers live in, in seconds since the epoch: timers and delays are counted from it.

    Raises:
        UsageError: two services share a name, or a name is none, or a key; the message says which.
    """

    def __init__(
        self,
        services: Iterable[ServiceDefinition] = (),
        *,
        protocol: Literal["bidi", "request_response"] | None = None,
        identity_keys: Iterable[str] | None = None,
        clock: Clock = time.time,
    ) -> None:
        if protocol is not None and protocol not in _MODES:
            raise UsageError(f"protocol is {protocol!r}; it is 'bidi', 'request_response' or None")
        self.services: list[ServiceDefinition] = []
        self._forced_mode: ProtocolMode | None = _MODES[protocol] if protocol else None
        self._clock = clock
        self._by_name: dict[str, ServiceDefinition] = {}
        self._attempts: set[Attempt] = set()
        self._stopping = False
        self._watching = False
        self.identity_keys: list[str] = []
        """Public keys of the engines that may ask; empty where everybody may."""
        self._verify: Callable[[Headers, str, int, str | None], str | None] | None = None
        if isinstance(identity_keys, str):
            raise UsageError("identity_keys is a string: pass a list of keys")
        if identity_keys is None:
            self._take_identity_keys_of_environment()
        else:
            self.identity_key(*identity_keys)
            if not self.identity_keys:
                raise UsageError("identity_keys names no key: leave it out, or pass None, to serve everybody")
        self.bind(*services)

    def bind(self, *services: ServiceDefinition) -> "Endpoint":
        """Adds services: all of them, or none if one is refused."""
        by_name = dict(self._by_name)
        for service in services:
            if not isinstance(service, ServiceDefinition):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise UsageError(f"{service!r} is not a service: pass Service, VirtualObject and Workflow objects")
            if service.name in by_name:
                raise UsageError(f"two services are named {service.name!r}")
            by_name[service.name] = service
        discovery.check_manifest(manifest_of(by_name.values(), "BIDI_STREAM"))
        self._by_name = by_name
        self.services += services
        return self

    def identity_key(self, *keys: str) -> "Endpoint":
        """Lets engines ask that sign with one of these, and of all others only those that were named already.

        Raises:
            UsageError: it is no `publickeyv1_...`.
        """
        if keys:
            from perdure.protocol.identity import Verifier  # 50 ms to load, for those who verify

            self.identity_keys = list(dict.fromkeys([*self.identity_keys, *keys]))
            self._verify = Verifier(self.identity_keys).check
        return self

    def manifest(self, protocol_mode: ProtocolMode = "BIDI_STREAM") -> Manifest:
        """What the services say of themselves."""
        return manifest_of(self.services, self._forced_mode or protocol_mode)

    def handler(self, service: str, handler: str) -> HandlerDefinition:
        """Raises `UnknownTarget` where there is none."""
        definition = self._by_name.get(service)
        found = definition.handlers.get(handler) if definition else None
        if found is None:
            known = [each.target for service in self.services for each in service.handlers.values()]
            raise UnknownTarget(f"{service}/{handler}", known)
        return found

    def open_attempt(self, request: InvokeRequest, sender: Sender, attempt_headers: Headers | None = None) -> Attempt:
        """Begins an attempt, which answers through `sender`.

        Raises:
            UnknownTarget: no such handler.
        """
        handler = self.handler(request.service, request.handler)
        return Attempt(handler, request, sender, attempt_headers=attempt_headers or {}, clock=self._clock)

    def shutdown(self) -> None:
        """Asks all open attempts to suspend, and takes no new ones over HTTP."""
        self._stopping = True
        for attempt in list(self._attempts):
            attempt.shutdown()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await self._http(scope, receive, send)
            case "lifespan":
                await self._lifespan(receive, send)
            case other:
                raise UsageError(f"an endpoint of services speaks HTTP, not {other}")

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        self._stopping = False
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.shutdown()
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._watching:
            # With the first request, since servers install handlers of their own while they start.
            self._watching = True
            on_termination(asyncio.get_running_loop(), self.shutdown)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        match scope["path"].rstrip("/").split("/"):
            case [*_, "invoke", service, handler]:
                await self._invoke(service, handler, headers, receive, send)
            case [*_, "discover"]:
                await self._discover(scope["http_version"], headers, send)
            case [*_, "health"]:
                await _answer(send, 200, b'{"status":"ok"}')
            case _:
                await _explain(send, 404, "there is nothing here; an endpoint has /discover, /health and /invoke")

    def _take_identity_keys_of_environment(self) -> None:
        keys = os.environ.get(_IDENTITY_KEYS)
        if keys is None:
            return
        try:
            self.identity_key(*keys.replace(",", " ").split())
        except UsageError as error:
            raise UsageError(f"{_IDENTITY_KEYS}: {error}") from error
        if not self.identity_keys:
            raise UsageError(f"{_IDENTITY_KEYS} is set, and names no key: unset it to serve everybody")

    def _authenticate(self, headers: Headers, path: str, key: str | None = None) -> str | None:
        """The object's key that the request is for: it is `key`, or where the request names none, the signed one."""
        signed_key = None if self._verify is None else self._verify(headers, path, int(self._clock()), key)
        return signed_key if key is None else key

    async def _discover(self, http_version: str, headers: Headers, send: Send) -> None:
        try:
            self._authenticate(headers, "/discover")
        except Unauthenticated as error:
            await _explain(send, error.http_status, error)
            return
        accept = headers.get("accept")
        version = discovery.accepted_version(accept)
        if version is None:
            names = f"{discovery.content_type(1)} to v{discovery.MANIFEST_VERSION_MAX}"
            await _explain(send, 415, f"discovery answers with {names}; {accept!r} was asked for")
            return
        try:
            mode: ProtocolMode = "REQUEST_RESPONSE" if http_version.startswith("1") else "BIDI_STREAM"
            body = discovery.encode_manifest(self.manifest(mode), version)
        except DeploymentRejected as error:
            await _explain(send, error.http_status, str(error))
            return
        await _answer(send, 200, body, discovery.content_type(version))

    async def _invoke(self, service: str, handler: str, headers: Headers, receive: Receive, send: Send) -> None:
        content_type = headers.get("content-type", "")
        quoted_key = headers.get("x-restate-service-key")
        exchange = Exchange(receive, send)
        try:
            key = None if quoted_key is None else unquote(quoted_key)
            key = self._authenticate(headers, f"/invoke/{service}/{handler}", key)
            if self._stopping:
                raise EngineStopping("the endpoint is shutting down")
            request = InvokeRequest(
                service=service,
                handler=handler,
                version=versions.parse_content_type(content_type),
                invocation_id=headers.get("x-restate-invocation-id", ""),
                key=key,
            )
            attempt = self.open_attempt(request, exchange, headers)
        except PerdureError as error:
            await _refuse(receive, send, 415 if isinstance(error, RemoteProtocolError) else error.http_status, error)
            return
        self._attempts.add(attempt)
        try:
            await exchange.run(attempt, [(b"content-type", content_type.encode("latin-1")), _SERVER])
        finally:
            self._attempts.discard(attempt)


def app(
    services: Iterable[ServiceDefinition],
    protocol: Literal["bidi", "request_response"] | None = None,
    identity_keys: Iterable[str] | None = None,
) -> Endpoint:
    """An ASGI app that serves these services: under `perdure serve`, hypercorn, uvicorn, or mounted in another app."""
    return Endpoint(services, protocol=protocol, identity_keys=identity_keys)


async def _answer(
    send: Send, status: int, body: bytes, content_type: str = "application/json", *, last: bool = True
) -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode()), _SERVER]
    if status == EngineStopping.http_status:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": not last})


async def _explain(send: Send, status: int, error: PerdureError | str, *, last: bool = True) -> None:
    await _answer(send, status, json.dumps({"code": status, "message": str(error)}).encode(), last=last)


async def _refuse(receive: Receive, send: Send, status: int, error: PerdureError) -> None:
    """Explains, and ends the response when the request has ended; see `HALF_CLOSE_GRACE_S`."""
    await _explain(send, status, error, last=False)
    with suppress(TimeoutError):
        async with asyncio.timeout(HALF_CLOSE_GRACE_S):
            await drain(receive)
    await send({"type": "http.response.body", "body": b"", "more_body": False})
