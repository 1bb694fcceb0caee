"""A tool's time limit as a durable timer: on replay, it is over or not as it was the first time."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from agents import FunctionTool, ToolTimeoutError
from agents.tool import default_tool_timeout_error_message
from agents.tool_context import ToolContext

from perdure.ext.durable_here import durable_here
from perdure.ext.openai.cancels import wrapping_cancels

Invoke = Callable[[ToolContext[Any], str], Awaitable[Any]]


def limited(tool: FunctionTool, invoke: Invoke) -> Invoke:
    """`invoke` within the tool's time; past that, what the tool says is to become of it."""
    seconds = tool.timeout_seconds
    assert seconds is not None

    async def invoke_within_limit(context: ToolContext[Any], arguments: str) -> Any:
        ctx = durable_here(f"tool {tool.name!r}")

        async def body() -> Any:
            return await invoke(context, arguments)

        async def over() -> None:
            await ctx.sleep(timedelta(seconds=seconds), f"time limit of {tool.name}")

        acting, timer = asyncio.ensure_future(body()), asyncio.ensure_future(over())
        try:
            await asyncio.wait((acting, timer), return_when=asyncio.FIRST_COMPLETED)
        finally:
            acting.cancel()
            timer.cancel()
            timer.add_done_callback(_noted)
        if acting.done():
            return acting.result()
        with wrapping_cancels():
            timer.result()  # or what ended it: a cancel of the invocation
        return await _too_late(tool, context, ToolTimeoutError(tool.name, seconds))

    return invoke_within_limit


def _noted(timer: "asyncio.Future[None]") -> None:
    """Else asyncio would report that nobody asked for the cancel that it ended in, beside the tool."""
    if not timer.cancelled():
        timer.exception()


async def _too_late(tool: FunctionTool, context: ToolContext[Any], error: ToolTimeoutError) -> Any:
    if tool.timeout_behavior == "raise_exception":
        raise error
    if tool.timeout_error_function is None:
        return default_tool_timeout_error_message(tool_name=tool.name, timeout_seconds=error.timeout_seconds)
    answer = tool.timeout_error_function(context, error)
    return await answer if inspect.isawaitable(answer) else answer
