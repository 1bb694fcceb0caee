"""Why something waits: the words, and a price that does not depend on how many wait."""

from typing import Any

from perdure.engine.effects import StartAttempt
from perdure.engine.events import AttemptFailed, PauseRequested, ResumeRequested, SignalSent
from perdure.engine.ledger import Ledger
from perdure.engine.mutation import Mutation
from perdure.engine.reasons import Reasons
from perdure.protocol import wire_pb2 as pb
from tests.unit.engine.table import Table


def reason(table: Table, number: int) -> str | None:
    ledger: Ledger = table.ledger
    reasons = Reasons(table.reader, ledger.find_number, lambda: table.now_ms, ledger.flow.position)
    invocation = ledger.find_number(number)
    assert invocation is not None
    return reasons.of(invocation)


def wait_for(table: Table, key: str, count: int) -> None:
    for _ in range(count):
        table.submit(f"Counter/{key}/add", wants_outcome=False)
    table.commit()


def steps(table: Table, number: int) -> int:
    """How many hundreds of steps SQLite takes for a reason."""
    taken = 0

    def step() -> bool:
        nonlocal taken
        taken += 1
        return False

    connection: Any = table.database.reading
    connection.set_progress_handler(step, 100)
    reason(table, number)
    connection.set_progress_handler(None)
    return taken


def test_who_holds_a_key_and_how_many_are_ahead(table: Table) -> None:
    holder = table.begin("Counter/ada/add")
    wait_for(table, "ada", 2)
    table.ledger.mutate(("", "Counter", "ada"), Mutation({}, None))
    wait_for(table, "ada", 1)
    wait_for(table, "bob", 3)
    held = f"waits for key `ada`, held by {holder.id} for 0.0 s"
    assert [reason(table, number) for number in (2, 3, 4)] == [held, f"{held}, 1 ahead", f"{held}, 3 ahead"]


def test_the_last_of_many_costs_what_the_last_of_some_does(table: Table) -> None:
    table.begin("Counter/ada/add")
    wait_for(table, "ada", 1_100)
    some = steps(table, 1_100)
    wait_for(table, "ada", 2_000)
    assert steps(table, 3_100) <= some + 1
    assert str(reason(table, 1_000)).endswith(", 998 ahead")
    assert str(reason(table, 3_100)).endswith(", 1000 or more ahead")


def test_who_paused_it_is_known_also_within_one_millisecond_and_after_a_crash(table: Table) -> None:
    failing, stopped = table.begin("Greeter/greet"), table.begin("Greeter/greet")
    for invocation in (failing, stopped):
        table.apply(AttemptFailed(invocation.number, invocation.attempt, 500, "no route to host"))
    table.apply(PauseRequested(9, stopped.id))
    table.apply(ResumeRequested(10, failing.id))
    table.commit()
    again = table.run(StartAttempt(failing.number, failing.standing))
    table.apply(AttemptFailed(again.number, again.attempt, 570, "the code has changed"))
    table.commit()
    said = [reason(table, failing.number), reason(table, stopped.number)]
    table = table.crash()
    assert [reason(table, failing.number), reason(table, stopped.number)] == said
    assert str(said[0]).startswith("is paused after `the code has changed`")
    assert str(said[1]).startswith("was paused 0.0 s ago")


def test_what_runs_says_for_which_signal_it_waits_until_it_has_come_or_it_goes_on(table: Table) -> None:
    invocation = table.begin("Greeter/greet")
    table.say(invocation, pb.AwaitingOnMessage(awaiting_on=pb.Future(waiting_named_signals=["go"])))
    assert reason(table, invocation.number) == "runs for 0.0 s, and waits for signal `go`"
    table.apply(SignalSent(9, invocation.id, "go", b"1"))
    assert reason(table, invocation.number) == "runs for 0.0 s"

    table.say(invocation, pb.AwaitingOnMessage(awaiting_on=pb.Future(waiting_signals=[17])))
    assert str(reason(table, invocation.number)).startswith("runs for 0.0 s, and waits for awakeable sign_")
    table.say(invocation, pb.RunCommandMessage(result_completion_id=1, name="charge"))
    table.commit()
    assert reason(table, invocation.number) == "runs for 0.0 s, and waits for step `charge`"


def test_what_was_asked_for_and_is_waited_for_no_longer_is_not_named(table: Table) -> None:
    invocation = table.begin("Greeter/greet")
    for id in (1, 2):
        table.say(invocation, pb.SleepCommandMessage(wake_up_time=table.now_ms + id * 60_000, result_completion_id=id))
    table.say(invocation, pb.AwaitingOnMessage(awaiting_on=pb.Future(waiting_completions=[2])))
    table.commit()
    assert reason(table, invocation.number) == "runs for 0.0 s, and waits for a timer that is due in 2 min"
