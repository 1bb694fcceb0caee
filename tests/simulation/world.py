"""A world for the engine and the real SDK: virtual time, a store on disk, and faults drawn from a seed.

Faults: a crash of the engine at any commit, before or after it; a connection that breaks at any message, either way;
a service that falls silent; slow commits and slow messages.
"""

import asyncio
import random
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path

import apsw
import msgspec

from perdure.engine.batch import Sealed
from perdure.engine.committer import Done
from perdure.engine.config import EngineConfig, HandlerDefaults, RetryPolicy
from perdure.engine.engine import Engine
from perdure.engine.events import Outcome, Target
from perdure.engine.store.database import FILE_NAME
from perdure.engine.store.writer import Writer
from perdure.errors import Conflict, EngineStopping, StoreError, TooEarly, TransportError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.discovery import Manifest, ProtocolMode
from perdure.protocol.messages import Envelope
from perdure.sdk.endpoint import Endpoint
from perdure.transport.connection import InvokeRequest, Receiver, Sender
from perdure.transport.in_process import InProcessTransport
from tests.simulation.invariants import check
from tests.simulation.programs import Agents, Effects, Step, counts, draw, expected
from tests.simulation.virtual_loop import VirtualLoop

START_S = 1_800_000_000.0
VIRTUAL_DEADLINE_S = 10 * 86_400  # a program sleeps for some days at most


def now_s() -> float:
    """The time in the running loop's world."""
    return START_S + asyncio.get_running_loop().time()


class Crash(StoreError):
    """The engine's process is gone."""


class FaultyCommitter:
    """Commits inline, after a while; at a commit that the seed chose, the engine crashes instead, or right after."""

    def __init__(
        self,
        writer: Writer,
        loop: asyncio.AbstractEventLoop,
        random: random.Random,
        crashes: float,
        after_commit: Callable[[], None] = lambda: None,
    ) -> None:
        self._after_commit = after_commit
        self._writer = writer
        self._loop = loop
        self._random = random
        self._crashes = crashes

    def submit(self, sealed: Sealed, done: Done) -> None:
        self._loop.call_later(self._random.choice([0, 0, 0.001, 0.1]), self._commit, sealed, done)

    def _commit(self, sealed: Sealed, done: Done) -> None:
        crash = self._random.random() < self._crashes
        if crash and self._random.random() < 0.5:
            done(Crash("before the commit"))
            return
        self._writer.commit(sealed)
        done(Crash("after the commit, before its effects") if crash else None)
        if not crash:
            self._after_commit()

    def close(self) -> None:
        pass


class FaultyTransport:
    """The in-process transport with a cable that may be slow, break, or go dead."""

    def __init__(self, transport: InProcessTransport, random: random.Random, breaks: float, silences: float) -> None:
        self._transport = transport
        self._random = random
        self._breaks = breaks
        self._silences = silences

    async def discover(self) -> Manifest:
        return await self._transport.discover()

    def open(self, request: InvokeRequest, receiver: Receiver) -> Sender:
        cable = Cable(receiver, self._random, self._breaks, self._silences)
        cable.sender = self._transport.open(request, cable)
        return cable

    async def close(self) -> None:
        await self._transport.close()


