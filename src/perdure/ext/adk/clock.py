"""Ids, times and random numbers of ADK, out of the journal: the same on every attempt.

ADK asks `google.adk.platform` for all three, where providers can be set for the current code and the tasks it starts.
What runs inside a step is recorded by its result, and asks the world as ever.
"""

import random
import time
import uuid

from perdure.ext.durable_here import in_step
from perdure.ext.missing import needs
from perdure.sdk.context import Context

with needs("google-adk", extra="adk"):
    from google.adk import platform
    from google.adk.platform import time as platform_time
    from google.adk.platform import uuid as platform_uuid

_TICK_S = 1e-6
_CHANCE = random.Random()


class Clock:
    """The time as of the last thing recorded, and a microsecond later each time that it is asked."""

    def __init__(self) -> None:
        self.now = 0.0
        self.fresh = False
        """Whether nobody asked since it was last set."""

    def tick(self) -> float:
        """The time, for who asks."""
        self.fresh = False
        self.now += _TICK_S
        return self.now

    def reach(self, recorded: float) -> None:
        """It is at least that late by now."""
        self.now = max(self.now, recorded)


async def set_clock(ctx: Context) -> None:
    """Records the time, and has ADK ask the journal from here on: in this task, and in those that it starts."""
    clock = ctx.attached(Clock)
    clock.reach(await ctx.time())
    clock.fresh = True
    provide(ctx)


def provide(ctx: Context) -> None:
    """Has ADK ask the journal for ids, times and random numbers."""
    clock = ctx.attached(Clock)
    platform_uuid.set_id_provider(lambda: str(uuid.uuid4() if in_step() else ctx.uuid()))
    platform_time.set_time_provider(lambda: time.time() if in_step() else clock.tick())
    platform.set_random_provider(lambda: _CHANCE if in_step() else ctx.random())
