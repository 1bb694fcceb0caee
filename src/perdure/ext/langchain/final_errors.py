"""Errors that end the handler for good: those by which a graph or an agent gives up, such as after too many steps.

They follow from what is recorded, so that another attempt would come to the same. Only inside of a run nothing is
recorded, and its next try may do better. LangGraph raises them in many places, and none of these has a hook; so they
are marked as final when they are made, in the `__init__` of their classes.
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


def end_handlers_for_good() -> None:
    """Has these errors marked, wherever they are raised in a handler, outside of runs. To be done once."""
    for kind in FINAL:
        _mark_each(kind)


def _mark_each(kind: type[Exception]) -> None:
    made = kind.__init__

    @wraps(made)
    def __init__(self: Exception, *args: Any, **kwargs: Any) -> None:
        made(self, *args, **kwargs)
        if in_handler() is not None:
            final(self)

    kind.__init__ = __init__
