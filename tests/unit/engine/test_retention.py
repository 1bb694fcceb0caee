"""What has ended is forgotten, and nothing that comes later is taken for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from perdure.engine.events import CancelRequested, PurgeRequested, TimersDue
from perdure.engine.invocation import Status
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import MessageType
from tests.unit.engine.table import Table
from tests.unit.engine.test_interventions import ask, end

HOUR_MS = 3_600_000


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    table = Table(tmp_path / "store")
    yield table
    table.close()


def test_a_timer_of_what_was_purged_means_nothing_to_what_comes_after_a_restart(table: Table) -> None:
    asleep = table.begin("Greeter/greet")
    table.say(asleep, pb.SleepCommandMessage(wake_up_time=table.now_ms + HOUR_MS, result_completion_id=1))
    end(table, asleep)
    table.commit()
    ask(table, PurgeRequested(9, asleep.id, False))

    later = table.crash()
    other = later.begin("Greeter/greet")
    later.say(other, pb.RunCommandMessage(result_completion_id=1, name="charge"))
    later.commit()
    later.now_ms += HOUR_MS
    later.apply(TimersDue())
    later.commit()

    assert MessageType.SLEEP_COMPLETION not in later.journal(other)
    assert other.number > asleep.number
    later.close()


def test_what_was_to_kill_the_purged_spares_what_comes_after_a_restart(table: Table) -> None:
    doomed = table.begin("Greeter/greet")
    table.apply(CancelRequested(9, doomed.id, kill_after_ms=HOUR_MS))
    end(table, doomed)
    table.commit()
    ask(table, PurgeRequested(9, doomed.id, False))

    later = table.crash()
    other = later.begin("Greeter/greet")
    later.commit()
    later.now_ms += HOUR_MS
    later.apply(TimersDue())
    later.commit()

    assert later.status(other) is not Status.COMPLETED
    later.close()
