"""Fakes: scripted stand-ins for handlers, and spies for what handlers do outside. Both record what they were asked."""

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from msgspec import DecodeError

from perdure.errors import UsageError
from perdure.sdk.context import Context, ObjectSharedContext, context_var
from perdure.sdk.definition import HandlerDefinition
from perdure.sdk.progress import run_key_var
from perdure.sdk.serde import JsonSerde, Serde
from perdure.sdk.service import Service
from perdure.sdk.virtual_object import VirtualObject
from perdure.sdk.workflow import Workflow

Kind: TypeAlias = Literal["service", "object", "workflow"]
Fails: TypeAlias = int | Iterable[Exception]
"""How many attempts fail first, or what they fail with."""


@dataclass(slots=True)
class FakeCall:
    """One invocation of a fake. `attempts` counts how often it was tried."""

    arg: Any
    key: str | None
    headers: dict[str, str]
    invocation_id: str
    attempts: int = 0


class Fake:
    """A scripted handler. `calls` has each invocation of it, in order of arrival."""

    def __init__(self, target: str, returns: Any, fails: Fails) -> None:
        self.target = target
        self.calls: list[FakeCall] = []
        self._returns = returns
        self._fails: list[Exception] = (
            [RuntimeError(f"scripted failure {n + 1} of {fails}") for n in range(fails)]
            if isinstance(fails, int)
            else list(fails)
        )
        self._left = list(self._fails)

    @property
    def arguments(self) -> list[Any]:
        """What it was called with, in order of arrival."""
        return [call.arg for call in self.calls]

    def __repr__(self) -> str:
        return f"<fake of {self.target}: {len(self.calls)} calls>"

    def reset(self) -> None:
        """Forgets the calls, and begins its script anew."""
        self.calls = []
        self._left = list(self._fails)

    async def run(self, ctx: Context, arg: Any = None) -> Any:
        """The handler that it is."""
        call = self._note(ctx, arg)
        call.attempts += 1
        if self._left:
            raise self._left.pop(0)
        if isinstance(self._returns, Exception):
            raise self._returns
        if not callable(self._returns):
            return self._returns
        result = self._returns(*_arguments(self._returns, ctx, arg))
        return await result if inspect.isawaitable(result) else result

    def _note(self, ctx: Context, arg: Any) -> FakeCall:
        call = next((call for call in self.calls if call.invocation_id == ctx.invocation_id), None)
        if call is None:
            key = ctx.key() if isinstance(ctx, ObjectSharedContext) else None
            call = FakeCall(arg, key, ctx.request().headers, ctx.invocation_id)
            self.calls.append(call)
        return call


@dataclass(frozen=True, slots=True)
class SpyCall:
    """One call of a spied function. `run_key` is that of the run that it was called in; None outside of runs."""

    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    run_key: str | None
    invocation_id: str | None


@dataclass(slots=True)
class Spy:
    """What a spied function was called with."""

    name: str
    calls: list[SpyCall] = field(default_factory=list[SpyCall])

    def reset(self) -> None:
        """Forgets the calls."""
        self.calls.clear()

    def effects(self) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
        """The calls as the world outside has them if it knows run keys: a run that was tried again counts once."""
        seen: set[str] = set()
        effects: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        for call in self.calls:
            if call.run_key is None or call.run_key not in seen:
                effects.append((call.arguments, call.keywords))
            if call.run_key is not None:
                seen.add(call.run_key)
        return effects

    def wrap(self, fn: Callable[..., Any]) -> Any:
        """`fn`, with each call recorded."""

        def note(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
            context = context_var.get()
            invocation_id = context.invocation_id if context is not None else None
            self.calls.append(SpyCall(arguments, keywords, run_key_var.get(), invocation_id))

        if inspect.iscoroutinefunction(fn):

            async def spied_async(*arguments: Any, **keywords: Any) -> Any:
                note(arguments, keywords)
                return await fn(*arguments, **keywords)

            spied: Any = functools.wraps(fn)(spied_async)
        else:

            def spied_sync(*arguments: Any, **keywords: Any) -> Any:
                note(arguments, keywords)
                return fn(*arguments, **keywords)

            spied = functools.wraps(fn)(spied_sync)
        spied.calls = self.calls
        return spied


class AnySerde(Serde[Any]):
    """JSON where it is JSON, else bytes: what a fake of an unknown handler is sent."""

    def deserialize(self, buf: bytes) -> Any:
        try:
            return JsonSerde[Any]().deserialize(buf)
        except DecodeError:
            return buf

    def serialize(self, obj: Any) -> bytes:
        return obj if isinstance(obj, bytes) else JsonSerde[Any]().serialize(obj)


_KINDS: dict[Kind, type[Service] | type[VirtualObject] | type[Workflow]] = {
    "service": Service,
    "object": VirtualObject,
    "workflow": Workflow,
}


def unknown_handler(target: str, kind: Kind) -> HandlerDefinition:
    """A definition for a handler that nobody here knows more of than its name."""
    service_name, slash, handler_name = target.partition("/")
    if not slash or not service_name or not handler_name:
        raise UsageError(f"{target!r} is no handler: a fake is of a handler, or of 'Service/handler'")
    service = _KINDS[kind](service_name)
    decorate: Any = service.main if isinstance(service, Workflow) else service.handler
    serde = AnySerde()

    async def placeholder(ctx: Context, arg: Any = None) -> Any: ...

    decorate(handler_name, input_serde=serde, output_serde=serde)(placeholder)
    return service.handlers[handler_name]


def _arguments(fn: Callable[..., Any], ctx: Context, arg: Any) -> Iterator[Any]:
    """`fn()`, `fn(arg)` or `fn(ctx, arg)`, by how many it takes."""
    try:
        parameters = inspect.signature(fn).parameters.values()
    except ValueError:  # a builtin that does not say
        yield arg
        return
    count = sum(each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD) for each in parameters)
    if count > 1:
        yield ctx
    if count:
        yield arg
