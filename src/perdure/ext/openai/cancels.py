"""How a cancel gets past the SDK, which makes an answer for the model of most exceptions that a tool raises.

Code that the SDK calls wraps a cancel in an exception that the SDK does not catch. Code around the SDK unwraps it.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import NoReturn

from perdure.errors import SdkInternalBaseException
from perdure.ext.failures import must_pass


class WrappedCancel(SdkInternalBaseException):
    """Holds an exception which says that the invocation is cancelled, or that the attempt is over."""

    def __init__(self, wrapped: Exception) -> None:
        super().__init__("let this exception pass: it says that the invocation is cancelled, or the attempt over")
        self.wrapped = wrapped


@contextmanager
def wrapping_cancels() -> Generator[None]:
    """For code that the SDK calls: it cannot make an answer of a cancel that is raised in here."""
    try:
        yield
    except Exception as error:
        if must_pass(error):
            raise WrappedCancel(error) from error
        raise


@contextmanager
def unwrapping_cancels() -> Generator[None]:
    """For code around the SDK: a cancel that was wrapped leaves it as the exception that it was."""
    try:
        yield
    except WrappedCancel as cancel:
        raise_as_it_was(cancel.wrapped)


def raise_as_it_was(error: BaseException) -> NoReturn:
    """Raises an exception with the cause and the context that it has: by them it is known for a cancel."""
    context = error.__context__
    try:
        raise error
    finally:
        error.__context__ = context
