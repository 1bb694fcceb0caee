"""The tools of an agent, each recorded as it says: one step, or with the context.

ADK looks at a tool's class to know what it may do with it. So a tool stays what it is: its durable twin is a copy that
differs in `run_async`.
"""

import copy
import functools
import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from perdure.ext.adk import tool_outcome
from perdure.ext.adk.clock import Clock
from perdure.ext.adk.failures import EndingErrors
from perdure.ext.adk.refusals import check_tool
from perdure.ext.adk.tool_outcome import OUTCOME, ToolOutcome
from perdure.ext.durable_here import durable_here
from perdure.ext.missing import needs
from perdure.ext.tool_calls import Recording, Step, WithContext, call_body, how_recorded, tool_call
from perdure.sdk.capabilities.run_options import RunOptions

with needs("google-adk", extra="adk"):
    from google.adk.agents.llm.task import _finish_task_tool as finish_task
    from google.adk.tools import exit_loop_tool
    from google.adk.tools._node_tool import NodeTool
    from google.adk.tools.agent_tool import AgentTool
    from google.adk.tools.base_tool import BaseTool
    from google.adk.tools.function_tool import FunctionTool
    from google.adk.tools.set_model_response_tool import SetModelResponseTool
    from google.adk.tools.tool_context import ToolContext
    from google.adk.tools.transfer_to_agent_tool import TransferToAgentTool

# Of ADK's own making: they do nothing but tell its loop how to go on, or run agents that are durable themselves.
_STEERING = (AgentTool, NodeTool, SetModelResponseTool, TransferToAgentTool, finish_task.FinishTaskTool)


def durable_tool(tool: BaseTool, options: RunOptions[Any] | None = None) -> BaseTool:
    """The tool's durable twin; the tool itself where there is nothing to record.

    Raises:
        UsageError: it runs an agent that would not be durable.
    """
    check_tool(tool)
    if is_durable(tool):
        return tool
    twin = copy.copy(tool)
    twin.run_async = _Running(tool, recording_of(tool), options)
    return twin


def is_durable(tool: BaseTool) -> bool:
    """Whether running it needs nothing more from here."""
    if isinstance(tool, _STEERING) or isinstance(vars(tool).get("run_async"), _Running):
        return True
    return isinstance(tool, FunctionTool) and (tool.func is exit_loop_tool.exit_loop or _is_generator(tool.func))


def recording_of(tool: BaseTool) -> Recording:
    """How a tool says that it is recorded. Those of ADK, which know no context, are steps."""
    if isinstance(tool, FunctionTool):
        unmarked = how_recorded(tool.func)
    elif type(tool).__module__.startswith("google.adk."):
        unmarked = Step()
    else:
        unmarked = how_recorded(type(tool).run_async)
    return how_recorded(tool, unmarked)  # pyright: ignore[reportArgumentType]  the tool itself may be marked


class _Running:
    """`run_async` of a durable twin."""

    def __init__(self, tool: BaseTool, recording: Recording, options: RunOptions[Any] | None) -> None:
        self._tool = tool
        self._recording = recording
        self._options = options

    async def __call__(self, *, args: dict[str, Any], tool_context: ToolContext) -> Any:
        ctx = durable_here(f"tool {self._tool.name!r}")
        try:
            outcome = await self._outcome(args, tool_context)
        except BaseException as error:
            ctx.attached(EndingErrors).note(tool_context.invocation_id, error, tool_context.function_call_id)
            raise
        ctx.attached(Clock).reach(outcome.at)
        outcome.apply(tool_context)
        return outcome.result

    async def _outcome(self, args: dict[str, Any], tool_context: ToolContext) -> ToolOutcome:
        name, call_id = self._tool.name, tool_context.function_call_id
        recording = self._recording
        if isinstance(recording, WithContext):
            body = partial(tool_outcome.call_with_context, partial(_run, self._tool, args), tool_context)
        else:
            body = partial(tool_outcome.call_in_step, partial(_run, _off_the_loop(self._tool), args), tool_context)
            recording = Step(recording.options or self._options)
        return await tool_call(name, body, recording, arguments=args, codec=OUTCOME, call_id=call_id)


async def _run(tool: BaseTool, args: dict[str, Any], tool_context: ToolContext) -> Any:
    return await tool.run_async(args=args, tool_context=tool_context)


def _off_the_loop(tool: BaseTool) -> BaseTool:
    """A tool whose plain function gets a thread, so that those of one answer run at the same time."""
    if not isinstance(tool, FunctionTool) or inspect.iscoroutinefunction(inspect.unwrap(tool.func)):
        return tool
    twin = copy.copy(tool)
    twin.func = _in_thread(tool.func)
    return twin


def _in_thread(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Awaitable[Any]:
        return call_body(function, *args, **kwargs)

    return call


def _is_generator(function: Callable[..., Any]) -> bool:
    """ADK runs generators as nodes, which make events of their own as they go: they run with the context."""
    unwrapped = inspect.unwrap(function)
    return inspect.isgeneratorfunction(unwrapped) or inspect.isasyncgenfunction(unwrapped)
