"""Functions as tools: offered to a model with their own names, docstrings and parameters."""

from collections.abc import Callable
from typing import Any

from perdure.llm.chat import ToolCall
from perdure.sdk.parameters import as_tool, read_arguments


def tool_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Offers a function to the model: its docstring says what it is for, its parameters are what the model fills in.

    Raises:
        UsageError: a parameter cannot be given by name, or has no JSON form.
    """
    return {"type": "function", "function": as_tool(function)}


def arguments_of(function: Callable[..., Any], call: ToolCall) -> dict[str, Any]:
    """What the model calls a function with, as keyword arguments of the function's own types.

    Raises:
        ValueError: they do not fit; tell the model, and it may try again.
    """
    return read_arguments(function, call.function.arguments)
