"""How the call of a tool is recorded: as one step, with the context, or as the call of a handler elsewhere."""

import functools
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar, cast, overload

from perdure.errors import UsageError
from perdure.ext.codecs import PLAIN, Codec
from perdure.ext.durable_here import durable_here
from perdure.ext.steps import Entry, step
from perdure.sdk.capabilities.runs import RunOptions

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Step:
    """Its body runs once, until its result is recorded; it cannot use the context."""

    options: RunOptions[Any] | None = None


@dataclass(frozen=True, slots=True)
class WithContext:
    """Its body makes its own steps and calls, and awaits nothing else; it runs again on replay."""


Recording: TypeAlias = Step | WithContext

TOOL_OPTIONS: Final[RunOptions[Any]] = RunOptions(max_attempts=3)
"""What holds for a step that says nothing: an error that stays is the model's to hear of."""

_MARK: Final = "__perdure_recorded__"


@overload
def as_step(fn: F, /) -> F: ...
@overload
def as_step(fn: None = None, /, *, options: RunOptions[Any] | None = None) -> Callable[[F], F]: ...
def as_step(fn: F | None = None, /, *, options: RunOptions[Any] | None = None) -> F | Callable[[F], F]:
    """Marks a tool's function: `@as_step`, or `@as_step(options=RunOptions(max_attempts=5))`. See `Step`."""
    if fn is not None:
        return _marked(fn, Step(options))

    def mark(function: F) -> F:
        return _marked(function, Step(options))

    return mark


def with_context(fn: F) -> F:
    """Marks a tool's function, which must be `async def`. See `WithContext`."""
    if not inspect.iscoroutinefunction(_innermost(fn)):
        raise UsageError(f"{_name(fn)} must be `async def` to be run with the context, or else be recorded as a step")
    return _marked(fn, WithContext())


def how_recorded(fn: Callable[..., Any], otherwise: Recording | None = None) -> Recording:
    """What a function is marked with; else `otherwise`, or else an `async def` with the context, a `def` as a step."""
    layer: Any = fn
    while layer is not None:
        mark = getattr(layer, _MARK, None)
        if mark is not None:
            return mark
        layer = _beneath(layer)
    if otherwise is not None:
        return otherwise
    return WithContext() if inspect.iscoroutinefunction(_innermost(fn)) else Step()


async def tool_step(
    name: str,
    arguments: Any,
    body: Callable[[], Awaitable[T]],
    codec: Codec[T] = PLAIN,
    options: RunOptions[Any] | None = None,
    call_id: str | None = None,
) -> T:
    """Runs a tool as one step: a run named after it, whose entry holds arguments and result.

    Raises:
        TerminalError: the tool raised it, or failed as often as the options allow.
    """
    ctx = durable_here(f"tool {name!r}")
    return await step(ctx, f"tool {name}", body, _entry(name, arguments, call_id, codec), options or TOOL_OPTIONS)


async def with_context_only(
    name: str,
    body: Callable[[], Awaitable[T]],
    arguments: Any = None,
    codec: Codec[T] | None = None,
    call_id: str | None = None,
) -> T:
    """Runs a tool with the context. Where it awaits anything else the attempt fails, and says in which line.

    With a codec, what a tool gives that neither used the context nor awaited anything is recorded like a step's result:
    replay does not do it again.
    """
    ctx = durable_here(f"tool {name!r}")
    if codec is None:
        return await ctx.alone(f"tool {name!r}", body)
    entry_name = f"tool {name} returned"
    if not ctx.runs_next(entry_name):
        result, used = await ctx.watched(f"tool {name!r}", body)
        if used:
            return result
        body = partial(_given, result)
    return await step(ctx, entry_name, body, _entry(name, arguments, call_id, codec), TOOL_OPTIONS)


def _entry(name: str, arguments: Any, call_id: str | None, codec: Codec[T]) -> Entry[T]:
    record = {"name": name, "arguments": arguments, "call_id": call_id}
    return Entry("tool_call", lambda _: record, "result", codec)


async def _given(result: T) -> T:
    return result


def _marked(fn: F, recording: Recording) -> F:
    setattr(fn, _MARK, recording)
    return fn


def _beneath(fn: Any) -> Any:
    """What a function wraps; None where it wraps none."""
    if isinstance(fn, functools.partial):
        return fn.func  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return getattr(fn, "__func__", None) or getattr(fn, "__wrapped__", None)


def _innermost(fn: Any) -> Any:
    """The function itself; of an object that can be called, its `__call__`."""
    while (beneath := _beneath(fn)) is not None:
        fn = beneath
    if inspect.isfunction(fn) or inspect.isbuiltin(fn) or inspect.isclass(fn):
        return cast(Any, fn)
    return cast(Any, type(fn)).__call__


def _name(fn: Any) -> str:
    return getattr(fn, "__qualname__", repr(fn))
