"""What can be wrong with a query, as errors of the admin port."""

from collections.abc import Iterable
from difflib import get_close_matches

from perdure.errors import PerdureError, UsageError


class BadQuery(UsageError):
    """The query cannot be understood, names what is not there, or goes beyond a limit; the message says where."""


class TooManyQueries(PerdureError):
    """As many queries run as may: ask again."""

    http_status = 429


class QueryFailed(PerdureError):
    """The query met a bug of ours. What it was is in the engine's log."""

    http_status = 500


def near(word: str, known: Iterable[str]) -> str:
    """A sentence on what was probably meant, for the end of a message."""
    names = sorted(known)
    close = get_close_matches(word.lower(), names, n=3, cutoff=0.6)
    if close:
        return f"Did you mean {' or '.join(close)}?"
    shown = ", ".join(names[:60])
    return f"There are: {shown}{' and more' if len(names) > 60 else ''}."
