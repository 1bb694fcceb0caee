"""The engine's face: what servers and embedders see, over the cycle that does the work."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from perdure.engine.committer import Committer, ThreadCommitter
from perdure.engine.config import EngineConfig
from perdure.engine.cycle import Answer, Cycle
from perdure.engine.deployments import Deployments
from perdure.engine.events import (
    Accepted,
    AttachRequested,
    Failure,
    KillRequested,
    Outcome,
    ResumeRequested,
    SignalSent,
    Submitted,
    Target,
)
from perdure.engine.invocation import Invocation, Status
from perdure.engine.ledger import Ledger, outcome_of
from perdure.engine.registry import Deployment, Registration, Registry
from perdure.engine.scheduling import Scheduling
from perdure.engine.store.database import Database
from perdure.engine.store.reader import Reader
from perdure.engine.store.writer import Writer
from perdure.engine.targets import identify
from perdure.engine.views import InvocationView, view_of
from perdure.errors import Conflict, EngineStopping, UnknownInvocation
from perdure.protocol import ids
from perdure.protocol.ids import CANCEL_SIGNAL, InvocationId
from perdure.transport.connection import Transport


def wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class Engine:
    """One engine on one store. `start` it in the loop that it is to live in; everything is called from there.

    What is awaited here returns after the commit that it rests on.
    """

    def __init__(
        self,
        config: EngineConfig | None = None,
        *,
        clock: Callable[[], int] = wall_clock_ms,
        committer: Callable[[Writer, asyncio.AbstractEventLoop], Committer] = ThreadCommitter,
    ) -> None:
        self.config = config or EngineConfig()
        self.registry = Registry(self.config.handler_defaults)
        self._clock = clock
        self._new_committer = committer
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
            self.registry = Registry(self.config.handler_defaults, known)
            self._deployments = Deployments(self.registry, self._clock)
            self._ledger = Ledger(reader, self.registry, self.config)
            self._cycle = Cycle(
                self._ledger,
                self.config,
                committer,
                transport_of=self._deployments.transport_of,
                clock=self._clock,
            )
            self.schedules = Scheduling(self._ledger, self._cycle.ask, self._clock)
            if embedded is not None:
                await self._deployments.register_embedded(self._cycle.ask, embedded)
        except BaseException:
            committer.close()
            self._database.close()
            raise
        self._started = True
        self._cycle.recover()

    async def stop(self, grace_s: float = 10.0) -> None:
        """Take nothing new, ask what runs to suspend, and wait for that up to `grace_s`; then close the store."""
        if not self._started:
            return
        self._stopping = True
        await self._cycle.stop(grace_s)
        self._started = False
        await self._deployments.close()
        self._database.close()

    @property
    def ready(self) -> bool:
        """Whether recovery is done and requests are taken."""
        return self._started and not self.stopping

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
        delay_ms: int = 0,
    ) -> Accepted:
        """Have a handler run, now or after a delay; returns once that is certain. Raises like `call`."""
        execute_at_ms = self._clock() + delay_ms if delay_ms > 0 else 0
        accepted = await self._submit(target, body, headers, idempotency_key, limit_key, execute_at_ms=execute_at_ms)
        assert isinstance(accepted, Accepted)
        return accepted

    async def attach(self, invocation_id: str) -> Outcome:
        """Wait for the outcome of an invocation. Raises `UnknownInvocation`."""
        id = _checked_id(invocation_id)
        outcome = await self._cycle.ask(lambda request: AttachRequested(request, id))
        assert isinstance(outcome, Outcome)
        return outcome

    def output(self, invocation_id: str) -> Outcome | None:
        """The outcome of an invocation if it has ended, else None. Raises `UnknownInvocation`."""
        self._check_open()
        invocation = self._committed(invocation_id)
        return outcome_of(invocation) if invocation.status is Status.COMPLETED else None

    async def resolve_awakeable(self, awakeable_id: str, value: bytes) -> None:
        """Complete an awakeable. Raises `UsageError` for what is no awakeable id, `UnknownInvocation`."""
        id, signal = ids.parse_awakeable_id(awakeable_id)
        await self._cycle.ask(lambda request: SignalSent(request, id, signal, value))

    async def reject_awakeable(self, awakeable_id: str, message: str, code: int = 500) -> None:
        """Complete an awakeable with a failure. Raises like `resolve_awakeable`."""
        id, signal = ids.parse_awakeable_id(awakeable_id)
        await self._cycle.ask(lambda request: SignalSent(request, id, signal, failure=Failure(code, message)))

    async def cancel(self, invocation_id: str) -> None:
        """Ask an invocation to end: it sees a terminal error 409 at its next await, after the calls that it awaits.

        Raises:
            UnknownInvocation: there is none.
            Conflict: it has ended.
        """
        id = _checked_id(invocation_id)
        if self.describe(id).status == Status.COMPLETED:
            raise Conflict(f"{id} has ended already")
        await self._cycle.ask(lambda request: SignalSent(request, id, CANCEL_SIGNAL))

    async def kill(self, invocation_id: str) -> None:
        """End an invocation, and the calls that it awaits, at once, unasked. Raises like `cancel`."""
        id = _checked_id(invocation_id)
        await self._cycle.ask(lambda request: KillRequested(request, id))

    async def resume(self, invocation_id: str) -> None:
        """Try a paused, suspended or backing-off invocation now. Raises like `cancel`."""
        id = _checked_id(invocation_id)
        await self._cycle.ask(lambda request: ResumeRequested(request, id))

    def describe(self, invocation_id: str) -> InvocationView:
        """What is known of an invocation. Raises `UnknownInvocation`."""
        self._check_open()
        return view_of(self._committed(invocation_id))

    async def register(
        self,
        uri: str,
        *,
        force: bool = False,
        breaking: bool = False,
        dry_run: bool = False,
        use_http_11: bool = False,
        additional_headers: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Registration:
        """Ask an endpoint what it serves, and serve that from now on; with `dry_run`, only say what would happen.

        Raises:
            UsageError: not an address.
            TransportError: the endpoint cannot be reached.
            DeploymentRejected: what it serves cannot be accepted; the message says why and what to do.
        """
        self._check_open()
        return await self._deployments.register(
            self._cycle.ask,
            uri,
            force=force,
            breaking=breaking,
            dry_run=dry_run,
            use_http_11=use_http_11,
            additional_headers=additional_headers,
            metadata=metadata,
        )

    def _committed(self, invocation_id: str) -> Invocation:
        """An invocation as it is on disk, with what only memory knows where the two do not differ."""
        id = _checked_id(invocation_id)
        invocation = self._ledger.find(id)
        if invocation is not None and self._ledger.is_uncommitted(invocation.number):
            invocation = self._ledger.reader.invocation_by_id(id)
        if invocation is None:
            raise UnknownInvocation(invocation_id)
        return invocation

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


def _checked_id(invocation_id: str) -> InvocationId:
    ids.parse_invocation_id(invocation_id)
    return InvocationId(invocation_id)
