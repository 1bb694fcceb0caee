"""Tools: which is recorded how."""

import json
from collections.abc import Mapping
from functools import wraps
from typing import Any, Final, cast

from perdure.ext.langchain.graph_steps import tool_in_graph
from perdure.ext.missing import needs
from perdure.ext.tool_calls import Recording, Step, WithContext, how_recorded

with needs("langchain", extra="langchain"):
    from langchain_core.messages.tool import ToolOutputMixin
    from langchain_core.tools import BaseTool, StructuredTool

_OF_LIBRARIES: Final = ("langchain_mcp_adapters.", "langchain_community.")
"""Their functions are `async def` and talk to the outside."""


def recording_of(tool: BaseTool) -> Recording:
    """What its function is marked with, or else is by its kind; a tool that is a class, or of MCP, is a step."""
    fn = getattr(tool, "coroutine", None) or getattr(tool, "func", None)
    if fn is None or str(getattr(fn, "__module__", "")).startswith(_OF_LIBRARIES):
        return Step()
    return how_recorded(fn)


def with_its_context(
    tool: BaseTool, recording: WithContext, call: Mapping[str, Any], config: Mapping[str, Any]
) -> BaseTool:
    """The tool, for one call with the context. LangChain runs its function in a task of its own.

    There it is seen whether the function used the context or awaited anything; and a cancel comes out of it as one,
    before anything else makes an answer of it.
    """
    if not isinstance(tool, StructuredTool) or tool.coroutine is None:
        return tool
    function = tool.coroutine

    @wraps(function)
    async def watched(*args: Any, **kwargs: Any) -> Any:
        async def execute() -> Any:
            return _as_said(await function(*args, **kwargs))

        return await tool_in_graph(tool.name, recording, execute, call, config)

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
