"""Typed calls of handlers on an engine in this process: for programs that embed one, and for tests."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, TypeAlias, TypedDict, TypeVar, Unpack, cast

from perdure.engine.answers import Accepted, Failure, Outcome
from perdure.engine.engine import Engine as Core
from perdure.engine.events import Target
from perdure.errors import TerminalError, UsageError
from perdure.protocol.priorities import PRIORITY_HEADER, check_priority
from perdure.sdk.capabilities.capability import checked
from perdure.sdk.definition import HandlerDefinition, HandlerFunction, handler_of
from perdure.sdk.limits import milliseconds
from perdure.sdk.serde import JsonSerde

I = TypeVar("I")  # noqa: E741 - a handler's input; O is its output
O = TypeVar("O")  # noqa: E741
T = TypeVar("T")

Invocation: TypeAlias = str | Accepted
"""An invocation's id, or what `send` returned of it."""

_JSON = JsonSerde[Any]()


class CallOptions(TypedDict, total=False):
    """What may be said with a call. The same idempotency key gives the same invocation, thus the same result."""

    key: str | None
    """Of the virtual object or workflow."""
    idempotency_key: str | None
    headers: Mapping[str, str] | None
    scope: str | None
    """A part of the identity of what is called, in which limits count."""
    limit_key: str | None
    """What it counts as within the scope: `tenant`, or `tenant/user`."""
    priority: int | None
    """From -100 to 100, 0 by default: of those that wait, higher ones go first."""


class SendOptions(CallOptions, total=False):
    """What may be said with a send: also, that it is to begin later."""

    delay: timedelta | None


class TypedCalls:
    """What can be asked of an engine, in terms of handlers and values. A subclass says which engine, and when."""

    async def _ask(self, question: Callable[[Core], Awaitable[T]]) -> T:
        """Asks the engine."""
        raise NotImplementedError

    async def _tell(self, deed: Callable[[Core], Awaitable[object]]) -> None:
        """Has the engine do what it does once, and refuses with `Conflict` when asked again."""
        await self._ask(deed)

    async def call(self, handler: HandlerFunction[I, O], arg: I | None = None, **options: Unpack[CallOptions]) -> O:
        """Runs a handler durably, and waits for its result.

        Raises:
            TerminalError: the handler failed for good.
            Overloaded: too many wait to begin already; it was not taken in.
            EngineStopping: the engine was left before the result came. It comes when asked again later, if there is
                an `idempotency_key`.
        """
        definition = handler_of(handler)
        _check_texts(options)
        target, body, headers = _target(definition, options), _body(definition, arg), _headers(options)
        key, limit_key = options.get("idempotency_key"), options.get("limit_key")
        outcome = await self._ask(
            lambda engine: engine.call(target, body, headers=headers, idempotency_key=key, limit_key=limit_key)
        )
        return cast("O", result_of(definition, outcome))

    async def send(
        self, handler: HandlerFunction[I, Any], arg: I | None = None, **options: Unpack[SendOptions]
    ) -> Accepted:
        """Has a handler run, now or after a delay; returns as soon as that is certain. Raises `Overloaded`."""
        definition = handler_of(handler)
        _check_texts(options)
        target, body, headers = _target(definition, options), _body(definition, arg), _headers(options)
        key, limit_key = options.get("idempotency_key"), options.get("limit_key")
        delay = options.get("delay")
        delay_ms = None if delay is None else milliseconds("delay", delay)
        return await self._ask(
            lambda engine: engine.send(
                target, body, headers=headers, idempotency_key=key, limit_key=limit_key, delay_ms=delay_ms
            )
        )

    async def attach(self, handler: HandlerFunction[Any, O], invocation_id: Invocation) -> O:
        """Waits for the result of an invocation that `send` returned. Raises like `call`."""
        id = id_of(invocation_id)
        outcome = await self._ask(lambda engine: engine.attach(id))
        return cast("O", result_of(handler_of(handler), outcome))

    async def resolve_awakeable(self, awakeable_id: str, value: Any = None) -> None:
        """Gives an awakeable its value, as JSON."""
        await self._ask(lambda engine: engine.resolve_awakeable(awakeable_id, _JSON.serialize(value)))

    async def reject_awakeable(self, awakeable_id: str, reason: str) -> None:
        """Fails an awakeable: whoever awaits it gets a terminal error."""
        checked("a reason", reason)
        await self._ask(lambda engine: engine.reject_awakeable(awakeable_id, reason))

    async def resolve_signal(self, invocation_id: Invocation, name: str, value: Any = None) -> None:
        """Sends an invocation a signal with a value, as JSON."""
        id = id_of(invocation_id)
        checked("the name of a signal", name)
        await self._ask(lambda engine: engine.send_signal(id, name, _JSON.serialize(value)))

    async def reject_signal(self, invocation_id: Invocation, name: str, reason: str) -> None:
        """Sends an invocation a signal that is a failure."""
        id = id_of(invocation_id)
        checked("the name of a signal", name)
        failure = Failure(500, checked("a reason", reason))
        await self._ask(lambda engine: engine.send_signal(id, name, failure))

    async def resolve_promise(
        self, workflow: str, key: str, name: str, value: Any = None, *, scope: str | None = None
    ) -> None:
        """Gives a workflow's durable promise its value, as JSON."""
        _check_promise(workflow, key, name)
        content = _JSON.serialize(value)
        await self._tell(lambda engine: engine.complete_promise(workflow, key, name, content, scope=scope))

    async def reject_promise(
        self, workflow: str, key: str, name: str, reason: str, *, scope: str | None = None
    ) -> None:
        """Fails a workflow's durable promise."""
        _check_promise(workflow, key, name)
        failure = Failure(500, checked("a reason", reason))
        await self._tell(lambda engine: engine.complete_promise(workflow, key, name, failure, scope=scope))

    async def cancel(self, invocation_id: Invocation) -> None:
        """Asks an invocation to end: it sees a terminal error (409) at its next await."""
        id = id_of(invocation_id)
        await self._tell(lambda engine: engine.invocations.cancel(id))

    async def kill(self, invocation_id: Invocation) -> None:
        """Ends an invocation, and the calls that it awaits, at once, unasked."""
        id = id_of(invocation_id)
        await self._tell(lambda engine: engine.invocations.kill(id))