class Cable:
    """Both ends of one connection: the engine's sender, and the receiver of what the service says."""

    def __init__(self, receiver: Receiver, random: random.Random, breaks: float, silences: float) -> None:
        self._receiver = receiver
        self._random = random
        self._breaks = breaks
        self._silences = silences
        self._loop = asyncio.get_running_loop()
        self._arrives_at = 0.0
        self._under_way: deque[tuple[Callable[..., None], tuple[object, ...]]] = deque()
        self._cut = False
        self._dead = False
        self.sender: Sender | None = None

    def send(self, envelope: Envelope) -> None:
        if self._cut or self._dead or self._fault() or self.sender is None:
            return
        self.sender.send(envelope)

    def close(self) -> None:
        if self.sender is not None and not self._dead:
            self.sender.close()

    def abort(self) -> None:
        self._cut = True
        if self.sender is not None:
            self.sender.abort()

    def message(self, envelope: Envelope) -> None:
        if self._cut or self._dead or self._fault():
            return
        self._later(self._receiver.message, envelope)

    def closed(self, error: Exception | None) -> None:
        if not self._cut and not self._dead:
            self._later(self._receiver.closed, error)

    def _later(self, call: Callable[..., None], *args: object) -> None:
        delay = self._random.choice([0, 0, 0, 0.002, 0.05])
        self._arrives_at = max(self._arrives_at, self._loop.time() + delay)
        self._under_way.append((call, args))
        self._loop.call_at(self._arrives_at, self._arrive)

    def _arrive(self) -> None:
        """The oldest of what is under way arrives: a loop's timers of one instant come in no order, messages do."""
        call, args = self._under_way.popleft()
        if not self._cut:
            call(*args)

    def _fault(self) -> bool:
        drawn = self._random.random()
        if drawn < self._breaks:
            self._cut = True
            assert self.sender is not None
            self.sender.abort()
            self._loop.call_soon(self._receiver.closed, TransportError("the cable was cut"))
            return True
        if drawn < self._breaks + self._silences:
            self._dead = True
            return True
        return False


