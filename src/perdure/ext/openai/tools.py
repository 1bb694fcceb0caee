"""Function tools, each call of which is recorded: as one step, or with the context.

The seam is the function that the tool was made of, inside of what the SDK makes of its exceptions: so a step is tried
as often as its options say before the model hears of an error.
"""

import copy
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final, overload

from agents import FunctionTool, ToolOriginType, function_tool
from agents.tool import ToolErrorFunction, get_function_tool_origin

from perdure.ext.openai.cancels import wrapping_cancels
from perdure.ext.openai.failure_functions import raise_terminal_errors
from perdure.ext.openai.functions import RECORDS_ITSELF, hints_of, record, recording_function
from perdure.ext.openai.time_limits import limited
from perdure.ext.tool_calls import Recording, how_recorded


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
            recording_function(function, recorded or how_recorded(function)),
            failure_error_function=failure_error_function,
            **options,
        )

    return make if func is None else make(func)


def durable_tool(tool: FunctionTool) -> FunctionTool:
    """The tool as one whose calls are recorded; the given one stays as it is."""
    invoke = tool.on_invoke_tool
    made_of = getattr(tool, "__wrapped__", None)  # the function, if `function_tool` made the tool of one
    if _runs_agent(tool) or hasattr(made_of, RECORDS_ITSELF):
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


_REBUILT: Final = "__perdure_rebuilt__"
"""Where `_rebuilt` keeps what it made of a tool, for as long as there is that tool."""


def _rebuilt(invoke: Any, function: Callable[..., Any], tool: FunctionTool) -> Any:
    """What the SDK would invoke, had the tool been made of the recorded function."""
    made = getattr(invoke, _REBUILT, None)
    if made is None:
        recorded = recording_function(function, how_recorded(function))
        made = function_tool(
            recorded, name_override=tool.name, use_docstring_info=False, strict_mode=tool.strict_json_schema
        ).on_invoke_tool
        setattr(invoke, _REBUILT, made)
    return made


def _wrapped(invoke: Callable[..., Awaitable[Any]], name: str) -> Callable[..., Awaitable[Any]]:
    """What a tool that was made by hand invokes, recorded; what it makes of exceptions is its own."""
    recording = how_recorded(invoke)

    async def invoke_durably(context: Any, arguments: str) -> Any:
        call_id = getattr(context, "tool_call_id", None)
        with wrapping_cancels():
            return await record(name, arguments, call_id, recording, lambda: invoke(context, arguments))

    # The SDK hands over as much of its context as the first parameter says that it takes.
    first = next(iter(hints_of(invoke).values()), None)
    if first is not None:
        invoke_durably.__annotations__["context"] = first
    return invoke_durably
