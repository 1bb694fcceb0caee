"""The engine with real services in virtual time: slots, silence, suspension, restarts, changed code."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar
from unittest.mock import patch

import apsw
import msgspec
import pytest

import perdure
from perdure.engine.config import EngineConfig
from perdure.engine.engine import Engine
from perdure.engine.events import Target
from perdure.engine.store.reader import Reader
from perdure.errors import EngineStopping
from perdure.sdk.endpoint import Endpoint
from perdure.transport.connection import InvokeRequest, Receiver, Sender
from perdure.transport.in_process import InProcessTransport
from tests.simulation.faults import FaultyCommitter
from tests.simulation.virtual_loop import VirtualLoop, now_s

T = TypeVar("T")
HOUR_S = 3_600


def in_virtual_time(test: Callable[[], Awaitable[T]]) -> T:
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(test())
    finally:
        loop.close()


class House:
    """An engine with embedded services, in virtual time. `open` and `close` it as often as you like."""

    def __init__(self, folder: Path | None = None, **config: int) -> None:
        self.config = EngineConfig(data_dir=folder, **config)  # type: ignore[arg-type]
        self.clock_ahead_ms = 0

    async def open(self, *services: perdure.Service, version: int = 7) -> Engine:
        self.engine = Engine(
            self.config,
            clock=lambda: int(now_s() * 1000) + self.clock_ahead_ms,
            committer=lambda writer, loop: FaultyCommitter(writer, loop, random.Random(0), 0),
        )
        endpoint = Endpoint(services, clock=now_s)
        manifest = msgspec.structs.replace(endpoint.manifest(), max_protocol_version=version)
        self.transport = Counting(InProcessTransport(manifest, endpoint.open_attempt))
        await self.engine.start(self.transport)
        return self.engine

    async def close(self) -> None:
        await self.engine.stop()

    async def call(self, path: str, arg: object = None) -> object:
        service, handler = path.split("/")
        outcome = await self.engine.call(Target(service, handler), msgspec.json.encode(arg))
        assert outcome.failure is None, outcome.failure
        return msgspec.json.decode(outcome.value or b"null")


class Counting:
    """An in-process transport that knows how many attempts are open, and can fall silent."""

    def __init__(self, transport: InProcessTransport) -> None:
        self._transport = transport
        self.open_now: set[str] = set()
        self.most_open = 0
        self.opened = 0
        self.silent = False
        self.keeps_open = False
        self.aborted = 0

    async def discover(self) -> object:
        return await self._transport.discover()

    def open(self, request: InvokeRequest, receiver: Receiver) -> Sender:
        self.opened += 1
        if self.silent:
            return Silence()
        self.open_now.add(request.invocation_id)
        self.most_open = max(self.most_open, len(self.open_now))
        watched = Watched(receiver, lambda: self.open_now.discard(request.invocation_id), not self.keeps_open)
        return Abortable(self._transport.open(request, watched), self)

    async def close(self) -> None:
        await self._transport.close()


class Abortable:
    """A sender that counts how often connections were dropped."""

    def __init__(self, sender: Sender, counting: Counting) -> None:
        self.send = sender.send
        self.close = sender.close
        self._sender = sender
        self._counting = counting

    def abort(self) -> None:
        self._counting.aborted += 1
        self._sender.abort()


class Watched:
    def __init__(self, receiver: Receiver, on_terminal: Callable[[], None], closes: bool) -> None:
        self._closes = closes
        self._receiver = receiver
        self._on_terminal = on_terminal

    def message(self, envelope: "perdure.protocol.messages.Envelope") -> None:
        if envelope.type in (1, 2, 3):
            self._on_terminal()
        self._receiver.message(envelope)

    def closed(self, error: Exception | None) -> None:
        self._on_terminal()
        if self._closes:
            self._receiver.closed(error)


class Silence:
    """A connection on which nothing ever comes back."""

    def send(self, envelope: object) -> None: ...

    def close(self) -> None: ...

    def abort(self) -> None: ...


def agents() -> Iterable[perdure.Service]:
    service = perdure.Service("Agents")

    @service.handler()
    async def nested(ctx: perdure.Context, depth: int) -> int:
        return 1 + await ctx.service_call(nested, depth - 1) if depth else 0

    @service.handler()
    async def nap(ctx: perdure.Context, seconds: float) -> str:
        await ctx.sleep(timedelta(seconds=seconds))
        return "awake"

    return (service,)


def test_agents_that_call_each_other_never_fill_all_slots_in_vain() -> None:
    async def test() -> None:
        house = House(attempts_max=2)
        await house.open(*agents())
        assert await asyncio.gather(*(house.call("Agents/nested", 5) for _ in range(4))) == [5] * 4
        assert house.transport.most_open <= 2
        await house.close()

    in_virtual_time(test)


def test_many_timers_that_are_due_together_stay_within_the_bound() -> None:
    async def test() -> None:
        house = House(attempts_max=10)
        await house.open(*agents())
        naps = [house.call("Agents/nap", HOUR_S) for _ in range(2_000)]
        assert await asyncio.gather(*naps) == ["awake"] * 2_000
        assert house.transport.most_open <= 10
        await house.close()

    in_virtual_time(test)


def test_one_that_only_waits_is_asked_to_suspend_and_goes_on_later() -> None:
    async def test() -> None:
        house = House()
        await house.open(*agents())
        nap = asyncio.ensure_future(house.call("Agents/nap", HOUR_S))
        await asyncio.sleep(59)
        assert len(house.transport.open_now) == 1
        await asyncio.sleep(2)
        assert len(house.transport.open_now) == 0
        assert await nap == "awake"
        assert house.transport.opened == 2
        await house.close()

    in_virtual_time(test)


def test_a_service_that_falls_silent_is_cut_off_and_tried_again() -> None:
    async def test() -> None:
        house = House()
        await house.open(*agents())
        house.transport.silent = True
        call = asyncio.ensure_future(house.call("Agents/nested", 0))
        await asyncio.sleep(60 + 600 - 1)
        assert house.transport.opened == 1
        house.transport.silent = False
        assert await call == 0
        assert house.transport.opened == 2
        await house.close()

    in_virtual_time(test)


def test_a_response_that_stays_open_after_its_last_message_is_dropped() -> None:
    async def test() -> None:
        house = House()
        await house.open(*agents())
        house.transport.keeps_open = True
        assert await house.call("Agents/nested", 0) == 0
        await asyncio.sleep(4)
        assert house.transport.aborted == 0
        await asyncio.sleep(2)
        assert house.transport.aborted == 1
        await house.close()

    in_virtual_time(test)


def test_a_store_that_cannot_be_read_stops_the_engine_and_wedges_nothing() -> None:
    async def test() -> None:
        house = House(attempts_max=1)
        engine = await house.open(*agents())
        calls = [asyncio.ensure_future(house.call("Agents/nap", 0.1)) for _ in range(3)]
        await asyncio.sleep(0.05)

        def broken(*arguments: object) -> None:
            raise apsw.IOError("the disk is gone")

        with patch.object(Reader, "journal", broken):
            error = await engine.wait_failed()
        assert isinstance(error, apsw.IOError)
        *earlier, last = await asyncio.gather(*calls, return_exceptions=True)
        assert all(each == "awake" or isinstance(each, EngineStopping) for each in earlier)
        assert isinstance(last, EngineStopping)
        await house.close()

    in_virtual_time(test)


def test_timers_follow_the_wall_clock_when_it_is_set() -> None:
    async def test() -> None:
        house = House()
        await house.open(*agents())
        nap = asyncio.ensure_future(house.call("Agents/nap", HOUR_S))
        await asyncio.sleep(120)
        house.clock_ahead_ms = HOUR_S * 1000
        await asyncio.sleep(61)
        assert nap.done()
        assert house.transport.opened == 2  # and nobody was cut off for having been silent for an hour
        await house.close()

    in_virtual_time(test)


def test_what_is_told_of_an_invocation_is_on_disk() -> None:
    async def test() -> None:
        house = House()
        engine = await house.open(*agents())
        accepted = await engine.send(Target("Agents", "nap"), b"1")
        await asyncio.sleep(0.5)
        with patch.object(FaultyCommitter, "submit", lambda *arguments: None):  # from here on, no commit ends
            await asyncio.sleep(1)
            assert engine.invocations.describe(accepted.invocation_id).status != "completed"
            assert engine.output(accepted.invocation_id) is None

    in_virtual_time(test)


def test_a_stop_lets_attempts_suspend_and_the_next_engine_goes_on(tmp_path: Path) -> None:
    async def test() -> None:
        house = House(tmp_path)
        first = await house.open(*agents())
        accepted = await first.send(Target("Agents", "nap"), b"3600")
        nap = asyncio.ensure_future(house.call("Agents/nap", HOUR_S))
        await asyncio.sleep(1)
        await house.close()
        with pytest.raises(EngineStopping):
            first.invocations.describe(accepted.invocation_id)
        with pytest.raises(EngineStopping):
            await first.call(Target("Agents", "nap"), b"1")
        with pytest.raises(EngineStopping):
            await nap
        second = await house.open(*agents())
        assert second.invocations.describe(accepted.invocation_id).status == "suspended"
        assert (await second.attach(accepted.invocation_id)).value == b'"awake"'
        await house.close()

    in_virtual_time(test)


def test_embedded_services_are_one_deployment_over_all_restarts(tmp_path: Path) -> None:
    async def test() -> set[str]:
        house = House(tmp_path)
        ids: set[str] = set()
        for _ in range(2):
            engine = await house.open(*agents())
            ids |= set(engine.registry.deployments)
            await house.close()
        more = perdure.Service("More")
        more.handler("run")(_nothing)
        engine = await house.open(*agents(), more)
        ids |= set(engine.registry.deployments)
        assert await house.call("More/run") is None
        await house.close()
        return ids

    assert len(in_virtual_time(test)) == 1


async def _nothing(ctx: perdure.Context) -> None: ...


def test_changed_code_pauses_what_is_in_flight_and_says_where(tmp_path: Path) -> None:
    def version(name: str, answer: str) -> perdure.Service:
        service = perdure.Service("Agent")

        async def think() -> str:
            return answer

        @service.handler()
        async def run(ctx: perdure.Context) -> str:
            thought = await ctx.run_typed(name, think)
            await ctx.sleep(timedelta(hours=1))
            return thought

        return service

    async def test() -> None:
        house = House(tmp_path)
        engine = await house.open(version("think", "first"))
        accepted = await engine.send(Target("Agent", "run"), b"")
        await asyncio.sleep(1)
        await house.close()

        engine = await house.open(version("ponder", "second"))
        await asyncio.sleep(HOUR_S)
        view = engine.invocations.describe(accepted.invocation_id)
        assert view.status == "paused"
        assert view.last_failure is not None
        assert view.last_failure.code == 570
        for part in ("think", "ponder", "test_engine.py", "journal entry 1"):
            assert part in view.last_failure.message
        await house.close()

        engine = await house.open(version("think", "third"))
        await engine.invocations.resume(accepted.invocation_id)
        assert (await engine.attach(accepted.invocation_id)).value == b'"first"'
        await house.close()

    in_virtual_time(test)


def test_what_is_restarted_from_an_entry_goes_on_with_the_random_numbers_that_are_in_it(tmp_path: Path) -> None:
    service = perdure.Service("Dice")

    @service.handler()
    async def ring(ctx: perdure.Context, key: str) -> None: ...

    @service.handler()
    async def roll(ctx: perdure.Context, times: int) -> list[str]:
        keys = [str(ctx.uuid()) for _ in range(times)]
        for key in keys:
            ctx.service_send(ring, key)
        return keys

    async def test() -> None:
        house = House(tmp_path)
        engine = await house.open(service)
        first = await engine.call(Target("Dice", "roll"), b"2")
        again = await engine.invocations.restart_as_new(first.invocation_id, from_entry=1)
        assert (await engine.attach(again)).value == first.value
        third = await engine.invocations.restart_as_new(again, from_entry=1)
        assert (await engine.attach(third)).value == first.value
        afresh = await engine.invocations.restart_as_new(third)
        assert (await engine.attach(afresh)).value != first.value
        await house.close()

    in_virtual_time(test)
