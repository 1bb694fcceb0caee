"""What decorators record: names, kinds, options, and the shapes of handlers; and what they refuse."""

import asyncio
import functools
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from perdure.errors import TerminalError, UsageError
from perdure.sdk.context import Context
from perdure.sdk.definition import InvocationRetryPolicy, handler_of
from perdure.sdk.serde import BytesSerde, JsonSerde, MsgspecJsonSerde
from perdure.sdk.service import Service
from perdure.sdk.virtual_object import VirtualObject
from perdure.sdk.workflow import Workflow

if TYPE_CHECKING:
    from perdure.sdk.context import Context


@dataclass
class Question:
    text: str


async def nothing(ctx: object) -> None: ...
async def unannotated(ctx, question): ...
async def typed(ctx: object, question: Question) -> list[Question]: ...
async def optional(ctx: object, question: Question | None) -> str | None: ...
async def with_default(ctx: object, question: str = "why?") -> str: ...
async def with_helper(ctx: object, question: str, helper: object = None) -> str: ...
async def quoted(ctx: "Context", question: "Question") -> "Question": ...
async def variadic(ctx: object, *rest: object, **more: object) -> str: ...
async def raw(ctx: object, body: bytes) -> bytes: ...
def plain(ctx: object, question: str) -> str: ...


class Callee:
    async def __call__(self, ctx: object, question: str) -> str: ...


# function, async, takes input, required, has default, returns output
SHAPES: list[tuple[Callable[..., Any], bool, bool, bool, bool, bool]] = [
    (nothing, True, False, False, False, False),
    (unannotated, True, True, False, False, True),
    (typed, True, True, True, False, True),
    (optional, True, True, False, False, True),
    (with_default, True, True, False, True, True),
    (with_helper, True, True, True, False, True),
    (quoted, True, True, True, False, True),
    (variadic, True, False, False, False, True),
    (raw, True, True, True, False, True),
    (plain, False, True, True, False, True),
    (Callee(), True, True, True, False, True),
    (functools.partial(typed), True, True, True, False, True),
    (lambda ctx: 1, False, False, False, False, True),
]


@pytest.mark.parametrize(
    ("fn", "is_async", "takes_input", "required", "has_default", "returns"),
    SHAPES,
    ids=lambda each: getattr(each, "__name__", None),
)
def test_the_shape_of_a_handler(
    fn: Callable[..., Any], is_async: bool, takes_input: bool, required: bool, has_default: bool, returns: bool
) -> None:
    definition = handler_of(Service("S").handler("h")(fn))
    assert definition.fn is fn
    assert definition.is_async is is_async
    assert definition.takes_input is takes_input
    assert definition.input_required is required
    assert definition.input_has_default is has_default
    assert definition.returns_output is returns


async def streams(ctx: object) -> Any:
    yield 1


BAD_SHAPES: list[tuple[Callable[..., Any], str]] = [
    (lambda: 1, "takes"),
    (lambda ctx, a, b: 1, "takes"),
    (lambda ctx, *, b: 1, "takes"),
    (streams, "generator"),
]


@pytest.mark.parametrize(("fn", "says"), BAD_SHAPES)
def test_what_cannot_be_a_handler_is_refused_by_name(fn: Callable[..., Any], says: str) -> None:
    with pytest.raises(UsageError, match=rf"handler .*({fn.__name__}).* {says}"):
        Service("S").handler("h")(fn)


def test_an_annotation_that_cannot_be_read_is_explained() -> None:
    async def greet(ctx: object, question: "Missing") -> str: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(UsageError, match="greet has an annotation that cannot be read at run time: name 'Missing'"):
        Service("S").handler()(greet)


def test_without_parentheses_the_decorator_says_so() -> None:
    with pytest.raises(UsageError, match="needs parentheses"):
        Service("S").handler(nothing)  # type: ignore[arg-type]


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(TypeError, match="inactivity"):
        Service("S").handler(inactivity=3)(nothing)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="colour"):
        Service("S", colour="red")  # type: ignore[call-arg]


@pytest.mark.parametrize("value", [3, timedelta(seconds=-1)])
def test_a_time_is_a_timedelta(value: Any) -> None:
    with pytest.raises(UsageError, match="abort_timeout must be a timedelta"):
        Service("S", abort_timeout=value)


def test_two_handlers_of_one_name_are_refused() -> None:
    service = Service("S")
    service.handler("h")(nothing)
    with pytest.raises(UsageError, match="'h' already"):
        service.handler("h")(typed)