class World:
    """One seed: its programs, its faults, and the checks."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.folder = folder
        self.crashes = self.random.choice([0, 0.02, 0.1])
        self.breaks = self.random.choice([0, 0.01, 0.05])
        self.silences = self.random.choice([0, 0, 0.005])
        self.attempts_max = self.random.choice([1, 3, 1_000])
        self.version = self.random.choice([5, 6, 7, 7])
        self.mode: ProtocolMode = self.random.choice(["BIDI_STREAM", "BIDI_STREAM", "REQUEST_RESPONSE"])
        self.programs = [draw(self.random) for _ in range(self.random.randint(1, 4))]
        self.effects = Effects(self._is_recorded)
        self.agents = Agents(self.effects)
        self.engine: Engine | None = None
        self.engines = 0
        self.violation: AssertionError | None = None

    def run(self) -> None:
        """Runs the seed to its end.

        Raises:
            AssertionError: what came of it is not what comes of it without faults.
        """
        loop = VirtualLoop()
        try:
            loop.run_until_complete(asyncio.wait_for(self._live(), VIRTUAL_DEADLINE_S))
        except TimeoutError:
            open_ones = self._query("select id, status, last_failure from invocation where status != 'completed'")
            raise AssertionError(f"some invocations never end: {open_ones}") from None
        finally:
            loop.close()

    async def _live(self) -> None:
        loop = asyncio.get_running_loop()
        keeper = loop.create_task(self._keep_an_engine())
        callers = loop.create_task(self._call_and_check())
        operator = loop.create_task(self._operate())
        tasks = {keeper, callers, operator}
        done, unfinished = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
        for task in done:
            if not task.cancelled():
                task.result()

    async def _call_and_check(self) -> None:
        outcomes = await asyncio.gather(*(self._ask(n, program) for n, program in enumerate(self.programs)))
        await self._all_ended()
        assert self.violation is None, self.violation
        for n, (program, outcome) in enumerate(zip(self.programs, outcomes, strict=True)):
            assert outcome.failure is None, f"program {n}: {outcome.failure}"
            assert msgspec.json.decode(outcome.value or b"") == expected(program), f"program {n}"
            again = await self._ask(n, program)
            assert again.value == outcome.value, "asked again, it answers something else"
        self._check_store()

    async def _operate(self) -> None:
        """An operator pauses, resumes and looks at what goes on, which must change no outcome."""
        hand = random.Random(self.seed + 1_000_003)  # its own, so that it shifts nothing else of the seed
        meddles = hand.random() < 0.5
        paused: set[str] = set()
        while True:
            await asyncio.sleep(hand.choice([0.01, 1, 60]) * hand.random())
            going_on = self._query("select id from invocation where status != 'completed'") if meddles else []
            engine = self.engine
            if engine is None or not going_on:
                continue
            id = str(hand.choice(going_on)[0])
            try:
                match hand.choice(["pause", "resume", "describe"]):
                    case "pause":
                        paused.add(id)
                        await engine.invocations.pause(id)
                    case "resume" if paused:
                        id = hand.choice(sorted(paused))
                        await engine.invocations.resume(id)
                        paused.discard(id)
                    case _:
                        view = engine.invocations.describe(id)
                        assert view.waiting_reason or view.status == "completed", f"{id} does not say why it waits"
            except (Conflict, TooEarly):
                paused.discard(id)  # it has ended, not begun, or goes on
            except EngineStopping:
                pass  # asked again, if it matters

    async def _keep_an_engine(self) -> None:
        """An engine on the store, and after each crash the next one."""
        while True:
            engine = self._new_engine()
            endpoint = Endpoint(self.agents.services, clock=now_s)
            manifest = msgspec.structs.replace(endpoint.manifest(self.mode), max_protocol_version=self.version)
            transport = InProcessTransport(manifest, endpoint.open_attempt)
            try:
                await engine.start(FaultyTransport(transport, self.random, self.breaks, self.silences))
            except EngineStopping:
                continue  # it crashed as it registered its services
            self.engine = engine
            try:
                error = await engine.wait_failed()
            finally:
                self.engine = None
                await engine.stop(grace_s=0)
            assert isinstance(error, Crash), error

    def _new_engine(self) -> Engine:
        self.engines += 1
        # The last engines do not crash, so that every seed ends.
        crashes = self.crashes if self.engines < 20 else 0
        config = EngineConfig(
            data_dir=self.folder,
            attempts_max=self.attempts_max,
            handler_defaults=HandlerDefaults(
                retention_ms=2 * VIRTUAL_DEADLINE_S * 1000,  # the same key means the same invocation to the end
                inactivity_timeout_ms=60_000,
                abort_timeout_ms=120_000,
                retry_policy=RetryPolicy(initial_interval_ms=20, max_attempts=None),
            ),
        )
        return Engine(
            config,
            clock=lambda: int(now_s() * 1000),
            committer=lambda writer, loop: FaultyCommitter(writer, loop, self.random, crashes, self._check_invariants),
        )

    def _check_invariants(self) -> None:
        if self.engine is not None and not self.engine.stopping and self.violation is None:
            try:
                check(self.engine._ledger, self.folder / FILE_NAME)
            except AssertionError as error:
                self.violation = error

    async def _ask(self, n: int, program: list[Step]) -> Outcome:
        """Calls with an idempotency key, and again for as long as engines go away."""
        while True:
            try:
                if self.engine is None:
                    raise EngineStopping("between two engines")
                return await self.engine.call(
                    Target("Node", "run"), msgspec.json.encode(program), idempotency_key=f"program-{n}"
                )
            except EngineStopping:
                await asyncio.sleep(0.01)

    async def _all_ended(self) -> None:
        """Sends and their sends end too, some time after who sent them."""
        open_ones = "select id, service, handler, status, last_failure from invocation where status != 'completed'"
        while self.engine is None or self._query(open_ones):  # noqa: ASYNC110 - virtual time costs nothing
            await asyncio.sleep(600)

    # ---- what is on disk ----

    def _query(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        connection = apsw.Connection(str(self.folder / FILE_NAME), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            return list(connection.execute(sql, values))  # type: ignore[arg-type]
        finally:
            connection.close()

    def _is_recorded(self, run_key: str) -> bool:
        invocation_id, _, completion = run_key.rpartition("-")
        rows = self._query(
            "select payload from journal join invocation on number = invocation where id = ? and type = 0x8011",
            invocation_id,
        )
        return any(pb.NotificationMessage.FromString(row[0]).completion_id == int(completion) for row in rows)  # type: ignore[arg-type]

    def _check_store(self) -> None:
        assert self._query("pragma integrity_check") == [("ok",)]
        holes = self._query("select invocation from journal group by invocation having count(*) != max(idx) + 1")
        assert holes == [], f"journals with holes: {holes}"
        total: Counter[str] = Counter()
        for program in self.programs:
            total += counts(program)
        rows = self._query("select key, value from state")
        stored = Counter({str(key): msgspec.json.decode(bytes(value)) for key, value in rows})  # type: ignore[arg-type]
        assert +stored == total  # + drops what is 0: a key may have counted nothing