def id_of(invocation: Invocation) -> str:
    """The id of an invocation that is named by it, or by what a send gave.

    Raises:
        UsageError: it is neither.
    """
    id = invocation.invocation_id if isinstance(invocation, Accepted) else invocation
    if not isinstance(id, str):  # pyright: ignore[reportUnnecessaryIsInstance]  code without type hints
        raise UsageError(f"an invocation is named by its id, or by what a send gave, not by a {type(id).__name__}")
    return id


def result_of(definition: HandlerDefinition, outcome: Outcome) -> Any:
    """The value of an outcome.

    Raises:
        TerminalError: it is a failure.
    """
    if outcome.failure is not None:
        raise TerminalError(outcome.failure.message, outcome.failure.code, outcome.failure.metadata)
    return definition.output_serde.deserialize(outcome.value or b"")


def _check_texts(options: CallOptions) -> None:
    """Raises `UsageError` where something that is said with a call is no text, or cannot be written."""
    for name in ("key", "idempotency_key", "scope", "limit_key"):
        text = options.get(name)
        if text is not None:
            checked(name, text)
    for name, value in (options.get("headers") or {}).items():
        checked(f"header {name!a}", value)
        checked("the name of a header", name)


def _check_promise(workflow: str, key: str, name: str) -> None:
    checked("the name of a workflow", workflow)
    checked("a key", key)
    checked("the name of a promise", name)


def _target(definition: HandlerDefinition, options: CallOptions) -> Target:
    key = options.get("key")
    if (key is None) != (definition.service.kind == "SERVICE"):
        need = "has no keys" if key is not None else "needs a key"
        raise UsageError(f"{definition.target} {need}: it is in a {definition.service.kind.lower().replace('_', ' ')}")
    return Target(definition.service.name, definition.name, key, options.get("scope"))


def _body(definition: HandlerDefinition, arg: object) -> bytes:
    return definition.input_serde.serialize(arg) if definition.takes_input else b""


def _headers(options: CallOptions) -> tuple[tuple[str, str], ...]:
    headers = dict(options.get("headers") or {})
    priority = options.get("priority")
    if priority is not None:
        check_priority(priority)
        headers[PRIORITY_HEADER] = str(priority)
    return tuple(headers.items())