def test_kinds() -> None:
    service, obj, workflow = Service("S"), VirtualObject("O"), Workflow("W")
    service.handler("h")(nothing)
    obj.handler("exclusive")(nothing)
    obj.handler("shared", kind="shared")(nothing)
    workflow.main("run")(nothing)
    workflow.handler("signal")(nothing)
    kinds = {
        definition.target: (definition.service.kind, definition.kind)
        for each in (service, obj, workflow)
        for definition in each.handlers.values()
    }
    assert kinds == {
        "S/h": ("SERVICE", None),
        "O/exclusive": ("VIRTUAL_OBJECT", "EXCLUSIVE"),
        "O/shared": ("VIRTUAL_OBJECT", "SHARED"),
        "W/run": ("WORKFLOW", "WORKFLOW"),
        "W/signal": ("WORKFLOW", "SHARED"),
    }
    with pytest.raises(UsageError, match="'public'"):
        obj.handler(kind="public")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="main handler already: run"):
        workflow.main("again")
    with pytest.raises(UsageError, match="workflow_retention, not idempotency_retention"):
        Workflow("X").main(idempotency_retention=timedelta(1))


def test_options_description_and_context_managers_are_recorded() -> None:
    @asynccontextmanager
    async def session() -> Any:
        yield

    @asynccontextmanager
    async def trace() -> Any:
        yield

    policy = InvocationRetryPolicy(max_attempts=3, on_max_attempts="kill")
    service = VirtualObject("O", description="an object", enable_lazy_state=True, invocation_context_managers=[session])

    @service.handler(
        abort_timeout=timedelta(seconds=2), invocation_retry_policy=policy, invocation_context_managers=[trace]
    )
    async def greet(ctx: object) -> None:
        """Greets."""

    definition = handler_of(greet)
    assert definition.name == "greet"
    assert definition.options.description == "Greets."
    assert definition.options.abort_timeout == timedelta(seconds=2)
    assert definition.options.invocation_retry_policy is policy
    assert definition.service.options.enable_lazy_state is True
    assert definition.service.options.description == "an object"
    assert definition.invocation_context_managers == (session, trace)


def test_serdes_come_from_hints_unless_given() -> None:
    mine = BytesSerde()
    chosen = handler_of(Service("S").handler("h")(typed))
    given = handler_of(Service("S").handler("h", input_serde=mine, output_serde=mine, accept="a/b")(typed))
    assert isinstance(chosen.input_serde, MsgspecJsonSerde)
    assert isinstance(handler_of(Service("S").handler("h")(unannotated)).input_serde, JsonSerde)
    assert given.input_serde is mine
    assert given.output_serde is mine
    assert given.accept == "a/b"
    assert not given.input_required


def test_one_function_can_serve_two_services() -> None:
    first, second = Service("A").handler()(typed), Service("B").handler()(typed)
    assert handler_of(first).service.name == "A"
    assert handler_of(second).service.name == "B"
    with pytest.raises(UsageError, match="typed is not a handler"):
        handler_of(typed)


async def test_a_decorated_handler_can_still_be_called() -> None:
    @Service("A").handler()
    async def double(ctx: object, number: int) -> int:
        return 2 * number

    @Service("B").handler()
    def triple(ctx: object, number: int) -> int:
        return 3 * number

    assert await double(None, 2) == 4
    assert triple(None, number=2) == 6
    assert asyncio.iscoroutinefunction(double)
    assert not asyncio.iscoroutinefunction(triple)


@pytest.mark.parametrize(
    ("fn", "body", "arguments"),
    [
        (nothing, b"", ()),
        (nothing, b"ignored", ()),
        (typed, b'{"text": "why"}', (Question("why"),)),
        (optional, b"", (None,)),
        (optional, b"null", (None,)),
        (with_default, b"", ()),
        (with_default, b'"how?"', ("how?",)),
        (unannotated, b"", (None,)),
        (unannotated, b"[1]", ([1],)),
        (raw, b"\x00", (b"\x00",)),
    ],
)
def test_input_becomes_arguments(fn: Callable[..., Any], body: bytes, arguments: tuple[Any, ...]) -> None:
    assert handler_of(Service("S").handler("h")(fn)).arguments(body) == arguments


@pytest.mark.parametrize(
    ("fn", "body", "says"),
    [
        (typed, b"", "S/h needs an input"),
        (typed, b'{"text": 3}', r"S/h cannot be read: .*text"),
        (typed, b"{", "S/h cannot be read"),
        (plain, b"3", "S/h cannot be read"),
    ],
)
def test_input_that_does_not_fit_is_terminal(fn: Callable[..., Any], body: bytes, says: str) -> None:
    with pytest.raises(TerminalError, match=says) as caught:
        handler_of(Service("S").handler("h")(fn)).arguments(body)
    assert caught.value.status_code == 400


def test_a_handler_defined_inside_a_function_may_call_itself() -> None:
    def define() -> Service:
        service = Service("Recursive")

        @service.handler()
        async def down(ctx: Context, depth: int) -> int:
            return await ctx.service_call(down, depth - 1) if depth else 0

        return service

    assert list(define().handlers) == ["down"]
