"""Results of invocations that exist, as a client asks for them: by id, by idempotency key, by workflow."""

from collections.abc import Callable
from enum import Enum
from typing import Any, Final, Literal, TypeAlias, TypeVar, overload

import msgspec
import pyqwest

from perdure.sdk.client_calls import DurableClientSendHandle, workflow_target
from perdure.sdk.client_requests import Address, Exchange
from perdure.sdk.definition import HandlerFunction, handler_of
from perdure.sdk.serde import Serde, serde_for

O = TypeVar("O")  # noqa: E741 - a handler's output
T = TypeVar("T")

_NOT_READY_STATUS: Final = 470


class NotReady(Enum):
    """What `output` gives for an invocation that has not ended: `NOT_READY`, which is no handler's result."""

    NOT_READY = "not ready"

    def __bool__(self) -> Literal[False]:
        return False


NOT_READY: Final = NotReady.NOT_READY

Output: TypeAlias = T | Literal[NotReady.NOT_READY]
"""A result, or `NOT_READY`."""


@overload
def attach(address: Address, invocation: DurableClientSendHandle[T]) -> Exchange[T]: ...
@overload
def attach(address: Address, invocation: str, *, type_hint: type[T]) -> Exchange[T]: ...
@overload
def attach(address: Address, invocation: str, serde: Serde[T]) -> Exchange[T]: ...
@overload
def attach(address: Address, invocation: str) -> Exchange[Any]: ...
def attach(
    address: Address,
    invocation: str | DurableClientSendHandle[Any],
    serde: Serde[Any] | None = None,
    type_hint: type[Any] | None = None,
) -> Exchange[Any]:
    """Waits for an invocation, by what a send gave or by its id, and gives its result, read as `type_hint` says."""
    id, serde = _named(invocation, serde, type_hint)
    return Exchange("GET", address.ingress("attach", id), _reader(serde), address.with_own({}), repeatable=True)


@overload
def output(address: Address, invocation: DurableClientSendHandle[T]) -> Exchange[Output[T]]: ...
@overload
def output(address: Address, invocation: str, *, type_hint: type[T]) -> Exchange[Output[T]]: ...
@overload
def output(address: Address, invocation: str, serde: Serde[T]) -> Exchange[Output[T]]: ...
@overload
def output(address: Address, invocation: str) -> Exchange[Any]: ...
def output(
    address: Address,
    invocation: str | DurableClientSendHandle[Any],
    serde: Serde[Any] | None = None,
    type_hint: type[Any] | None = None,
) -> Exchange[Any]:
    """The result of an invocation, or `NOT_READY` where it has not ended; else like `attach`."""
    id, serde = _named(invocation, serde, type_hint)
    return Exchange(
        "GET",
        address.ingress("output", id),
        _reader_of_output(serde),
        address.with_own({}),
        repeatable=True,
        expected=_NOT_READY_STATUS,
    )


def workflow_attach(address: Address, handler: HandlerFunction[Any, O], key: str) -> Exchange[O]:
    """Waits for a workflow, by its main handler and id, and gives its result."""
    return _attach(address, handler, _workflow(address, handler, key))


def workflow_output(address: Address, handler: HandlerFunction[Any, O], key: str) -> Exchange[Output[O]]:
    """The result of a workflow, or `NOT_READY`."""
    return _output(address, handler, _workflow(address, handler, key))


def workflow_lookup(address: Address, handler: HandlerFunction[Any, Any], key: str) -> Exchange[str]:
    """The id of a workflow's invocation, whether or not there is one."""
    return _lookup(address, _workflow(address, handler, key))


def idempotent_attach(
    address: Address, handler: HandlerFunction[Any, O], idempotency_key: str, key: str | None = None
) -> Exchange[O]:
    """Waits for what was begun with an idempotency key, and gives its result. `key` is that of a virtual object."""
    return _attach(address, handler, _idempotent(address, handler, idempotency_key, key))


def idempotent_output(
    address: Address, handler: HandlerFunction[Any, O], idempotency_key: str, key: str | None = None
) -> Exchange[Output[O]]:
    """The result of what was begun with an idempotency key, or `NOT_READY`."""
    return _output(address, handler, _idempotent(address, handler, idempotency_key, key))


def idempotent_lookup(
    address: Address, handler: HandlerFunction[Any, Any], idempotency_key: str, key: str | None = None
) -> Exchange[str]:
    """The id of what is begun with an idempotency key, whether or not it was."""
    return _lookup(address, _idempotent(address, handler, idempotency_key, key))


def _workflow(address: Address, handler: HandlerFunction[Any, Any], key: str) -> dict[str, str]:
    return workflow_target(address, handler_of(handler).service.name, key)


def _idempotent(
    address: Address, handler: HandlerFunction[Any, Any], idempotency_key: str, key: str | None
) -> dict[str, str]:
    definition = handler_of(handler)
    target = {
        "target": "idempotentInvocation",
        "service": definition.service.name,
        "handler": definition.name,
        "idempotencyKey": idempotency_key,
    }
    if key is not None:
        target["key"] = key
    if address.scope is not None:
        target["scope"] = address.scope
    return target


def _attach(address: Address, handler: HandlerFunction[Any, O], target: dict[str, str]) -> Exchange[O]:
    return _asked(address, "attach", target, _reader(handler_of(handler).output_serde))


def _output(address: Address, handler: HandlerFunction[Any, O], target: dict[str, str]) -> Exchange[Output[O]]:
    read = _reader_of_output(handler_of(handler).output_serde)
    return _asked(address, "output", target, read, expected=_NOT_READY_STATUS)


def _lookup(address: Address, target: dict[str, str]) -> Exchange[str]:
    return _asked(address, "lookup", target, lambda answer: _decode_lookup(answer).invocationId)


def _asked(
    address: Address,
    verb: str,
    target: dict[str, str],
    read: Callable[[pyqwest.FullResponse], T],
    expected: int | None = None,
) -> Exchange[T]:
    headers = address.with_own({"content-type": "application/json"})
    body = msgspec.json.encode(target)
    return Exchange("POST", address.ingress(verb), read, headers, body, repeatable=True, expected=expected)


def _named(
    invocation: str | DurableClientSendHandle[Any], serde: Serde[Any] | None, type_hint: type[Any] | None
) -> tuple[str, Serde[Any]]:
    if isinstance(invocation, str):
        return invocation, serde or serde_for(type_hint)
    return invocation.invocation_id, serde or invocation.output_serde or serde_for(type_hint)


def _reader(serde: Serde[Any]) -> Callable[[pyqwest.FullResponse], Any]:
    return lambda answer: serde.deserialize(answer.content)


def _reader_of_output(serde: Serde[Any]) -> Callable[[pyqwest.FullResponse], Any]:
    return lambda answer: NOT_READY if answer.status == _NOT_READY_STATUS else serde.deserialize(answer.content)


class _Found(msgspec.Struct):
    invocationId: str


def _decode_lookup(answer: pyqwest.FullResponse) -> _Found:
    return msgspec.json.decode(answer.content, type=_Found)
