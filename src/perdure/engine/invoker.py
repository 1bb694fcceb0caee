"""The invoker: gives attempts their slots, opens their connections, and passes on what is said.

At most `attempts_max` run at once. When more are ready, those that only wait (they say so from protocol version 7
on) are asked to suspend, longest waiting first, so that agents which call each other never fill all slots in vain.
"""

from collections import deque
from collections.abc import Callable

from perdure.engine.config import EngineConfig
from perdure.engine.effects import Notify, StartAttempt, StopAttempt
from perdure.engine.events import AttemptFailed, AttemptInterrupted, AttemptStarted, Event
from perdure.engine.invocation import Invocation
from perdure.engine.ledger import Ledger
from perdure.engine.registry import ResolvedHandler
from perdure.engine.replay import learn_journal
from perdure.engine.running import RunningAttempt
from perdure.errors import PerdureError, UnknownTarget
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.ids import DeploymentId, parse_invocation_id, random_seed
from perdure.protocol.messages import Envelope, MessageType
from perdure.protocol.versions import RANDOM_SEED, SCOPES
from perdure.transport.connection import InvokeRequest, Transport

NO_DEPLOYMENT = 503
DRAIN_MS = 5_000  # how long a response may stay open after the terminal message; as on the reference engine


class Invoker:
    """`transport_of` gives the way to a deployment; `clock` the time, and `monotonic` a time that nobody
    sets, both in milliseconds."""

    def __init__(
        self,
        ledger: Ledger,
        config: EngineConfig,
        *,
        apply: Callable[[Event], None],
        transport_of: Callable[[DeploymentId], Transport],
        clock: Callable[[], int],
        monotonic: Callable[[], int],
    ) -> None:
        self._ledger = ledger
        self._config = config
        self._apply = apply
        self._transport_of = transport_of
        self._clock = clock
        self._monotonic = monotonic
        self._running: dict[int, RunningAttempt] = {}
        self._draining: dict[RunningAttempt, None] = {}
        self._awaiting: dict[int, None] = {}
        self._ready: deque[StartAttempt] = deque()
        self._uncommitted: list[StartAttempt] = []
        self._stopping = False

    @property
    def running(self) -> int:
        """How many attempts run now."""
        return len(self._running)

    @property
    def has_open_connections(self) -> bool:
        return bool(self._running or self._draining)

    # ---- effects ----

    def start(self, effect: StartAttempt) -> None:
        """Make an attempt, now or when a slot is free."""
        if self._stopping:
            return
        if len(self._running) < self._config.attempts_max and not self._ready:
            self._open(effect)
        else:
            self._ready.append(effect)
            self._reclaim()

    def notify(self, effect: Notify) -> None:
        """Tell a running attempt of an entry, unless its replay held it."""
        attempt = self._running.get(effect.number)
        if attempt is not None and attempt.attempt == effect.attempt and effect.index >= attempt.entries:
            self._awaiting.pop(effect.number, None)
            attempt.send(effect.envelope)

    def stop(self, effect: StopAttempt) -> None:
        attempt = self._running.get(effect.number)
        if attempt is not None and attempt.attempt == effect.attempt:
            attempt.drop()

    def after_commit(self) -> None:
        """Give free slots to what waits for one, or waited for its last entries to be on disk.

        Here, and not when an attempt ends: that is told by a transport, which must not meet an error of the store.
        """
        waiting, self._uncommitted = self._uncommitted, []
        for effect in waiting:
            self.start(effect)
        while self._ready and len(self._running) < self._config.attempts_max:
            self._open(self._ready.popleft())

    # ---- time ----

    def check_silence(self) -> None:
        """Look after attempts that have been silent for too long; called every so often."""
        now_ms = self._monotonic()
        for attempt in list(self._running.values()):
            attempt.check_silence(now_ms)
        for attempt in [each for each in self._draining if now_ms - each.active_at_ms >= DRAIN_MS]:
            del self._draining[attempt]
            attempt.drop()

    def suspend_all(self) -> None:
        """The engine stops: start nothing more, and ask what runs to suspend."""
        self._stopping = True
        self._ready.clear()
        for attempt in list(self._running.values()):
            attempt.half_close()

    def cut_all(self) -> None:
        """Drop what still runs; it is made again by the next engine on this store."""
        for attempt in list(self._running.values()):
            attempt.drop()
            self._apply(AttemptInterrupted(attempt.number, attempt.attempt))

    # ---- attempts ----

    def _open(self, effect: StartAttempt) -> None:
        if self._ledger.is_uncommitted(effect.number):
            self._uncommitted.append(effect)
            return
        self._apply(AttemptStarted(effect.number, effect.attempt))
        invocation = self._ledger.running(effect.number, effect.attempt)
        if invocation is None:
            return
        try:
            resolved = self._resolve(invocation)
            transport = self._transport_of(resolved.deployment.id)
        except PerdureError as error:
            self._apply(AttemptFailed(effect.number, effect.attempt, NO_DEPLOYMENT, str(error)))
            return
        journal = self._journal(invocation)
        attempt = RunningAttempt(
            effect.number,
            effect.attempt,
            len(journal),
            resolved.options,
            apply=self._apply,
            on_awaiting=self._on_awaiting,
            on_over=self._on_over,
            on_closed=self._on_closed,
            monotonic=self._monotonic,
        )
        self._running[effect.number] = attempt
        target = invocation.target
        sender = attempt.sender = transport.open(
            InvokeRequest(target.service, target.handler, invocation.protocol_version, invocation.id, target.key),
            attempt,
        )
        sender.send(Envelope(MessageType.START, self._start_message(invocation, resolved, len(journal))))
        for envelope in journal:
            sender.send(envelope)
        if resolved.deployment.protocol_mode == "REQUEST_RESPONSE" or resolved.options.inactivity_timeout_ms == 0:
            attempt.half_close()

    def _resolve(self, invocation: Invocation) -> ResolvedHandler:
        target = invocation.target
        if invocation.deployment_id is None:
            raise UnknownTarget(f"{target.service}/{target.handler}", self._ledger.registry.targets())
        return self._ledger.registry.resolve_pinned(
            DeploymentId(invocation.deployment_id), target.service, target.handler
        )

    def _journal(self, invocation: Invocation) -> list[Envelope]:
        """The journal to replay; all of it is on disk. A new invocation's is at hand."""
        at_hand, invocation.input = invocation.input, None
        if at_hand is not None and invocation.journal_length == 1:
            return [at_hand]
        journal = self._ledger.reader.journal(invocation.number)
        learn_journal(invocation, journal)
        return journal

    def _start_message(self, invocation: Invocation, resolved: ResolvedHandler, known_entries: int) -> pb.StartMessage:
        raw_id = parse_invocation_id(invocation.id)
        start = pb.StartMessage(
            id=raw_id,
            debug_id=invocation.id,
            known_entries=known_entries,
            retry_count_since_last_stored_entry=invocation.failures,
            duration_since_last_stored_entry=max(0, self._clock() - invocation.stored_at_ms),
        )
        if invocation.protocol_version >= RANDOM_SEED:
            start.random_seed = random_seed(raw_id)
        if invocation.protocol_version >= SCOPES:
            if invocation.idempotency_key is not None:
                start.idempotency_key = invocation.idempotency_key
            if invocation.target.scope is not None:
                start.scope = invocation.target.scope
            if invocation.limit_key is not None:
                start.limit_key = invocation.limit_key
        if invocation.target.key is None or resolved.options.enable_lazy_state:
            start.key = invocation.target.key or ""
            start.partial_state = True
            return start
        start.key = invocation.target.key
        entries, complete = self._ledger.reader.state(invocation.object_key, self._config.eager_state_bytes_max)
        start.partial_state = not complete
        for name, value in entries:
            start.state_map.add(key=name, value=value)
        return start

    def _on_awaiting(self, attempt: RunningAttempt) -> None:
        if self._ready:
            attempt.half_close()
        else:
            self._awaiting[attempt.number] = None

    def _on_closed(self, attempt: RunningAttempt) -> None:
        self._draining.pop(attempt, None)

    def _on_over(self, attempt: RunningAttempt) -> None:
        if self._running.get(attempt.number) is attempt:
            del self._running[attempt.number]
            self._draining[attempt] = None
        self._awaiting.pop(attempt.number, None)

    def _reclaim(self) -> None:
        """Ask as many of those that only wait to suspend as there are attempts without a slot."""
        for number in list(self._awaiting)[: len(self._ready)]:
            del self._awaiting[number]
            self._running[number].half_close()
