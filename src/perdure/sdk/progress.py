"""Lets user code go on, one notification at a time: the side of a machine that its waiting code sees.

It upholds R1 (see `notifications`): `_advance` reveals a notification only when user code waits.

- One coroutine that waits is blocked for sure, so the next notification follows at once.
- Once the handler has started tasks of its own, one of them may still be on its way to its next command: `settling`
  says when all of them are held to be blocked.

Also here, as they need to know that all user code waits: suspension, the hint of what is awaited, the mismatch of code
that waits where its journal goes on.
"""

import asyncio
import sys
import threading
import time
from asyncio import AbstractEventLoop
from collections.abc import Callable, Coroutine, Generator, Sequence
from concurrent.futures import Future as ThreadFuture
from contextvars import ContextVar
from datetime import timedelta
from itertools import chain
from typing import Any, ParamSpec, TypeAlias, TypeVar

from perdure.errors import (
    Cancelled,
    SdkInternalBaseException,
    SdkInternalException,
    SuspendedException,
    UsageError,
)
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.versions import FUTURE_TREES
from perdure.sdk.awaiting import CANCEL, Handle
from perdure.sdk.executions import Executions
from perdure.sdk.failures import error_message
from perdure.sdk.foreign_awaits import DurableWait, Watch
from perdure.sdk.journal import JournalMismatch
from perdure.sdk.limits import TimeLimit, whole_ms
from perdure.sdk.machine import Machine
from perdure.sdk.mismatch import explain, frames_above, frames_within, location_of
from perdure.sdk.proposals import Result
from perdure.sdk.settling import SETTLE_TURNS, Settling
from perdure.sdk.waits import Waiter, Waits

HINT_AFTER_S = 0.1
"""How long a wait is before the engine is told of it: most are over by then, and a message for each would be wasted."""

Clock: TypeAlias = Callable[[], float]
"""The time that handlers live in: seconds since the epoch, as `time.time` gives them."""

P = ParamSpec("P")
T = TypeVar("T")

run_key_var: ContextVar[str | None] = ContextVar("perdure_run_key", default=None)
"""The key of the run that the current task or thread executes."""


