"""Being told that the process is asked to end, beside whatever the ASGI server does about it.

A server waits for its open responses before it ends an app's lifespan, and an attempt's response stays open until
the attempt suspends; so the lifespan comes too late, and the signal itself is listened to.
"""

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType


def on_termination(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    """Calls back, in the loop, on SIGTERM and SIGINT; whoever handled them before still does.

    Not on one that the process ignores, as shells have it for background jobs, or that code outside of Python handles:
    neither ends it. Only the main thread can listen; in another one, nothing happens.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        previous = signal.getsignal(number)
        if previous is not None and previous != signal.SIG_IGN:
            signal.signal(number, _before(previous, loop, callback))


def _before(
    previous: Callable[[int, FrameType | None], object] | int,
    loop: asyncio.AbstractEventLoop,
    callback: Callable[[], None],
) -> Callable[[int, FrameType | None], None]:
    def handle(number: int, frame: FrameType | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(callback)
        if callable(previous):
            previous(number, frame)
        else:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    return handle
