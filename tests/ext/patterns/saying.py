"""What scripts of a model have in common: they call tools that SDKs declare in slightly different ways."""

from typing import Any

from perdure.llm.chat import Tool
from perdure.testing.model import ChatRequest, Reply


def calling(request: ChatRequest, *names: str, **values: Any) -> Reply:
    """Calls these tools, all in one answer, each with those of the values that it takes.

    A tool that takes them all as one object, as `claim`, is given that.
    """
    tools = {tool.function.name: tool for tool in request.tools or ()}
    return Reply.calling(*((name, _arguments(tools[name], values)) for name in names))


def _arguments(tool: Tool, values: dict[str, Any]) -> dict[str, Any]:
    wanted: dict[str, Any] = tool.function.parameters.get("properties", {})
    taken = {name: value for name, value in values.items() if name in wanted}
    return taken or dict.fromkeys(wanted, values)
