"""Calls: other handlers, asked and awaited, or sent off. All verbs are one `_call` or one `_send`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias, TypedDict, TypeVar, Unpack

from perdure.errors import UsageError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.discovery import ServiceType
from perdure.protocol.priorities import PRIORITY_HEADER, check_priority
from perdure.protocol.scopes import check_scope
from perdure.protocol.versions import SCOPES
from perdure.sdk.capabilities.capability import Capability, as_value_of, checked, checked_id, chosen, issued
from perdure.sdk.definition import HandlerFunction, handler_of
from perdure.sdk.futures import DurableCallFuture, DurableFuture, SendHandle, as_invocation_id
from perdure.sdk.limits import TimeLimit, check_span, time_limit
from perdure.sdk.serde import BytesSerde, Serde

I = TypeVar("I")  # noqa: E741  input and output, as in the official SDK
O = TypeVar("O")  # noqa: E741
T = TypeVar("T")

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


class FlowOptions(TypedDict, total=False):
    """How a call or send is held back and ordered, where there are limits."""

    limit_key: str | None
    """What it counts as within its scope: `tenant`, or `tenant/user`."""
    priority: int | None
    """From -100 to 100, 0 by default: of those that wait, higher ones go first."""


class CallMore(FlowOptions, total=False):
    """What else a call may say."""

    timeout: timedelta | None
    """After it, the call fails with `TimedOut`, and its callee is cancelled."""


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What a call or send says beside its target and input, checked."""

    idempotency_key: str | None = None
    headers: Headers = None
    scope: str | None = None
    limit_key: str | None = None
    priority: int | None = None

    def __post_init__(self) -> None:
        if self.idempotency_key == "":
            raise UsageError("idempotency_key must not be empty; leave it out, or give one")
        if self.scope is not None:
            checked("a scope", self.scope)
        if self.limit_key is not None:
            checked("a limit key", self.limit_key)
        check_scope(self.scope, self.limit_key)
        if self.priority is not None:
            check_priority(self.priority)


