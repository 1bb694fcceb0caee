"""When all user code of a handler that has several tasks is blocked, as far as the loop lets one see.

Once the handler has started tasks of its own, one of them may still be on its way to its next command. Then all is
held to be blocked when the loop has turned `SETTLE_TURNS` times with no command issued, no wait begun, no task
started or ended, and none seen that would go on by itself.
"""

from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import Final

from perdure.sdk.tasks import HandlerTasks

SETTLE_TURNS: Final = 16
"""More than any wake-up of one task by another takes, such as by the callbacks that make up `asyncio.gather`; each turn
costs about a microsecond."""

BUSY_TURNS_MAX: Final = 10_000
"""For how long a task that always goes on by itself, as one that polls with `asyncio.sleep(0)`, holds up the others."""


class Settling:
    """Counts turns of the loop. `on_settled` is called when enough have passed in which user code did nothing."""

    __slots__ = ("_busy_turns", "_loop", "_on_settled", "tasks", "turns_left")

    def __init__(self, loop: AbstractEventLoop, on_settled: Callable[[], None]) -> None:
        self._loop = loop
        self._on_settled = on_settled
        self.tasks = HandlerTasks(self.stirred)
        self.turns_left = 0
        """Turns until all is held to be blocked; 0: no count is running."""
        self._busy_turns = 0  # turns since that count began in which a task went on by itself

    def begin(self, turns: int) -> None:
        """Begins to count, or begins anew."""
        running = self.turns_left > 0
        self.turns_left = turns
        self._busy_turns = 0
        if not running:
            self._loop.call_soon(self._turn)

    def go_on(self) -> None:
        """Lets a running count go on; else all is held to be blocked after one turn."""
        self.begin(self.turns_left or 1)

    def stirred(self) -> None:
        """User code does something: a running count begins anew."""
        if self.turns_left:
            self.turns_left = SETTLE_TURNS

    def stop(self) -> None:
        """Counts no longer; what was begun comes to nothing."""
        self.turns_left = 0

    def _turn(self) -> None:
        self.turns_left -= 1
        if self.tasks.several and self._busy_turns < BUSY_TURNS_MAX and self.tasks.on_its_way():
            self._busy_turns += 1
            self.turns_left = SETTLE_TURNS
        if self.turns_left > 0:
            self._loop.call_soon(self._turn)
            return
        self.turns_left = 0
        self._on_settled()
