"""Time limits: timers of the journal beside what is waited for, which end the wait in failure if they are first.

Which of the two was first is the journal's to say, so it is the same on replay. What comes after its limit is nobody's.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from perdure.errors import UsageError
from perdure.protocol import wire_pb2 as pb
from perdure.sdk.awaiting import Handle, Limited

TIMED_OUT: Final = 408


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """How long is waited for `what`, and what is said of it when that is over."""

    what: str
    missed: str
    timeout: timedelta

    @property
    def timer_name(self) -> str:
        """What the timer is called in the journal."""
        return f"timeout of {self.what}"

    @property
    def message(self) -> str:
        return f"{self.what} {self.missed} within {self.timeout.total_seconds():g} s"


def time_limit(timeout: timedelta | None, what: str, missed: str) -> TimeLimit | None:
    """The limit that a `timeout=` asks for; None where there is none.

    Raises:
        UsageError: it is no timedelta, or a negative one.
    """
    if timeout is None:
        return None
    check_span("timeout", timeout)
    return TimeLimit(what, missed, timeout)


def check_span(name: str, span: timedelta) -> None:
    """Checks a timeout or a delay; zero is one.

    Raises:
        UsageError: it is no timedelta, or a negative one.
    """
    if not isinstance(span, timedelta):  # pyright: ignore[reportUnnecessaryIsInstance]  code without type hints
        raise UsageError(f"{name} must be a timedelta, not {span!r}: {name}=timedelta(seconds=30)")
    if span < timedelta(0):
        raise UsageError(f"{name} must be zero or more, not {span.total_seconds():g} s")


def milliseconds(name: str, span: timedelta) -> int:
    """A timeout or a delay in milliseconds, checked as by `check_span`."""
    check_span(name, span)
    return whole_ms(span)


def whole_ms(span: timedelta) -> int:
    """A span as messages and manifests hold it: what is less than a millisecond is cut off."""
    return span // _MILLISECOND


_MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Expiry:
    """What happens when a timer is first: a future fails, and a callee, known by the handle of its id, is cancelled."""

    handle: Handle
    message: str
    callee: int | None


class Limits:
    """The time limits of one attempt that are neither met nor over."""

    __slots__ = ("_by_signal", "_expired", "_expiries", "_runs", "_signals", "_timers", "any")

    def __init__(self) -> None:
        self._expiries: dict[Handle, Expiry] = {}  # by timer
        self._timers: dict[Handle, int] = {}  # by what is limited, but for signals
        self._signals: dict[Handle, str] = {}  # by timer: their future has its handle, since signals share their name
        self._by_signal: dict[Handle, dict[Handle, None]] = {}  # their timers, by name
        self._runs: set[Handle] = set()
        self._expired: set[Handle] = set()
        self.any = False
        """Whether there ever was one, but for those of runs."""

    def add(self, handle: Handle, timer: int, message: str, callee: int | None = None) -> None:
        """A timer beside a completion or an awakeable."""
        self.any = True
        self._expiries[timer] = Expiry(handle, message, callee)
        self._timers[handle] = timer

    def add_signal(self, name: str, timer: int, message: str) -> None:
        """A timer beside a signal; from now on, the timer's handle is that of both."""
        self.any = True
        self._expiries[timer] = Expiry(timer, message, None)
        self._signals[timer] = name
        self._by_signal.setdefault(name, {})[timer] = None

    def add_run(self, handle: Handle) -> None:
        """A run whose limit is kept by those who execute it: when it is over, that is the run's recorded result."""
        self._runs.add(handle)

    def met(self, handle: Handle) -> None:
        """What has the limit came in time, or a future took it: the timer has no meaning any more."""
        timer = self._timers.pop(handle, None)
        if timer is not None:
            del self._expiries[timer]
            return
        signal = self._signals.pop(handle, None)
        if signal is not None:
            self._expiries.pop(handle, None)
            del self._by_signal[signal][handle]

    def expire(self, timer: Handle) -> Expiry | None:
        """What happens as this timer is over; None if it was not for a limit, or what has the limit came in time."""
        expiry = self._expiries.pop(timer, None)
        if expiry is not None:
            self._timers.pop(expiry.handle, None)
            self._expired.add(expiry.handle)
        return expiry

    def too_late(self, handle: Handle) -> bool:
        """Whether the limit of what comes under this handle is over: whoever waited has been told that it failed."""
        return handle in self._expired

    def timed_out(self, handle: Handle, failure: pb.Failure) -> bool:
        """Whether a failure under this handle says that the limit is over; a callee may fail with the same code."""
        return failure.code == TIMED_OUT and (handle in self._expired or handle in self._runs)

    def signal_of(self, handle: Handle) -> str | None:
        """The signal that a future with this handle waits for; None if it waits for no signal with a limit."""
        return self._signals.get(handle)

    def waiting_for(self, signal: Handle) -> Iterable[Handle]:
        """The handles of the futures that wait for a signal, and have a limit."""
        return self._by_signal.get(signal, ())

    def limited(self, handle: Handle) -> Limited | None:
        """What an engine must be told of instead of a handle that has a limit: what is limited, and the timer."""
        timer = self._timers.get(handle)
        if timer is not None:
            return handle, timer
        signal = self._signals.get(handle)
        return None if signal is None else (signal, handle)
