"""Schedules: what each time that is due begins, over restarts, clocks that are set, and services that go away."""

from pathlib import Path
from typing import Literal

import pytest

from perdure.engine import lifecycle
from perdure.engine.answers import Accepted
from perdure.engine.events import ScheduleTriggered, SettingsChanged, Target, TimersDue
from perdure.engine.invocation import Invocation, Status
from perdure.engine.registry import Registry
from perdure.engine.schedules import CLOCK_SET_BACK_MS, Progress, Schedule
from perdure.errors import UnknownSchedule, UnknownTarget
from perdure.protocol import wire_pb2 as pb
from tests.unit.engine.table import START_MS, Table, responses

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
NIGHTLY = Schedule(id="nightly", target=Target("Greeter", "greet"), cron="0 3 * * *", input=b'"you"')
OFTEN = Schedule(id="often", target=Target("Greeter", "greet"), every_ms=10_000, anchor_ms=START_MS)


def plan(table: Table, schedule: Schedule) -> None:
    """Begin a schedule, as the facade does it."""
    progress = Progress(next_at_ms=schedule.due_after(table.now_ms))
    table.apply(SettingsChanged(0, table.ledger.schedules.define(schedule, progress)))
    table.commit()


def pass_time(table: Table, to_ms: int) -> None:
    """To each time that is due, and no further than `to_ms`."""
    while (due_ms := table.ledger.schedules.next_due_ms()) is not None and due_ms <= to_ms:
        table.now_ms = max(table.now_ms, due_ms)
        table.apply(TimersDue())
        table.commit()
    table.now_ms = to_ms


def wait(table: Table, for_ms: int) -> None:
    """Nothing happens for so long: the engine was busy, or away."""
    table.now_ms += for_ms
    table.apply(TimersDue())
    table.commit()


def started(table: Table, schedule: str) -> list[Invocation]:
    rows = table.database.reading.execute("select number from invocation where schedule_id = ?", (schedule,))
    found = [table.reader.invocation(number) for (number,) in rows.fetchall()]
    return [invocation for invocation in found if invocation is not None]


def progress(table: Table, schedule: str) -> Progress:
    return table.ledger.schedules.progress[schedule]


def test_each_time_starts_one(table: Table) -> None:
    plan(table, NIGHTLY)
    pass_time(table, START_MS + 3 * DAY_MS)
    invocations = started(table, "nightly")
    assert len(invocations) == 3
    assert len({invocation.id for invocation in invocations}) == 3
    assert {invocation.target for invocation in invocations} == {Target("Greeter", "greet")}
    assert progress(table, "nightly").last_invocation_id == invocations[-1].id


def test_the_handler_is_told_what_time_it_is_for(table: Table) -> None:
    plan(table, Schedule(id="n", target=NIGHTLY.target, cron="0 3 * * *", input=b"1", headers=(("tenant", "a"),)))
    pass_time(table, START_MS + DAY_MS)
    (invocation,) = started(table, "n")
    command = table.reader.journal(invocation.number)[0].message
    assert isinstance(command, pb.InputCommandMessage)
    assert command.value.content == b"1"
    assert [(header.key, header.value) for header in command.headers] == [
        ("tenant", "a"),
        ("x-perdure-schedule", "n"),
        ("x-perdure-scheduled-at", "2027-01-16T03:00:00.000Z"),
    ]


def test_an_invocation_and_the_next_time_are_one_commit(tmp_path: Path) -> None:
    table = Table(tmp_path)
    plan(table, OFTEN)
    table.now_ms += 10_000
    table.apply(TimersDue())
    table = table.crash()
    assert started(table, "often") == []
    table.apply(TimersDue())
    table.commit()
    assert len(started(table, "often")) == 1
    table = table.crash()
    table.apply(TimersDue())
    table.commit()
    assert len(started(table, "often")) == 1
    assert progress(table, "often").next_at_ms == START_MS + 20_000
    table.database.close()


def test_what_is_late_by_less_than_a_minute_still_gets_each_turn(table: Table) -> None:
    plan(table, OFTEN)
    wait(table, 35_000)
    assert len(started(table, "often")) == 3


@pytest.mark.parametrize(("catch_up", "expected"), [("once", 1), ("none", 0)])
def test_what_was_missed_is_made_up_for_once_or_not(
    table: Table, catch_up: Literal["once", "none"], expected: int
) -> None:
    plan(table, Schedule(id="s", target=OFTEN.target, every_ms=10_000, catch_up=catch_up))
    wait(table, HOUR_MS)
    assert len(started(table, "s")) == expected
    assert (progress(table, "s").last_error is None) == (catch_up == "once")
    pass_time(table, table.now_ms + 10_000)
    assert len(started(table, "s")) == expected + 1
    assert progress(table, "s").last_error is None


def test_with_skip_the_last_one_must_have_ended(table: Table) -> None:
    plan(table, Schedule(id="s", target=OFTEN.target, every_ms=10_000, overlap="skip"))
    wait(table, 10_000)
    (first,) = started(table, "s")
    wait(table, 10_000)
    assert len(started(table, "s")) == 1
    assert progress(table, "s").last_error == f"{first.id}, which it started last, is still ready"
    assert progress(table, "s").last_skipped_at_ms == table.now_ms
    lifecycle.fail(table.ledger, first, 409, "cancelled")
    wait(table, 10_000)
    assert len(started(table, "s")) == 2
    assert progress(table, "s").last_error is None


