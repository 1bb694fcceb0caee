"""What has ended is forgotten, and nothing that comes later is taken for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from perdure.engine.events import AttachRequested, CancelRequested, PromiseCompleted, PurgeRequested, TimersDue
from perdure.engine.invocation import Status
from perdure.engine.ledger import PURGE_PAUSE_MS
from perdure.engine.timers import Timer
from perdure.errors import UnknownInvocation
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import MessageType
from tests.unit.engine.table import Table, notifications, responses
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


def test_what_has_ended_and_is_not_kept_goes_however_slow_the_disk(table: Table) -> None:
    brief = table.begin("Greeter/greet")
    brief.retention_ms = brief.journal_retention_ms = 0
    end(table, brief)
    table.begin_commit()
    pass_rounds(table, 2)
    table.end_commit()
    purge_all(table)
    assert table.reader.invocation(brief.number) is None
    assert table.journal(brief) == []


def test_a_round_of_purging_forgets_nothing_that_is_on_its_way_to_the_disk(table: Table) -> None:
    brief = table.begin("Greeter/greet")
    brief.retention_ms = brief.journal_retention_ms = 0
    end(table, brief)
    table.commit()
    purge_all(table, rounds=1)
    lasting = table.begin("Greeter/greet")
    end(table, lasting)
    table.apply(PromiseCompleted(9, "Signup", "ada", "p", b"1"))
    table.begin_commit()
    pass_rounds(table, 2)
    table.end_commit()
    purge_all(table)
    assert table.reader.invocation(lasting.number) is None
    assert table.reader.promise_names(("", "Signup", "ada")) == []


def test_whoever_waits_for_a_promise_of_a_purged_workflow_is_told_once_however_slow_the_disk(table: Table) -> None:
    workflow = table.begin("Signup/ada/run")
    workflow.retention_ms = workflow.journal_retention_ms = 0
    waiting = table.begin("Signup/ada/approve")
    table.say(waiting, pb.GetPromiseCommandMessage(key="open", result_completion_id=1))
    end(table, workflow)
    table.commit()
    pass_rounds(table, 1)
    table.begin_commit()
    pass_rounds(table, 3)
    told = notifications(table.end_commit())
    pass_rounds(table, 3)
    told += notifications(table.commit())
    assert [each.message.failure.code for each in told if isinstance(each.message, pb.NotificationMessage)] == [410]
    assert table.journal(waiting).count(MessageType.GET_PROMISE_COMPLETION) == 1


def test_what_is_being_purged_is_not_found_and_its_id_is_free(table: Table) -> None:
    workflow = table.begin("Signup/ada/run")
    table.say(
        workflow,
        pb.CompletePromiseCommandMessage(key="p", completion_value=pb.Value(content=b"1"), result_completion_id=1),
    )
    end(table, workflow)
    table.commit()
    table.apply(PurgeRequested(8, workflow.id, False))
    table.begin_commit()
    table.apply(AttachRequested(9, workflow.id))
    again = table.ledger.find_number(workflow.number)
    table.submit("Signup/ada/run")
    table.end_commit()
    effects = table.commit()
    assert again is None
    assert isinstance(responses(effects)[9], UnknownInvocation)
    successor = table.run_one(effects)
    assert successor.number != workflow.number
    table.say(successor, pb.PeekPromiseCommandMessage(key="p", result_completion_id=1))
    (peeked,) = [each.message for each in notifications(table.commit())]
    assert isinstance(peeked, pb.NotificationMessage)
    assert peeked.WhichOneof("result") == "void"


def test_what_has_ended_leaves_no_timer_in_the_store(table: Table) -> None:
    asleep, doomed = table.begin("Greeter/greet"), table.begin("Greeter/greet")
    table.say(asleep, pb.SleepCommandMessage(wake_up_time=table.now_ms + HOUR_MS, result_completion_id=1))
    table.apply(CancelRequested(9, doomed.id, kill_after_ms=HOUR_MS))
    table.commit()
    assert len(timers(table)) == 2
    table.say(asleep, pb.SleepCommandMessage(wake_up_time=table.now_ms + HOUR_MS, result_completion_id=2))
    end(table, asleep)
    end(table, doomed)
    table.commit()
    assert timers(table) == []


def test_a_timer_of_what_has_ended_writes_nothing_when_its_time_comes(table: Table) -> None:
    asleep = table.begin("Greeter/greet")
    table.say(asleep, pb.SleepCommandMessage(wake_up_time=table.now_ms + HOUR_MS, result_completion_id=1))
    end(table, asleep)
    table.commit()
    table.now_ms += HOUR_MS
    table.apply(TimersDue())
    assert not table.ledger.batch
    assert table.ledger.timers.next_due_ms() is None


def timers(table: Table) -> list[Timer]:
    return table.reader.timers_after((-1, 0, 0), 10)


@pytest.mark.parametrize("under_way", [False, True])
def test_what_is_purged_before_its_end_is_on_disk_leaves_nothing_and_its_id_is_free(
    table: Table, under_way: bool
) -> None:
    workflow = table.begin("Signup/ada/run")
    end(table, workflow)
    if under_way:
        table.begin_commit()
    table.apply(PurgeRequested(9, workflow.id, False))
    table.submit("Signup/ada/run")
    if under_way:
        table.end_commit()
    successor = table.run_one(table.commit())
    assert table.reader.invocation(workflow.number) is None
    assert table.journal(workflow) == []
    assert table.ledger.find(workflow.id) is successor


def pass_rounds(table: Table, rounds: int) -> None:
    """Time goes on for so many rounds of purging."""
    for _ in range(rounds):
        table.now_ms += PURGE_PAUSE_MS
        table.apply(TimersDue())


def purge_all(table: Table, rounds: int = 1_000) -> None:
    """Time goes on to whenever the ledger says that something expires, until it says that nothing ever does."""
    while rounds and table.ledger.next_expiry_ms is not None:
        table.now_ms = max(table.now_ms, table.ledger.next_expiry_ms)
        table.apply(TimersDue())
        table.commit()
        rounds -= 1
