"""The ingress: HTTP in, invocations out. What a call means is the engine's business.

An ASGI app without a router or request objects, since every call passes here: the path says what is asked
(`ingress_paths`), the handler's own check looks at the body (`validation`), `ingress_answers` says the rest.
A client that goes away stops nothing: what it asked for goes on, and can be attached to.
"""

import asyncio
import logging
from typing import assert_never
from urllib.parse import parse_qs

from msgspec import Struct
from starlette.types import Message, Receive, Scope, Send

from perdure.engine.engine import Engine
from perdure.engine.registry import ResolvedHandler
from perdure.errors import PerdureError, TooLarge, UnknownTarget, UsageError
from perdure.protocol.discovery import ServiceManifest
from perdure.server.durations import parse_duration_ms
from perdure.server.ingress_answers import (
    CORS_HEADERS,
    Answer,
    OutputHeaders,
    accepted_answer,
    error_answer,
    health_answer,
    not_allowed_answer,
    output_answer,
    preflight_answer,
    refusal,
    unavailable_answer,
)
from perdure.server.ingress_paths import (
    AskedAwakeable,
    AskedCall,
    AskedHealth,
    AskedResult,
    parse_path,
)
from perdure.server.validation import InputCheck

logger = logging.getLogger(__name__)

# Headers of the connection, or addressed to the ingress itself: a handler is not given them.
_OURS = frozenset(
    (b"connection", b"host", b"idempotency-key", b"keep-alive", b"transfer-encoding", b"x-restate-ingress-path")
)


class ClientGone(Exception):
    """The client left before its request was complete: there is nothing to do, and nobody to tell."""


class Entrance(Struct, frozen=True):
    """What a handler's manifest says about requests and responses, made ready for the hot path."""

    resolved: ResolvedHandler
    check: InputCheck
    output: OutputHeaders


