"""What a decorator records of a handler: its name, its options, how its input and output become bytes."""

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, TypeAlias, TypedDict, TypeVar, cast

from perdure.errors import TerminalError, UsageError
from perdure.protocol.discovery import HandlerType, ServiceType
from perdure.sdk.serde import Serde, read, serde_for
from perdure.sdk.signature import read_signature

Function = TypeVar("Function", bound=Callable[..., Any])

I = TypeVar("I")  # noqa: E741 - a handler's input; O is its output
O = TypeVar("O")  # noqa: E741

HandlerFunction: TypeAlias = (
    Callable[[Any, I], Awaitable[O]] | Callable[[Any], Awaitable[O]] | Callable[[Any, I], O] | Callable[[Any], O]
)
"""What can be called durably: what a handler decorator returned. The order lets type checkers find `O`."""

InvocationContextManager: TypeAlias = Callable[[], AbstractAsyncContextManager[Any]]
"""Makes the context manager that is entered around each attempt."""

_ATTRIBUTE = "__perdure_handler__"


@dataclass(frozen=True, slots=True, kw_only=True)
class InvocationRetryPolicy:
    """How often, and how fast, a failed attempt is made again. What is None follows the engine's default.

    `max_attempts` counts the first attempt too. After the last, the invocation is paused for a person, or killed.
    """

    initial_interval: timedelta | None = None
    exponentiation_factor: float | None = None
    max_interval: timedelta | None = None
    max_attempts: int | None = None
    on_max_attempts: Literal["pause", "kill"] | None = None


class CommonOptions(TypedDict, total=False):
    """What may be set for a service, and again for one of its handlers. Absent: the engine's default holds."""

    description: str | None
    metadata: Mapping[str, str] | None
    inactivity_timeout: timedelta | None
    abort_timeout: timedelta | None
    journal_retention: timedelta | None
    idempotency_retention: timedelta | None
    ingress_private: bool | None
    invocation_retry_policy: InvocationRetryPolicy | None


class StateOptions(TypedDict, total=False):
    """What may be set besides where there is state: fetch it key by key, instead of with the start of an attempt."""

    enable_lazy_state: bool | None


