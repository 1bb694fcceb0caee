"""The way to a deployment over HTTP: HTTP/2 with both directions open, or HTTP/1.1 request by request.

On `http://` addresses HTTP/2 is spoken without asking first (prior knowledge); on `https://` TLS negotiates it.
The client underneath pools connections: it opens more where a peer limits the streams on one, and leaves one that
says GOAWAY.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Protocol
from urllib.parse import quote

import pyqwest

from perdure.errors import TransportError
from perdure.http_threads import let_out_at_exit
from perdure.protocol.discovery import Manifest
from perdure.protocol.versions import content_type
from perdure.transport.connection import InvokeRequest, Receiver, Sender
from perdure.transport.http_attempt import BufferedAttempt, HttpAttempt, StreamingAttempt
from perdure.transport.http_discovery import discover

_IDLE_CONNECTIONS_MAX = 256
# Hypercorn, which the official Python SDK is mostly served by, breaks a connection off at its 1,001st stream, with
# all that are still open on it. Connections that are left before go on quietly until their last stream has ended.
_ATTEMPTS_PER_CLIENT = 900
# HTTP/2 by prior knowledge does not pass a proxy, so that what HTTP_PROXY names must not be used for it.
_NO_PROXY = pyqwest.Proxy("http://127.0.0.1", scheme="https")


class Signer(Protocol):
    """What signs requests: `perdure.protocol.identity.SigningKey`, which engines without a key need not load."""

    @property
    def identity_key(self) -> str:
        """The public key, by which services know the signatures."""
        ...

    def headers(self, path: str, now_s: int, key: str | None = None) -> list[tuple[str, str]]:
        """What a request to `path` carries, for the object `key` if it is for one."""
        ...


class HttpTransport:
    """A `Transport` to the endpoint at `uri`, which may have a path in front of `/discover` and `/invoke`.

    `head_timeout_s`: SDKs send the head of a response before they read the request; one that takes longer hangs.
    Whatever hangs later is for the engine's timeouts.
    `signer`: signs each request, for endpoints that take only what an engine has signed that they know.
    `clock`: the time of signatures, and of what peers say by it, in seconds since the epoch.
    """

    def __init__(
        self,
        uri: str,
        *,
        use_http_11: bool = False,
        additional_headers: Mapping[str, str] | None = None,
        connect_timeout_s: float = 5.0,
        head_timeout_s: float = 60.0,
        signer: Signer | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._uri = uri.rstrip("/")
        self._use_http_11 = use_http_11
        self._additional_headers = list((additional_headers or {}).items())
        self._connect_timeout_s = connect_timeout_s
        self._head_timeout_s = head_timeout_s
        self._signer = signer
        self._clock = clock
        self._identity_key = None if signer is None else signer.identity_key
        self._client = self._new_client(use_http_11)
        self._client_attempts = 0
        self._attempts: set[HttpAttempt] = set()
        self.sdk_version: str | None = None
        """What the endpoint's SDK calls itself; known after `discover`, where it says so."""

    async def discover(self) -> Manifest:
        discovered = await discover(
            self._uri,
            lambda: self._signature("/discover") + self._additional_headers,
            self._new_client,
            use_http_11=self._use_http_11,
            identity_key=self._identity_key,
        )
        self.sdk_version = discovered.sdk_version
        return discovered.manifest

    def open(self, request: InvokeRequest, receiver: Receiver) -> Sender:
        path = f"/invoke/{request.service}/{request.handler}"
        url = self._uri + path
        attempt_type = content_type(request.version)
        headers = [
            ("content-type", attempt_type),
            ("accept", attempt_type),
            ("x-restate-invocation-id", request.invocation_id),
        ]
        if request.key is not None:
            headers.append(("x-restate-service-key", quote(request.key, safe="")))
        head = pyqwest.Headers(headers + self._signature(path, request.key) + self._additional_headers)
        self._client_attempts += 1
        if self._client_attempts > _ATTEMPTS_PER_CLIENT:
            self._leave_connections(self._client)
        leave = self._leave_connections
        if self._use_http_11:
            attempt = BufferedAttempt(
                self._client, url, head, receiver, self._attempts.discard, leave, self._identity_key, self._clock
            )
        else:
            attempt = StreamingAttempt(
                self._client, url, head, receiver, self._attempts.discard, leave, self._identity_key, self._clock
            )
            attempt.begin(self._head_timeout_s)
        self._attempts.add(attempt)
        return attempt

    async def close(self) -> None:
        attempts = list(self._attempts)
        for attempt in attempts:
            attempt.fail(TransportError(f"the way to {self._uri} is being closed"))
        await asyncio.gather(*(attempt.ended() for attempt in attempts))
        await self._client.aclose()

    def _signature(self, path: str, key: str | None = None) -> list[tuple[str, str]]:
        """What says that a request is this engine's; `path` is without what the address has in front of it."""
        return [] if self._signer is None else self._signer.headers(path, int(self._clock()), key)

    def _leave_connections(self, client: pyqwest.HTTPTransport) -> None:
        """Make new attempts on connections of their own; what is open on this client's goes on there."""
        if client is self._client:
            self._client = self._new_client(self._use_http_11)
            self._client_attempts = 1

    def _new_client(self, use_http_11: bool) -> pyqwest.HTTPTransport:
        let_out_at_exit()
        secure = self._uri.startswith("https://")
        http_2 = None if secure else pyqwest.HTTPVersion.HTTP2
        return pyqwest.HTTPTransport(
            http_version=pyqwest.HTTPVersion.HTTP1 if use_http_11 else http_2,
            tls_include_system_certs=secure,
            proxy=None if secure else _NO_PROXY,
            connect_timeout=self._connect_timeout_s,
            pool_max_idle_per_host=_IDLE_CONNECTIONS_MAX,
            enable_gzip=False,
            enable_brotli=False,
            enable_zstd=False,
            follow_redirects=False,
            enable_otel=False,
        )
