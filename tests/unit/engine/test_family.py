"""Cancelling and killing go down to those that are waited for; circles of calls are found when they form."""

from perdure.engine.events import AttemptStarted, CancelRequested, Done, KillRequested
from perdure.engine.invocation import Invocation, Status
from perdure.protocol.ids import DeploymentId
from tests.unit.engine.table import Table
from tests.unit.engine.test_interventions import ask, call, end, suspend

DEEP = 500  # more than Python's stack has room for, at two frames each


def run(table: Table, number: int) -> Invocation:
    """The attempt at an invocation starts, whatever is committed by now."""
    table.apply(AttemptStarted(number))
    invocation = table.ledger.find_number(number)
    assert invocation is not None
    assert invocation.status is Status.RUNNING
    return invocation


def chain(table: Table, length: int) -> list[Invocation]:
    """Each has called the next, and waits for it."""
    links = [table.begin("Greeter/greet")]
    for _ in range(length - 1):
        table.say(links[-1], call("Greeter", "greet"))
        links.append(run(table, links[-1].number + 1))
        suspend(table, links[-2], 2)
    table.commit()
    return links


def fan(table: Table, width: int, path: str = "Greeter/greet") -> tuple[Invocation, range]:
    """One that has called many, and waits for them; and their numbers."""
    service, *key, handler = path.split("/")
    caller = table.begin("Greeter/greet")
    for index in range(width):
        table.say(caller, call(service, handler, "".join(key), ids=(2 * index + 1, 2 * index + 2)))
    suspend(table, caller, *range(2, 2 * width + 1, 2))
    table.commit()
    return caller, range(caller.number + 1, caller.number + width + 1)


class TestGoingDown:
    def test_a_chain_deeper_than_the_stack_is_cancelled(self, table: Table) -> None:
        links = chain(table, DEEP)
        table.registry.remove(DeploymentId("dp_test"))
        answer = ask(table, CancelRequested(9, links[0].id))
        assert isinstance(answer, Done)
        assert answer.done
        assert {table.status(each) for each in links} == {Status.COMPLETED}

    def test_a_chain_deeper_than_the_stack_is_killed(self, table: Table) -> None:
        links = chain(table, DEEP)
        assert ask(table, KillRequested(9, links[0].id)) == Done(True)
        assert {table.status(each) for each in links} == {Status.COMPLETED}

    def test_what_could_not_be_told_is_said_of_a_few_and_counted(self, table: Table) -> None:
        caller, callees = fan(table, 50)
        for number in callees:
            run(table, number)
        table.registry.remove(DeploymentId("dp_test"))
        answer = ask(table, CancelRequested(9, caller.id))
        assert isinstance(answer, Done)
        assert answer.note is not None
        assert answer.note.count("its code was not told") == 3
        assert answer.note.endswith(" And 48 more like these.")

    def test_the_one_that_gets_the_key_of_one_that_is_killed_is_killed_as_it_is_by_then(self, table: Table) -> None:
        caller, (holder, waiting) = fan(table, 2, "Counter/ada/add")
        suspend(table, run(table, holder), 1)
        table.commit()
        assert table.ledger.pending == 1
        ask(table, KillRequested(9, caller.id))
        assert table.ledger.pending == 0
        for number in (holder, waiting):
            ended = table.reader.invocation(number)
            assert ended is not None
            assert ended.status is Status.COMPLETED
        end(table, table.begin("Counter/ada/add"))
