"""What a very small model calls a tool with: what the question has in JSON under the names that the tool asks for.

135 million parameters copy no object faithfully; agents that hand on what they were asked need no more.
"""

import json
from typing import Any, cast

from perdure.llm.chat import ToolFunction


def arguments(tool: ToolFunction, question: str) -> dict[str, Any]:
    """Those of the tool's parameters that the first JSON object in the question has."""
    start = question.find("{")
    if start < 0:
        return {}
    try:
        found = cast(dict[str, Any], json.JSONDecoder().raw_decode(question, start)[0])
    except ValueError:
        return {}
    return {name: found[name] for name in tool.parameters.get("properties", ()) if name in found}
