"""Keeps the threads of the HTTP client from spoiling the exit code of a process that ends right after an answer.

pyqwest's threads wake an event loop by `call_soon_threadsafe`, in which they let go of the GIL and ask for it back. Who
asks while the interpreter ends has its thread killed by CPython (before 3.14), in the midst of Rust code, which aborts
the process: exit code 134, after all work was done, in half of the programs that end right after an answer.
"""

import asyncio
import atexit
import sys
import time
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Final

PAUSE_S: Final = 0.005
"""What a thread needs that waits for nothing but the GIL: 1 ms was enough in all of 60 runs."""

CALM_PAUSES: Final = 2
WAIT_MAX_S: Final = 5.0

_WAKES: Final = asyncio.BaseEventLoop.call_soon_threadsafe.__code__
_THREADS: Final = Path("/proc/self/task")
_RUNS: Final = ("R", "D")
"""Linux's letters for a thread that has or wants a CPU, and for one that waits for a disk."""


@cache
def let_out_at_exit() -> None:
    """Have the process wait at its end, before the interpreter takes itself apart, until those threads are at rest."""
    if sys.version_info < (3, 14):
        atexit.register(_wait_for_rest)


def _wait_for_rest() -> None:
    """Returns when no thread of the HTTP client has been seen at work after some pauses, in which the GIL was free."""
    until_s = time.monotonic() + WAIT_MAX_S
    calm = 0
    while calm < CALM_PAUSES and time.monotonic() < until_s:
        time.sleep(PAUSE_S)
        calm = 0 if is_any_busy() else calm + 1


def is_any_busy() -> bool:
    """Whether a thread wakes a loop, or (on Linux, which tells it) is about to do anything at all."""
    frames = sys._current_frames().values()  # pyright: ignore[reportPrivateUsage]
    return any(map(_wakes_a_loop, frames)) or any(map(_runs, _THREADS.glob("*/stat")))


def _wakes_a_loop(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code is not _WAKES:
        frame = frame.f_back
    return frame is not None


def _runs(stat: Path) -> bool:
    """Whether a thread is one of the HTTP client's runtime, and runs or waits for a CPU only."""
    try:
        name, _, rest = stat.read_text("utf-8", "replace").rpartition(") ")
    except OSError:  # it has ended
        return False
    return "(tokio" in name and rest.startswith(_RUNS)
