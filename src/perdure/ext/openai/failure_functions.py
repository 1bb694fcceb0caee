"""Failure functions: what becomes of a tool's exception, which the SDK else makes an answer for the model of."""

from typing import Any, Final

from agents import ModelBehaviorError, RunContextWrapper, default_tool_error_function
from agents.tool import ToolErrorFunction

from perdure.ext.failures import must_pass


def raise_terminal_errors(ctx: RunContextWrapper[Any], error: Exception) -> str:
    """A failure function of tools: a TerminalError ends the run and the invocation, any other exception the attempt,
    which is made again. Only of arguments that fit no signature the model hears, to mend them: a retry would not.
    """
    if isinstance(error, ModelBehaviorError) and not must_pass(error):
        return f"The arguments do not fit. {error}"
    raise error


def propagate_cancellation(fn: ToolErrorFunction | None = None) -> ToolErrorFunction:
    """A failure function that makes of an exception what `fn` does, or the SDK's own, but lets a cancel pass."""
    answer: Final = fn or default_tool_error_function

    def answer_unless_cancelled(ctx: RunContextWrapper[Any], error: Exception) -> Any:
        if must_pass(error):
            raise error
        return answer(ctx, error)

    return answer_unless_cancelled
