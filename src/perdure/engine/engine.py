"""The engine's face: what servers and embedders see, over the cycle that does the work."""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from perdure.engine.answers import Accepted, Answer, Failure, Outcome
from perdure.engine.committer import Committer, ThreadCommitter
from perdure.engine.config import EngineConfig
from perdure.engine.cycle import TIMER_CHECK_S, Cycle
from perdure.engine.deployment import Deployment
from perdure.engine.events import AttachRequested, PromiseCompleted, SignalSent, Submitted, Target
from perdure.engine.faces.deployments import Deployments
from perdure.engine.faces.introspection import Introspection
from perdure.engine.faces.invocations import Invocations, checked_id
from perdure.engine.faces.objects import Objects
from perdure.engine.faces.rules import Rules
from perdure.engine.faces.schedules import Scheduling
from perdure.engine.faces.ways import Connect, Ways, over_http
from perdure.engine.invocation import Status
from perdure.engine.ledger import Ledger
from perdure.engine.leftovers import Leftovers
from perdure.engine.reasons import Reasons
from perdure.engine.registry import Registry
from perdure.engine.requests import outcome_of
from perdure.engine.store.database import Database
from perdure.engine.store.pinned import PinnedReader
from perdure.engine.store.reader import Reader
from perdure.engine.store.writer import Writer
from perdure.engine.targets import identify
from perdure.errors import EngineStopping, UsageError
from perdure.protocol import ids
from perdure.protocol.ids import FIRST_AWAKEABLE_SIGNAL
from perdure.protocol.scopes import check_scope
from perdure.times import bounded_ms
from perdure.transport.connection import Transport
from perdure.transport.http import Signer


def wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


def _signer(key_file: Path | None) -> Signer | None:
    if key_file is None:
        return None
    from perdure.key_files import read_key  # 50 ms to load, for those who sign

    return read_key(key_file)


