"""A world for the engine and the real SDK: virtual time, a store on disk, and faults drawn from a seed.

Faults: a crash of the engine at any commit, before or after it; a connection that breaks at any message, either way;
a service that falls silent; slow commits and slow messages.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import apsw
import msgspec

from perdure.engine.answers import Outcome
from perdure.engine.config import EngineConfig, HandlerDefaults, RetryPolicy
from perdure.engine.engine import Engine
from perdure.engine.events import Target
from perdure.engine.store.database import FILE_NAME
from perdure.errors import EngineStopping
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.discovery import ProtocolMode
from perdure.sdk.endpoint import Endpoint
from perdure.transport.in_process import InProcessTransport
from tests.simulation.faults import Crash, FaultyCommitter, FaultyTransport
from tests.simulation.invariants import check
from tests.simulation.operators import OWN_KEY, Operator, Outsiders
from tests.simulation.programs import Agents, Effects, Step, counts, draw, expected
from tests.simulation.virtual_loop import VirtualLoop, now_s

_MEMORY = Path("/dev/shm")
VIRTUAL_DEADLINE_S = 10 * 86_400  # a program sleeps for some days at most

_LEFT_BEHIND = {
    "journal": "select distinct invocation from journal where invocation not in (select number from invocation)",
    "event": "select distinct invocation from event where invocation not in (select number from invocation)",
    "mutation": "select service, key from mutation",
}
"""What must not be there when all has ended."""


@contextmanager
def world_of(seed: int) -> "Iterator[World]":
    """The world of a seed, in a folder of its own.

    The folder is in memory, where there is one: what is simulated is crashes of the process, not of the disk.
    """
    memory = _MEMORY if _MEMORY.is_dir() else None
    with TemporaryDirectory(prefix=f"perdure-seed-{seed}-", dir=memory) as folder:
        yield World(seed, Path(folder))


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
        people = random.Random(seed + 1_000_003)  # their own, so that what they do shifts nothing else of the seed
        self.outsiders = Outsiders(self, people)
        self.operator = Operator(self, people, actions=people.choice([0, 5, 40]))
        self.agents = Agents(Effects(self._is_recorded), self.outsiders.wish)
        self.engine: Engine | None = None
        self._there = asyncio.Event()
        self.engines = 0
        self.violation: AssertionError | None = None
        self._violated = asyncio.Event()

    def run(self) -> None:
        """Runs the seed to its end.

        Raises:
            AssertionError: what came of it is not what comes of it without faults.
        """
        loop = VirtualLoop()
        try:
            loop.run_until_complete(asyncio.wait_for(self._live(), VIRTUAL_DEADLINE_S))
        except TimeoutError:
            assert self.violation is None, self.violation
            open_ones = self.query("select id, status, last_failure from invocation where status != 'completed'")
            raise AssertionError(f"some invocations never end: {open_ones}") from None
        finally:
            loop.close()
            if "_disk" in self.__dict__:
                self._disk.close()

    async def _live(self) -> None:
        loop = asyncio.get_running_loop()
        tasks = {loop.create_task(each) for each in self._lives()}
        done, unfinished = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
        for task in done:
            if not task.cancelled():
                task.result()

    def _lives(self) -> list[Coroutine[Any, Any, None]]:
        return [self._keep_an_engine(), self.outsiders.live(), self._use_it(), self._watch()]

    async def _watch(self) -> None:
        """Ends the world at the first violation of an invariant."""
        await self._violated.wait()
        assert self.violation is None, self.violation

    async def _use_it(self) -> None:
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(self._ask(n, program)) for n, program in enumerate(self.programs)]
            await self.operator.live()
            await self.operator.retire()
            await self._all_ended()
        assert self.violation is None, self.violation
        for n, (program, asked) in enumerate(zip(self.programs, asking, strict=True)):
            outcome = asked.result()
            assert outcome.failure is None, f"program {n}: {outcome.failure}"
            assert msgspec.json.decode(outcome.value or b"") == expected(program), f"program {n}"
            again = await self._ask(n, program)
            assert again.value == outcome.value, "asked again, it answers something else"
        self.operator.check_own()
        self._check_store()

    async def _keep_an_engine(self) -> None:
        """An engine on the store, and after each crash the next one."""
        while True:
            engine = self._new_engine()
            await engine.start(self._connect())
            self.engine = engine
            self._there.set()
            try:
                error = await engine.wait_failed()
            finally:
                self.engine = None
                self._there.clear()
                await engine.stop(grace_s=0)
            assert isinstance(error, Crash), error
            await asyncio.sleep(self.random.choice([0, 0, 0.01, 4, 20_000]))  # much falls due while nobody is there

    async def an_engine(self) -> Engine:
        """The engine, as soon as there is one."""
        while self.engine is None:
            await self._there.wait()
        return self.engine

    def _connect(self) -> FaultyTransport:
        """The way to a process that serves the agents."""
        endpoint = Endpoint(self.agents.services, clock=now_s)
        manifest = endpoint.manifest(self.mode)
        # Each time the code has changed, if only in its comments: then the start of an engine stores it.
        services = [msgspec.structs.replace(each, documentation=f"{self.engines}") for each in manifest.services]
        manifest = msgspec.structs.replace(manifest, max_protocol_version=self.version, services=services)
        transport = InProcessTransport(manifest, endpoint.open_attempt)
        return FaultyTransport(transport, self.random, self.breaks, self.silences)

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
            connect=lambda address: self._connect(),
        )

    def _check_invariants(self) -> None:
        if self.engine is not None and not self.engine.stopping and self.violation is None:
            try:
                check(self.engine._ledger, self._disk)
            except AssertionError as error:
                self.violation = error
                self._violated.set()

    async def _ask(self, n: int, program: list[Step]) -> Outcome:
        """Calls with an idempotency key, and again for as long as engines go away."""
        while True:
            try:
                return await (await self.an_engine()).call(
                    Target("Node", "run"), msgspec.json.encode(program), idempotency_key=f"program-{n}"
                )
            except EngineStopping:
                await asyncio.sleep(0.01)

    async def _all_ended(self) -> None:
        """Sends and their sends end too, some time after who sent them."""
        while not await self.operator.help():  # noqa: ASYNC110 - virtual time costs nothing
            await asyncio.sleep(3_600)

    # ---- what is on disk ----

    @cached_property
    def _disk(self) -> apsw.Connection:
        return apsw.Connection(str(self.folder / FILE_NAME), flags=apsw.SQLITE_OPEN_READONLY)

    def query(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        """What is committed, as anybody could read it beside the engine."""
        return list(self._disk.execute(sql, values))  # type: ignore[arg-type]

    def _is_recorded(self, run_key: str) -> bool:
        invocation_id, _, completion = run_key.rpartition("-")
        rows = self.query(
            "select payload from journal join invocation on number = invocation where id = ? and type = 0x8011",
            invocation_id,
        )
        return any(pb.NotificationMessage.FromString(row[0]).completion_id == int(completion) for row in rows)  # type: ignore[arg-type]

    def _check_store(self) -> None:
        assert self.query("pragma integrity_check") == [("ok",)]
        holes = self.query("select invocation from journal group by invocation having count(*) != max(idx) + 1")
        assert holes == [], f"journals with holes: {holes}"
        total: Counter[str] = Counter()
        for program in self.programs:
            total += counts(program)
        if self.operator.total is not None:
            total[OWN_KEY] = self.operator.total
        rows = self.query("select key, value from state")
        stored = Counter({str(key): msgspec.json.decode(bytes(value)) for key, value in rows})  # type: ignore[arg-type]
        assert +stored == +total  # + drops what is 0: a key may have counted nothing
        for table, question in _LEFT_BEHIND.items():
            assert self.query(question) == [], f"left behind in {table}"
