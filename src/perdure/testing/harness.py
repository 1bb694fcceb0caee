"""The harness: handlers on a real engine in the test's own loop, in memory and in virtual time.

async with Harness([agent]) as h:
    assert await h.call(remind, "call mum") == "reminded"  # after a sleep of 30 days, in milliseconds
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, cast

from perdure.engine.answers import Outcome
from perdure.engine.config import EngineConfig, HandlerDefaults
from perdure.engine.engine import Engine as Core
from perdure.engine.store.database import FILE_NAME
from perdure.errors import Conflict, EngineStopping, UsageError
from perdure.protocol.messages import Envelope
from perdure.sdk.attempt import Attempt
from perdure.sdk.definition import HandlerFunction, ServiceDefinition, handler_of
from perdure.sdk.endpoint import Endpoint
from perdure.testing.asked_again import AskedAgain
from perdure.testing.committers import CrashingCommitter, CrashPoint, Known, Nth, Place
from perdure.testing.fakes import Fails, Fake, Kind, Spy
from perdure.testing.journal import Journal
from perdure.testing.listening import Listening
from perdure.testing.model import ScriptedModel
from perdure.testing.recorded import Step, read_steps
from perdure.testing.served import Served, listed
from perdure.testing.store import Seen, Store
from perdure.testing.stuck import Watch
from perdure.testing.virtual_time import VirtualTime
from perdure.transport.connection import InvokeRequest, Sender
from perdure.transport.in_process import InProcessTransport
from perdure.typed_calls import CallOptions, Invocation, TypedCalls, id_of, result_of

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 - a handler's input; O is its output
O = TypeVar("O")  # noqa: E741

START = datetime(2030, 1, 1, tzinfo=UTC)
_KEEPS_ALL = EngineConfig(handler_defaults=HandlerDefaults(retention_ms=100 * 365 * 86_400_000))

_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


class Harness(TypedCalls):
    """An engine for a test, for the length of an `async with` block.

    Time is virtual in the loop that it is entered in: it stands still while anything runs, jumps to the next timer when
    nothing does, and goes at its own pace while real I/O or a thread is on its way. `asyncio.sleep` follows it too.

    `services`: services, one after the other or in a list, or what `perdure.app` returned.
    `start`: what time it is at first.
    `always_replay`: a handler is suspended at each await, and replayed from its beginning.
    `disable_retries`: the first failed attempt is raised by whoever waits, with its traceback.
    `config`: limits and defaults of the engine; its `data_dir` does not count. Without one, what has ended is kept,
    however much time passes.
    `patience`: how much virtual time a call may take.

    Raises, on entering:
        UsageError: the running event loop is not one of asyncio's own.
    """

    def __init__(
        self,
        services: Endpoint | ServiceDefinition | Iterable[ServiceDefinition] = (),
        *more: ServiceDefinition,
        start: datetime = START,
        always_replay: bool = False,
        disable_retries: bool = False,
        config: EngineConfig | None = None,
        patience: timedelta = timedelta(days=3650),
    ) -> None:
        self._served = Served(listed(services, more), self._now_s)
        self._start = start if start.tzinfo is not None else start.replace(tzinfo=UTC)
        self._config = config or _KEEPS_ALL
        self._always_replay = always_replay
        self._disable_retries = disable_retries
        self._patience_s = patience.total_seconds()
        self._crash_point: CrashPoint | None = None
        self._commits: list[set[Place]] = []
        self._attempts: list[Attempt] = []
        self._engine: Core | None = None
        self._restarting: asyncio.Task[None] | None = None
        self.spies: list[Spy] = []

    # ---- time ----

    @property
    def now(self) -> datetime:
        """The virtual time."""
        return self._start + timedelta(seconds=self._passed_s())

    async def advance(self, by: timedelta) -> None:
        """Lets time pass, at once, with all that falls due in it; then `settle`."""
        self._check_open()
        if by < timedelta(0):
            raise UsageError(f"time goes forward only, not by {by}")
        await self._time.advance(by.total_seconds())

    async def settle(self) -> None:
        """Returns when all has happened that can happen without time passing."""
        self._check_open()
        await self._time.settle()

    # ---- calls ----

    async def call(self, handler: HandlerFunction[I, O], arg: I | None = None, **options: Unpack[CallOptions]) -> O:
        """Runs a handler durably, and waits for its result.

        Raises:
            TerminalError: the handler failed for good.
            StandsStill: it waits for what never comes, or is paused; the message says for what, or why.
        """
        accepted = await self.send(handler, arg, **options)
        return await self.attach(handler, accepted.invocation_id)

    async def attach(self, handler: HandlerFunction[Any, O], invocation_id: Invocation) -> O:
        """Waits for the result of an invocation that `send` returned. Raises like `call`."""
        outcome = await self.outcome(invocation_id)
        return cast("O", result_of(handler_of(handler), outcome))

    async def outcome(self, invocation_id: Invocation) -> Outcome:
        """Waits for how an invocation ends: `value` as bytes, or `failure`."""
        self._check_open()
        id = id_of(invocation_id)
        waiting = asyncio.ensure_future(self._ask(lambda engine: engine.attach(id)))
        return await self._watch.wait(id, waiting)

    async def _ask(self, question: Callable[[Core], Awaitable[T]]) -> T:
        while True:
            engine = await self._running_engine()
            try:
                return await question(engine)
            except EngineStopping:
                if self._restarting is None:
                    raise

    async def _tell(self, deed: Callable[[Core], Awaitable[object]]) -> None:
        told: list[Core] = []

        async def tell(engine: Core) -> None:
            told.append(engine)
            await deed(engine)

        try:
            await self._ask(tell)
        except Conflict:
            if len(told) == 1:
                raise  # else it was done, and the engine crashed before it could say so

    async def _running_engine(self) -> Core:
        self._check_open()
        if self._restarting is not None:
            await asyncio.shield(self._restarting)
        assert self._engine is not None
        if self._served.stale:
            self._served.stale = False
            transport = self._transport()
            self._engine.deployments.embed(transport, await transport.discover())
        return self._engine

    # ---- what is there ----

    def invocations(self, handler: Callable[..., Any] | str | None = None) -> list[Seen]:
        """All invocations in order of arrival, or those of one handler: `id`, `target`, `status`, `caller_id`."""
        self._check_open()
        seen = self._store.invocations()
        if handler is None:
            return seen
        target = handler if isinstance(handler, str) else handler_of(handler).target
        return [each for each in seen if f"{each.service}/{each.handler}" == target]

    def journal(self, invocation_id: Invocation) -> Journal:
        """What an invocation has recorded. Raises `UnknownInvocation`."""
        self._check_open()
        return Journal(id_of(invocation_id), self.envelopes(invocation_id))

    def envelopes(self, invocation_id: Invocation) -> list[Envelope]:
        """A journal as the protocol has it. Raises `UnknownInvocation`."""
        self._check_open()
        return self._store.journal(id_of(invocation_id))

    def state(self, service: ServiceDefinition | str, key: str, *, scope: str | None = None) -> dict[str, Any]:
        """The state of an object or workflow, by name."""
        self._check_open()
        return self._store.state(service if isinstance(service, str) else service.name, key, scope)

    def all_state(self) -> dict[str, Any]:
        """The state of all objects and workflows, by `Service/key/name`; in a scope by `scope:Service/key/name`."""
        self._check_open()
        return self._store.all_state()

    # ---- fakes ----

    def fake(
        self, handler: Callable[..., Any] | str, returns: Any = None, *, fails: Fails = 0, kind: Kind = "service"
    ) -> Fake:
        """Puts a script in place of a handler, which need not be deployed here: a remote agent's, say.

        `handler`: the handler, or `"Service/handler"`; `kind` is what the service is, where nothing here knows it.
        `returns`: the result, or an exception to raise, or a function `fn()`, `fn(arg)` or `fn(ctx, arg)`.
        `fails`: how many attempts fail first, or the exceptions that they fail with.
        """
        return self._served.fake(handler, returns, fails, kind)

    @property
    def fakes(self) -> list[Fake]:
        """Those that were put in place, the last for each handler."""
        return self._served.fakes

    def spy(self, fn: Callable[..., Any]) -> Any:
        """`fn` with its calls recorded, as `.calls`; `crash_at_every_step` takes them for effects outside.

        Put it in place of what has an effect: `monkeypatch.setattr(mail, "send", h.spy(lambda to: None))`.
        """
        spy = Spy(getattr(fn, "__name__", repr(fn)))
        self.spies.append(spy)
        return spy.wrap(fn)

    # ---- crashes ----

    async def crash_at_every_step(
        self,
        handler: HandlerFunction[I, Any],
        arg: I | None = None,
        *,
        key: str | None = None,
        before: Callable[["Harness"], Awaitable[object]] | None = None,
        meanwhile: Callable[["Harness"], Awaitable[object]] | None = None,
        everywhere: bool = False,
        model: ScriptedModel | None = None,
    ) -> None:
        """Runs a handler once plain, once suspended at each await, and with a crash before and after each entry of its
        journal (those that are committed together count as one), each time on a fresh engine; all must have the same
        outcome and the same effects.

        `before`: brings each engine to where the handler can run. `meanwhile`: what goes on while it runs.
        `everywhere`: with a crash at each entry of the journals of what it calls and sends, too.
        `model`: what its agents ask. It must be asked nothing again that a journal has the answer to.
        Effects are: what is called and sent, state, and what spies saw (a run that was tried again counts once).

        Raises:
            AssertionError: something differs; the message names the step and both sides.
        """
        from perdure.testing.crashes import Rehearsal  # it makes harnesses, as this one begins rehearsals

        again = AskedAgain(model) if model is not None else None
        await Rehearsal(self, handler, arg, key, before, meanwhile, everywhere, again).run()

    async def restart(self) -> None:
        """Crashes the engine and all running attempts, and starts an engine on what was committed."""
        self._check_open()
        self.crash()
        assert self._restarting is not None
        await asyncio.shield(self._restarting)

    def crash_at(self, invocation_id: Invocation, index: int, *, before: bool) -> CrashPoint:
        """Has the engine crash once, right before or right after this entry of a journal is committed."""
        self._check_open()
        id = id_of(invocation_id)
        known = Known(id, self._store.number(id))
        self._crash_point = CrashPoint(known, index, before=before, crash=self.crash)
        return self._crash_point

    def crash_at_nth(
        self, target: str, n: int, index: int, *, before: bool, first: Callable[[], None] = lambda: None
    ) -> CrashPoint:
        """Like `crash_at`, in the n-th invocation of `Service/handler` or `Service/key/handler` from now on.

        `first` is called right before the crash: it sees what the next engine will find.
        """
        self._check_open()

        def crash() -> None:
            first()
            self.crash()

        nth = Nth(target, n, self._store.last_number())
        self._crash_point = CrashPoint(nth, index, before=before, crash=crash)
        return self._crash_point

    def commits(self) -> list[set[tuple[str, int]]]:
        """The entries that were committed together, each as its invocation's id and its index, in order."""
        self._check_open()
        ids = self._store.ids()
        return [
            {(ids[number], index) for number, index in places if number in ids} for places in self._commits if places
        ]

    def steps(self) -> list[Step]:
        """The runs in all journals, with their results as they are recorded."""
        self._check_open()
        return read_steps(Path(self._folder.name) / FILE_NAME)

    def crash(self) -> None:
        """Drops the engine and all running attempts at once; the next engine is there soon."""
        self._check_open()
        for attempt in self._attempts:
            attempt.abort()
        if self._restarting is None:
            self._restarting = asyncio.get_running_loop().create_task(self._next_engine())

    async def _next_engine(self) -> None:
        try:
            assert self._engine is not None
            await self._engine.stop(grace_s=0)
            await self._open_engine()
        finally:
            self._restarting = None

    def twin(self, *, always_replay: bool = False) -> "Harness":
        """Another harness of the same services, fakes and spies."""
        twin = Harness(
            self._served.services,
            start=self._start,
            always_replay=always_replay,
            disable_retries=self._disable_retries,
            config=self._config,
            patience=timedelta(seconds=self._patience_s),
        )
        twin._served.fakes, twin.spies = self.fakes, self.spies
        return twin

    # ---- its life ----

    async def __aenter__(self) -> Self:
        if self._engine is not None:
            raise UsageError("this harness was entered already: make another one")
        self._time = VirtualTime.of(asyncio.get_running_loop())
        # In memory where there is a folder that is: a crash is to find what was committed, a power cut is not played.
        self._folder = tempfile.TemporaryDirectory(prefix="perdure-harness-", dir=_MEMORY, ignore_cleanup_errors=True)
        self._store = Store(Path(self._folder.name))
        self._watch = Watch(self._time, self._store, self._attempts, self._patience_s)
        self._time.keep(self._watch)
        self._entered_s = self._time.now_s()
        try:
            await self._open_engine()
        except BaseException:
            self._close()
            raise
        return self

    async def _open_engine(self) -> None:
        self._engine = Core(
            replace(self._config, data_dir=Path(self._folder.name)),
            clock=lambda: int(self._now_s() * 1000),
            committer=lambda writer, loop: CrashingCommitter(writer, loop, lambda: self._crash_point, self._commits),
            timer_check_s=float("inf"),
        )
        self._served.stale = False
        await self._engine.start(self._transport())
        self._watch.engine = self._engine

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if self._restarting is not None:
                await asyncio.shield(self._restarting)
            self._crash_point = None  # what is committed only now would bring up an engine that nobody stops
            assert self._engine is not None
            for attempt in self._attempts:
                attempt.abort()
            await self._engine.stop(grace_s=0)
            tasks = [attempt.task for attempt in self._attempts if attempt.task is not None and not attempt.task.done()]
            if tasks:
                await asyncio.wait(tasks, timeout=0.1)
        finally:
            self._close()

    def _close(self) -> None:
        self._time.let_go(self._watch)
        self._engine = None
        with suppress(OSError):
            self._folder.cleanup()

    def _check_open(self) -> None:
        if self._engine is None:
            raise UsageError("the harness is used outside of its block: `async with Harness([...]) as h:`, and h in it")

    def _passed_s(self) -> float:
        self._check_open()
        return self._time.now_s() - self._entered_s

    def _now_s(self) -> float:
        return self._start.timestamp() + self._time.now_s() - self._entered_s

    # ---- the way to the services ----

    def _transport(self) -> InProcessTransport:
        manifest = self._served.endpoint.manifest("REQUEST_RESPONSE" if self._always_replay else "BIDI_STREAM")
        return InProcessTransport(manifest, self._open_attempt)

    def _open_attempt(self, request: InvokeRequest, sender: Sender) -> Attempt:
        listening = Listening(sender, request, self._disable_retries, self._watch)
        attempt = self._served.endpoint.open_attempt(request, listening)
        self._attempts[:] = [each for each in self._attempts if each.task is None or not each.task.done()]
        self._attempts.append(attempt)
        return attempt
