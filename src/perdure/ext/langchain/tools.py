"""Tools: which is recorded how."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Final

from perdure.errors import Cancelled
from perdure.ext.langchain.cancelling import CancelledInGraph
from perdure.ext.missing import needs
from perdure.ext.tool_calls import Recording, Step, how_recorded, with_context_only

with needs("langchain", extra="langchain"):
    from langchain_core.tools import BaseTool, StructuredTool

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
    try:
        return await with_context_only(name, execute)
    except Cancelled as error:
        raise CancelledInGraph from error


def letting_cancels_pass(tool: BaseTool) -> BaseTool:
    """The tool; that its invocation was cancelled is nothing that anybody on the way can make an answer of."""
    if not isinstance(tool, StructuredTool) or tool.coroutine is None:
        return tool
    body = tool.coroutine

    @wraps(body)
    async def passing(*args: Any, **kwargs: Any) -> Any:
        try:
            return await body(*args, **kwargs)
        except Cancelled as error:
            raise CancelledInGraph from error

    return tool.model_copy(update={"coroutine": passing})