class PayloadOptions(TypedDict, total=False):
    """How a handler's input and output travel: content types for the ingress, serdes for the code."""

    accept: str | None
    content_type: str | None
    input_serde: Serde[Any] | None
    output_serde: Serde[Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of `CommonOptions` and `StateOptions`, as given, checked."""

    description: str | None = None
    metadata: Mapping[str, str] | None = None
    inactivity_timeout: timedelta | None = None
    abort_timeout: timedelta | None = None
    journal_retention: timedelta | None = None
    idempotency_retention: timedelta | None = None
    workflow_retention: timedelta | None = None
    enable_lazy_state: bool | None = None
    ingress_private: bool | None = None
    invocation_retry_policy: InvocationRetryPolicy | None = None

    def __post_init__(self) -> None:
        for name in _TIMES:
            value = getattr(self, name)
            if value is not None and (not isinstance(value, timedelta) or value < timedelta(0)):
                raise UsageError(f"{name} must be a timedelta of zero or more, not {value!r}")


_TIMES = ("inactivity_timeout", "abort_timeout", "journal_retention", "idempotency_retention", "workflow_retention")


@dataclass(frozen=True, slots=True)
class ServiceTag:
    """What the handlers of one service share."""

    name: str
    kind: ServiceType
    options: Options = field(default_factory=Options)


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerDefinition:
    """One handler: all that is needed to announce it, to call it, and to run it."""

    service: ServiceTag
    name: str
    kind: HandlerType | None
    """None for handlers of plain services, which have one kind only."""
    fn: Callable[..., Any]
    is_async: bool
    takes_input: bool
    input_required: bool
    """Whether an empty body is wrong: the input has a type, without None in it, and no default."""
    input_has_default: bool
    returns_output: bool
    """False for a handler annotated `-> None`."""
    input_serde: Serde[Any]
    output_serde: Serde[Any]
    accept: str | None
    content_type: str | None
    options: Options
    invocation_context_managers: tuple[InvocationContextManager, ...]

    @property
    def target(self) -> str:
        """`Service/handler`."""
        return f"{self.service.name}/{self.name}"

    def arguments(self, body: bytes) -> tuple[Any, ...]:
        """What the function takes after its context: nothing, or the input.

        Raises:
            TerminalError: the input does not fit (400): no retry would make it fit.
        """
        if not self.takes_input:
            return ()
        if not body:
            if self.input_required:
                raise TerminalError(f"{self.target} needs an input, and was called with an empty one", status_code=400)
            if self.input_has_default:
                return ()
        return (read(f"the input of {self.target}", self.input_serde, body),)


def handler_of(function: Callable[..., Any]) -> HandlerDefinition:
    """The definition behind what a handler decorator returned.

    Raises:
        UsageError: it is no handler; the message names it.
    """
    definition = getattr(function, _ATTRIBUTE, None)
    if not isinstance(definition, HandlerDefinition):
        name = getattr(function, "__qualname__", None) or repr(function)
        raise UsageError(f"{name} is not a handler: decorate it, as with `@service.handler()`, and pass the function")
    return definition


class ServiceDefinition:
    """What the three kinds of services have in common: a name, options, handlers by name."""

    kind: ServiceType

    def __init__(
        self,
        name: str,
        options: Options,
        invocation_context_managers: tuple[InvocationContextManager, ...],
    ) -> None:
        self.service_tag = ServiceTag(name, self.kind, options)
        self.handlers: dict[str, HandlerDefinition] = {}
        self._context_managers = invocation_context_managers

    @property
    def name(self) -> str:
        return self.service_tag.name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, handlers={list(self.handlers)})"

    def _handler(
        self, name: str | None, kind: HandlerType | None, settings: Mapping[str, Any]
    ) -> Callable[[Function], Function]:
        """The decorator that all handler decorators are."""
        if callable(name):
            raise UsageError(f"a handler decorator of {self.name} needs parentheses: `@service.handler()`")
        given: dict[str, Any] = dict(settings)
        payload = {option: given.pop(option, None) for option in PayloadOptions.__annotations__}
        managers: tuple[InvocationContextManager, ...] = tuple(given.pop("invocation_context_managers", None) or ())

        def decorate(fn: Function) -> Function:
            signature = read_signature(fn)
            options = Options(**(_documented(fn) | given))
            definition = HandlerDefinition(
                service=self.service_tag,
                name=name or fn.__name__,
                kind=kind,
                fn=fn,
                is_async=signature.is_async,
                takes_input=signature.takes_input,
                input_required=signature.input_required and payload["input_serde"] is None,
                input_has_default=signature.input_has_default,
                returns_output=signature.returns_output,
                input_serde=payload["input_serde"] or serde_for(signature.input),
                output_serde=payload["output_serde"] or serde_for(signature.output),
                accept=payload["accept"],
                content_type=payload["content_type"],
                options=options,
                invocation_context_managers=self._context_managers + managers,
            )
            if definition.name in self.handlers:
                raise UsageError(f"{self.name} has a handler {definition.name!r} already")
            self.handlers[definition.name] = definition
            return tagged(fn, definition)

        return decorate


def _documented(fn: Callable[..., Any]) -> dict[str, Any]:
    """The docstring, as the description that holds where none is given."""
    return {"description": inspect.getdoc(fn)}


def tagged(fn: Function, definition: HandlerDefinition) -> Function:
    """A function like `fn`, to be called, or passed to `ctx.service_call`; `fn` may serve other services too."""

    async def call_async(*args: Any, **kwargs: Any) -> Any:
        return await fn(*args, **kwargs)

    def call_sync(*args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)

    tagged = functools.wraps(fn)(call_async if definition.is_async else call_sync)
    setattr(tagged, _ATTRIBUTE, definition)
    return cast(Function, tagged)
