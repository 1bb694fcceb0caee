"""An invocation that backs off costs a few numbers in memory; nothing of it is lost by that but to a crash."""

from pathlib import Path

import pytest

from perdure.engine.events import AttemptFailed, KillRequested, ResumeRequested, TimersDue
from perdure.engine.faces.introspection import Introspection
from perdure.engine.invocation import Invocation, Status
from perdure.engine.leftovers import Leftovers
from perdure.engine.reasons import Reasons
from perdure.engine.store.pinned import PinnedReader
from perdure.protocol import wire_pb2 as pb
from tests.unit.engine.table import Table
from tests.unit.engine.test_interventions import ask, end


def fail(table: Table, invocation: Invocation) -> Invocation:
    """The attempt fails; the invocation, as it is found when all of that is on disk."""
    table.apply(AttemptFailed(invocation.number, invocation.attempt, 500, "boom", "a long trace"))
    table.commit()
    found = table.ledger.find(invocation.id)
    assert found is not None
    return found


def try_again(table: Table, invocation: Invocation) -> Invocation:
    assert invocation.retry_at_ms is not None
    table.now_ms = invocation.retry_at_ms
    table.apply(TimersDue())
    return table.run_one(table.commit())


def test_nothing_of_it_stays_in_memory_but_what_no_row_has(table: Table) -> None:
    invocation = table.begin("Counter/ada/add")
    begun_ms = table.now_ms
    table.now_ms += 1_000
    found = fail(table, invocation)
    assert list(table.ledger.invocations_in_memory()) == []
    assert found is not invocation
    assert (found.status, found.failures, found.attempt) == (Status.BACKING_OFF, 1, invocation.attempt)
    assert (found.retry_at_ms, found.stored_at_ms) == (invocation.retry_at_ms, begun_ms)
    assert found.last_failure == invocation.last_failure


def test_its_failures_are_counted_on_until_there_is_progress(table: Table) -> None:
    invocation = table.begin("Fragile/pause")
    again = try_again(table, fail(table, invocation))
    assert again.failures == 1
    found = fail(table, again)
    assert found.failures == 2
    assert found.retry_at_ms == table.now_ms + 200
    third = try_again(table, found)
    table.say(third, pb.RunCommandMessage(result_completion_id=1))
    assert fail(table, third).failures == 1


def test_one_that_is_due_and_waits_for_a_slot_is_not_in_memory_either(table: Table) -> None:
    found = fail(table, table.begin("Greeter/greet"))
    assert found.retry_at_ms is not None
    table.now_ms = found.retry_at_ms
    table.apply(TimersDue())
    (start,) = table.commit()
    assert list(table.ledger.invocations_in_memory()) == []
    waiting = table.ledger.find(found.id)
    assert waiting is not None
    assert (waiting.status, waiting.failures, waiting.retry_at_ms) == (Status.READY, 1, None)
    assert table.run(start).failures == 1  # type: ignore[arg-type]


def test_one_that_hears_of_something_meanwhile_is_tried_when_it_is_due_all_the_same(table: Table) -> None:
    invocation = table.begin("Greeter/greet")
    table.say(invocation, pb.SleepCommandMessage(wake_up_time=table.now_ms + 1, result_completion_id=1))
    table.apply(AttemptFailed(invocation.number, invocation.attempt, 500, "boom"))
    table.now_ms += 1
    table.apply(TimersDue())
    table.commit()
    found = table.ledger.find(invocation.id)
    assert found is not None
    assert (found.status, found.failures) == (Status.BACKING_OFF, 0)
    assert try_again(table, found).status is Status.RUNNING


@pytest.mark.parametrize("way", ["resumed", "killed", "ended", "suspended"])
def test_nothing_is_kept_of_it_when_it_backs_off_no_more(table: Table, way: str) -> None:
    found = fail(table, table.begin("Greeter/greet"))
    if way == "killed":
        ask(table, KillRequested(9, found.id))
    elif way == "resumed":
        ask(table, ResumeRequested(9, found.id))
        assert table.ledger.find_number(found.number).failures == 0  # type: ignore[union-attr]
    else:
        again = try_again(table, found)
        if way == "ended":
            end(table, again)
        else:
            table.say(again, pb.SleepCommandMessage(wake_up_time=table.now_ms + 10, result_completion_id=1))
            future = pb.Future(waiting_completions=[1], combinator_type=pb.FIRST_COMPLETED)
            table.say(again, pb.SuspensionMessage(awaiting_on=future))
    table.commit()
    assert len(table.ledger.backoffs) == 0


def test_those_who_look_at_it_see_it(table: Table) -> None:
    found = fail(table, table.begin("Greeter/greet"))
    running = table.begin("Greeter/greet")
    reasons = Reasons(
        table.reader, table.ledger.find_number, lambda: table.now_ms, table.ledger.flow.position, table.registry
    )
    attempts = {each.number: each for each in Introspection(table.ledger, reasons, Path()).attempts()}
    assert attempts.keys() == {found.number, running.number}
    backing_off = attempts[found.number]
    assert (backing_off.running, backing_off.tries, backing_off.retry_at_ms) == (False, 1, found.retry_at_ms)
    assert backing_off.deployment_id == "dp_test"
    leftovers = Leftovers(table.ledger, PinnedReader(table.database.reading), reasons.of)
    assert leftovers.by_status("dp_test") == {Status.BACKING_OFF: 1, Status.RUNNING: 1}
    assert "backs off after `boom`, 2nd attempt" in str(reasons.of(found))
