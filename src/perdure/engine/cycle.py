"""The cycle: event -> processor -> commit -> effects, for as long as the engine lives.

Events are applied at once, in the loop's thread. What came of those of one turn is committed together, on the
committer's thread, while the next gather; effects are carried out after their commit. A failed commit, or a bug, ends
the cycle: memory is thrown away, and the next engine on the store goes on from what is on disk.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import assert_never

from perdure.engine.answers import Answer
from perdure.engine.committer import Committer
from perdure.engine.config import EngineConfig
from perdure.engine.effects import Effect, Notify, Respond, StartAttempt, StopAttempt
from perdure.engine.events import Event, TimersDue
from perdure.engine.invoker import Invoker
from perdure.engine.ledger import Ledger
from perdure.engine.processor import Processor
from perdure.errors import EngineStopping, PerdureError
from perdure.protocol.ids import DeploymentId
from perdure.transport.connection import Transport

logger = logging.getLogger(__name__)

_SILENCE_CHECK_S = 0.25
TIMER_CHECK_S = 60.0  # the longest wait for a timer: the wall clock may be set meanwhile
_LINGER_S = 0.01  # how long rows that nobody waits for may wait for more: a commit costs a sync of the disk


class Cycle:
    """Made in the loop that it is to turn in. `failed` gets the reason when it had to end by itself."""

    def __init__(
        self,
        ledger: Ledger,
        config: EngineConfig,
        committer: Committer,
        *,
        transport_of: Callable[[DeploymentId], Transport],
        after_commit: Callable[[], None],
        clock: Callable[[], int],
        timer_check_s: float = TIMER_CHECK_S,
    ) -> None:
        self._timer_check_s = timer_check_s
        self._loop = asyncio.get_running_loop()
        self._ledger = ledger
        self._committer = committer
        self._after_commit = after_commit
        self._clock = clock
        self._processor = Processor(ledger)
        self._invoker = Invoker(
            ledger,
            config,
            apply=self.apply,
            transport_of=transport_of,
            clock=clock,
            monotonic=lambda: int(self._loop.time() * 1000),
        )
        self._requests: dict[int, asyncio.Future[Answer]] = {}
        self._last_request = 0
        self._flushing = False
        self._lingering: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due_ms: int | None = None
        self._silence_check: asyncio.TimerHandle | None = None
        self._became_quiet: asyncio.Future[None] | None = None
        self._stopping = False
        self.failed: asyncio.Future[BaseException] = self._loop.create_future()

    def recover(self) -> None:
        """Go on with what is in the store."""
        self._processor.recover(self._clock())
        self._arm_timer()
        self._flush()

    async def stop(self, grace_s: float) -> None:
        """Ask what runs to suspend, wait for that, then cut off the rest; all that was applied is committed."""
        self._stopping = True
        self._disarm_timer()
        self._invoker.suspend_all()
        await self._quiet(grace_s)
        self._invoker.cut_all()
        await self._quiet(None)
        if self._silence_check is not None:
            self._silence_check.cancel()
        self._refuse_requests("the engine stops: ask again, with an idempotency key")
        self._committer.close()

    async def ask(self, event: Callable[[int], Event]) -> Answer:
        """Apply an event that somebody waits for; returns the answer, after the commit that it rests on.

        Raises:
            EngineStopping: the engine stops, or stopped meanwhile.
            PerdureError: what the answer says.
        """
        if self._stopping or self.failed.done():
            raise EngineStopping("the engine is stopping")
        self._last_request += 1
        request = self._last_request
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._requests[request] = future
        try:
            self.apply(event(request))
            return await future
        finally:
            del self._requests[request]
            self._ledger.requests.forget(request)

    def apply(self, event: Event) -> None:
        """Take in an event. After a failure nothing is taken in any more."""
        if self.failed.done():
            return
        try:
            self._processor.apply(event, self._clock())
            self._arm_timer()
        except Exception as error:  # noqa: BLE001 - memory can no longer be trusted: stop, recover from disk
            self._fail(error)
            return
        if not self._flushing:
            self._schedule_flush()

    # ---- commits ----

    def _schedule_flush(self) -> None:
        """Commit at the end of this turn of the loop if somebody waits for it; rows alone wait for company."""
        if self._ledger.batch.effects:
            self._flushing = True
            self._loop.call_soon(self._flush)
        elif self._lingering is None and self._ledger.batch:
            self._lingering = self._loop.call_later(_LINGER_S, self._flush)

    def _flush(self) -> None:
        """Commit what was gathered; if a commit is under way, its end comes back here."""
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        if self.failed.done() or self._ledger.committing is not None:
            return
        self._flushing = True
        try:
            sealed = self._ledger.take_batch().seal()
        except Exception as caught:  # noqa: BLE001 - as in apply
            self._fail(caught)
            return
        if sealed.statements:
            self._committer.submit(sealed, self._on_committed)
        else:
            self._on_committed(None)

    def _on_committed(self, error: Exception | None) -> None:
        if error is not None:
            self._fail(error)
            return
        batch = self._ledger.committed()
        try:
            for effect in batch.effects:
                self._carry_out(effect)
            self._ledger.forget(batch)
            self._invoker.after_commit()
            self._after_commit()
            self._arm_timer()
        except Exception as caught:  # noqa: BLE001 - as in apply
            self._fail(caught)
            return
        self._flushing = False
        if self._ledger.batch.effects:
            self._flush()
        else:
            self._schedule_flush()
        self._watch_for_silence()
        if self._became_quiet is not None and not self._became_quiet.done() and self._is_quiet():
            self._became_quiet.set_result(None)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Notify():
                self._invoker.notify(effect)
            case StartAttempt():
                self._invoker.start(effect)
            case Respond():
                self._respond(effect)
            case StopAttempt():
                self._invoker.stop(effect)
            case _:
                assert_never(effect)

    def _respond(self, effect: Respond) -> None:
        future = self._requests.get(effect.request)
        if future is None or future.done():
            return  # whoever asked went away
        if isinstance(effect.answer, PerdureError):
            future.set_exception(effect.answer)
        else:
            future.set_result(effect.answer)

    # ---- ending ----

    def _fail(self, error: Exception) -> None:
        """Stop taking part: what is on disk is right, what is in memory may not be."""
        if not self.failed.done():
            logger.error("the engine stops: %s", error, exc_info=None if isinstance(error, PerdureError) else error)
            self.failed.set_result(error)
            self._stopping = True
            self._invoker.suspend_all()
            self._refuse_requests("the engine had to stop: ask again, with an idempotency key")

    def _refuse_requests(self, message: str) -> None:
        for future in self._requests.values():
            if not future.done():
                future.set_exception(EngineStopping(message))

    async def _quiet(self, timeout_s: float | None) -> None:
        """Returns once no attempt runs and all is committed, or after the time."""
        if not self._is_quiet():
            self._became_quiet = self._loop.create_future()
            waited_for = {self._became_quiet, self.failed}
            await asyncio.wait(waited_for, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)

    @property
    def at_rest(self) -> bool:
        """Whether nothing goes on and nothing is due, ever: only somebody outside can make anything happen."""
        ledger = self._ledger
        due = (ledger.timers.next_due_ms(), ledger.schedules.next_due_ms(), ledger.flow.next_due_ms())
        return self._is_quiet() and not any(due_ms is not None for due_ms in due)

    def _is_quiet(self) -> bool:
        return not (self._invoker.running or self._ledger.batch or self._ledger.committing)

    # ---- time ----

    def _arm_timer(self) -> None:
        due_ms = None if self._stopping else self._next_due_ms()
        if due_ms == self._timer_due_ms:
            return
        self._disarm_timer()
        if due_ms is not None:
            self._timer_due_ms = due_ms
            # Not at once even if it is due: what else waits for the loop gets its turn between two rounds of timers.
            # Nor late: the wall clock may be set, or stand still while a laptop sleeps, and the loop's does not follow.
            delay_s = min(max(1, due_ms - self._clock()) / 1000, self._timer_check_s)
            self._timer = self._loop.call_later(delay_s, self._on_timer)

    def _next_due_ms(self) -> int | None:
        ledger = self._ledger
        earliest = ledger.timers.next_due_ms()
        for due_ms in (ledger.schedules.next_due_ms(), ledger.next_expiry_ms, ledger.flow.next_due_ms()):
            if due_ms is not None and (earliest is None or due_ms < earliest):  # min() of them costs thrice as much
                earliest = due_ms
        return earliest

    def _disarm_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self._timer_due_ms = None

    def _on_timer(self) -> None:
        self._timer = None
        self._timer_due_ms = None
        self.apply(TimersDue())
        if self.failed.done():
            return
        try:
            self._invoker.give_slots()  # a rate may let more begin by now
            self._arm_timer()
        except Exception as error:  # noqa: BLE001 - as in apply
            self._fail(error)
            return
        self._watch_for_silence()

    def _watch_for_silence(self) -> None:
        """While attempts run, look after the silent ones; an idle engine does not wake up."""
        if self._silence_check is None and self._invoker.has_open_connections:
            self._silence_check = self._loop.call_later(_SILENCE_CHECK_S, self._check_silence)

    def _check_silence(self) -> None:
        self._silence_check = None
        self._invoker.check_silence()
        self._watch_for_silence()
