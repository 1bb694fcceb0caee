"""The engine: the loop event -> processor -> commit -> effects, and the face that servers and embedders see."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import assert_never

from perdure.engine.committer import Committer, ThreadCommitter
from perdure.engine.config import EngineConfig
from perdure.engine.effects import Effect, Notify, Respond, StartAttempt, StopAttempt
from perdure.engine.events import (
    Accepted,
    AttachRequested,
    DeploymentRegistered,
    Event,
    Failure,
    KillRequested,
    Outcome,
    ResumeRequested,
    SignalSent,
    Submitted,
    Target,
    TimersDue,
)
from perdure.engine.invocation import Status
from perdure.engine.invoker import Invoker
from perdure.engine.ledger import Ledger, outcome_of
from perdure.engine.processor import Processor
from perdure.engine.registry import EMBEDDED_URI, Deployment, Registration, Registry, normal_uri
from perdure.engine.store.database import Database
from perdure.engine.store.reader import Reader
from perdure.engine.store.writer import Writer
from perdure.engine.views import InvocationView, view_of
from perdure.errors import Conflict, EngineStopping, PerdureError, UnknownInvocation
from perdure.protocol import ids
from perdure.protocol.ids import CANCEL_SIGNAL, DeploymentId, InvocationId
from perdure.transport.connection import Transport
from perdure.transport.http import HttpTransport

logger = logging.getLogger(__name__)

_SILENCE_CHECK_S = 0.25
_LINGER_S = 0.01  # how long rows that nobody waits for may wait for more: a commit costs a sync of the disk


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
        self._transports: dict[DeploymentId, Transport] = {}
        self._requests: dict[int, asyncio.Future[Accepted | Outcome | None]] = {}
        self._last_request = 0
        self._flushing = False
        self._lingering: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due_ms: int | None = None
        self._silence_check: asyncio.TimerHandle | None = None
        self._became_quiet: asyncio.Future[None] | None = None
        self._started = False
        self._stopping = False

    # ---- life ----

    async def start(self, embedded: Transport | None = None) -> None:
        """Open the store and go on with what is there.

        `embedded`: the way to the services in this process. They are one deployment, the same over all restarts.

        Raises:
            StoreLocked, StoreError: the store cannot be had.
            DeploymentRejected: the embedded services cannot be served.
        """
        self._loop = asyncio.get_running_loop()
        self._failed: asyncio.Future[BaseException] = self._loop.create_future()
        self._database = Database(self.config.data_dir)
        self._committer = self._new_committer(Writer(self._database.writing), self._loop)
        try:
            reader = Reader(self._database.reading)
            self.registry = Registry(
                self.config.handler_defaults, [Deployment.decode(record) for record in reader.deployments()]
            )
            self._ledger = Ledger(reader, self.registry, self.config)
            self._processor = Processor(self._ledger)
            self._invoker = Invoker(
                self._ledger,
                self.config,
                apply=self._apply,
                transport_of=self._transport_of,
                clock=self._clock,
            )
            if embedded is not None:
                await self._register_embedded(embedded)
            self._processor.recover(self._clock())
        except BaseException:
            self._committer.close()
            self._database.close()
            raise
        self._started = True
        self._arm_timer()
        self._flush()

    async def stop(self, grace_s: float = 10.0) -> None:
        """Take nothing new, ask what runs to suspend, and wait for that up to `grace_s`; then close the store."""
        if not self._started:
            return
        self._stopping = True
        self._disarm_timer()
        self._invoker.suspend_all()
        await self._quiet(grace_s)
        self._invoker.cut_all()
        await self._quiet(None)
        if self._silence_check is not None:
            self._silence_check.cancel()
        self._started = False
        for future in self._requests.values():
            if not future.done():
                future.set_exception(EngineStopping("the engine stops: ask again, with an idempotency key"))
        for transport in self._transports.values():
            await transport.close()
        self._committer.close()
        self._database.close()

    @property
    def ready(self) -> bool:
        """Whether recovery is done and requests are taken."""
        return self._started and not self._stopping

    @property
    def stopping(self) -> bool:
        return self._stopping

    async def wait_failed(self) -> BaseException:
        """Returns, with the reason, when the engine had to stop by itself: its store failed."""
        return await asyncio.shield(self._failed)

    # ---- what callers ask ----

    async def call(
        self,
        target: Target,
        body: bytes,
        *,
        headers: Sequence[tuple[str, str]] = (),
        idempotency_key: str | None = None,
    ) -> Outcome:
        """Run a handler and wait for its outcome; with an idempotency key seen before, that invocation's.

        Raises:
            UnknownTarget: no deployment has the handler, or the key is missing or not wanted.
            EngineStopping: it stops, or stopped while we waited.
        """
        outcome = await self._submit(target, body, headers, idempotency_key, wants_outcome=True)
        assert isinstance(outcome, Outcome)
        return outcome

    async def send(
        self,
        target: Target,
        body: bytes,
        *,
        headers: Sequence[tuple[str, str]] = (),
        idempotency_key: str | None = None,
        delay_ms: int = 0,
    ) -> Accepted:
        """Have a handler run, now or after a delay; returns once that is certain. Raises like `call`."""
        execute_at_ms = self._clock() + delay_ms if delay_ms > 0 else 0
        accepted = await self._submit(target, body, headers, idempotency_key, execute_at_ms=execute_at_ms)
        assert isinstance(accepted, Accepted)
        return accepted

    async def attach(self, invocation_id: str) -> Outcome:
        """Wait for the outcome of an invocation. Raises `UnknownInvocation`."""
        id = _checked_id(invocation_id)
        outcome = await self._ask(lambda request: AttachRequested(request, id))
        assert isinstance(outcome, Outcome)
        return outcome

    def output(self, invocation_id: str) -> Outcome | None:
        """The outcome of an invocation if it has ended, else None. Raises `UnknownInvocation`."""
        self._check_open()
        invocation = self._ledger.find(_checked_id(invocation_id))
        if invocation is None:
            raise UnknownInvocation(invocation_id)
        committed = invocation.status is Status.COMPLETED and not self._ledger.is_uncommitted(invocation.number)
        return outcome_of(invocation) if committed else None

    async def resolve_awakeable(self, awakeable_id: str, value: bytes) -> None:
        """Complete an awakeable. Raises `UsageError` for what is no awakeable id, `UnknownInvocation`."""
        id, signal = ids.parse_awakeable_id(awakeable_id)
        await self._ask(lambda request: SignalSent(request, id, signal, value))

    async def reject_awakeable(self, awakeable_id: str, message: str, code: int = 500) -> None:
        """Complete an awakeable with a failure. Raises like `resolve_awakeable`."""
        id, signal = ids.parse_awakeable_id(awakeable_id)
        await self._ask(lambda request: SignalSent(request, id, signal, failure=Failure(code, message)))

    async def cancel(self, invocation_id: str) -> None:
        """Ask an invocation to end: it sees a terminal error 409 at its next await, after the calls that it awaits.

        Raises:
            UnknownInvocation: there is none.
            Conflict: it has ended.
        """
        id = _checked_id(invocation_id)
        if self.describe(id).status == Status.COMPLETED:
            raise Conflict(f"{id} has ended already")
        await self._ask(lambda request: SignalSent(request, id, CANCEL_SIGNAL))

    async def kill(self, invocation_id: str) -> None:
        """End an invocation, and the calls that it awaits, at once, unasked. Raises like `cancel`."""
        id = _checked_id(invocation_id)
        await self._ask(lambda request: KillRequested(request, id))

    async def resume(self, invocation_id: str) -> None:
        """Try a paused, suspended or backing-off invocation now. Raises like `cancel`."""
        id = _checked_id(invocation_id)
        await self._ask(lambda request: ResumeRequested(request, id))

    def describe(self, invocation_id: str) -> InvocationView:
        """What is known of an invocation. Raises `UnknownInvocation`."""
        self._check_open()
        invocation = self._ledger.find(_checked_id(invocation_id))
        if invocation is None:
            raise UnknownInvocation(invocation_id)
        return view_of(invocation)

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
        transport = HttpTransport(normal_uri(uri), use_http_11=use_http_11, additional_headers=additional_headers)
        try:
            manifest = await transport.discover()
            registration = self.registry.plan(
                uri,
                manifest,
                new_id=ids.new_deployment_id(),
                now_ms=self._clock(),
                force=force,
                breaking=breaking,
                use_http_11=use_http_11,
                additional_headers=additional_headers,
                metadata=metadata,
                sdk_version=transport.sdk_version,
            )
        finally:
            await transport.close()
        if registration.changed and not dry_run:
            await self._serve(registration)
        return registration

    # ---- deployments ----

    async def _register_embedded(self, transport: Transport) -> None:
        registration = self.registry.plan(
            EMBEDDED_URI,
            await transport.discover(),
            new_id=ids.new_deployment_id(),
            now_ms=self._clock(),
            force=True,
        )
        self._transports[registration.deployment.id] = transport
        if registration.changed:
            await self._serve(registration)

    async def _serve(self, registration: Registration) -> None:
        deployment = registration.deployment
        self.registry.apply(registration)
        outdated = None if deployment.uri == EMBEDDED_URI else self._transports.pop(deployment.id, None)
        await self._ask(lambda request: DeploymentRegistered(request, deployment.id, deployment.encode()))
        logger.info("deployment registered", extra={"deployment_id": deployment.id, "uri": deployment.uri})
        if outdated is not None:
            await outdated.close()

    def _transport_of(self, deployment_id: DeploymentId) -> Transport:
        transport = self._transports.get(deployment_id)
        if transport is None:
            deployment = self.registry.deployment(deployment_id)
            if deployment.uri == EMBEDDED_URI:
                raise Conflict(
                    "this engine was started without its embedded services: start it with `perdure up module:attr`"
                )
            transport = self._transports[deployment_id] = HttpTransport(
                deployment.uri,
                use_http_11=deployment.use_http_11,
                additional_headers=deployment.additional_headers,
            )
        return transport

    # ---- requests ----

    def _check_open(self) -> None:
        if not self.ready:
            raise EngineStopping("the engine is stopping" if self._stopping else "the engine has not started yet")

    async def _submit(
        self,
        target: Target,
        body: bytes,
        headers: Sequence[tuple[str, str]],
        idempotency_key: str | None,
        *,
        execute_at_ms: int = 0,
        wants_outcome: bool = False,
    ) -> Accepted | Outcome | None:
        self._check_open()
        resolved = self.registry.resolve(target.service, target.handler)
        if resolved.handler_type == "WORKFLOW" and target.key is not None:
            id = ids.workflow_invocation_id(target.service, target.key)
        elif idempotency_key is not None:
            id = ids.idempotent_invocation_id(target.service, target.key, target.handler, idempotency_key)
        else:
            id = self._ledger.new_id(target.key)
        return await self._ask(
            lambda request: Submitted(
                request, id, target, body, tuple(headers), idempotency_key, execute_at_ms, wants_outcome
            )
        )

    async def _ask(self, event: Callable[[int], Event]) -> Accepted | Outcome | None:
        if self._stopping or self._failed.done():
            raise EngineStopping("the engine is stopping")
        self._last_request += 1
        request = self._last_request
        future: asyncio.Future[Accepted | Outcome | None] = self._loop.create_future()
        self._requests[request] = future
        try:
            self._apply(event(request))
            return await future
        finally:
            del self._requests[request]

    # ---- the loop ----

    def _apply(self, event: Event) -> None:
        if self._failed.done():
            return
        try:
            self._processor.apply(event, self._clock())
        except Exception as error:  # noqa: BLE001 - memory can no longer be trusted: stop, recover from disk
            self._fail(error)
            return
        self._arm_timer()
        if not self._flushing:
            self._schedule_flush()

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
        if self._failed.done() or self._ledger.committing is not None:
            return
        batch = self._ledger.take_batch()
        sealed = batch.seal()
        self._flushing = True
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
        except Exception as caught:  # noqa: BLE001 - as in _apply
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

    async def _quiet(self, timeout_s: float | None) -> None:
        """Returns once no attempt runs and all is committed, or after the time."""
        if not self._is_quiet():
            self._became_quiet = self._loop.create_future()
            waited_for = {self._became_quiet, self._failed}
            await asyncio.wait(waited_for, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)

    def _is_quiet(self) -> bool:
        return not (self._invoker.running or self._ledger.batch or self._ledger.committing)

    def _fail(self, error: Exception) -> None:
        """Stop taking part: what is on disk is right, what is in memory may not be."""
        if not self._failed.done():
            logger.error("the engine stops: %s", error, exc_info=None if isinstance(error, PerdureError) else error)
            self._failed.set_result(error)
            self._stopping = True
            self._invoker.suspend_all()
            for future in self._requests.values():
                if not future.done():
                    future.set_exception(EngineStopping("the engine had to stop: ask again, with an idempotency key"))

    # ---- time ----

    def _arm_timer(self) -> None:
        due_ms = None if self._stopping else self._ledger.timers.next_due_ms()
        if due_ms == self._timer_due_ms:
            return
        self._disarm_timer()
        if due_ms is not None:
            self._timer_due_ms = due_ms
            # Not at once even if it is due: what else waits for the loop gets its turn between two rounds of timers.
            self._timer = self._loop.call_later(max(1, due_ms - self._clock()) / 1000, self._on_timer)

    def _disarm_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self._timer_due_ms = None

    def _on_timer(self) -> None:
        self._timer = None
        self._timer_due_ms = None
        self._apply(TimersDue())

    def _watch_for_silence(self) -> None:
        """While attempts run, look after the silent ones; an idle engine does not wake up."""
        if self._silence_check is None and self._invoker.running:
            self._silence_check = self._loop.call_later(_SILENCE_CHECK_S, self._check_silence)

    def _check_silence(self) -> None:
        self._silence_check = None
        self._invoker.check_silence()
        self._watch_for_silence()


def _checked_id(invocation_id: str) -> InvocationId:
    ids.parse_invocation_id(invocation_id)
    return InvocationId(invocation_id)
