"""How often a model routes questions as a person would: the held-out ones, none of which shaped its prompt."""

import importlib.util
from typing import Any

from perdure.demo.questions import HELD_OUT
from perdure.demo.stage import examples_folder
from perdure.llm.client import ModelEndpoint, ask

Miss = tuple[str, str, str]
"""The question, who should have got it, who got it."""


async def measure(endpoint: ModelEndpoint) -> tuple[int, list[Miss]]:
    """How many were right, and those that were not."""
    tools = _routers_tools()
    hits, misses = 0, list[Miss]()
    for expected, questions in HELD_OUT.items():
        for question in questions:
            reply = await ask(endpoint, question, tools)
            picked = reply.tool_calls[0].function.name if reply.tool_calls else "nobody"
            if picked == expected:
                hits += 1
            else:
                misses.append((question, expected, picked))
    return hits, misses


def _routers_tools() -> list[dict[str, Any]]:
    """What the examples' router offers to the model: the examples are no package, they are read from their folder."""
    spec = importlib.util.spec_from_file_location("support_desk", examples_folder() / "support_desk.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.TOOLS
