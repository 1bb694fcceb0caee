"""Tools of an MCP server, two of them in one answer of the model."""

from perdure.testing.model import ChatRequest, Reply
from tests.ext.patterns.pattern import Pattern
from tests.ext.patterns.saying import calling


def script(request: ChatRequest) -> Reply:
    if said := list(request.results.values()):
        return Reply(" | ".join(said))
    return calling(request, "in_stock", "price_of", product="lamp")


PATTERN = Pattern(
    "mcp_tools",
    "Tools/ask",
    "Is there a lamp, and what does it cost?",
    lambda said: "lamp: 4 in stock" in said and "lamp: 35" in said,
    script,
)
