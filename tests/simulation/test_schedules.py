"""Schedules with a crash before or after each commit in turn: no time is lost, none comes twice."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

import perdure
from perdure.engine.batch import Sealed
from perdure.engine.committer import OnCommitted
from perdure.engine.config import EngineConfig, HandlerDefaults
from perdure.engine.engine import Engine
from perdure.engine.events import Target
from perdure.engine.schedules import Schedule
from perdure.engine.store.database import FILE_NAME
from perdure.engine.store.writer import Writer
from perdure.errors import Conflict, EngineStopping
from perdure.protocol.ids import scheduled_invocation_id
from perdure.sdk.endpoint import Endpoint
from perdure.transport.in_process import InProcessTransport
from tests.simulation.faults import Crash
from tests.simulation.test_engine import in_virtual_time
from tests.simulation.virtual_loop import START_S, now_s

SPAN_S = 3 * 86_400 + 3_600
DAILY = Schedule(id="daily", target=Target("Reports", "write"), cron="0 9 * * *", timezone="Europe/Berlin")
TALLY = Schedule(id="tally", target=Target("Tallies", "add", "all"), cron="0 */8 * * *", overlap="skip")


class CrashingCommitter:
    """Commits inline, and crashes at the n-th commit of all engines: before it is written, or right after."""

    def __init__(self, writer: Writer, count: Callable[[], bool], *, after: bool) -> None:
        self._writer = writer
        self._crashes = count
        self._after = after
        self._loop = asyncio.get_running_loop()

    def submit(self, sealed: Sealed, done: OnCommitted) -> None:
        self._loop.call_soon(self._commit, sealed, done)

    def _commit(self, sealed: Sealed, done: OnCommitted) -> None:
        crash = self._crashes()
        if crash and not self._after:
            done(Crash("before the commit"))
            return
        self._writer.commit(sealed)
        done(Crash("after the commit") if crash else None)

    def close(self) -> None:
        pass


class Life:
    """Two schedules for three days, on one engine after the other."""

    def __init__(self, folder: Path, crash_at: int | None, *, after: bool) -> None:
        self.commits = 0
        self._folder = folder
        self._crash_at = crash_at
        self._after = after
        self._engine: Engine | None = None
        reports = perdure.Service("Reports")
        tallies = perdure.VirtualObject("Tallies")

        @reports.handler()
        async def write(ctx: perdure.Context) -> str:
            return ctx.request().headers["x-perdure-scheduled-at"]

        @tallies.handler()
        async def add(ctx: perdure.ObjectContext) -> None:
            ctx.set("sum", (await ctx.get("sum", type_hint=int) or 0) + 1)

        self._endpoint = Endpoint([reports, tallies], clock=now_s)

    async def live(self) -> None:
        keeper = asyncio.create_task(self._keep_an_engine())
        for schedule in (DAILY, TALLY):
            await self._create(schedule)
        await asyncio.sleep(SPAN_S)
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)

    async def open(self) -> Engine:
        engine = Engine(
            EngineConfig(data_dir=self._folder, handler_defaults=HandlerDefaults(retention_ms=2 * SPAN_S * 1000)),
            clock=lambda: int(now_s() * 1000),
            committer=lambda writer, loop: CrashingCommitter(writer, self._is_doomed, after=self._after),
        )
        await engine.start(InProcessTransport(self._endpoint.manifest(), self._endpoint.open_attempt))
        return engine

    async def _keep_an_engine(self) -> None:
        while True:
            try:
                engine = self._engine = await self.open()
            except EngineStopping:
                continue  # it crashed as it registered its services
            try:
                assert isinstance(await engine.wait_failed(), Crash)
            finally:
                self._engine = None
                await engine.stop()

    def _is_doomed(self) -> bool:
        self.commits += 1
        return self.commits == self._crash_at

    async def _create(self, schedule: Schedule) -> None:
        while True:
            try:
                if self._engine is not None:
                    await self._engine.schedules.create(schedule)
                    return
            except EngineStopping:
                pass  # whether it was created, the next engine knows
            except Conflict:
                return
            await asyncio.sleep(0.01)

    def stored(self, question: str) -> list[tuple[object, ...]]:
        connection = apsw.Connection(str(self._folder / FILE_NAME), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            return connection.execute(question).fetchall()
        finally:
            connection.close()


def expected(schedule: Schedule) -> set[str]:
    """The ids of what it starts."""
    at_ms, ids = int(START_S * 1000), set[str]()
    while (at_ms := schedule.due_after(at_ms) or 0) < (START_S + SPAN_S) * 1000:
        ids.add(scheduled_invocation_id(schedule.id, at_ms, schedule.target.key))
    return ids


def check(folder: Path, crash_at: int | None, *, after: bool = False) -> int:
    """Lives through it; how many commits there were."""
    life = Life(folder, crash_at, after=after)
    in_virtual_time(life.live)
    started = life.stored("select id, status, schedule_id from invocation")
    ids = [id for id, _, _ in started]
    assert sorted(map(str, ids)) == sorted(expected(DAILY) | expected(TALLY)), crash_at
    assert {status for _, status, _ in started} == {"completed"}, crash_at
    assert life.stored("select value from state") == [(str(len(expected(TALLY))).encode(),)], crash_at
    return life.commits


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_crash_at_any_commit_loses_no_time_and_repeats_none(tmp_path: Path, after: bool) -> None:
    commits = check(tmp_path / "calm", None)
    assert commits > 20
    for crash_at in range(1, commits + 1):
        check(tmp_path / str(crash_at), crash_at, after=after)


def test_what_was_missed_for_days_comes_once_when_an_engine_is_back(tmp_path: Path) -> None:
    async def test() -> None:
        life = Life(tmp_path, None, after=False)
        engine = await life.open()
        await engine.schedules.create(TALLY)
        await engine.stop()
        await asyncio.sleep(SPAN_S)
        engine = await life.open()
        await asyncio.sleep(60)
        assert life.stored("select value from state") == [(b"1",)]
        await engine.stop()

    in_virtual_time(test)
