"""Calls: other handlers, asked and awaited, or sent off. All verbs are one `_call` or one `_send`."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias, TypeVar

from perdure.errors import UsageError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.versions import SCOPES
from perdure.sdk.capabilities.capability import Capability, as_value, checked, chosen
from perdure.sdk.definition import handler_of
from perdure.sdk.futures import DurableCallFuture, DurableFuture, SendHandle, as_invocation_id
from perdure.sdk.serde import BytesSerde, Serde

I = TypeVar("I")  # noqa: E741  input and output, as in the official SDK
O = TypeVar("O")  # noqa: E741
T = TypeVar("T")

HandlerType: TypeAlias = Callable[[Any, I], Awaitable[O] | O] | Callable[[Any], Awaitable[O] | O]
"""What a handler decorator returns."""

Headers: TypeAlias = Mapping[str, str] | None

_BYTES = BytesSerde()


@dataclass(frozen=True, slots=True)
class CallTarget:
    """Whom to call, and how input and output are written."""

    service: str
    handler: str
    key: str | None
    input_serde: Serde[Any]
    output_serde: Serde[Any]


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What else a call may say."""

    idempotency_key: str | None = None
    headers: Headers = None
    send_delay: timedelta | None = None
    scope: str | None = None
    limit_key: str | None = None

    def __post_init__(self) -> None:
        for name in ("idempotency_key", "scope", "limit_key"):
            if getattr(self, name) == "":
                raise UsageError(f"{name} must not be empty; leave it out, or give one")


