"""Calls and sends of a client, as exchanges: what is sent for each, and how its answer is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Generic, TypedDict, TypeVar, Unpack

import msgspec
import pyqwest

from perdure.errors import UsageError
from perdure.protocol.priorities import PRIORITY_HEADER, check_priority
from perdure.protocol.scopes import check_scope
from perdure.sdk.client_requests import Address, Exchange
from perdure.sdk.definition import HandlerDefinition, HandlerFunction, handler_of
from perdure.sdk.limits import milliseconds
from perdure.sdk.schema import content_type_of
from perdure.sdk.serde import BytesSerde, Serde

I = TypeVar("I")  # noqa: E741 - a handler's input; O is its output
O = TypeVar("O")  # noqa: E741
T = TypeVar("T")

_JSON = "application/json"
_BYTES = BytesSerde()


@dataclass(frozen=True, slots=True)
class DurableClientSendHandle(Generic[T]):
    """What a send gives back. `new` is false where its idempotency or workflow key was seen before."""

    invocation_id: str
    status_code: int
    new: bool
    output_serde: Serde[Any] | None = field(default=None, repr=False, compare=False)
    """How the result is read, which `attach` and `output` do."""


class CallOptions(TypedDict, total=False):
    """What may be said with a call. The same idempotency key gives the same invocation, thus the same result."""

    idempotency_key: str | None
    headers: Mapping[str, str] | None
    limit_key: str | None
    """What it counts as within the client's scope: `tenant`, or `tenant/user`."""
    priority: int | None
    """From -100 to 100, 0 by default: of those that wait, higher ones go first."""


class SendOptions(CallOptions, total=False):
    """What may be said with a send: also, that it is to begin later."""

    send_delay: timedelta | None


@dataclass(frozen=True, slots=True)
class _Target:
    """Whom a request is for, and how what goes in and comes out is written."""

    service: str
    handler: str
    key: str | None
    body: bytes
    content_type: str | None
    output_serde: Serde[Any]
    is_workflow: bool = False
    """Whether it runs once by its key, so that it can be asked for again."""


def service_call(
    address: Address, handler: HandlerFunction[I, O], arg: I | None = None, **options: Unpack[CallOptions]
) -> Exchange[O]:
    """Calls a service's handler, and gives its result."""
    return _call(address, _typed(handler, None, arg), options)


def object_call(
    address: Address, handler: HandlerFunction[I, O], key: str, arg: I | None = None, **options: Unpack[CallOptions]
) -> Exchange[O]:
    """Calls the handler of a virtual object, and gives its result."""
    return _call(address, _typed(handler, key, arg), options)


def workflow_call(
    address: Address, handler: HandlerFunction[I, O], key: str, arg: I | None = None, **options: Unpack[CallOptions]
) -> Exchange[O]:
    """Runs a workflow, or calls one of its shared handlers, and gives the result; `key` is the workflow's id.

    A workflow runs once: a second call with the same id is refused with 409. `workflow_attach` gives its result.
    """
    return _call(address, _typed(handler, key, arg), options)


def generic_call(
    address: Address,
    service: str,
    handler: str,
    arg: bytes = b"",
    key: str | None = None,
    **options: Unpack[CallOptions],
) -> Exchange[bytes]:
    """Calls by name, bytes to bytes. What is sent is announced as JSON, unless `headers` has a content type."""
    return _call(address, _Target(service, handler, key, arg, _JSON, _BYTES), options)


def service_send(
    address: Address, handler: HandlerFunction[I, O], arg: I | None = None, **options: Unpack[SendOptions]
) -> Exchange[DurableClientSendHandle[O]]:
    """Sends to a service's handler, and does not wait for its result."""
    return _send(address, _typed(handler, None, arg), options)


def object_send(
    address: Address, handler: HandlerFunction[I, O], key: str, arg: I | None = None, **options: Unpack[SendOptions]
) -> Exchange[DurableClientSendHandle[O]]:
    """Sends to the handler of a virtual object."""
    return _send(address, _typed(handler, key, arg), options)


