"""Function tools, each call of which is recorded: as one step, or with the context.

The seam is the function that the tool was made of, inside of what the SDK makes of its exceptions: so a step is tried
as often as its options say before the model hears of an error.
"""

import copy
import functools
import inspect
import json
import typing
from collections.abc import Awaitable, Callable
from typing import Any, Final, overload
from weakref import WeakKeyDictionary

from agents import FunctionTool, ToolOriginType, function_tool
from agents.tool import ToolErrorFunction, get_function_tool_origin
from agents.tool_context import ToolContext
from pydantic_core import to_jsonable_python

from perdure.ext.codecs import Codec, codec_of
from perdure.ext.openai.escape import escaping, raise_terminal_errors
from perdure.ext.openai.time_limits import limited
from perdure.ext.tool_calls import Recording, Step, WithContext, how_recorded, tool_step, with_context_only
from perdure.sdk.threads import in_run_thread

_CONTEXT: Final = "perdure_tool_context"
"""The parameter of a recorded function that tells which call it is."""

_RECORDED: Final = "__perdure_records_itself__"

ANYTHING: Final = Codec[Any](lambda value: to_jsonable_python(value, fallback=str), lambda value: value)
"""For results of which no annotation says what they are."""


@overload
def durable_function_tool(func: Callable[..., Any], /) -> FunctionTool: ...
@overload
def durable_function_tool(
    func: None = None,
    /,
    *,
    recorded: Recording | None = None,
    failure_error_function: ToolErrorFunction | None = raise_terminal_errors,
    **options: Any,
) -> Callable[[Callable[..., Any]], FunctionTool]: ...
@overload
def durable_function_tool(
    func: Callable[..., Any],
    /,
    *,
    recorded: Recording | None = None,
    failure_error_function: ToolErrorFunction | None = raise_terminal_errors,
    **options: Any,
) -> FunctionTool: ...
def durable_function_tool(
    func: Callable[..., Any] | None = None,
    /,
    *,
    recorded: Recording | None = None,
    failure_error_function: ToolErrorFunction | None = raise_terminal_errors,
    **options: Any,
) -> FunctionTool | Callable[[Callable[..., Any]], FunctionTool]:
    """`function_tool`, with all its options, for a tool that is recorded, and whose errors are durable ones.

    `recorded`: `Step(RunOptions(...))` or `WithContext()`; else what the function is marked with; else an `async def`
    runs with the context and a `def` is one step.
    `failure_error_function`: what becomes of an exception, once the options of the step allow no further try. Here a
    TerminalError ends the agent and the invocation, and others are retried. A cancel always gets through.
    """

    def make(function: Callable[..., Any]) -> FunctionTool:
        return function_tool(
            _recorded(function, recorded or how_recorded(function)),
            failure_error_function=failure_error_function,
            **options,
        )

    return make if func is None else make(func)


def durable_tool(tool: FunctionTool) -> FunctionTool:
    """The tool as one whose calls are recorded; the given one stays as it is."""
    invoke = tool.on_invoke_tool
    made_of = getattr(tool, "__wrapped__", None)  # the function, if `function_tool` made the tool of one
    if _runs_agent(tool) or hasattr(made_of, _RECORDED):
        durable = invoke
    elif inspect.isroutine(made_of):
        durable = _rebuilt(invoke, made_of, tool)
    else:
        durable = _wrapped(invoke, tool.name)
    twin = copy.copy(tool)
    twin.on_invoke_tool = durable
    twin.timeout_seconds = None
    twin = copy.copy(twin)  # the SDK ties the handling of errors to the tool when it copies one
    if tool.timeout_seconds is not None:
        twin.on_invoke_tool = limited(tool, twin.on_invoke_tool)
    return twin


def _runs_agent(tool: FunctionTool) -> bool:
    """Whether it is an agent as a tool: that runs by the runner, and so is durable itself."""
    origin = get_function_tool_origin(tool)
    return origin is not None and origin.type is ToolOriginType.AGENT_AS_TOOL


