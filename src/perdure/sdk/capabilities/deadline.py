"""When a run must be done: a timer of the journal, which cancels the action and makes that the run's result.

Only the result is decided here, and recorded; so it does not matter to replay whose clock was first to say so. The
engine's timer comes also to later attempts. The loop's own is for those to which the engine can send nothing any more.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from perdure.errors import TimedOut
from perdure.sdk.limits import TimeLimit
from perdure.sdk.progress import Progress

T = TypeVar("T")


class Deadline:
    """That of one run. It is made in the loop's thread, right after the run's command."""

    __slots__ = ("_clock", "_due_ms", "_message", "_over")

    def __init__(self, progress: Progress, run: int, limit: TimeLimit) -> None:
        machine = progress.machine
        timer, self._due_ms = machine.commands.issue_timer(limit.timer_name, progress.due_ms(limit.timeout))
        machine.limits.add_run(run)
        self._clock = progress.clock
        self._message = limit.message
        self._over = asyncio.Event()
        if machine.notifications.has_come(timer):
            self._over.set()
        else:
            machine.notifications.on_arrival[timer] = self._over.set

    def left_s(self) -> float:
        """The time that is left; 0 if it is over."""
        return max(0.0, self._due_ms / 1000 - self._clock())

    async def keep(self, action: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Awaits the action as long as there is time.

        Raises:
            TimedOut: there is none left. The action is cancelled, and what it still does is nobody's.
        """
        if self._over.is_set():
            raise TimedOut(self._message)
        acting = asyncio.ensure_future(action())
        waiting = asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait((acting, waiting), timeout=self.left_s(), return_when=asyncio.FIRST_COMPLETED)
            if acting.done():
                return acting.result()
            raise TimedOut(self._message)
        finally:
            waiting.cancel()
            if not acting.done():
                acting.add_done_callback(_forget)
                acting.cancel()


def _forget(acting: "asyncio.Future[Any]") -> None:
    """Takes what is raised too late, of which asyncio would report that nobody asked for it."""
    if not acting.cancelled():
        acting.exception()
