"""Tools: which is recorded how."""

import json
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any, Final, cast

from perdure.ext.langchain.cancelling import letting_cancels_pass
from perdure.ext.langchain.graph_steps import OUTCOME, Outcome, graph_step
from perdure.ext.missing import needs
from perdure.ext.tool_calls import Recording, Step, WithContext, how_recorded, tool_call

with needs("langchain", extra="langchain"):
    from langchain_core.messages.tool import ToolOutputMixin
    from langchain_core.tools import BaseTool, StructuredTool
    from langgraph.errors import GraphBubbleUp

_OF_LIBRARIES: Final = ("langchain_mcp_adapters.", "langchain_community.")
"""Their functions are `async def` and talk to the outside."""


def recording_of(tool: BaseTool) -> Recording:
    """What its function is marked with, or else is by its kind; a tool that is a class, or of MCP, is a step."""
    fn = getattr(tool, "coroutine", None) or getattr(tool, "func", None)
    if fn is None or str(getattr(fn, "__module__", "")).startswith(_OF_LIBRARIES):
        return Step()
    return how_recorded(fn)


async def run_with_context(name: str, execute: Callable[[], Awaitable[Any]]) -> Any:
    """Executes a tool or a node with the context."""
    with letting_cancels_pass():
        return await tool_call(name, execute, WithContext())


def with_its_context(
    tool: BaseTool, recording: WithContext, call: Mapping[str, Any], config: Mapping[str, Any]
) -> BaseTool:
    """The tool, for one call with the context. LangChain runs the function in a task of its own; it is watched there.

    What a function gives that neither used the context nor awaited anything is recorded. That the invocation was
    cancelled is nothing that anybody on the way can make an answer of.
    """
    if not isinstance(tool, StructuredTool) or tool.coroutine is None:
        return tool
    function = tool.coroutine

    @wraps(function)
    async def watched(*args: Any, **kwargs: Any) -> Any:
        async def execute() -> Any:
            return _as_said(await function(*args, **kwargs))

        async def record(body: Callable[[], Awaitable[Outcome]]) -> Outcome:
            return await tool_call(
                tool.name,
                body,
                recording,
                arguments=call["args"],
                codec=OUTCOME,
                call_id=call["id"],
                control_flow=(GraphBubbleUp,),
            )

        return await graph_step(tool.name, execute, record, config, with_context=True)

    return tool.model_copy(update={"coroutine": watched})


def _as_said(value: Any) -> Any:
    """What a function gave, as far as the model is told of it: of other objects, their text."""
    if isinstance(value, tuple):  # a content with its artifact
        return cast(Any, value)
    parts = cast("list[Any]", value) if isinstance(value, list) else [value]
    if any(isinstance(each, ToolOutputMixin) for each in parts):  # messages and commands
        return cast(Any, value)
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return str(cast(Any, value))
    return cast(Any, value)
