"""The cancel of the invocation, as one run of an agent has met it: its hooks may not make another thing of it."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

from perdure.ext.failures import is_cancel


class _OfRun:
    """What has told one run of the cancel."""

    def __init__(self) -> None:
        self.error: Exception | None = None


_of_run: ContextVar[_OfRun | None] = ContextVar("perdure_pydantic_ai_cancel", default=None)
"""Set for each run: several may go on at the same time, and the handler may begin others to clean up."""


@contextmanager
def cancel_of_run() -> Generator[None]:
    """Keeps the cancel of the run that begins here apart from those of others."""
    token = _of_run.set(_OfRun())
    try:
        yield
    finally:
        _of_run.reset(token)


def note_cancel(error: Exception) -> None:
    """Takes note of an error that says that the invocation is cancelled; not of any other."""
    run = _of_run.get()
    if run is not None and is_cancel(error):
        run.error = error


def check_cancel() -> None:
    """Raises what has told this run of the cancel, if anything has."""
    run = _of_run.get()
    if run is not None and run.error is not None:
        raise run.error
