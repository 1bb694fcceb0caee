"""Programs that used the HTTP client end with the exit code that they should.

pyqwest's threads wake an event loop by `call_soon_threadsafe`, in which they let go of the GIL and ask for it back. Who
asks while the interpreter ends has its thread killed by CPython (before 3.14), in the midst of Rust code, which aborts
the process: exit code 134, after all work was done, in half of the programs that end right after an answer.
"""

import asyncio
import atexit
import sys
import time
from functools import cache
from types import FrameType
from typing import Final

PAUSE_S: Final = 0.01
"""What a thread needs that waits for nothing but the GIL: 1 ms was enough in all of 60 runs."""

WAIT_MAX_S: Final = 5.0

_WAKES: Final = asyncio.BaseEventLoop.call_soon_threadsafe.__code__


@cache
def let_out_at_exit() -> None:
    """Have the process wait at its end, without the GIL, before the interpreter takes itself apart."""
    if sys.version_info < (3, 14):
        atexit.register(_let_out)


def _let_out() -> None:
    """Returns when no thread wakes a loop any more; one that has not begun to shows nowhere, hence the first pause."""
    until_s = time.monotonic() + WAIT_MAX_S
    time.sleep(PAUSE_S)
    while time.monotonic() < until_s and any(map(_wakes_a_loop, sys._current_frames().values())):  # pyright: ignore[reportPrivateUsage]
        time.sleep(PAUSE_S)


def _wakes_a_loop(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code is not _WAKES:
        frame = frame.f_back
    return frame is not None