class Engine:
    """One engine on one store. `start` it in the loop that it is to live in; everything is called from there.

    What is awaited here returns after the commit that it rests on.

    Raises:
        UsageError: the config's `request_identity_key` names no key.
    """

    def __init__(
        self,
        config: EngineConfig | None = None,
        *,
        clock: Callable[[], int] = wall_clock_ms,
        committer: Callable[[Writer, asyncio.AbstractEventLoop], Committer] = ThreadCommitter,
        connect: Connect | None = None,
        timer_check_s: float = TIMER_CHECK_S,
    ) -> None:
        self._timer_check_s = timer_check_s
        self.config = config or EngineConfig()
        self.registry = Registry(self.config.handler_defaults)
        self._signer = _signer(self.config.request_identity_key)
        self._clock = clock
        self._new_committer = committer
        self._connect = connect or partial(over_http, signer=self._signer, clock=self._clock)
        self._started = False
        self._stopping = False

    async def start(self, embedded: Transport | None = None) -> None:
        """Open the store and go on with what is there.

        `embedded`: the way to the services in this process. They are one deployment, the same over all restarts.

        Raises:
            StoreLocked, StoreError: the store cannot be had.
            DeploymentRejected: the embedded services cannot be served.
        """
        self._database = Database(self.config.data_dir)
        committer = self._new_committer(Writer(self._database.writing), asyncio.get_running_loop())
        try:
            reader = Reader(self._database.reading)
            known = [Deployment.decode(record) for record in reader.deployments()]
            self.registry = Registry(self.config.handler_defaults, known, reader.settings)
            self._ledger = Ledger(reader, self.registry, self.config)
            reasons = Reasons(reader, self._ledger.find_number, self._clock, self._ledger.flow.position, self.registry)
            leftovers = Leftovers(self._ledger, PinnedReader(self._database.reading), reasons.of)
            self._ways = Ways(self.registry, self._connect)
            self._cycle = Cycle(
                self._ledger,
                self.config,
                committer,
                transport_of=self._ways.to,
                after_commit=lambda: self.deployments.after_commit(),
                clock=self._clock,
                timer_check_s=self._timer_check_s,
            )
            self.deployments = Deployments(
                self.registry, self._ways, leftovers, self._clock, self._cycle.ask, self._cycle.apply
            )
            self.rules = Rules(self._ledger, self._cycle.ask, self._clock)
            self.schedules = Scheduling(self._ledger, self._cycle.ask, self._clock)
            self.invocations = Invocations(self._ledger, self._cycle.ask, reasons, self._check_open)
            self.objects = Objects(self._ledger, self._cycle.ask)
            self.introspection = Introspection(self._ledger, reasons, self._database.path)
            if embedded is not None:
                self.deployments.embed(embedded, await embedded.discover())
            self._cycle.recover()
        except BaseException:
            committer.close()
            self._database.close()
            raise
        self._started = True

    async def stop(self, grace_s: float = 10.0) -> None:
        """Take nothing new, ask what runs to suspend, and wait for that up to `grace_s`; then close the store."""
        if not self._started:
            return
        self._stopping = True
        await self._cycle.stop(grace_s)
        self._started = False
        await self._ways.close()
        self._database.close()

    @property
    def identity_key(self) -> str | None:
        """The public key by which services know the requests of this engine; None where it signs none."""
        return None if self._signer is None else self._signer.identity_key

    @property
    def ready(self) -> bool:
        """Whether recovery is done and requests are taken."""
        return self._started and not self.stopping

    @property
    def at_rest(self) -> bool:
        """Whether nothing goes on and nothing is due, ever: only somebody outside can make anything happen."""
        return self._cycle.at_rest

    @property
    def stopping(self) -> bool:
        return self._stopping or self._has_failed()

    async def wait_failed(self) -> BaseException:
        """Returns, with the reason, when the engine had to stop by itself: its store failed."""
        return await asyncio.shield(self._cycle.failed)

    async def call(
        self,
        target: Target,
        body: bytes,
        *,
        headers: Sequence[tuple[str, str]] = (),
        idempotency_key: str | None = None,
        limit_key: str | None = None,
    ) -> Outcome:
        """Run a handler and wait for its outcome; with an idempotency key seen before, that invocation's.

        Raises:
            UnknownTarget: no deployment has the handler, or the key is missing or not wanted.
            UsageError: the scope or the limit key is malformed, or a limit key has no scope.
            EngineStopping: it stops, or stopped while we waited.
        """
        outcome = await self._submit(target, body, headers, idempotency_key, limit_key, wants_outcome=True)
        assert isinstance(outcome, Outcome)
        return outcome

    async def send(
        self,
        target: Target,
        body: bytes,
        *,
        headers: Sequence[tuple[str, str]] = (),
        idempotency_key: str | None = None,
        limit_key: str | None = None,
        delay_ms: int | None = None,
    ) -> Accepted:
        """Have a handler run, now or after a delay; returns once that is certain. Raises like `call`."""
        execute_at_ms = 0 if delay_ms is None else self._clock() + bounded_ms(delay_ms)
        accepted = await self._submit(target, body, headers, idempotency_key, limit_key, execute_at_ms=execute_at_ms)
        assert isinstance(accepted, Accepted)
        return accepted

    async def attach(self, invocation_id: str) -> Outcome:
        """Wait for the outcome of an invocation. Raises `UnknownInvocation`."""
        id = checked_id(invocation_id)
        outcome = await self._cycle.ask(lambda request: AttachRequested(request, id))
        assert isinstance(outcome, Outcome)
        return outcome

    def output(self, invocation_id: str) -> Outcome | None:
        """The outcome of an invocation if it has ended, else None. Raises `UnknownInvocation`."""
        self._check_open()
        invocation = self.invocations.committed(invocation_id)
        return outcome_of(invocation) if invocation.status is Status.COMPLETED else None

    async def resolve_awakeable(self, awakeable_id: str, value: bytes) -> None:
        """Complete an awakeable. Raises `UsageError` for what is no awakeable id, `UnknownInvocation`."""
        id, signal = ids.parse_awakeable_id(awakeable_id)
        await self._cycle.ask(lambda request: SignalSent(request, id, signal, value))

    async def send_signal(self, invocation_id: str, name: str, result: bytes | Failure) -> None:
        """Give an invocation the next signal of this name. To one that has ended, it is nothing.

        Raises:
            UnknownInvocation: there is none.
            UsageError: the name is one of the engine's own signals, or empty.
        """
        id = checked_id(invocation_id)
        _check_signal_name(name)
        value, failure = (None, result) if isinstance(result, Failure) else (result, None)
        await self._cycle.ask(lambda request: SignalSent(request, id, name, value, failure))

    async def complete_promise(
        self, service: str, key: str, name: str, result: bytes | Failure, *, scope: str | None = None
    ) -> None:
        """Complete a promise of a workflow, which may be submitted later; then the promise waits for it.

        Raises:
            UnknownTarget: no deployment has the service.
            UsageError: it is no workflow, or the scope is malformed.
            Conflict: the promise was completed before.
        """
        check_scope(scope, None)
        await self._cycle.ask(lambda request: PromiseCompleted(request, service, key, name, result, scope))

    async def reject_awakeable(self, awakeable_id: str, message: str, code: int = 500) -> None:
        """Complete an awakeable with a failure. Raises like `resolve_awakeable`."""
        id, signal = ids.parse_awakeable_id(awakeable_id)
        await self._cycle.ask(lambda request: SignalSent(request, id, signal, failure=Failure(code, message)))

    def _has_failed(self) -> bool:
        return self._started and self._cycle.failed.done()

    def _check_open(self) -> None:
        if not self.ready:
            raise EngineStopping("the engine is stopping" if self.stopping else "the engine has not started yet")

    async def _submit(
        self,
        target: Target,
        body: bytes,
        headers: Sequence[tuple[str, str]],
        idempotency_key: str | None,
        limit_key: str | None,
        *,
        execute_at_ms: int = 0,
        wants_outcome: bool = False,
    ) -> Answer:
        self._check_open()
        resolved = self.registry.resolve(target.service, target.handler)
        id, _ = identify(resolved, target, idempotency_key, self._ledger.new_id)
        return await self._cycle.ask(
            lambda request: Submitted(
                request, id, target, body, tuple(headers), idempotency_key, execute_at_ms, wants_outcome, limit_key
            )
        )


def _check_signal_name(name: str) -> None:
    if not name:
        raise UsageError("a signal needs a name")
    if name.isascii() and name.isdigit() and int(name) < FIRST_AWAKEABLE_SIGNAL:
        raise UsageError(
            f"signal {name} is the engine's own: to cancel, PATCH /invocations/ID/cancel of the admin port"
        )