class Progress:
    """What user code is attached to. `on_end` is called once, when the attempt has ended from in here."""

    __slots__ = (
        "_hint",
        "_loop",
        "_loop_thread",
        "_on_end",
        "_settling",
        "_waits",
        "clock",
        "ended",
        "executions",
        "machine",
        "tasks",
        "thread",
    )

    def __init__(
        self, machine: Machine, loop: AbstractEventLoop, on_end: Callable[[], None], clock: Clock = time.time
    ) -> None:
        self.machine = machine
        self.clock = clock
        self._settling = Settling(loop, self._settled)
        self.tasks = self._settling.tasks
        self.thread: int | None = None
        """The worker thread that a plain `def` handler runs in."""
        self.ended: type[SdkInternalBaseException] | None = None
        """What user code gets for whatever it asks, once the attempt has ended."""
        self._loop = loop
        self._loop_thread = threading.get_ident()
        self._on_end = on_end
        self._waits = Waits()
        self.executions = Executions(loop, self._executed, self.fail)
        self._hint: asyncio.TimerHandle | None = None  # set once a wait, which the engine is told of if it is long

    # What user code asks

    def do(self, operation: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Does what user code asks of the machine; the one door to it, from whatever thread.

        Raises:
            UsageError: it was asked inside a run.
            SdkInternalBaseException: the attempt has ended, or ended by this.
        """
        if run_key_var.get() is not None:
            raise UsageError(
                "the context was used inside a run. A run is one step of the journal and cannot hold others: "
                "call the context before or after it, and pass values in"
            )
        if threading.get_ident() != self._loop_thread:
            return self._in_loop(operation, *args, **kwargs)
        return self._do(operation, *args, **kwargs)

    def check_here(self, what: str) -> None:
        """Checks that `what` may use the context from where it is called.

        Raises:
            UsageError: it is called inside a run, or in another event loop or thread than the handler's.
        """
        if run_key_var.get() is not None:
            raise UsageError(
                f"{what} was called inside a run. A run is one step of the journal and cannot hold others: call it in "
                "the handler itself, or in a tool that runs with the context"
            )
        if threading.get_ident() != self._loop_thread:
            raise UsageError(
                f"{what} was called in another thread, or another event loop, than the handler's. Make the handler "
                f"`async def`, and await {what} in it"
            )

    def watch(self, what: str) -> Watch:
        """Watches code that may await nothing but the context; the attempt fails where it does, unless it is over."""

        def report(coroutines: Sequence[Coroutine[Any, Any, Any]]) -> BaseException:
            if self._do(self.machine.notifications.take_cancel):
                self._cancel_all()
                return Cancelled()
            location = location_of(chain.from_iterable(map(frames_within, coroutines)))
            where = f" ({location})" if location else ""
            error = UsageError(
                f"{what} awaits something other than its context{where}. On replay that would come at another time. "
                "Put it into a step: await ctx.run_typed(...) there, or have the whole tool recorded as one step"
            )
            self.fail(error_message(error))
            return SdkInternalException("the attempt ends here; let this exception pass")

        return Watch(self.tasks.owns, report)

    def due_ms(self, delta: timedelta) -> int:
        """When it is `delta` from now; a past time is now."""
        return int(self.clock() * 1000) + max(0, whole_ms(delta))

    def limit(self, handle: Handle, limit: TimeLimit | None, callee: int | None = None) -> None:
        """Sets a timer beside what was just issued; to be done in the same operation, so that nothing comes between."""
        if limit is not None:
            self.machine.limit(handle, limit, self.due_ms(limit.timeout), callee)

    def _do(self, operation: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        if self.ended is not None:
            raise self.ended("the attempt has ended; let this exception pass")
        self._settling.stirred()
        try:
            return operation(*args, **kwargs)
        except JournalMismatch as mismatch:
            self._mismatched(mismatch, asyncio.current_task(self._loop))
            raise SdkInternalException(f"{mismatch}; the attempt has ended") from None

    def _in_loop(self, operation: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        outcome: ThreadFuture[T] = ThreadFuture()

        def call() -> None:
            try:
                outcome.set_result(self._do(operation, *args, **kwargs))
            except BaseException as error:  # noqa: BLE001  it is the asking thread's, whatever it is
                outcome.set_exception(error)

        self._loop.call_soon_threadsafe(call)
        return outcome.result()

    def wait(self, waiter: Waiter) -> Generator[Any, None, None]:
        """Waits until one of the waiter's handles is ready, or all of them: a coroutine's way."""
        future = waiter.future = DurableWait(loop=self._loop)
        self.do(self._begin_wait, waiter)
        try:
            yield from future
        finally:
            if waiter.task is not None:
                self.tasks.goes_on(waiter.task)
            if waiter in self._waits.waiting:  # cancelled from outside
                self._waits.end(waiter)

    def wait_in_thread(self, waiter: Waiter) -> None:
        """Like `wait`, blocking a worker thread."""
        if threading.get_ident() == self._loop_thread:
            raise UsageError("result() would block the event loop: use `await`. It is for plain `def` handlers")
        future = waiter.future = ThreadFuture()
        self.do(self._begin_wait, waiter)
        future.result()

    def wait_later(self, waiter: Waiter) -> None:
        """A waiter that does not wait yet is to take note of what becomes visible from now on."""
        if threading.get_ident() == self._loop_thread:
            self._waits.watch(waiter)
        else:
            self._in_loop(self._watch, waiter)

    def _watch(self, waiter: Waiter) -> None:
        self._notice_ready(waiter)
        self._waits.watch(waiter)

    def wait_no_more(self, waiter: Waiter) -> None:
        """A waiter that could wait again will not: its handles need not be watched."""
        if threading.get_ident() == self._loop_thread:
            self._waits.forget(waiter)
        else:
            self._loop.call_soon_threadsafe(self._waits.forget, waiter)

    def thread_waits(self) -> bool:
        """Whether the thread of a plain `def` handler waits for the journal, and does nothing else meanwhile."""
        return self.thread is not None and any(waiter.task is None for waiter in self._waits.waiting)

    def _begin_wait(self, waiter: Waiter) -> None:
        waiter.task = asyncio.current_task(self._loop) if isinstance(waiter.future, asyncio.Future) else None
        if waiter.task is not None:
            self.tasks.waits(waiter.task)
        if self._waits.waiting:
            self.tasks.several = True
        if waiter.task is None and self._notice_ready(waiter):
            waiter.wake()
            return
        self._waits.begin(waiter)
        self._drop_hint()
        if self.tasks.several:
            self._settling.begin(SETTLE_TURNS)
        else:
            self._advance()
            if self._waits.waiting:
                self._settling.begin(1)

    def _notice_ready(self, waiter: Waiter) -> bool:
        """Takes note of what came after the waiter's thread has asked for it; says whether the wait is over by that."""
        notifications = self.machine.notifications
        ready = [handle for handle in waiter.unwatched if notifications.is_ready(handle)]
        return waiter.notice_any(ready, notifications)

    # What the engine sends

    def notice(self) -> None:
        """The machine took in a message: lets waiting code see it, if it is time."""
        if not self._waits.waiting:
            return
        if self.tasks.several:
            self._settling.go_on()
        else:
            self._advance()
            if self._waits.waiting:
                self._settling.begin(1)

    def _settled(self) -> None:
        if self.tasks.several:
            self._advance()
        if self._waits.waiting and self.ended is None and not self._settling.turns_left:
            self._blocked()

    def _advance(self) -> None:
        """R1: reveals notifications until one of them wakes user code."""
        machine = self.machine
        notifications = machine.notifications
        while self._waits.waiting and self.ended is None:
            try:
                handle = notifications.reveal()
            except JournalMismatch as mismatch:
                self._mismatched(mismatch, next(iter(self._waits.waiting)).task)
                return
            if handle is None:
                return
            if handle == CANCEL:
                woken = self._cancel_all()
            else:
                shown = (handle, *machine.limits.waiting_for(handle)) if isinstance(handle, str) else (handle,)
                woken = self._waits.notice(shown, notifications)
                for waiter in woken:
                    waiter.wake()
            if woken and self.tasks.several:
                self._settling.begin(SETTLE_TURNS)
                return

    def _cancel_all(self) -> list[Waiter]:
        self._waits.look_at_all()
        return self._wake_all(Cancelled)

    def _wake_all(self, error: Callable[[], BaseException]) -> list[Waiter]:
        woken = self._waits.end_all()
        for waiter in woken:
            waiter.wake(error())
        return woken

    def _blocked(self) -> None:
        """All user code waits, and nothing is there for it to see."""
        machine = self.machine
        try:
            machine.journal.check_blocked()
        except JournalMismatch as mismatch:
            self._mismatched(mismatch, next(iter(self._waits.waiting)).task)
            return
        if self.executions.under_way:
            return
        waits = ((waiter.combinator, waiter.missing) for waiter in self._waits.waiting)
        if machine.intake.closed:
            machine.suspend(waits)
            self.end(SuspendedException)
            self._on_end()
        elif not machine.proposals.waiting and self._hint is None and machine.version >= FUTURE_TREES:
            self._hint = self._loop.call_later(HINT_AFTER_S, self._tell)

    def _tell(self) -> None:
        """Tells the engine what is awaited, if all user code still waits: others may want the attempt's slot."""
        machine = self.machine
        if self._waits.waiting and not (
            self.executions.under_way or self._settling.turns_left or machine.proposals.waiting or machine.intake.closed
        ):
            machine.hint_awaiting((waiter.combinator, waiter.missing) for waiter in self._waits.waiting)
        else:
            self._hint = None

    def _drop_hint(self) -> None:
        if self._hint is not None:
            self._hint.cancel()
            self._hint = None

    def _executed(self, handle: int, result: Result) -> None:
        """A run has its result."""
        if self.ended is not None:
            return
        self.machine.propose(handle, result)
        if self._waits.waiting and self.machine.intake.closed:
            self._settling.go_on()

    # How it ends

    def finish(self, result: Result) -> None:
        """Ends the invocation: the handler has returned, or failed for good."""
        try:
            self.machine.finish(result)
        except JournalMismatch as mismatch:
            self.fail(
                explain(mismatch, self.machine.intake.start.debug_id, None)
            )  # no line of the handler runs any more
            return
        self.end(SdkInternalException)
        self._on_end()

    def fail(self, error: pb.ErrorMessage) -> None:
        """Ends the attempt in failure."""
        if not self.machine.closed:
            self.machine.fail(error)
            self.end(SdkInternalException)
            self._on_end()

    def _mismatched(self, mismatch: JournalMismatch, task: "asyncio.Task[Any] | None") -> None:
        if self.thread is not None:
            frames = frames_above(sys._current_frames().get(self.thread))  # pyright: ignore[reportPrivateUsage]
        elif task is not None and task is not asyncio.current_task(self._loop):
            frames = frames_within(task.get_coro())
        else:
            frames = frames_above(sys._getframe())  # pyright: ignore[reportPrivateUsage]
        self.fail(explain(mismatch, self.machine.intake.start.debug_id, location_of(frames)))

    def end(self, reason: type[SdkInternalBaseException]) -> None:
        """Nothing more can be asked: whoever waits, or asks, gets `reason`. Runs are dropped."""
        if self.ended is not None:
            return
        self.ended = reason
        self.tasks.over = True
        self._settling.stop()
        self._drop_hint()
        waiters = self._wake_all(lambda: reason("the attempt ends here; let this exception pass"))
        self.executions.drop()
        main = self.tasks.main
        hears = self.thread is not None or any(waiter.task is main for waiter in waiters)
        if main is not None and not hears and main is not asyncio.current_task(self._loop):
            # It waits for tasks of its own, which may take a while to hand the exception up, or for I/O.
            self._loop.call_soon(self._unwind, main, SETTLE_TURNS)

    def _unwind(self, main: "asyncio.Task[Any]", turns: int) -> None:
        if main.done():
            return
        if turns:
            self._loop.call_soon(self._unwind, main, turns - 1)
        else:
            main.cancel()