class Ingress:
    """The ASGI app of the ingress port."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._body_bytes_max = engine.config.body_bytes_max
        self._entrances: dict[tuple[str, str], Entrance] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await self._answer(scope, receive)
        except PerdureError as error:
            answer = error_answer(error)
        except ClientGone:
            return
        except asyncio.CancelledError:
            # Only the server's stop cancels, once its grace is over. Swallowed, so that the answer goes out.
            answer = unavailable_answer("the engine is stopping: what was asked goes on when it is up again")
        except Exception:  # the edge: a bug of ours is logged here, and never shown to a client
            logger.exception("A request to the ingress failed", extra={"path": scope["path"]})
            answer = refusal(500, "internal error: the engine's log says more")
        headers = answer.headers
        headers.append((b"content-length", b"%d" % len(answer.body)))
        if any(name == b"origin" for name, _ in scope["headers"]):
            headers += CORS_HEADERS
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        method: str = scope["method"]
        if method == "OPTIONS":
            return preflight_answer(dict(scope["headers"]))
        if self._engine.stopping or not self._engine.ready:
            doing = "stopping" if self._engine.stopping else "starting"
            return unavailable_answer(f"the engine is {doing}: ask again in a moment")
        asked = parse_path(scope["raw_path"], self._service, self._engine.registry.targets)
        match asked:
            case AskedCall():
                if method not in ("POST", "GET"):
                    return not_allowed_answer("POST, GET")
                return await self._call(asked, scope, receive)
            case AskedAwakeable():
                if method != "POST":
                    return not_allowed_answer("POST")
                return await self._complete_awakeable(asked, scope, receive)
            case AskedResult():
                if method != "GET":
                    return not_allowed_answer("GET")
                return await self._result(asked)
            case AskedHealth():
                if method not in ("GET", "HEAD"):
                    return not_allowed_answer("GET, HEAD")
                return health_answer(sorted(self._engine.registry.services))
            case _:
                assert_never(asked)

    async def _call(self, asked: AskedCall, scope: Scope, receive: Receive) -> Answer:
        target = asked.target
        entrance = self._entrance(target.service, target.handler)
        if entrance.resolved.options.ingress_private:
            raise UsageError(f"{target.service}/{target.handler} is private: only other handlers can call it")
        delay_ms = _delay_ms(scope["query_string"], send=asked.send)
        headers, content_type, idempotency_key = _read_headers(scope)
        if idempotency_key is not None:
            _check_idempotency_key(idempotency_key, entrance.resolved)
        body = await self._body(scope, receive)
        entrance.check.check(content_type, body)
        if asked.send:
            accepted = await self._engine.send(
                target, body, headers=headers, idempotency_key=idempotency_key, delay_ms=delay_ms
            )
            return accepted_answer(accepted)
        outcome = await self._engine.call(target, body, headers=headers, idempotency_key=idempotency_key)
        return output_answer(outcome, entrance.output)

    async def _complete_awakeable(self, asked: AskedAwakeable, scope: Scope, receive: Receive) -> Answer:
        body = await self._body(scope, receive)
        if asked.act == "resolve":
            await self._engine.resolve_awakeable(asked.awakeable_id, body)
            return Answer(202, [])
        try:
            reason = body.decode()
        except UnicodeDecodeError:
            raise UsageError("the reason for which an awakeable is rejected is not UTF-8") from None
        await self._engine.reject_awakeable(asked.awakeable_id, reason)
        return Answer(202, [])

    async def _result(self, asked: AskedResult) -> Answer:
        view = self._engine.describe(asked.invocation_id)
        outcome = self._engine.output(asked.invocation_id)
        if outcome is None and asked.act == "output":
            return refusal(470, "not ready: the invocation has not ended")
        if outcome is None:
            outcome = await self._engine.attach(asked.invocation_id)
        try:
            output = self._entrance(view.target_service_name, view.target_handler_name).output
        except UnknownTarget:  # its handler is served no more
            output = OutputHeaders()
        return output_answer(outcome, output)

    def _service(self, name: str) -> ServiceManifest | None:
        revision = self._engine.registry.services.get(name)
        return None if revision is None else revision.manifest

    def _entrance(self, service: str, handler: str) -> Entrance:
        """Made anew when a registration has replaced the handler. Raises `UnknownTarget`."""
        resolved = self._engine.registry.resolve(service, handler)
        entrance = self._entrances.get((service, handler))
        if entrance is None or entrance.resolved is not resolved:
            entrance = self._entrances[service, handler] = _entrance(resolved)
        return entrance

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """The whole body, counted while it comes: what its length is said to be is not believed.

        Raises:
            TooLarge: it is above the limit; what is left of it is not kept.
        """
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value[:18]) > self._body_bytes_max:
                raise self._too_large()
        message = await receive()
        if not message.get("more_body", False):
            return self._piece(message, 0)
        pieces = [self._piece(message, 0)]
        size = len(pieces[0])
        while message.get("more_body", False):
            message = await receive()
            pieces.append(self._piece(message, size))
            size += len(pieces[-1])
        return b"".join(pieces)

    def _piece(self, message: Message, size_before: int) -> bytes:
        if message["type"] == "http.disconnect":
            raise ClientGone
        piece: bytes = message.get("body", b"")
        if size_before + len(piece) > self._body_bytes_max:
            raise self._too_large()
        return piece

    def _too_large(self) -> TooLarge:
        return TooLarge(f"the body is larger than {self._body_bytes_max} bytes, which is the limit")


def _entrance(resolved: ResolvedHandler) -> Entrance:
    manifest = resolved.manifest
    output = OutputHeaders()
    if manifest.output is not None:
        content_type = manifest.output.content_type
        full = ((b"content-type", content_type.encode()),) if content_type is not None else ()
        output = OutputHeaders(full, full if manifest.output.set_content_type_if_empty else ())
    return Entrance(resolved, InputCheck(f"{resolved.service}/{resolved.handler}", manifest.input), output)


def _read_headers(scope: Scope) -> tuple[list[tuple[str, str]], str | None, str | None]:
    """What the handler is given (where the call came in first, then the client's headers), content type, key."""
    content_type: str | None = None
    idempotency_key: str | None = None
    headers = [("x-restate-ingress-path", scope["raw_path"].decode("ascii"))]
    try:
        for name, value in scope["headers"]:
            if name not in _OURS:
                text = value.decode()
                headers.append((name.decode(), text))
                if name == b"content-type":
                    content_type = text
            elif name == b"idempotency-key":
                idempotency_key = value.decode()
    except UnicodeDecodeError:
        raise UsageError("a header of the request is not UTF-8") from None
    return headers, content_type, idempotency_key


def _check_idempotency_key(key: str, resolved: ResolvedHandler) -> None:
    if not key.strip():
        raise UsageError("the header idempotency-key is empty: leave it out, or give it a value")
    if resolved.handler_type == "WORKFLOW":
        raise UsageError(
            "cannot use the idempotency key with workflow handlers: the workflow's own key makes it run once already"
        )


def _delay_ms(query_string: bytes, *, send: bool) -> int:
    """The delay that a query asks for; 0 if it does not."""
    if not query_string:
        return 0
    try:
        fields = parse_qs(query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise UsageError("the query of the path is malformed") from None
    if "delay" not in fields:
        return 0
    if not send:
        raise UsageError("cannot use the delay query parameter with calls, only with sends: add /send to the path")
    try:
        return parse_duration_ms(fields["delay"][-1])
    except UsageError as error:
        raise UsageError(f"bad delay query parameter: {error}") from None
