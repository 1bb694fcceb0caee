"""A cancelled invocation, in a form that LangGraph lets pass.

Its tool nodes, retries, fallbacks and error handlers make answers or further tries of exceptions, but not of those that
bubble up: those are control flow.
"""

from perdure.errors import Cancelled
from perdure.ext.missing import needs

with needs("langgraph", extra="langchain"):
    from langgraph.errors import GraphBubbleUp


class CancelledInGraph(Cancelled, GraphBubbleUp):
    """`Cancelled`, raised where a graph is on its way."""
