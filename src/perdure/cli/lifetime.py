"""How long a serving command lives: until SIGINT or SIGTERM, with 10 s of grace, or until a second signal."""

import asyncio
import gc
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from types import FrameType
from typing import Any

from perdure.cli.exits import Exit

GRACE_S = 10.0
FORCED_AFTER_S = GRACE_S + 3.0


def run_until_stopped(serve: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    """Runs `serve(stop)` in an event loop; it must return within `GRACE_S` once `stop` is set.

    Where it does not (a handler blocks the loop, or a thread), the process ends without it: all that anybody was
    told is committed, so that costs only another attempt.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        loop = runner.get_loop()
        stop = asyncio.Event()

        def on_signal(number: int, frame: FrameType | None) -> None:
            if stop.is_set() or forced.is_alive():
                _exit_now()
            forced.start()
            loop.call_soon_threadsafe(stop.set)

        forced = threading.Timer(FORCED_AFTER_S, _exit_now)
        forced.daemon = True
        # Plain signal handlers rather than the loop's own: these work while a user's handler blocks the loop.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, on_signal)
        runner.run(serve(stop))


def spare_the_collector() -> None:
    """Have the garbage collector look at what is made from here on, and more rarely: its pauses cost a sixth of a
    busy engine's time, nearly all of it spent on what imports left behind."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 20)


async def stopped_or(stop: asyncio.Event, ending: Awaitable[object]) -> None:
    """Waits until the command was asked to stop, or `ending` has come by itself, whose error is raised."""
    stopping, ended = asyncio.ensure_future(stop.wait()), asyncio.ensure_future(ending)
    await asyncio.wait([stopping, ended], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if ended.done():
        await ended


def _exit_now() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(Exit.DONE)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
