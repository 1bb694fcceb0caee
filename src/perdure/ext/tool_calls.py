"""How the call of a tool is recorded: as one step, with the context, or as the call of a handler elsewhere."""

import functools
import inspect
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeAlias, TypeVar, cast, overload

from perdure.errors import UsageError
from perdure.ext.codecs import PLAIN, Codec
from perdure.ext.durable_here import durable_here
from perdure.ext.failures import must_pass
from perdure.ext.steps import Entry, step
from perdure.sdk.capabilities.run_options import RunOptions
from perdure.sdk.threads import in_run_thread

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Step:
    """Its body runs once, until its result is recorded; it cannot use the context."""

    options: RunOptions[Any] | None = None

    def __post_init__(self) -> None:
        if self.options is not None and not isinstance(self.options, RunOptions):  # pyright: ignore[reportUnnecessaryIsInstance]  code without type hints
            raise UsageError(f"Step takes RunOptions(...), not {self.options!r}")


@dataclass(frozen=True, slots=True)
class WithContext:
    """Its body makes its own steps and calls, and awaits nothing else; it runs again on replay."""

    else_step: bool = False
    """A call that turns out to need no context, and to await nothing, is a step: replay does not run it again."""


Recording: TypeAlias = Step | WithContext

TOOL_OPTIONS: Final[RunOptions[Any]] = RunOptions(max_attempts=3)
"""For tools that say nothing else: three tries, then the framework handles the error."""

_STEP: Final = Step()
_MARK: Final = "__perdure_recorded__"


@overload
def as_step(fn: F, /) -> F: ...
@overload
def as_step(fn: None = None, /, *, options: RunOptions[Any] | None = None) -> Callable[[F], F]: ...
def as_step(fn: F | None = None, /, *, options: RunOptions[Any] | None = None) -> F | Callable[[F], F]:
    """Marks a tool's function: `@as_step`, or `@as_step(options=RunOptions(max_attempts=5))`. See `Step`."""
    if isinstance(fn, RunOptions):
        raise UsageError("give the options of a step by name: @as_step(options=RunOptions(...))")
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
    """The mark of a function; else `otherwise`; else a `def` is a step, and an `async def` has the context if it asks.

    (An `async def` that does not ask for it is a step, too, which is known only when it has run.)
    """
    layer: Any = fn
    while layer is not None:
        mark = getattr(layer, _MARK, None)
        if mark is not None:
            return mark
        layer = _beneath(layer)
    if otherwise is not None:
        return otherwise
    return WithContext(else_step=True) if inspect.iscoroutinefunction(_innermost(fn)) else Step()


async def tool_call(
    name: str,
    body: Callable[[], Awaitable[T]],
    recording: Recording = _STEP,
    *,
    arguments: Any = None,
    codec: Codec[T] = PLAIN,
    call_id: str | None = None,
    control_flow: tuple[type[Exception], ...] = (),
) -> T:
    """Calls a tool, and records it in this way. A step is a run named after the tool, with arguments and result.

    `control_flow`: exceptions by which a body with the context tells its framework how to go on. They are no failures,
    and are not recorded.

    Raises:
        TerminalError: the body of a step raised it, or failed as often as its options allow.
        SdkInternalException: a body with the context awaits something else. The attempt fails, and says in which line.
    """
    ctx = durable_here(f"tool {name!r}")
    if not isinstance(recording, (Step, WithContext)):  # pyright: ignore[reportUnnecessaryIsInstance]  code without type hints
        raise UsageError(f"tool {name!r} is recorded as Step() or WithContext(), not as {recording!r}")
    record = {"name": name, "arguments": arguments, "call_id": call_id}
    entry = Entry("tool_call", lambda _: record, "result", codec)
    if isinstance(recording, Step):
        return await step(ctx, f"tool {name}", body, entry, recording.options or TOOL_OPTIONS)
    if not recording.else_step:
        return await ctx.alone(f"tool {name!r}", body)
    # Of this call alone: another of the same tool, which asks for the context, must not take its entry for its own.
    entry_name = f"tool {name}, call {ctx.attached(_Calls).count(name)}"
    if not ctx.runs_next(entry_name):
        outcome, used = await ctx.watched(f"tool {name!r}", lambda: _outcome(body))
        if used or isinstance(outcome.raised, control_flow):
            return await outcome.again()
        body = outcome.again  # a try of the step, and the only one of this attempt
    return await step(ctx, entry_name, body, entry, TOOL_OPTIONS)


async def call_body(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Calls a tool's function; a plain `def` in a thread, so that others go on meanwhile."""
    if inspect.iscoroutinefunction(_innermost(function)):
        return await function(*args, **kwargs)
    value = await in_run_thread(functools.partial(function, *args, **kwargs))
    return await value if inspect.isawaitable(value) else value


class _Calls:
    """How often each tool was called so far, of those of which it turns out how. The same on every attempt."""

    def __init__(self) -> None:
        self._made: Counter[str] = Counter()

    def count(self, name: str) -> int:
        """One more call; gives its number, from 1 on."""
        self._made[name] += 1
        return self._made[name]


@dataclass(frozen=True, slots=True)
class _Outcome(Generic[T]):
    """How a body ended: by what it returned or, if that is not None, by what it raised."""

    returned: T | None
    raised: Exception | None

    async def again(self) -> T:
        """Returns what the body returned, or raises what it raised."""
        if self.raised is not None:
            raise self.raised
        return cast(T, self.returned)


async def _outcome(body: Callable[[], Awaitable[T]]) -> _Outcome[T]:
    """Runs a body. A cancel of the invocation, and the end of the attempt, get through."""
    try:
        return _Outcome(await body(), None)
    except Exception as error:
        if must_pass(error):
            raise
        return _Outcome(None, error)


def _marked(fn: F, recording: Recording) -> F:
    try:
        setattr(fn, _MARK, recording)
    except AttributeError:
        raise UsageError(
            f"{_name(fn)} cannot be marked: mark the function of the class, not the method of an object; of what is "
            "built in, make a function that calls it"
        ) from None
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
