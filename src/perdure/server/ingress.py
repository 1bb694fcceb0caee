"""The ingress: HTTP in, invocations out. What a call means is the engine's business.

An ASGI app without a router or request objects, since every call passes here: the path says what is asked
(`ingress_paths`), headers and query how (`ingress_request`), the handler's own check looks at the body (`validation`),
`ingress_answers` says the rest. A client that goes away stops nothing: what it asked for goes on, and can be attached
to.
"""

import asyncio
import logging
from typing import assert_never

import msgspec
from msgspec import Struct
from starlette.types import Receive, Scope, Send

from perdure.engine.answers import Failure, Outcome
from perdure.engine.engine import Engine
from perdure.engine.registry import ResolvedHandler
from perdure.engine.targets import runs_once
from perdure.errors import InvalidInput, PerdureError, ServiceDrained, TooLarge, UnknownTarget, UsageError
from perdure.protocol.discovery import ServiceManifest
from perdure.protocol.scopes import check_scope
from perdure.server.ingress_answers import (
    CORS_HEADERS,
    Answer,
    OutputHeaders,
    accepted_answer,
    document_answer,
    error_answer,
    health_answer,
    lookup_answer,
    not_allowed_answer,
    output_answer,
    preflight_answer,
    refusal,
    unavailable_answer,
)
from perdure.server.ingress_bodies import Bodies, ClientGone, drain
from perdure.server.ingress_openapi import Documents
from perdure.server.ingress_paths import (
    Asked,
    AskedAwakeable,
    AskedCall,
    AskedHealth,
    AskedOpenApi,
    AskedPromise,
    AskedResult,
    AskedSignal,
    AskedTarget,
    Completion,
    parse_path,
)
from perdure.server.ingress_request import check_idempotency_key, read_modifiers
from perdure.server.ingress_targets import read_target
from perdure.server.readiness import check_ready
from perdure.server.validation import InputCheck, input_check

logger = logging.getLogger(__name__)


_METHODS: dict[type[Asked], tuple[str, ...]] = {
    AskedCall: ("POST", "GET"),
    AskedAwakeable: ("POST",),
    AskedSignal: ("POST",),
    AskedPromise: ("POST",),
    AskedResult: ("GET",),
    AskedTarget: ("POST",),
    AskedHealth: ("GET", "HEAD"),
    AskedOpenApi: ("GET", "HEAD"),
}


class Entrance(Struct, frozen=True):
    """What a handler's manifest says about requests and responses, made ready for the hot path."""

    resolved: ResolvedHandler
    check: InputCheck
    output: OutputHeaders


