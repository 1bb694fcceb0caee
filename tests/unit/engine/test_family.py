"""Cancelling and killing go down to those that are waited for; circles of calls are found when they form."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure.engine.answers import Done
from perdure.engine.events import AttemptStarted, CancelRequested, KillRequested
from perdure.engine.family import LOOK_UPS_MAX
from perdure.engine.invocation import Invocation, Status
from perdure.protocol.ids import DeploymentId
from tests.unit.engine.table import Table, notifications
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


def failures(table: Table) -> list[int]:
    """The codes with which calls have failed in what is committed now."""
    return [each.message.failure.code for each in notifications(table.commit()) if each.message.failure.code]  # type: ignore[attr-defined]


@pytest.fixture
def looked_up(table: Table, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the invocations that the core asked for, one by one."""
    asked: list[int] = []
    find = table.ledger.find_number

    def noted(number: int) -> Invocation | None:
        asked.append(number)
        return find(number)

    monkeypatch.setattr(table.ledger, "find_number", noted)
    return asked


class TestCircles:
    def test_what_the_holder_of_a_key_has_called_does_not_make_a_call_of_it_dear(
        self, table: Table, looked_up: list[int]
    ) -> None:
        holder = table.begin("Counter/ada/add")
        for index in range(1_000):
            table.say(holder, call("Greeter", "greet", ids=(2 * index + 1, 2 * index + 2)))
        table.commit()
        caller = table.begin("Greeter/greet")
        looked_up.clear()
        table.say(caller, call("Counter", "add", "ada"))
        assert len(looked_up) < 5
        assert failures(table) == []

    def test_beyond_a_long_line_it_is_found_from_the_other_side(self, table: Table) -> None:
        ada = table.begin("Counter/ada/add")
        for _ in range(2 * LOOK_UPS_MAX):
            table.submit("Counter/ada/add", wants_outcome=False)
        table.commit()
        bob = table.begin("Counter/bob/add")
        table.say(bob, call("Counter", "add", "ada"))
        table.commit()
        table.say(ada, call("Counter", "add", "bob"))
        assert failures(table) == [508]

    def test_where_both_sides_are_wide_the_cost_has_a_bound(self, table: Table, looked_up: list[int]) -> None:
        ada = table.begin("Counter/ada/add")
        for _ in range(2 * LOOK_UPS_MAX):
            table.submit("Counter/ada/add", wants_outcome=False)
        table.commit()
        bob = table.begin("Counter/bob/add")
        for index in range(2 * LOOK_UPS_MAX):
            table.say(bob, call("Greeter", "greet", ids=(2 * index + 1, 2 * index + 2)))
        table.commit()
        looked_up.clear()
        table.say(ada, call("Counter", "add", "bob"))
        assert len(looked_up) < 2 * LOOK_UPS_MAX + 10
        assert failures(table) == []

    def test_one_through_a_call_that_joined_another_is_found(self, table: Table) -> None:
        table.submit("Greeter/greet", idempotency_key="once")
        joined = table.run_one(table.commit())
        ada = table.begin("Counter/ada/add")
        joining = call("Greeter", "greet")
        joining.idempotency_key = "once"
        table.say(ada, joining)
        table.say(joined, call("Counter", "add", "ada"))
        assert failures(table) == [508]

    @settings(max_examples=25)  # each has a store of its own
    @given(st.randoms(use_true_random=False))
    def test_a_call_fails_where_it_would_close_a_circle_and_nowhere_else(
        self, tmp_path_factory: pytest.TempPathFactory, random: Random
    ) -> None:
        table = Table(tmp_path_factory.mktemp("store"))
        try:
            running = [table.begin(f"Counter/{key}/add") for key in "abc"] + [table.begin("Greeter/greet")]
            blocked_by: dict[int, set[int]] = {each.number: set() for each in running}
            for step in range(12):
                caller = random.choice(running)
                key = random.choice(["", *"abcd"])
                ids = (2 * step + 1, 2 * step + 2)
                table.say(caller, call(*(("Counter", "add", key) if key else ("Greeter", "greet")), ids=ids))
                callee = table.ledger.find_number(max(blocked_by) + 1)
                assert callee is not None
                blocked_by[callee.number] = set()
                holder = table.ledger.keys.holder(callee.object_key) if key else None
                closes = holder is not None and caller.number in reached(blocked_by, holder)
                assert (callee.status is Status.COMPLETED) == closes
                if closes:
                    continue
                blocked_by[caller.number].add(callee.number)
                if holder is not None and holder != callee.number:
                    blocked_by[callee.number].add(holder)
                if callee.status is Status.READY:
                    running.append(run(table, callee.number))
                if random.random() < 0.3:
                    table.commit()
        finally:
            table.close()


def reached(blocked_by: dict[int, set[int]], start: int) -> set[int]:
    """All that an invocation waits for, and itself."""
    found, ahead = {start}, [start]
    while ahead:
        new = blocked_by[ahead.pop()] - found
        found |= new
        ahead += new
    return found
