"""Exceptions by which a graph or an agent gives up on its own rules: in a handler, no retry mends them.

They follow from what is recorded, so that another attempt would come to the same. (Inside of a run nothing is, and its
next try may do better.) They are raised deep in the libraries, on ways that no hook sees; so it is their classes that
mark them, as they are made.
"""

from functools import wraps
from typing import Any

from perdure.ext.durable_here import in_handler
from perdure.ext.failures import final
from perdure.ext.missing import needs

with needs("langchain", extra="langchain"):
    from langchain.agents.middleware.model_call_limit import ModelCallLimitExceededError
    from langchain.agents.middleware.tool_call_limit import ToolCallLimitExceededError
    from langgraph.errors import EmptyInputError, GraphRecursionError, InvalidUpdateError

FINAL: tuple[type[Exception], ...] = (
    EmptyInputError,
    GraphRecursionError,
    InvalidUpdateError,
    ModelCallLimitExceededError,
    ToolCallLimitExceededError,
)


def mark_as_final() -> None:
    """Has these exceptions marked, wherever they are raised in a handler, outside of runs. To be done once."""
    for kind in FINAL:
        _mark(kind)


def _mark(kind: type[Exception]) -> None:
    made = kind.__init__

    @wraps(made)
    def __init__(self: Exception, *args: Any, **kwargs: Any) -> None:
        made(self, *args, **kwargs)
        if in_handler() is not None:
            final(self)

    kind.__init__ = __init__