class Ingress:
    """The ASGI app of the ingress port."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._bodies = Bodies(engine.config.body_bytes_max, engine.config.bodies_bytes_max)
        self._documents = Documents(engine.registry)
        self._entrances: dict[tuple[str, str], Entrance] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        unread = False
        try:
            answer = await self._answer(scope, receive)
        except PerdureError as error:
            answer = error_answer(error)
            unread = isinstance(error, TooLarge)
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
        await send({"type": "http.response.body", "body": answer.body, "more_body": unread})
        if unread:  # the connection is closed by the end of the answer, which must not come before it could be read
            await drain(receive)
            await send({"type": "http.response.body"})

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        method: str = scope["method"]
        if method == "OPTIONS":
            return preflight_answer(dict(scope["headers"]))
        check_ready(self._engine)
        asked = parse_path(scope["raw_path"], self._service, self._engine.registry.public_targets)
        if method not in _METHODS[type(asked)]:
            return not_allowed_answer(", ".join(_METHODS[type(asked)]))
        match asked:
            case AskedCall():
                return await self._call(asked, scope, receive)
            case AskedAwakeable() | AskedSignal() | AskedPromise():
                return await self._complete(asked, scope, receive)
            case AskedResult():
                return await self._result(asked.invocation_id, wait=asked.act == "attach")
            case AskedTarget():
                with await self._bodies.read(scope, receive) as body:
                    invocation_id = read_target(body.content)
                if asked.act == "lookup":
                    return lookup_answer(invocation_id)
                return await self._result(invocation_id, wait=asked.act == "attach")
            case AskedHealth():
                return health_answer(self._engine.registry.public_services())
            case AskedOpenApi():
                return document_answer(self._documents.document(asked.service))
            case _:
                assert_never(asked)

    async def _call(self, asked: AskedCall, scope: Scope, receive: Receive) -> Answer:
        target = asked.target
        entrance = self._entrance(target.service, target.handler)
        resolved = entrance.resolved
        if resolved.options.ingress_private:
            raise UsageError(f"{target.service}/{target.handler} is private: only other handlers can call it")
        read = read_modifiers(scope)
        check_scope(target.scope, read.limit_key)
        if read.delay_ms is not None and not asked.send:
            raise UsageError(
                "cannot use the delay query parameter with calls, only with sends: send for call in the path"
            )
        if read.idempotency_key is not None:
            check_idempotency_key(read.idempotency_key, resolved)
        with await self._bodies.read(scope, receive) as body:
            entrance.check.check(read.content_type, body.content)
            if not asked.send and not body.large:
                outcome = await self._engine.call(
                    target,
                    body.content,
                    headers=read.headers,
                    idempotency_key=read.idempotency_key,
                    limit_key=read.limit_key,
                )
                keyed = read.idempotency_key is not None or resolved.handler_type == "WORKFLOW"
                return output_answer(outcome, entrance.output, says_expiry=keyed)
            accepted = await self._engine.send(
                target,
                body.content,
                headers=read.headers,
                idempotency_key=read.idempotency_key,
                limit_key=read.limit_key,
                delay_ms=read.delay_ms,
            )
        if asked.send:
            return accepted_answer(accepted)
        # A large body was let go as soon as it was on disk: the call goes on as what waits for the outcome.
        if resolved.handler_type == "WORKFLOW" and not accepted.new:
            outcome = Outcome(accepted.invocation_id, failure=runs_once(target), new=False)
            return output_answer(outcome, entrance.output)
        return await self._result(accepted.invocation_id, wait=True)

    async def _complete(
        self, asked: AskedAwakeable | AskedSignal | AskedPromise, scope: Scope, receive: Receive
    ) -> Answer:
        """Gives whoever waits a value, or the text of why there will be none."""
        with await self._bodies.read(scope, receive) as body:
            result = _result_of(asked.act, scope, body.content)
            match asked:
                case AskedAwakeable() if isinstance(result, Failure):
                    await self._engine.reject_awakeable(asked.awakeable_id, result.message, result.code)
                case AskedAwakeable():
                    await self._engine.resolve_awakeable(asked.awakeable_id, body.content)
                case AskedSignal():
                    await self._engine.send_signal(asked.invocation_id, asked.name, result)
                case AskedPromise():
                    self._check_reachable(asked.service)
                    await self._engine.complete_promise(asked.service, asked.key, asked.name, result, scope=asked.scope)
        return Answer(202, [])

    async def _result(self, invocation_id: str, *, wait: bool) -> Answer:
        target = self._engine.invocations.committed(invocation_id).target
        outcome = self._engine.output(invocation_id)
        if outcome is None and not wait:
            return refusal(470, "not ready: the invocation has not ended")
        if outcome is None:
            outcome = await self._engine.attach(invocation_id)
        try:
            output = self._entrance(target.service, target.handler).output
        except UnknownTarget:  # its handler is served no more
            output = OutputHeaders()
        return output_answer(outcome, output, says_expiry=True)

    def _check_reachable(self, workflow: str) -> None:
        """The promises of a workflow are no more open to the outside than its run."""
        manifest = self._service(workflow)
        for handler in manifest.handlers if manifest is not None else ():
            resolved = self._engine.registry.resolve(workflow, handler.name)
            if resolved.handler_type == "WORKFLOW" and resolved.options.ingress_private:
                raise UsageError(f"{workflow} is private: only other handlers can complete its promises")

    def _service(self, name: str) -> ServiceManifest | None:
        revision = self._engine.registry.services.get(name)
        if revision is None:
            self._engine.registry.check_drained(name)
            return None
        return revision.manifest

    def _entrance(self, service: str, handler: str) -> Entrance:
        """Made anew when a registration has replaced the handler. Raises `UnknownTarget`, which names none that are
        private."""
        try:
            resolved = self._engine.registry.resolve(service, handler)
        except UnknownTarget as error:
            if isinstance(error, ServiceDrained):
                raise
            raise UnknownTarget(f"{service}/{handler}", self._engine.registry.public_targets()) from None
        entrance = self._entrances.get((service, handler))
        if entrance is None or entrance.resolved is not resolved:
            entrance = self._entrances[service, handler] = _entrance(resolved)
        return entrance


def _entrance(resolved: ResolvedHandler) -> Entrance:
    manifest = resolved.manifest
    output = OutputHeaders()
    if manifest.output is not None:
        content_type = manifest.output.content_type
        full = ((b"content-type", content_type.encode()),) if content_type is not None else ()
        output = OutputHeaders(full, full if manifest.output.set_content_type_if_empty else ())
    return Entrance(resolved, input_check(resolved), output)


def _result_of(act: Completion, scope: Scope, body: bytes) -> bytes | Failure:
    if act == "resolve":
        content_type = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
        if body and content_type.partition(b";")[0].strip().lower() == b"application/json":
            _check_json(body)
        return body
    try:
        return Failure(500, body.decode())
    except UnicodeDecodeError:
        raise UsageError("the reason of a rejection is not UTF-8") from None


def _check_json(body: bytes) -> None:
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"the body is said to be JSON and is not: {error}") from error
