"""Notices when something blocks an event loop, and says which line of whose code it is.

A handler that computes or sleeps without awaiting stops everything that shares its loop. Nothing in the loop can
report that, so a thread does: the loop leaves the time in a field every `BEAT_S`, and the thread looks whether it
is old. A blockage of less than `LIMIT_S - BEAT_S` is never reported, one of more than `LIMIT_S` always.
"""

import asyncio
import linecache
import logging
import os
import sys
import threading
from collections.abc import Iterator
from time import monotonic
from types import FrameType, TracebackType
from typing import Self

from perdure.callsites import is_runtime_code, is_user_code, shown_path

BEAT_S = 0.02
LIMIT_S = 0.25
AGAIN_S = 5.0

logger = logging.getLogger(__name__)

_ASYNCIO = os.path.dirname(asyncio.__file__)
_LOOP_FILES = frozenset(os.path.join(_ASYNCIO, name) for name in ("base_events.py", "events.py", "runners.py"))
_IDLE_FILES = ("selectors.py", "proactor_events.py", "windows_events.py")


class LoopWatchdog:
    """Watches the running loop for the length of a `with` block, at the cost of 50 field writes a second."""

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._loop_thread_id = threading.get_ident()
        self._stopped = threading.Event()
        self._beat()
        threading.Thread(target=self._watch, name="perdure-watchdog", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stopped.set()
        self._timer.cancel()

    def _beat(self) -> None:
        self._beat_at = monotonic()
        self._timer = self._loop.call_later(BEAT_S, self._beat)

    def _watch(self) -> None:
        beat_at, report_at_age_s = self._beat_at, LIMIT_S
        wait_s = LIMIT_S
        while not self._stopped.wait(wait_s):
            if beat_at != self._beat_at:
                beat_at, report_at_age_s = self._beat_at, LIMIT_S
            age_s = monotonic() - beat_at
            if age_s >= report_at_age_s:
                self._report(age_s)
                report_at_age_s = age_s + AGAIN_S
            wait_s = min(report_at_age_s - age_s, LIMIT_S)

    def _report(self, age_s: float) -> None:
        frame = blocking_frame(sys._current_frames().get(self._loop_thread_id))  # pyright: ignore[reportPrivateUsage]
        if frame is None:
            return  # the process was stopped as a whole, or the loop has just gone on
        path, line = frame.f_code.co_filename, frame.f_lineno
        place = f"{shown_path(path)}:{line}"
        logger.warning(
            "the event loop has been blocked for %.2f s by %s, in %s: `%s`. Nothing else runs meanwhile: await "
            "instead, or make the handler a plain `def`, which gets a thread of its own",
            age_s,
            place,
            frame.f_code.co_qualname,
            linecache.getline(path, line).strip(),
            extra={"action": "loop_blocked", "file": path, "line": line, "blocked_s": round(age_s, 2)},
        )


def blocking_frame(innermost: FrameType | None) -> FrameType | None:
    """The frame to blame: the innermost of the user's, else of a library's, else the innermost there is.

    None if the loop only waits for something to do.
    """
    frames = list(_in_callback(innermost))
    if not frames or os.path.basename(frames[0].f_code.co_filename) in _IDLE_FILES:
        return None
    users = (frame for frame in frames if is_user_code(frame.f_code.co_filename))
    libraries = (frame for frame in frames if not is_runtime_code(frame.f_code.co_filename))
    return next(users, None) or next(libraries, None) or frames[0]


def _in_callback(frame: FrameType | None) -> Iterator[FrameType]:
    """The frames of what the loop runs now, innermost first; those that run the loop itself are left out."""
    while frame is not None and frame.f_code.co_filename not in _LOOP_FILES:
        yield frame
        frame = frame.f_back