def workflow_send(
    address: Address, handler: HandlerFunction[I, O], key: str, arg: I | None = None, **options: Unpack[SendOptions]
) -> Exchange[DurableClientSendHandle[O]]:
    """Submits a workflow, also for later, or sends to one of its shared handlers."""
    return _send(address, _typed(handler, key, arg), options)


def generic_send(
    address: Address,
    service: str,
    handler: str,
    arg: bytes = b"",
    key: str | None = None,
    **options: Unpack[SendOptions],
) -> Exchange[DurableClientSendHandle[bytes]]:
    """Sends by name; else like `generic_call`."""
    return _send(address, _Target(service, handler, key, arg, _JSON, _BYTES), options)


def _typed(handler: HandlerFunction[I, O], key: str | None, arg: Any) -> _Target:
    definition = handler_of(handler)
    body, content_type = b"", None
    if definition.takes_input:
        body = definition.input_serde.serialize(arg)
        content_type = definition.accept or content_type_of(definition.input_serde)
    return _Target(
        definition.service.name,
        definition.name,
        key,
        body,
        content_type,
        definition.output_serde,
        is_workflow(definition),
    )


def is_workflow(definition: HandlerDefinition) -> bool:
    """Whether a handler is the one that a workflow runs, once."""
    return definition.kind == "WORKFLOW"


def _call(address: Address, target: _Target, options: CallOptions) -> Exchange[Any]:
    def read(answer: pyqwest.FullResponse) -> Any:
        return target.output_serde.deserialize(answer.content)

    attach = None
    if target.is_workflow:
        body = msgspec.json.encode(workflow_target(address, target.service, target.key or ""))
        headers = address.with_own({"content-type": _JSON})
        attach = Exchange("POST", address.ingress("attach"), read, headers, body, repeatable=True)
    return Exchange(
        "POST",
        address.scoped_ingress("call", target.service, target.key, target.handler),
        read,
        _headers(address, target, options),
        target.body,
        repeatable=_repeatable(target, options),
        if_taken=attach,
    )


def _send(address: Address, target: _Target, options: SendOptions) -> Exchange[DurableClientSendHandle[Any]]:
    def read(answer: pyqwest.FullResponse) -> DurableClientSendHandle[Any]:
        accepted = msgspec.json.decode(answer.content, type=_Accepted)
        new = accepted.status == "Accepted"
        return DurableClientSendHandle(accepted.invocationId, answer.status, new, target.output_serde)

    delay = options.get("send_delay")
    query = "" if delay is None else f"?delay={milliseconds('send_delay', delay)}ms"
    return Exchange(
        "POST",
        address.scoped_ingress("send", target.service, target.key, target.handler) + query,
        read,
        _headers(address, target, options),
        target.body,
        repeatable=_repeatable(target, options),
    )


def _repeatable(target: _Target, options: CallOptions) -> bool:
    return target.is_workflow or options.get("idempotency_key") is not None


def _headers(address: Address, target: _Target, options: CallOptions) -> dict[str, str]:
    headers = {"content-type": target.content_type} if target.content_type else {}
    headers |= options.get("headers") or {}
    idempotency_key = options.get("idempotency_key")
    if idempotency_key is not None:
        if not idempotency_key:
            raise UsageError("idempotency_key must not be empty; leave it out, or give one")
        headers["idempotency-key"] = idempotency_key
    limit_key = options.get("limit_key")
    if limit_key is not None:
        check_scope(address.scope, limit_key)
        headers["x-restate-limit-key"] = limit_key
    priority = options.get("priority")
    if priority is not None:
        check_priority(priority)
        headers[PRIORITY_HEADER] = str(priority)
    return address.with_own(headers)


def workflow_target(address: Address, workflow: str, key: str) -> dict[str, str]:
    """A workflow's run, as the ingress reads it in bodies."""
    target = {"target": "workflow", "workflowName": workflow, "workflowKey": key}
    return target if address.scope is None else {**target, "scope": address.scope}


class _Accepted(msgspec.Struct):
    invocationId: str
    status: str
