"""Waiting for what another process does: by asking again, with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(ask: Callable[[], T | None], what: str, timeout_s: float = 60.0) -> T:
    """The first answer of `ask` that is not None."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if (answer := ask()) is not None:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"not within {timeout_s} s: {what}")
