"""Keeps virtual time from jumping while work outside the loop is under way, and fails waits that can never end."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, TypeVar

from perdure.engine.engine import Engine
from perdure.errors import PerdureError
from perdure.protocol import wire_pb2 as pb
from perdure.sdk.attempt import Attempt
from perdure.testing.store import Seen, Store
from perdure.testing.virtual_time import StandsStill, VirtualTime
from perdure.testing.waits import Wait, waiting_of

T = TypeVar("T")

WARN_AFTER_S = 5.0

logger = logging.getLogger(__name__)


class Watch:
    """The `Keeper` of a harness's virtual time. `failed`: an attempt has failed since anybody looked."""

    def __init__(self, time: VirtualTime, store: Store, attempts: list[Attempt], patience_s: float) -> None:
        self.engine: Engine | None = None
        self.failed = False
        self._time = time
        self._store = store
        self._attempts = attempts
        self._patience_s = patience_s
        self._waits: dict[asyncio.Future[Any], tuple[str, float]] = {}
        self._refused: str | None = None
        self._where = ""
        self._warned = False
        # What was there before is not known to be about the test: a server's listener may wait for ever.
        self._background = asyncio.all_tasks(time.loop) - {asyncio.current_task(time.loop)}

    async def wait(self, invocation_id: str, waiting: "asyncio.Future[T]") -> T:
        """Waits for an answer that says what becomes of an invocation.

        Raises:
            StandsStill: it never comes.
        """
        verdict: asyncio.Future[T] = self._time.loop.create_future()
        self._waits[verdict] = (invocation_id, self._time.now_s() + self._patience_s)
        try:
            await asyncio.wait({waiting, verdict}, return_when=asyncio.FIRST_COMPLETED)
            return (verdict if verdict.done() else waiting).result()
        finally:
            waiting.cancel()
            verdict.cancel()
            del self._waits[verdict]

    def refuse(self, invocation_id: str, target: str, error: pb.ErrorMessage) -> None:
        """An attempt failed, and retries are disabled."""
        if self._refused is None:
            trace = f"\n{error.stacktrace}" if error.stacktrace else ""
            self._refused = f"an attempt at {target} failed ({invocation_id}): {error.message}{trace}"

    # ---- the keeper of time ----

    def holds(self) -> bool:
        # What a run has left behind, as an open connection, is part of the next run, and of nothing else.
        left = () if any(attempt.executes() for attempt in self._attempts) else self._time.left_by_runs
        for task in asyncio.all_tasks(self._time.loop):
            if task in self._background or task in left:
                continue
            waiting = waiting_of(task)
            if waiting.wait is Wait.OUTSIDE or (waiting.wait is Wait.THREAD and not self._time.only_waits(task)):
                self._where = waiting.where
                return True
        return False

    def only_waits(self, task: "asyncio.Task[Any]") -> bool:
        return any(attempt.task is task and attempt.thread_waits() for attempt in self._attempts)

    def waited(self, real_s: float) -> None:
        if real_s < WARN_AFTER_S:
            self._warned = False
        elif not self._warned and self._where:
            self._warned = True
            logger.warning(
                "virtual time does not jump: %s waits for something outside of this process. "
                "`await h.advance(...)` lets time pass all the same",
                self._where,
            )

    def stands_still(self) -> bool:
        if not self._waits or self.engine is None:
            return False
        if self._refused is not None:
            message, self._refused = self._refused, None
            return self._tell(self._waits, message)
        if self.failed:
            self.failed = False
            paused = [verdict for verdict, (id, _) in self._waits.items() if self._status(id) == "paused"]
            for verdict in paused:
                self._tell([verdict], self._explain(self._waits[verdict][0]))
            if paused:
                return True
        now_s = self._time.now_s()
        late = [verdict for verdict, (_, until_s) in self._waits.items() if until_s < now_s]
        if late:
            days = self._patience_s / 86_400
            return self._tell(late, f"not done after {days:g} days of virtual time; Harness(patience=...) allows more")
        if not self.engine.stopping and self.engine.at_rest and not self._others_have_timers():
            for verdict, (id, _) in list(self._waits.items()):
                self._tell([verdict], self._explain(id))
            return True
        return False

    def _tell(self, verdicts: Iterable[asyncio.Future[Any]], message: str) -> bool:
        open_ones = [verdict for verdict in verdicts if not verdict.done()]
        for verdict in open_ones:
            verdict.set_exception(StandsStill(message))
        return bool(open_ones)

    def _others_have_timers(self) -> bool:
        """Whether a timer of the loop is anybody's but the engine's, which has said that nothing is due."""
        # Private, but there is no other way to see the timers of a loop.
        scheduled: list[asyncio.TimerHandle] = getattr(self._time.loop, "_scheduled")  # noqa: B009
        return any(not handle.cancelled() and not _is_of_engine(handle) for handle in scheduled)

    # ---- what it says ----

    def _status(self, invocation_id: str) -> str | None:
        assert self.engine is not None
        try:
            return self.engine.invocations.describe(invocation_id).status
        except PerdureError:
            return None  # between two engines

    def _explain(self, invocation_id: str) -> str:
        """Why it never ends: it, and what was begun from it."""
        seen = {each.id: each for each in self._store.invocations()}
        about = [each for each in seen.values() if each.status != "completed"]
        about.sort(key=lambda each: each.id != invocation_id)
        lines = [f"  {each.target} ({each.id}): {self._reason(each)}" for each in about[:10]]
        more = [f"  and {len(about) - 10} more"] if len(about) > 10 else []
        what = seen[invocation_id].target if invocation_id in seen else invocation_id
        return "\n".join([f"{what} never ends: nothing runs, and nothing is due. What waits:", *lines, *more])

    def _reason(self, seen: Seen) -> str:
        assert self.engine is not None
        view = self.engine.invocations.describe(seen.id)
        reason = getattr(view, "waiting_reason", None) or view.status
        failure = view.last_failure
        if failure is None or failure.message in reason:
            return reason
        trace = f"\n{failure.stacktrace}" if failure.stacktrace else ""
        return f"{reason}; its last attempt failed: {failure.message}{trace}"


def _is_of_engine(handle: asyncio.TimerHandle) -> bool:
    callback = getattr(handle, "_callback", None)
    owner = getattr(callback, "__self__", None)
    return type(owner).__module__.startswith("perdure.engine")