def _recorded(function: Callable[..., Any], recording: Recording) -> Callable[..., Any]:
    """The function as an async one, which records its calls, and tells which call it is by one more parameter."""
    signature = inspect.signature(function)
    hints = _hints(function)
    takes_context = _takes_context(signature, hints)
    codec = _codec(hints.get("return"))

    @functools.wraps(function)
    async def call(context: ToolContext[Any], *args: Any, **kwargs: Any) -> Any:
        if takes_context:
            args = (context, *args)
        body = functools.partial(called, function, *args, **kwargs)
        with escaping():
            return await record(context.tool_name, context.tool_arguments, context.tool_call_id, recording, body, codec)

    parameters = list(signature.parameters.values())
    own = inspect.Parameter(_CONTEXT, inspect.Parameter.POSITIONAL_ONLY, annotation=ToolContext)
    rest = [each.replace(annotation=hints.get(each.name, each.annotation)) for each in parameters[takes_context:]]
    call.__signature__ = signature.replace(parameters=[own, *rest])  # pyright: ignore[reportAttributeAccessIssue]  what inspect looks for
    call.__annotations__ = {_CONTEXT: ToolContext, **hints}
    if takes_context:
        call.__annotations__.pop(parameters[0].name, None)
    setattr(call, _RECORDED, True)
    return call


async def record(
    name: str,
    arguments: str,
    call_id: str | None,
    recording: Recording,
    body: Callable[[], Awaitable[Any]],
    codec: Codec[Any] = ANYTHING,
) -> Any:
    """One call of a tool, recorded in this way."""
    match recording:
        case Step(options):
            return await tool_step(name, _read(arguments), body, codec, options, call_id)
        case WithContext():
            return await with_context_only(name, body)


async def called(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What a function gives: one that is not async has a thread, as the SDK would give it."""
    if inspect.iscoroutinefunction(function):
        return await function(*args, **kwargs)
    value = await in_run_thread(functools.partial(function, *args, **kwargs))
    return await value if inspect.isawaitable(value) else value


_invokers: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
"""What `_rebuilt` made of tools that were used before."""


def _rebuilt(invoke: Any, function: Callable[..., Any], tool: FunctionTool) -> Any:
    """What the SDK would invoke, had the tool been made of the recorded function."""
    if invoke not in _invokers:
        recorded = _recorded(function, how_recorded(function))
        made = function_tool(
            recorded, name_override=tool.name, use_docstring_info=False, strict_mode=tool.strict_json_schema
        )
        _invokers[invoke] = made.on_invoke_tool
    return _invokers[invoke]


def _wrapped(invoke: Callable[..., Awaitable[Any]], name: str) -> Callable[..., Awaitable[Any]]:
    """What a tool that was made by hand invokes, recorded; what it makes of exceptions is its own."""
    recording = how_recorded(invoke)

    async def invoke_durably(context: Any, arguments: str) -> Any:
        call_id = getattr(context, "tool_call_id", None)
        with escaping():
            return await record(name, arguments, call_id, recording, lambda: invoke(context, arguments))

    # The SDK hands over as much of its context as the first parameter says that it takes.
    first = next(iter(_hints(invoke).values()), None)
    if first is not None:
        invoke_durably.__annotations__["context"] = first
    return invoke_durably


def _read(arguments: str) -> Any:
    """What the model gave, for the record."""
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError):  # the SDK will say so, or do without
        return dict(getattr(function, "__annotations__", {}))


def _takes_context(signature: inspect.Signature, hints: dict[str, Any]) -> bool:
    """Whether the first parameter is the SDK's own context, by the SDK's own rule."""
    first = next(iter(signature.parameters.values()), None)
    hint = None if first is None else hints.get(first.name)
    kind = typing.get_origin(hint) or hint
    return isinstance(kind, type) and kind.__name__ in ("RunContextWrapper", "ToolContext")


def _codec(hint: Any) -> Codec[Any]:
    return ANYTHING if hint in (None, str, Any, object, typing.NoReturn) or isinstance(hint, str) else codec_of(hint)
