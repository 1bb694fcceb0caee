"""What operators are told of schedules, rules and services is on disk: a crash undoes nothing that was shown."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

import pytest

import perdure
from perdure.engine.batch import Sealed
from perdure.engine.committer import OnCommitted
from perdure.engine.config import EngineConfig
from perdure.engine.engine import Engine
from perdure.engine.events import Target
from perdure.engine.flow.rules import DoesNotExist, Limits, RulePut
from perdure.engine.options import Overrides
from perdure.engine.schedules import Schedule
from perdure.engine.store.writer import Writer
from perdure.errors import Conflict, EngineStopping, StoreError, UnknownSchedule
from perdure.sdk.endpoint import Endpoint
from perdure.testing.committers import InlineCommitter
from perdure.transport.in_process import InProcessTransport

T = TypeVar("T")

OFTEN = Schedule(id="often", target=Target("Greeter", "greet"), every_ms=3_600_000, input=b'"ada"')

greeter = perdure.Service("Greeter")


@greeter.handler()
async def greet(ctx: perdure.Context, name: str) -> str:
    return f"hello {name}"


class SlowDisk(InlineCommitter):
    """Commits nothing while it is `held`."""

    def __init__(self, writer: Writer, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(writer, loop)
        self.held = False
        self._waiting: list[tuple[Sealed, OnCommitted]] = []

    def submit(self, sealed: Sealed, done: OnCommitted) -> None:
        if self.held:
            self._waiting.append((sealed, done))
        else:
            super().submit(sealed, done)

    def go_on(self) -> None:
        self.held = False
        for sealed, done in self._waiting:
            super().submit(sealed, done)

    def fail(self) -> None:
        for _, done in self._waiting:
            done(StoreError("the disk is full"))


class House:
    """An engine on a slow disk."""

    def __init__(self) -> None:
        self.engine = Engine(EngineConfig(data_dir=None), committer=self._committer)

    def _committer(self, writer: Writer, loop: asyncio.AbstractEventLoop) -> SlowDisk:
        self.disk = SlowDisk(writer, loop)
        return self.disk

    async def begin(self, change: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A change that is under way: whatever comes of it before a commit has come."""
        task = asyncio.ensure_future(change)
        for _ in range(20):
            await asyncio.sleep(0)
        return task


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    endpoint = Endpoint([greeter])
    await house.engine.start(InProcessTransport(endpoint.manifest(), endpoint.open_attempt))
    yield house
    house.disk.go_on()
    await house.engine.stop(1.0)


async def test_a_schedule_is_shown_when_it_is_on_disk(house: House) -> None:
    schedules = house.engine.schedules
    house.disk.held = True
    created = await house.begin(schedules.create(OFTEN))
    assert schedules.all() == []
    with pytest.raises(UnknownSchedule):
        schedules.get("often")
    house.disk.go_on()
    state = await created
    assert schedules.all() == [state] == [schedules.get("often")]


async def test_a_schedule_is_in_the_way_when_it_is_on_disk(house: House) -> None:
    house.disk.held = True
    first = await house.begin(house.engine.schedules.create(OFTEN))
    second = await house.begin(house.engine.schedules.create(OFTEN))
    assert not second.done()
    house.disk.go_on()
    await first
    with pytest.raises(Conflict, match="exists"):
        await second


async def test_a_schedule_that_never_came_to_disk_is_in_the_way_of_none(house: House) -> None:
    house.disk.held = True
    first = await house.begin(house.engine.schedules.create(OFTEN))
    second = await house.begin(house.engine.schedules.create(OFTEN))
    house.disk.fail()
    for task in (first, second):
        with pytest.raises(EngineStopping):
            await task


async def test_whoever_created_it_may_go_before_it_is_on_disk(house: House) -> None:
    house.disk.held = True
    first = await house.begin(house.engine.schedules.create(OFTEN))
    first.cancel()
    second = await house.begin(house.engine.schedules.create(OFTEN))
    assert not second.done()
    house.disk.go_on()
    with pytest.raises(Conflict, match="exists"):
        await second


async def test_what_a_schedule_started_is_shown_when_it_is_on_disk(house: House) -> None:
    await house.engine.schedules.create(OFTEN)
    house.disk.held = True
    triggered = await house.begin(house.engine.schedules.trigger("often"))
    assert house.engine.schedules.get("often").progress.last_invocation_id is None
    house.disk.go_on()
    accepted = await triggered
    assert house.engine.schedules.get("often").progress.last_invocation_id == accepted.invocation_id


async def test_an_edit_and_a_deletion_are_shown_when_they_are_on_disk(house: House) -> None:
    schedules = house.engine.schedules
    created = (await schedules.create(OFTEN)).schedule
    house.disk.held = True
    edited = await house.begin(schedules.edit(created))
    assert schedules.get("often").schedule.version == 1
    deleted = await house.begin(schedules.delete("often", version=1))
    assert not deleted.done()
    house.disk.go_on()
    assert (await edited).schedule.version == 2
    with pytest.raises(Conflict, match="is at version 2"):
        await deleted


async def test_rules_are_shown_and_in_the_way_when_they_are_on_disk(house: House) -> None:
    rules = house.engine.rules
    put = RulePut("openai", Limits(1), precondition=DoesNotExist())
    house.disk.held = True
    first = await house.begin(rules.put(put))
    assert rules.all() == []
    second = await house.begin(rules.put(put))
    assert not second.done()
    house.disk.go_on()
    put_rules = await first
    assert rules.all() == put_rules
    with pytest.raises(Conflict, match="exists"):
        await second


async def test_what_is_said_of_a_service_is_shown_when_it_is_on_disk(house: House) -> None:
    deployments = house.engine.deployments
    house.disk.held = True
    configured = await house.begin(deployments.configure_service("Greeter", Overrides(public=False)))
    shown = await house.begin(deployments.committed())
    assert not shown.done()
    house.disk.go_on()
    await configured
    registry = await shown
    assert registry.options(registry.service("Greeter")).ingress_private
