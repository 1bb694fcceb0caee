"""How a run's result is written, and how often it is tried."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from perdure.sdk.failures import clamp_delay_ms
from perdure.sdk.serde import Serde

T = TypeVar("T")


@dataclass(slots=True)
class RunOptions(Generic[T]):
    """How a run's result is written, and how often it is tried. With no limit set, the invocation's policy holds."""

    serde: Serde[T] | None = None
    type_hint: type[T] | None = None
    """The result's type; else the action's return annotation, where it is known at run time; else plain JSON."""
    max_attempts: int | None = None
    """Tries, the first included; after the last, the handler gets a TerminalError."""
    max_duration: timedelta | None = None
    """Time for all tries; when it is over, the handler gets a TerminalError."""
    initial_retry_interval: timedelta | None = None
    """50 ms, if any limit or interval is set."""
    max_retry_interval: timedelta | None = None
    """10 s, if any limit or interval is set."""
    retry_interval_factor: float | None = None
    """2, if any limit or interval is set."""
    max_retry_duration: timedelta | None = None
    """The old name of `max_duration`."""
    timeout: timedelta | None = None
    """Time for all tries, even for one that does not end: it is cancelled, and the handler gets `TimedOut`."""

    def next_delay_ms(self, attempt: int) -> int | None:
        """How long to wait after a failed attempt; None: by the invocation's policy."""
        if self._unlimited():
            return None
        initial = 0.05 if self.initial_retry_interval is None else self.initial_retry_interval.total_seconds()
        longest = 10.0 if self.max_retry_interval is None else self.max_retry_interval.total_seconds()
        factor = 2.0 if self.retry_interval_factor is None else self.retry_interval_factor
        try:
            delay = initial * factor ** (attempt - 1)
        except OverflowError:
            delay = longest
        return clamp_delay_ms(min(longest, delay) * 1000)

    def exhausted(self, attempt: int, elapsed_s: float) -> bool:
        """Whether the attempt that has just failed was the last."""
        duration = self.max_retry_duration if self.max_duration is None else self.max_duration
        return (self.max_attempts is not None and self.max_attempts <= attempt) or (
            duration is not None and duration.total_seconds() <= elapsed_s
        )

    def _unlimited(self) -> bool:
        return (
            self.max_attempts is None
            and self.max_duration is None
            and self.max_retry_duration is None
            and self.initial_retry_interval is None
            and self.max_retry_interval is None
            and self.retry_interval_factor is None
            and self.timeout is None
        )
