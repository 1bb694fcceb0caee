"""Promises of workflows that are completed from outside: once, in advance too, and not kept for ever."""

import pytest

from perdure.engine.answers import Failure
from perdure.engine.events import PromiseCompleted, TimersDue
from perdure.errors import Conflict, PerdureError, UnknownTarget, UsageError
from perdure.protocol import wire_pb2 as pb
from tests.unit.engine.table import Table, notifications, responses

KEY = ("", "Signup", "ada")


def complete(
    table: Table, result: bytes | Failure, service: str = "Signup", scope: str | None = None
) -> tuple[object, list[pb.NotificationMessage]]:
    """What the one who completes is told, and what running handlers are told."""
    table.apply(PromiseCompleted(9, service, "ada", "p", result, scope))
    effects = table.commit()
    told = [each.message for each in notifications(effects)]
    return responses(effects)[9], [each for each in told if isinstance(each, pb.NotificationMessage)]


def pass_the_expiry(table: Table) -> None:
    due_ms = table.ledger.next_expiry_ms
    assert due_ms is not None
    table.now_ms = due_ms
    table.apply(TimersDue())
    table.commit()


@pytest.mark.parametrize("result", [b'"yes"', Failure(500, "no")])
def test_who_waits_gets_the_result_and_the_second_is_refused(table: Table, result: bytes | Failure) -> None:
    workflow = table.begin("Signup/ada/run")
    table.say(workflow, pb.GetPromiseCommandMessage(key="p", result_completion_id=1))
    table.commit()
    answer, (told,) = complete(table, result)
    assert answer is None
    assert told.completion_id == 1
    if isinstance(result, Failure):
        assert (told.failure.code, told.failure.message) == (500, "no")
    else:
        assert told.value.content == result
    again, nothing = complete(table.crash(), b'"late"')
    assert isinstance(again, Conflict)
    assert nothing == []


def test_a_handler_that_completes_it_after_that_gets_a_failure(table: Table) -> None:
    workflow = table.begin("Signup/ada/run")
    complete(table, b"1")
    table.say(
        workflow,
        pb.CompletePromiseCommandMessage(key="p", completion_value=pb.Value(content=b"2"), result_completion_id=1),
    )
    (told,) = notifications(table.commit())
    assert isinstance(told.message, pb.NotificationMessage)
    assert told.message.failure.code == 409


def test_only_workflows_that_exist_have_promises(table: Table) -> None:
    refusals: dict[str, type[PerdureError]] = {"Absent": UnknownTarget, "Counter": UsageError, "Greeter": UsageError}
    for service, refusal in refusals.items():
        answer, _ = complete(table, b"1", service)
        assert isinstance(answer, refusal)
        assert table.reader.promise_names(("", service, "ada")) == []


def test_a_promise_of_another_scope_is_another_promise(table: Table) -> None:
    assert complete(table, b"1", scope="s")[0] is None
    assert complete(table, b"2")[0] is None
    assert table.reader.promise_names(KEY) == table.reader.promise_names(("s", "Signup", "ada")) == ["p"]


def test_one_completed_in_advance_waits_for_its_workflow_and_belongs_to_it(table: Table) -> None:
    complete(table, b"1")
    table = table.crash()
    workflow = table.begin("Signup/ada/run")
    table.say(workflow, pb.GetPromiseCommandMessage(key="p", result_completion_id=1))
    (told,) = notifications(table.commit())
    assert isinstance(told.message, pb.NotificationMessage)
    assert told.message.value.content == b"1"
    pass_the_expiry(table)
    assert table.reader.promise_names(KEY) == ["p"]
    assert table.ledger.next_expiry_ms == table.now_ms + 20 or table.ledger.next_expiry_ms is None


def test_one_whose_workflow_never_comes_is_purged(table: Table) -> None:
    complete(table, b"1")
    table = table.crash()
    pass_the_expiry(table)
    assert table.reader.promise_names(KEY) == []
    assert complete(table, b"2")[0] is None
