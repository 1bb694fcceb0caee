"""What a very small model calls a tool with: what the question has in JSON under the names that the tool asks for.

135 million parameters copy no object faithfully; agents that hand on what they were asked need no more. Where the
question has no JSON, all of it is what a tool is given that asks for one text.
"""

import json
from typing import Any, cast

from perdure.llm.chat import ToolFunction


def arguments(tool: ToolFunction, question: str) -> dict[str, Any]:
    """Those of the tool's parameters that the question has."""
    properties: dict[str, Any] = tool.parameters.get("properties", {})
    found = _object_in(question)
    if found is not None:
        return {name: found[name] for name in properties if name in found}
    required: list[str] = tool.parameters.get("required", [])
    match [(name, properties.get(name)) for name in required]:
        case [(name, {"type": "string"})]:
            return {name: question}
        case _:
            return {}


def _object_in(text: str) -> dict[str, Any] | None:
    """The first JSON object in a text."""
    start = text.find("{")
    if start < 0:
        return None
    try:
        return cast(dict[str, Any], json.JSONDecoder().raw_decode(text, start)[0])
    except ValueError:
        return None