class Calls(Capability):
    """Calls other handlers. Each call runs once, however often this handler is retried."""

    __slots__ = ()

    _scope: str | None = None

    def service_call(
        self,
        tpe: HandlerType[I, O],
        arg: I,
        idempotency_key: str | None = None,
        headers: Headers = None,
        *,
        limit_key: str | None = None,
    ) -> DurableCallFuture[O]:
        """Calls a service's handler. Await the result."""
        return self._call(_typed(tpe), arg, CallOptions(idempotency_key, headers, None, self._scope, limit_key))

    def service_send(
        self,
        tpe: HandlerType[I, Any],
        arg: I,
        send_delay: timedelta | None = None,
        idempotency_key: str | None = None,
        headers: Headers = None,
        *,
        limit_key: str | None = None,
    ) -> SendHandle:
        """Sends to a service's handler, after `send_delay` if given, and does not wait for the result."""
        return self._send(_typed(tpe), arg, CallOptions(idempotency_key, headers, send_delay, self._scope, limit_key))

    def object_call(
        self,
        tpe: HandlerType[I, O],
        key: str,
        arg: I,
        idempotency_key: str | None = None,
        headers: Headers = None,
        *,
        limit_key: str | None = None,
    ) -> DurableCallFuture[O]:
        """Calls the handler of a virtual object. Await the result."""
        return self._call(_typed(tpe, key), arg, CallOptions(idempotency_key, headers, None, self._scope, limit_key))

    def object_send(
        self,
        tpe: HandlerType[I, Any],
        key: str,
        arg: I,
        send_delay: timedelta | None = None,
        idempotency_key: str | None = None,
        headers: Headers = None,
        *,
        limit_key: str | None = None,
    ) -> SendHandle:
        """Sends to the handler of a virtual object, after `send_delay` if given."""
        options = CallOptions(idempotency_key, headers, send_delay, self._scope, limit_key)
        return self._send(_typed(tpe, key), arg, options)

    workflow_call = object_call
    """Calls a workflow, or one of its shared handlers; `key` is the workflow's id. Await the result."""

    workflow_send = object_send
    """Sends to a workflow, or to one of its shared handlers; `key` is the workflow's id."""

    def generic_call(
        self,
        service: str,
        handler: str,
        arg: bytes,
        key: str | None = None,
        idempotency_key: str | None = None,
        headers: Headers = None,
        scope: str | None = None,
        limit_key: str | None = None,
    ) -> DurableCallFuture[bytes]:
        """Calls a handler by its name, bytes in, bytes out: for targets that are only known at run time."""
        options = CallOptions(idempotency_key, headers, None, scope or self._scope, limit_key)
        return self._call(CallTarget(service, handler, key, _BYTES, _BYTES), arg, options)

    def generic_send(
        self,
        service: str,
        handler: str,
        arg: bytes,
        key: str | None = None,
        send_delay: timedelta | None = None,
        idempotency_key: str | None = None,
        headers: Headers = None,
        scope: str | None = None,
        limit_key: str | None = None,
    ) -> SendHandle:
        """Sends to a handler by its name, after `send_delay` if given."""
        options = CallOptions(idempotency_key, headers, send_delay, scope or self._scope, limit_key)
        return self._send(CallTarget(service, handler, key, _BYTES, _BYTES), arg, options)

    def attach_invocation(
        self, invocation_id: str, serde: Serde[T] | None = None, type_hint: type[T] | None = None
    ) -> DurableFuture[T]:
        """The result of an invocation that was started elsewhere. Await it."""
        progress = self._progress
        command = pb.AttachInvocationCommandMessage(invocation_id=checked("an invocation id", invocation_id))
        handle = progress.do(progress.machine.issue_completable, command)
        return DurableFuture(progress, handle, as_value(chosen(serde, type_hint)))

    def _call(self, target: CallTarget, value: Any, options: CallOptions) -> DurableCallFuture[Any]:
        progress = self._progress
        command = pb.CallCommandMessage(parameter=target.input_serde.serialize(value))
        self._address(command, target, options)
        id_handle, result_handle = progress.do(progress.machine.issue_call, command)
        invocation_id = DurableFuture(progress, id_handle, as_invocation_id)
        return DurableCallFuture(progress, result_handle, as_value(target.output_serde), invocation_id)

    def _send(self, target: CallTarget, value: Any, options: CallOptions) -> SendHandle:
        progress = self._progress
        command = pb.OneWayCallCommandMessage(parameter=target.input_serde.serialize(value))
        self._address(command, target, options)
        if options.send_delay is not None:
            command.invoke_time = int(max(0, progress.clock() + options.send_delay.total_seconds()) * 1000)
        handle = progress.do(progress.machine.issue_send, command)
        return SendHandle(DurableFuture(progress, handle, as_invocation_id))

    def _address(
        self, command: pb.CallCommandMessage | pb.OneWayCallCommandMessage, target: CallTarget, options: CallOptions
    ) -> None:
        command.service_name = checked("the name of a service", target.service)
        command.handler_name = checked("the name of a handler", target.handler)
        if target.key is not None:
            command.key = checked("a key", target.key)
        for name, value in (options.headers or {}).items():
            command.headers.add(key=checked("the name of a header", name), value=checked(f"header {name}", value))
        if options.idempotency_key is not None:
            command.idempotency_key = checked("an idempotency key", options.idempotency_key)
        if options.scope is None and options.limit_key is None:
            return
        if self._progress.machine.version < SCOPES:
            raise UsageError(
                f"scopes and limit keys need protocol version {SCOPES}, and this invocation runs with version "
                f"{self._progress.machine.version}"
            )
        if options.scope is not None:
            command.scope = checked("a scope", options.scope)
        if options.limit_key is not None:
            command.limit_key = checked("a limit key", options.limit_key)


def _typed(function: Callable[..., Any], key: str | None = None) -> CallTarget:
    definition = handler_of(function)
    service = definition.service
    if (key is None) != (service.kind == "SERVICE"):
        verb = "service_call or service_send" if service.kind == "SERVICE" else "a key: object_call, workflow_call"
        raise UsageError(f"{definition.target} is a {service.kind.lower().replace('_', ' ')}: call it with {verb}")
    return CallTarget(service.name, definition.name, key, definition.input_serde, definition.output_serde)
