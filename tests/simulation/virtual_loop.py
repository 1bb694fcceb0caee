"""An event loop whose clock stands still while anything runs, and jumps to the next timer when nothing does."""

import asyncio
import selectors
from typing import Any


class StandsStill(RuntimeError):
    """Nothing runs, no timer is set, and somebody still waits: a lost wake-up."""


class _JumpingSelector(selectors.DefaultSelector):
    """Waits no real time: what it would have waited, the loop's clock is moved by."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if events:
            return events
        if timeout is None:
            raise StandsStill("nothing runs and no timer is set: somebody waits for what never comes")
        self.now_s += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs days in milliseconds, and the same way each time."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        raise AssertionError("threads have no place in virtual time")
