"""How long a serving command lives: until SIGINT or SIGTERM, or until what it serves ends by itself.

Either way 10 s of grace follow, which a second signal cuts short. Then the process ends, whatever still runs in it:
the interpreter would wait for each thread that a plain handler blocks, and before Python 3.14 the threads of the HTTP
client sometimes abort it.
"""

import asyncio
import atexit
import gc
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

from perdure.cli.exits import Exit, exit_for, tell

GRACE_S = 10.0
FORCED_AFTER_S = GRACE_S + 3.0
UNWINDING_S = 1.0

_UNWRITABLE = (OSError, ValueError, RuntimeError)  # closed, or a signal came in the middle of writing


class Lifetime:
    """When a serving command ends, and with which code."""

    def __init__(self) -> None:
        self._stop = asyncio.Event()
        self._ending = False
        self._code: int = Exit.DONE
        self._untold: BaseException | None = None
        self._forced = threading.Timer(FORCED_AFTER_S, self.exit_now)
        self._forced.daemon = True

    @property
    def stopping(self) -> bool:
        """Whether the command was asked to stop."""
        return self._stop.is_set()

    async def lasts(self, ending: Awaitable[object]) -> None:
        """Waits until the command was asked to stop, or `ending` has come by itself, whose error is raised."""
        stopping, ended = asyncio.ensure_future(self._stop.wait()), asyncio.ensure_future(ending)
        await asyncio.wait([stopping, ended], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if ended.done():
            self.end(ended.exception())
            await ended

    def stop(self, loop: asyncio.AbstractEventLoop) -> None:
        """What a signal does: the first asks to stop, any after it, or after the end began by itself, is obeyed now."""
        if self._ending:
            self.exit_now()
        self.end()
        if sys.stderr.isatty():
            with suppress(*_UNWRITABLE):
                print(f"stopping: what runs has {GRACE_S:.0f} s to suspend; Ctrl-C again stops now", file=sys.stderr)
        loop.call_soon_threadsafe(self._stop.set)

    def end(self, error: BaseException | None = None) -> None:
        """The end begins, and takes `FORCED_AFTER_S` at most. The first error that there is decides on the code."""
        if error is not None and self._code == Exit.DONE:
            self._code, self._untold = exit_for(error), error
        if not self._ending:
            self._ending = True
            self._forced.start()

    def exit(self) -> NoReturn:
        """Ends the process, after what was registered to be done at its end."""
        self._tell()
        atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]  `os._exit` leaves them out
        self.exit_now()

    def exit_now(self) -> NoReturn:
        """Ends the process, in any thread and whatever it is at."""
        self._tell()
        for stream in (sys.stdout, sys.stderr):
            with suppress(*_UNWRITABLE):
                stream.flush()
        os._exit(self._code)

    def _tell(self) -> None:
        error, self._untold = self._untold, None
        if error is not None:
            with suppress(*_UNWRITABLE):
                tell(error)


def run_until_stopped(serve: Callable[[Lifetime], Coroutine[Any, Any, None]]) -> NoReturn:
    """Runs `serve(lifetime)` in an event loop; it must return within `GRACE_S` of when `lifetime.lasts` did.

    Where it does not (a handler blocks the loop, or a thread), the process ends without it: all that anybody was
    told is committed, so that costs only another attempt.
    """
    lifetime = Lifetime()
    runner = asyncio.Runner(loop_factory=_loop_factory())  # never closed: that waits for threads
    loop = runner.get_loop()

    def on_signal(number: int, frame: FrameType | None) -> None:
        lifetime.stop(loop)

    # Plain signal handlers rather than the loop's own: these work while a user's handler blocks the loop.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    for part in (serve(lifetime), _unwind()):
        try:
            runner.run(part)
        except BaseException as error:  # noqa: BLE001  the edge of the process: told, with its traceback if it is a bug
            lifetime.end(error)
        else:
            lifetime.end()
    lifetime.exit()


def spare_the_collector() -> None:
    """Have the garbage collector look at what is made from here on, and more rarely: its pauses cost a sixth of a
    busy engine's time, nearly all of it spent on what imports left behind.

    It takes a moment itself: before the watchdog looks."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 20)


async def _unwind() -> None:
    """Cancels the tasks that are left, and gives them a moment to clean up."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=UNWINDING_S)
    await asyncio.get_running_loop().shutdown_asyncgens()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
