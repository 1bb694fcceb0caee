"""Sleep: durable timers, of any length."""

from datetime import timedelta

from perdure.sdk.capabilities.capability import Capability, checked
from perdure.sdk.futures import DurableSleepFuture, as_none


class Sleeps(Capability):
    """Waits for time to pass, through crashes and restarts."""

    __slots__ = ()

    def sleep(self, delta: timedelta, name: str | None = None) -> DurableSleepFuture:
        """A timer that ends after `delta`, counted from when it is first asked for; at once if negative. Await it."""
        progress = self._progress
        name = checked("the name of a sleep", name or "")
        handle, _ = progress.do(progress.machine.commands.issue_timer, name, progress.due_ms(delta))
        return DurableSleepFuture(progress, handle, as_none)
