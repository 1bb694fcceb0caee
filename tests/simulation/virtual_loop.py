"""An event loop in virtual time, for what has no place for chance: no threads, and a lost wake-up is an error."""

import asyncio
from typing import Any

from perdure.testing.virtual_time import StandsStill, VirtualTime

START_S = 1_800_000_000.0


def now_s() -> float:
    """The time in the running loop's world."""
    return START_S + asyncio.get_running_loop().time()


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs days in milliseconds, and the same way each time."""

    def __init__(self) -> None:
        super().__init__()
        time = VirtualTime.of(self)
        time.keep(self)
        time.begin_at(0.0)

    def holds(self) -> bool:
        return False

    def waited(self, real_s: float) -> None: ...

    def stands_still(self) -> bool:
        if not getattr(self, "_scheduled"):  # noqa: B009  private, but the only way to know
            raise StandsStill("nothing runs and no timer is set: somebody waits for what never comes")
        return False

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        raise AssertionError("threads have no place in virtual time")
