"""Sleep: durable timers, of any length."""

from datetime import timedelta

from perdure.protocol import wire_pb2 as pb
from perdure.sdk.capabilities.capability import Capability, checked
from perdure.sdk.futures import DurableSleepFuture, as_none


class Sleeps(Capability):
    """Waits for time to pass, through crashes and restarts."""

    __slots__ = ()

    def sleep(self, delta: timedelta, name: str | None = None) -> DurableSleepFuture:
        """A timer that ends after `delta`, counted from when it is first asked for. Await it."""
        wake_up_time = int(self._progress.clock() * 1000) + max(0, int(delta.total_seconds() * 1000))
        command = pb.SleepCommandMessage(wake_up_time=wake_up_time, name=checked("the name of a sleep", name or ""))
        progress = self._progress
        return DurableSleepFuture(progress, progress.do(progress.machine.issue_completable, command), as_none)