def test_a_service_that_is_gone_is_said_and_tried_again_next_time(
    table: Table, caplog: pytest.LogCaptureFixture
) -> None:
    plan(table, OFTEN)
    deployed = table.ledger.registry
    table.ledger.registry = Registry(deployed.defaults)
    wait(table, 10_000)
    assert started(table, "often") == []
    assert "no Greeter/greet in any deployment" in str(progress(table, "often").last_error)
    assert "a schedule starts nothing: no Greeter/greet" in caplog.text
    table.ledger.registry = deployed
    wait(table, 10_000)
    assert len(started(table, "often")) == 1


def test_a_clock_that_is_set_back_a_little_repeats_nothing(table: Table) -> None:
    plan(table, OFTEN)
    wait(table, 10_000)
    wait(table, -9_000)
    assert len(started(table, "often")) == 1
    assert progress(table, "often").next_at_ms == START_MS + 20_000


def test_a_clock_that_was_years_ahead_holds_nothing_up(tmp_path: Path) -> None:
    table = Table(tmp_path)
    plan(table, OFTEN)
    wait(table, 365 * DAY_MS)
    table.now_ms = START_MS + 30_000
    table = table.crash()
    table.apply(TimersDue())
    table.commit()
    assert progress(table, "often").next_at_ms == START_MS + 40_000
    wait(table, 10_000)
    assert len(started(table, "often")) == 2
    table.database.close()


def test_no_time_starts_twice_even_when_it_comes_twice(table: Table) -> None:
    plan(table, OFTEN)
    pass_time(table, START_MS + CLOCK_SET_BACK_MS + MINUTE_MS)
    before = len(started(table, "often"))
    wait(table, -CLOCK_SET_BACK_MS - 1_000)
    pass_time(table, START_MS + CLOCK_SET_BACK_MS + MINUTE_MS)
    assert len(started(table, "often")) == before
    assert "has come before" in str(progress(table, "often").last_error)
    pass_time(table, table.now_ms + 10_000)
    assert len(started(table, "often")) == before + 1


def test_a_workflow_gets_a_key_of_its_own_each_time(table: Table) -> None:
    plan(table, Schedule(id="w", target=Target("Signup", "run"), cron="0 3 * * *"))
    pass_time(table, START_MS + 2 * DAY_MS)
    assert [invocation.target.key for invocation in started(table, "w")] == [
        "w-2027-01-16T03:00:00.000Z",
        "w-2027-01-17T03:00:00.000Z",
    ]


def test_an_object_in_a_scope(table: Table) -> None:
    plan(table, Schedule(id="o", target=Target("Counter", "add", "k", "tenant"), every_ms=1_000, limit_key="a/b"))
    wait(table, 2_000)
    first, second = started(table, "o")
    assert first.target.scope == "tenant"
    assert first.limit_key == "a/b"
    assert (first.status, second.status) == (Status.READY, Status.PENDING)


def test_triggered_it_starts_at_once_and_keeps_its_times(table: Table) -> None:
    paused = Schedule(id="p", target=NIGHTLY.target, cron="0 3 * * *", paused=True, overlap="skip")
    plan(table, paused)
    for request in (1, 2):
        table.apply(ScheduleTriggered(request, "p"))
    answers = responses(table.commit())
    first, second = started(table, "p")
    assert answers == {1: Accepted(first.id, True), 2: Accepted(second.id, True)}
    assert progress(table, "p").next_at_ms is None
    assert table.ledger.schedules.next_due_ms() is None


def test_what_cannot_be_triggered_is_said(table: Table) -> None:
    plan(table, OFTEN)
    table.ledger.registry = Registry(table.ledger.registry.defaults)
    table.apply(ScheduleTriggered(1, "often"))
    table.apply(ScheduleTriggered(2, "oftn"))
    answers = responses(table.commit())
    assert isinstance(answers[1], UnknownTarget)
    assert isinstance(answers[2], UnknownSchedule)


def test_many_schedules_are_due_in_order(table: Table) -> None:
    for number in range(200):
        plan(table, Schedule(id=f"s{number}", target=OFTEN.target, every_ms=1_000 + 7 * number, anchor_ms=START_MS))
    pass_time(table, START_MS + 2_500)
    counted = table.database.reading.execute("select schedule_id, count(*) from invocation group by schedule_id")
    assert dict(counted.fetchall()) == {f"s{number}": 2_500 // (1_000 + 7 * number) for number in range(200)}


def test_memory_is_what_is_stored(tmp_path: Path) -> None:
    table = Table(tmp_path)
    for number in range(5):
        plan(table, Schedule(id=f"s{number}", target=OFTEN.target, every_ms=3_000 + number))
    pass_time(table, START_MS + 60_000)
    table.apply(SettingsChanged(0, table.ledger.schedules.remove("s3")))
    table.commit()
    schedules, table = table.ledger.schedules, table.crash()
    assert table.ledger.schedules.definitions == schedules.definitions
    assert table.ledger.schedules.progress == schedules.progress
    assert table.ledger.schedules.next_due_ms() == schedules.next_due_ms()
    table.database.close()
