"""Asking an endpoint what it serves, and saying what is wrong when it does not answer as one."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeAlias

import pyqwest
from msgspec import Struct

from perdure.errors import DeploymentRejected
from perdure.protocol.discovery import ACCEPT, Manifest, decode_manifest
from perdure.transport.http_errors import BROKEN, explain, shown, unauthenticated

_RETRIED = frozenset({408, 429, 500, 502, 503, 504})
_RETRY_DELAYS_S = (0.1, 0.2, 0.4)
_ANSWER_TIMEOUT_S = 10.0
_MANIFEST_BYTES_MAX = 32 * 1024 * 1024

NewHeaders: TypeAlias = Callable[[], Sequence[tuple[str, str]]]


class Discovered(Struct, frozen=True):
    """What an endpoint says of itself, and what its SDK calls itself."""

    manifest: Manifest
    sdk_version: str | None


class _Answer(Struct, frozen=True):
    status: int
    headers: pyqwest.Headers
    is_http_11: bool
    body: bytes


async def discover(
    uri: str,
    headers: NewHeaders,
    new_client: Callable[[bool], pyqwest.HTTPTransport],
    *,
    use_http_11: bool,
    identity_key: str | None = None,
) -> Discovered:
    """Asks the endpoint. One that cannot be understood is asked over the other HTTP version too, to say why.

    `headers` are made anew for each request, as a signature is not valid for long; `identity_key` is its public key.

    Raises:
        TransportError: it cannot be reached.
        DeploymentRejected: it answers, but not with a manifest that we can use.
    """
    try:
        async with new_client(use_http_11) as client:
            answer = await _ask_patiently(client, uri, headers)
    except BROKEN as error:
        if not isinstance(error, ConnectionError):
            async with new_client(not use_http_11) as client:
                if await _answers(client, uri, headers):
                    raise _other_http_version(uri, use_http_11) from error
        raise explain(error, uri) from error
    if answer.is_http_11 and not use_http_11:
        raise _other_http_version(uri, use_http_11)
    if answer.status != 200:
        body = shown(answer.body)
        if answer.status == 401:
            hint = unauthenticated(identity_key)
        else:
            hint = "Is this the address of a service endpoint, with the path under which it is mounted?"
        raise DeploymentRejected(
            f"{uri}/discover answered {answer.status}{f' ({body})' if body else ''}. {hint}",
            restate_code="META0003",
        )
    manifest = decode_manifest(answer.headers.get("content-type"), answer.body)
    return Discovered(manifest, answer.headers.get("x-restate-server"))


async def _ask_patiently(client: pyqwest.HTTPTransport, uri: str, headers: NewHeaders) -> _Answer:
    """Asks again where the answer says that it may be another one soon."""
    for delay_s in _RETRY_DELAYS_S:
        answer = await _ask(client, uri, headers)
        if answer.status not in _RETRIED:
            return answer
        await asyncio.sleep(delay_s)
    return await _ask(client, uri, headers)


async def _ask(client: pyqwest.HTTPTransport, uri: str, headers: NewHeaders) -> _Answer:
    request = pyqwest.Request("GET", f"{uri}/discover", pyqwest.Headers([("accept", ACCEPT), *headers()]))
    async with asyncio.timeout(_ANSWER_TIMEOUT_S):
        response = await client.execute(request)
        body = bytearray()
        async for chunk in response.content:
            body += chunk
            if len(body) > _MANIFEST_BYTES_MAX:
                raise DeploymentRejected(
                    f"{uri}/discover answers with more than {_MANIFEST_BYTES_MAX} bytes: that is no manifest",
                    restate_code="META0013",
                )
    is_http_11 = response.http_version == pyqwest.HTTPVersion.HTTP1
    return _Answer(response.status, response.headers, is_http_11, bytes(body))


async def _answers(client: pyqwest.HTTPTransport, uri: str, headers: NewHeaders) -> bool:
    """Whether there is anything to talk to, whatever it says."""
    try:
        await _ask(client, uri, headers)
    except (*BROKEN, DeploymentRejected):
        return False
    return True


def _other_http_version(uri: str, use_http_11: bool) -> DeploymentRejected:
    if use_http_11:
        return DeploymentRejected(
            f"{uri} speaks HTTP/2 only: register it without `use_http_11` (`--use-http1.1`)", restate_code="META0014"
        )
    return DeploymentRejected(
        f"{uri} speaks HTTP/1.1 only. Serve it over HTTP/2 (`perdure serve`, granian or hypercorn; uvicorn cannot), or "
        "register it with `use_http_11` (`--use-http1.1`): it then suspends at each await.",
        restate_code="META0014",
    )