class Calls(Capability):
    """Calls other handlers. Each call runs once, however often this handler is retried."""

    __slots__ = ()

    _scope: str | None = None

    def service_call(
        self,
        tpe: HandlerFunction[I, O],
        arg: I | None = None,
        idempotency_key: str | None = None,
        headers: Headers = None,
        **more: Unpack[CallMore],
    ) -> DurableCallFuture[O]:
        """Calls a service's handler; of a virtual object, the one with the empty key. Await the result."""
        return self._call(_unkeyed(tpe), arg, self._options(idempotency_key, headers, more), more.get("timeout"))

    def service_send(
        self,
        tpe: HandlerFunction[I, Any],
        arg: I | None = None,
        send_delay: timedelta | None = None,
        idempotency_key: str | None = None,
        headers: Headers = None,
        **more: Unpack[FlowOptions],
    ) -> SendHandle:
        """Sends to a service's handler, after `send_delay` if given, and does not wait for the result."""
        return self._send(_unkeyed(tpe), arg, self._options(idempotency_key, headers, more), send_delay)

    def object_call(
        self,
        tpe: HandlerFunction[I, O],
        key: str,
        arg: I | None = None,
        idempotency_key: str | None = None,
        headers: Headers = None,
        **more: Unpack[CallMore],
    ) -> DurableCallFuture[O]:
        """Calls the handler of a virtual object, or (`workflow_call`) of the workflow with the id `key`.

        Await the result.
        """
        return self._call(_typed(tpe, key), arg, self._options(idempotency_key, headers, more), more.get("timeout"))

    def object_send(
        self,
        tpe: HandlerFunction[I, Any],
        key: str,
        arg: I | None = None,
        send_delay: timedelta | None = None,
        idempotency_key: str | None = None,
        headers: Headers = None,
        **more: Unpack[FlowOptions],
    ) -> SendHandle:
        """Sends to the handler of a virtual object, or (`workflow_send`) of the workflow with the id `key`.

        After `send_delay` if given; the result is not waited for.
        """
        return self._send(_typed(tpe, key), arg, self._options(idempotency_key, headers, more), send_delay)

    workflow_call = object_call
    workflow_send = object_send

    def generic_call(
        self,
        service: str,
        handler: str,
        arg: bytes = b"",
        key: str | None = None,
        idempotency_key: str | None = None,
        headers: Headers = None,
        scope: str | None = None,
        **more: Unpack[CallMore],
    ) -> DurableCallFuture[bytes]:
        """Calls a handler by its name, bytes in, bytes out: for targets that are only known at run time."""
        target = CallTarget(service, handler, key, _BYTES, _BYTES)
        return self._call(target, arg, self._options(idempotency_key, headers, more, scope), more.get("timeout"))

    def generic_send(
        self,
        service: str,
        handler: str,
        arg: bytes = b"",
        key: str | None = None,
        send_delay: timedelta | None = None,
        idempotency_key: str | None = None,
        headers: Headers = None,
        scope: str | None = None,
        **more: Unpack[FlowOptions],
    ) -> SendHandle:
        """Sends to a handler by its name, after `send_delay` if given."""
        target = CallTarget(service, handler, key, _BYTES, _BYTES)
        return self._send(target, arg, self._options(idempotency_key, headers, more, scope), send_delay)

    def attach_invocation(
        self,
        invocation_id: str,
        serde: Serde[T] | None = None,
        type_hint: type[T] | None = None,
        *,
        timeout: timedelta | None = None,
    ) -> DurableFuture[T]:
        """The result of an invocation that was started elsewhere. Await it.

        After `timeout`, it fails with `TimedOut`; the invocation goes on.
        """
        progress = self._progress
        command = pb.AttachInvocationCommandMessage(invocation_id=checked_id(invocation_id))
        handle = issued(progress, command, time_limit(timeout, f"invocation {invocation_id}", "did not end"))
        read = as_value_of(f"the result of invocation {invocation_id}", chosen(serde, type_hint))
        return DurableFuture(progress, handle, read)

    def _options(
        self, idempotency_key: str | None, headers: Headers, more: FlowOptions, scope: str | None = None
    ) -> CallOptions:
        scope = self._scope if scope is None else scope
        return CallOptions(idempotency_key, headers, scope, more.get("limit_key"), more.get("priority"))

    def _call(
        self, target: CallTarget, value: Any, options: CallOptions, timeout: timedelta | None
    ) -> DurableCallFuture[Any]:
        progress = self._progress
        limit = time_limit(timeout, f"{target.service}/{target.handler}", "gave no result")
        command = pb.CallCommandMessage(parameter=target.input_serde.serialize(value))
        self._address(command, target, options)
        id_handle, result_handle = progress.do(self._begin_call, command, limit)
        invocation_id = DurableFuture(progress, id_handle, as_invocation_id)
        read = as_value_of(f"the result of {target.service}/{target.handler}", target.output_serde)
        return DurableCallFuture(progress, result_handle, read, invocation_id)

    def _begin_call(self, command: pb.CallCommandMessage, limit: TimeLimit | None) -> tuple[int, int]:
        id_handle, result_handle = self._progress.machine.issue_call(command)
        self._progress.limit(result_handle, limit, callee=id_handle)
        return id_handle, result_handle

    def _send(self, target: CallTarget, value: Any, options: CallOptions, send_delay: timedelta | None) -> SendHandle:
        progress = self._progress
        if send_delay is not None:
            check_span("send_delay", send_delay)
        command = pb.OneWayCallCommandMessage(parameter=target.input_serde.serialize(value))
        self._address(command, target, options)
        if send_delay is not None:
            command.invoke_time = progress.due_ms(send_delay)
        handle = progress.do(progress.machine.commands.issue_send, command)
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
        if options.priority is not None:
            command.headers.add(key=PRIORITY_HEADER, value=str(options.priority))
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
            command.scope = options.scope
        if options.limit_key is not None:
            command.limit_key = options.limit_key


def _unkeyed(function: Callable[..., Any]) -> CallTarget:
    return _typed(function, "" if handler_of(function).service.kind == "VIRTUAL_OBJECT" else None)


_CALLED_WITH: dict[ServiceType, str] = {
    "SERVICE": "a service: call it with service_call or service_send",
    "VIRTUAL_OBJECT": "a virtual object: call it with object_call or object_send, and a key",
    "WORKFLOW": "a workflow: call it with workflow_call or workflow_send, and a key",
}


def _typed(function: Callable[..., Any], key: str | None = None) -> CallTarget:
    definition = handler_of(function)
    service = definition.service
    if (key is None) != (service.kind == "SERVICE"):
        raise UsageError(f"{definition.target} is {_CALLED_WITH[service.kind]}")
    return CallTarget(service.name, definition.name, key, definition.input_serde, definition.output_serde)
