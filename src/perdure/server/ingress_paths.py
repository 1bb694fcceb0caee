"""Paths of the ingress: which of its few questions a path asks. Pure: a path and the known services in, an `Asked` out.

    /{service}/{handler}[/send]   /{service}/{key}/{handler}[/send]   /restate/[scope/{scope}/]{call|send}/{target}
    /restate/{attach|output}/{invocation id}                          /restate/invocation/{id}/{attach|output}
    /restate/invocation/{target}/{idempotency key}/{attach|output}    /restate/workflow/{name}/{key}/{attach|output}
    /restate/{attach|output|lookup}, with the target in the body      /restate/health    /openapi[/{service}]
    /restate/{awakeables|a}/{id}/{resolve|reject}                     /restate/signals/{invocation id}/{name}/...
    /restate/[scope/{scope}/]promises/{workflow}/{key}/{name}/{resolve|reject}

Whether a target has a key depends on the kind of its service: `/Cart/send/send` calls `send` of the object `send`.
"""

import re
from collections.abc import Callable, Sequence
from typing import Literal, NoReturn, TypeAlias
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from perdure.engine.events import Target
from perdure.errors import UnknownTarget, UsageError
from perdure.protocol.discovery import ServiceManifest
from perdure.protocol.ids import idempotent_invocation_id, workflow_invocation_id
from perdure.protocol.scopes import check_scope

Completion: TypeAlias = Literal["resolve", "reject"]


class AskedCall(Struct, frozen=True):
    target: Target
    send: bool


class AskedAwakeable(Struct, frozen=True):
    awakeable_id: str
    act: Completion


class AskedSignal(Struct, frozen=True):
    invocation_id: str
    name: str
    act: Completion


class AskedPromise(Struct, frozen=True):
    service: str
    key: str
    scope: str | None
    name: str
    act: Completion


class AskedResult(Struct, frozen=True):
    """The result of an invocation that exists: `attach` waits for it, `output` does not."""

    invocation_id: str
    act: Literal["attach", "output"]


class AskedTarget(Struct, frozen=True):
    """The same, or the id alone (`lookup`), of the invocation that the request's body says."""

    act: Literal["attach", "output", "lookup"]


class AskedHealth(Struct, frozen=True):
    pass


class AskedOpenApi(Struct, frozen=True):
    """The OpenAPI document of a service, or of all."""

    service: str | None


Asked: TypeAlias = (
    AskedCall | AskedAwakeable | AskedSignal | AskedPromise | AskedResult | AskedTarget | AskedHealth | AskedOpenApi
)
Services: TypeAlias = Callable[[str], ServiceManifest | None]
Targets: TypeAlias = Callable[[], Sequence[str]]
"""Every `Service/handler` that can be called from outside, sorted: no other is named."""

RESERVED = (
    "call",
    "send",
    "attach",
    "output",
    "lookup",
    "scope",
    "invocation",
    "workflow",
    "awakeables",
    "signals",
    "promises",
    "health",
)
"""What may come after /restate/; names of services do not."""

_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_KINDS = {
    "SERVICE": "a service without keys",
    "VIRTUAL_OBJECT": "a virtual object, whose key is part of the path",
    "WORKFLOW": "a workflow, whose key is part of the path",
}


class NoSuchPath(UsageError):
    """The path leads nowhere; the message says which ones are near."""

    http_status = 404


def parse_path(raw_path: bytes, services: Services, targets: Targets) -> Asked:
    """What a path, as it came over the wire and without its query, asks for.

    Whether the handler exists is left open; that the service does is not, since only its kind gives the path a meaning.

    Raises:
        UnknownTarget: no such service; the message says what exists.
        NoSuchPath: it does not fit the kind of its service, or leads nowhere.
        UsageError: it is malformed.
    """
    try:
        path = raw_path.decode("ascii")
    except UnicodeDecodeError:
        raise UsageError("bad path: it holds bytes that need percent-encoding") from None
    segments = path.split("/")[1:]
    if segments and not segments[-1]:
        segments.pop()  # a trailing slash says nothing
    if "%" in path:
        segments = [_decoded(segment) for segment in segments]
    match segments:
        case ["restate", "scope", scope, verb, *rest]:
            check_scope(scope, None)
            return _in_scope(path, scope, verb, rest, services, targets)
        case ["restate", verb, *rest]:
            return _reserved(path, verb, rest, services, targets)
        case ["openapi"]:
            return AskedOpenApi(None)
        case ["openapi", service]:
            return AskedOpenApi(service)
        case [service, _, *_] if service != "restate":
            return _call(path, segments, services, targets)
        case ["health"]:
            raise UsageError("bad path: /health. The ingress answers for its health at /restate/health")
        case _:
            expected = "/{service}/{handler} or /{object}/{key}/{handler}"
            raise UsageError(f"bad path: {path or '/'}. Expected {expected}")


