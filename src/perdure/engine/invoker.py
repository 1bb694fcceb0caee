"""The invoker: opens connections for the attempts to which the scheduler gives slots, and passes on what is said.

Attempts that only wait (they say so from protocol version 7 on) are asked to suspend when others need a slot that they
hold, longest waiting first, so that agents which call each other never fill all slots of a limit in vain.
"""

from collections.abc import Callable

from perdure.engine.config import EngineConfig
from perdure.engine.effects import Notify, StartAttempt, StopAttempt
from perdure.engine.events import AttemptFailed, AttemptInterrupted, AttemptStarted, Event
from perdure.engine.invocation import Invocation, Status
from perdure.engine.ledger import Ledger
from perdure.engine.registry import ResolvedHandler
from perdure.engine.replay import learn_journal
from perdure.engine.running import RunningAttempt
from perdure.errors import DeploymentGone, PerdureError, UnknownTarget
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
        self._flow = ledger.flow
        self._uncommitted: dict[int, None] = {}
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
        """Make an attempt, now or when all its limits have a slot free."""
        if not self._stopping and self._flow.offer(effect.number, effect.place, self._clock()):
            self._open(effect.number)

    def notify(self, effect: Notify) -> None:
        """Tell a running attempt of an entry, unless its replay held it."""
        attempt = self._running.get(effect.number)
        if attempt is not None and attempt.attempt == effect.attempt and effect.index >= attempt.entries:
            if not self._only_waits(attempt):
                self._flow.works(effect.number)
            attempt.send(effect.envelope)

    def stop(self, effect: StopAttempt) -> None:
        attempt = self._running.get(effect.number)
        if attempt is not None and attempt.attempt == effect.attempt:
            attempt.drop()
        elif effect.number in self._uncommitted:
            del self._uncommitted[effect.number]
            self._flow.release(effect.number)
        elif effect.place is not None:
            self._flow.withdraw(effect.number, effect.place)

    def after_commit(self) -> None:
        """Start what had its slots and waited for its last entries to be on disk; then give the free slots."""
        waiting, self._uncommitted = self._uncommitted, {}
        for number in waiting:
            self._open(number)
        self.give_slots()

    def give_slots(self) -> None:
        """Start the invocations for which slots are free; then ask attempts that only wait to suspend, where others
        need their slots.

        It is not done when an attempt ends: that is told by a transport, which must not meet an error of the store.
        """
        if self._stopping:
            return
        while (number := self._flow.take(self._clock())) is not None:
            self._open(number)
        self._reclaim()

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
        self._uncommitted.clear()
        for attempt in list(self._running.values()):
            attempt.half_close()

    def cut_all(self) -> None:
        """Drop what still runs; it is made again by the next engine on this store."""
        for attempt in list(self._running.values()):
            attempt.drop()
            self._apply(AttemptInterrupted(attempt.number, attempt.attempt))

    # ---- attempts ----

    def _open(self, number: int) -> None:
        """Begin the attempt of an invocation that has its slots."""
        if self._ledger.is_uncommitted(number):
            self._uncommitted[number] = None
            return
        self._apply(AttemptStarted(number))
        invocation = self._ledger.find_number(number)
        if invocation is None or invocation.status is not Status.RUNNING:
            self._flow.release(number)
            return
        try:
            resolved = self._resolve(invocation)
            transport = self._transport_of(resolved.deployment.id)
        except PerdureError as error:
            self._flow.release(number)
            self._apply(AttemptFailed(number, invocation.attempt, NO_DEPLOYMENT, str(error)))
            return
        journal = self._journal(invocation)
        attempt = RunningAttempt(
            number,
            invocation.attempt,
            len(journal),
            resolved.options,
            apply=self._apply,
            on_awaiting=self._on_awaiting,
            on_over=self._on_over,
            on_closed=self._on_closed,
            monotonic=self._monotonic,
        )
        self._running[number] = attempt
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
        if invocation.deployment_id not in self._ledger.registry.deployments:
            raise DeploymentGone(invocation.deployment_id, invocation.id)
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
            seeded_by = invocation.seeded_by
            start.random_seed = random_seed(raw_id if seeded_by is None else parse_invocation_id(seeded_by))
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
        bytes_max = self._config.eager_state_bytes_max
        if known_entries > 1:
            bytes_max *= 2  # what came with the first attempt comes again, though the invocation has written since
        entries, complete = self._ledger.reader.state(invocation.object_key, bytes_max)
        start.partial_state = not complete
        for name, value in entries:
            start.state_map.add(key=name, value=value)
        return start

    def _on_awaiting(self, attempt: RunningAttempt) -> None:
        if self._only_waits(attempt):
            self._flow.idles(attempt.number)
            self._reclaim()

    def _only_waits(self, attempt: RunningAttempt) -> bool:
        """Whether the attempt has said that it only waits, and nothing that it waits for has come since."""
        invocation = self._ledger.find_number(attempt.number)
        return invocation is not None and invocation.attempt == attempt.attempt and invocation.hint is not None

    def _on_closed(self, attempt: RunningAttempt) -> None:
        self._draining.pop(attempt, None)

    def _on_over(self, attempt: RunningAttempt) -> None:
        if self._running.get(attempt.number) is attempt:
            del self._running[attempt.number]
            self._draining[attempt] = None
            self._flow.release(attempt.number)

    def _reclaim(self) -> None:
        """Ask those that only wait to suspend, as far as others need what they hold."""
        for number in self._flow.reclaim():
            if (attempt := self._running.get(number)) is not None:
                attempt.half_close()
