"""How a tool of an agent is recorded: as its metadata says, or its function."""

from collections.abc import Callable
from typing import Any, Final

from perdure.errors import UsageError
from perdure.ext.missing import needs
from perdure.ext.tool_calls import Recording, Step, WithContext, how_recorded

with needs("pydantic-ai-slim", extra="pydantic-ai"):
    from pydantic_ai.toolsets import FunctionToolset, ToolsetTool
    from pydantic_ai.toolsets.function import FunctionToolsetTool

METADATA_KEY: Final = "perdure"
"""Of a tool's metadata: `Tool(fn, metadata={"perdure": Step()})`, for functions that cannot be marked."""


def recording_of(tool: "ToolsetTool[Any] | None", kind: str) -> Recording:
    """Its metadata's, else its function's own; what is not a function known here is a step."""
    if tool is None:
        return Step()
    said = (tool.tool_def.metadata or {}).get(METADATA_KEY)
    if isinstance(said, (Step, WithContext)):
        return said
    if said is not None:
        what = f"the metadata {METADATA_KEY!r} of tool {tool.tool_def.name!r}"
        raise UsageError(f"{what} is {said!r}: it must be Step() or WithContext(), from perdure.ext.pydantic_ai")
    function = _function(tool) if kind == "function" else None
    return Step() if function is None else how_recorded(function)


def steers(tool: "ToolsetTool[Any] | None") -> bool:
    """Whether it takes the run's context, and so may change what is in it, or cancel the run."""
    held = None if tool is None else _held(tool)
    return held is not None and bool(held.takes_ctx)


def _function(tool: ToolsetTool[Any]) -> Callable[..., Any] | None:
    held = _held(tool)
    return None if held is None else held.function


def _held(tool: ToolsetTool[Any]) -> Any:
    toolset: Any = tool.toolset
    if not isinstance(tool, FunctionToolsetTool) or not isinstance(toolset, FunctionToolset):
        return None
    tools: dict[str, Any] = toolset.tools
    return tools.get(tool.original_name or tool.tool_def.name)