def _decoded(segment: str) -> str:
    if _BROKEN_ESCAPE.search(segment):
        raise UsageError(f"bad path: {segment!r} has a % that no two hexadecimal digits follow; % itself is %25")
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise UsageError(f"bad path: {segment!r} is not percent-encoded UTF-8") from None


def _reserved(path: str, verb: str, rest: list[str], services: Services, targets: Targets) -> Asked:
    match verb, rest:
        case "health", []:
            return AskedHealth()
        case "call" | "send" | "promises", _:
            return _in_scope(path, None, verb, rest, services, targets)
        case "awakeables" | "a", [awakeable_id, "resolve" | "reject" as act]:
            return AskedAwakeable(awakeable_id, act)
        case "signals", [invocation_id, name, "resolve" | "reject" as act]:
            return AskedSignal(invocation_id, name, act)
        case "attach" | "output" | "lookup", []:
            return AskedTarget(verb)
        case "attach" | "output", [invocation_id]:
            return AskedResult(invocation_id, verb)
        case "invocation", [invocation_id, "attach" | "output" as act]:
            return AskedResult(invocation_id, act)
        case "invocation", [_, _, _, *_, "attach" | "output" as act]:
            service, key, handler, extra = _split_target(rest[:-1], services, targets)
            if len(extra) != 1:
                _misfit(path, rest[:-2], services(service), targets)
            return AskedResult(idempotent_invocation_id(service, key, handler, extra[0]), act)
        case "workflow", [name, key, "attach" | "output" as act]:
            return AskedResult(workflow_invocation_id(name, key), act)
        case _:
            raise NoSuchPath(f"no {path}: under /restate/ there are {', '.join(RESERVED)}")


def _in_scope(
    path: str, scope: str | None, verb: str, rest: list[str], services: Services, targets: Targets
) -> AskedCall | AskedPromise:
    """What is asked with a scope, or without one, which is the same as far as the path goes."""
    match verb, rest:
        case "call" | "send", [_, _, *_]:
            service, key, handler, extra = _split_target(rest, services, targets)
            if extra:
                _misfit(path, rest, services(service), targets)
            return AskedCall(Target(service, handler, key, scope), send=verb == "send")
        case "promises", [service, key, name, "resolve" | "reject" as act]:
            return AskedPromise(service, key, scope, name, act)
        case "promises", _:
            raise NoSuchPath(f"no {path}: expected .../promises/{{workflow}}/{{key}}/{{promise}}/resolve or /reject")
        case _:
            raise NoSuchPath(
                f"no {path}: expected /restate/call/{{service}}/{{handler}}, send for call, or in a scope "
                "/restate/scope/{scope}/call/{service}/{handler}; after an object or workflow comes its {key}"
            )


def _call(path: str, segments: list[str], services: Services, targets: Targets) -> AskedCall:
    service, key, handler, extra = _split_target(segments, services, targets)
    if extra and extra != ["send"]:
        _misfit(path, segments, services(service), targets)
    return AskedCall(Target(service, handler, key), send=bool(extra))


def _split_target(segments: list[str], services: Services, targets: Targets) -> tuple[str, str | None, str, list[str]]:
    """Service, key, handler, and what follows them."""
    service = segments[0]
    manifest = services(service)
    if manifest is None:
        raise UnknownTarget("/".join(segments[:2]), targets())
    if manifest.ty == "SERVICE":
        return service, None, segments[1], segments[2:]
    if len(segments) < 3:
        _misfit("/" + "/".join(segments), segments, manifest, targets)
    return service, segments[1], segments[2], segments[3:]


def _misfit(path: str, segments: list[str], manifest: ServiceManifest | None, targets: Targets) -> NoReturn:
    """The path has more or fewer segments than the service's kind has a meaning for: say which path is right."""
    assert manifest is not None, "only the paths of known services are judged"
    public = set(targets())
    names = [handler.name for handler in manifest.handlers if f"{manifest.name}/{handler.name}" in public]
    if not names:
        raise UnknownTarget("/".join(segments[:2]), targets())
    named = [segment for segment in reversed(segments) if segment in names]
    keyed = "" if manifest.ty == "SERVICE" else "/{key}"
    right = ", ".join(f"POST /{manifest.name}{keyed}/{name}" for name in (named[:1] or names))
    raise NoSuchPath(f"no {path}: {manifest.name} is {_KINDS[manifest.ty]}: {right}")
