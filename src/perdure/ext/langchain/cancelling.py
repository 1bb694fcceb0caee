"""A cancelled invocation, in a form that LangGraph lets pass.

Its tool nodes, retries, fallbacks and error handlers make answers or further tries of exceptions, but not of those that
bubble up: those are control flow.
"""

from collections.abc import Generator
from contextlib import contextmanager

from perdure.errors import Cancelled
from perdure.ext.failures import is_cancel
from perdure.ext.missing import needs

with needs("langgraph", extra="langchain"):
    from langgraph.errors import GraphBubbleUp


class CancelledInGraph(Cancelled, GraphBubbleUp):
    """`Cancelled`, raised where a graph is on its way."""


@contextmanager
def letting_cancels_pass() -> Generator[None]:
    """Around what users write: a cancel comes out of it as one, also if they wrapped it in an exception of their own.

    Raises:
        CancelledInGraph: the invocation is cancelled.
    """
    try:
        yield
    except CancelledInGraph:
        raise
    except Exception as error:
        if is_cancel(error):
            raise CancelledInGraph from error
        raise
