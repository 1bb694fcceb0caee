"""How a cancel, and the end of an attempt, get past the SDK, which makes an answer for the model of most exceptions."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final, NoReturn

from agents import ModelBehaviorError, RunContextWrapper, default_tool_error_function
from agents.tool import ToolErrorFunction

from perdure.errors import SdkInternalBaseException
from perdure.ext.failures import must_pass


class Escaping(SdkInternalBaseException):
    """Carries an exception out of the SDK's reach; `landing` raises that again."""

    def __init__(self, carried: Exception) -> None:
        super().__init__("let this exception pass: it says that the invocation is cancelled, or the attempt over")
        self.carried = carried


@contextmanager
def escaping() -> Generator[None]:
    """What must pass, and is raised in here, cannot become an answer for the model."""
    try:
        yield
    except Exception as error:
        if must_pass(error):
            raise Escaping(error) from error
        raise


@contextmanager
def landing() -> Generator[None]:
    """Where what escaped is an ordinary exception again."""
    try:
        yield
    except Escaping as escaped:
        raise_as_it_was(escaped.carried)


def raise_as_it_was(error: BaseException) -> NoReturn:
    """Raises an exception with the cause and the context that it has: by them it is known for a cancel."""
    context = error.__context__
    try:
        raise error
    finally:
        error.__context__ = context


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
