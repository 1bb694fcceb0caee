"""Priorities: which of those that wait goes first. They travel as a header, from outside and from handlers alike."""

from typing import Final

from perdure.errors import UsageError

PRIORITY_HEADER: Final = "x-perdure-priority"
PRIORITY_MAX: Final = 100


def check_priority(priority: int) -> None:
    """Raises `UsageError` where it is no whole number from -100 to 100."""
    # Priorities come from code without type hints too, as texts and as what a model chose.
    whole = isinstance(priority, int) and not isinstance(priority, bool)  # pyright: ignore[reportUnnecessaryIsInstance]
    if not whole or abs(priority) > PRIORITY_MAX:
        raise UsageError(f"bad priority {priority!r}: a whole number from -{PRIORITY_MAX} to {PRIORITY_MAX}")
