"""Why something waits: the words, and a price that does not depend on how many wait."""

from typing import Any

from perdure.engine.effects import StartAttempt
from perdure.engine.events import AttemptFailed, PauseRequested, ResumeRequested, SignalSent, StatePatched
from perdure.engine.invocation import Invocation
from perdure.engine.ledger import Ledger
from perdure.engine.mutation import Mutation
from perdure.engine.reasons import Reasons
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.ids import DeploymentId, InvocationId
from tests.unit.engine.table import Table


def reason(table: Table, number: int) -> str | None:
    ledger: Ledger = table.ledger
    reasons = Reasons(table.reader, ledger.find_number, lambda: table.now_ms, ledger.flow.position, ledger.registry)
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
    table.apply(StatePatched(9, ("", "Counter", "ada"), Mutation({}, None).encode()))
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


def test_of_a_long_journal_only_the_end_is_read(table: Table) -> None:
    def last_sleep(steps_before: int) -> int:
        invocation = table.begin("Greeter/greet")
        for id in range(1, steps_before + 1):
            table.say(invocation, pb.RunCommandMessage(result_completion_id=id, name="step"))
            table.say(invocation, pb.ProposeRunCompletionMessage(result_completion_id=id, value=b"1"))
        due_ms, id = table.now_ms + 60_000, steps_before + 1
        table.say(invocation, pb.SleepCommandMessage(wake_up_time=due_ms, result_completion_id=id))
        table.say(invocation, pb.SuspensionMessage(awaiting_on=pb.Future(waiting_completions=[id])))
        table.commit()
        return invocation.number

    short, long = last_sleep(1), last_sleep(1_000)
    assert reason(table, short) == reason(table, long) == "waits for a timer that is due in 60 s"
    assert steps(table, long) <= steps(table, short) + 1


def test_only_the_callees_that_are_named_are_looked_at(table: Table) -> None:
    caller = table.begin("Greeter/greet")
    for n in range(50):
        call = pb.CallCommandMessage(
            service_name="Counter",
            handler_name="get",
            key=str(n),
            invocation_id_notification_idx=2 * n + 1,
            result_completion_id=2 * n + 2,
        )
        table.say(caller, call)
    awaited = pb.Future(waiting_completions=[2 * n + 2 for n in range(50)], waiting_named_signals=["go"])
    table.say(caller, pb.SuspensionMessage(awaiting_on=awaited))
    table.commit()
    callee = "which is about to run"
    assert reason(table, caller.number) == (
        f"waits for signal `go`, `Counter/0/get`, {callee}, `Counter/1/get`, {callee} and 48 more"
    )
    looked_up = 0
    found = table.reader.invocation_by_id

    def look_up(id: InvocationId) -> Invocation | None:
        nonlocal looked_up
        looked_up += 1
        return found(id)

    table.reader.invocation_by_id = look_up  # type: ignore[method-assign]
    reason(table, caller.number)
    assert looked_up == 2


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
    assert said[0] == (
        "is paused after `the code has changed`: once the mended code is registered at a new address, "
        f"`perdure invocations resume {failing.id} --deployment latest` lets it go on"
    )
    assert str(said[1]).startswith("was paused 0.0 s ago")


def test_what_waits_or_is_paused_says_that_its_deployment_was_removed(table: Table) -> None:
    waiting, paused, failed = (table.begin("Greeter/greet") for _ in range(3))
    table.say(waiting, pb.SuspensionMessage(awaiting_on=pb.Future(waiting_named_signals=["go"])))
    table.apply(PauseRequested(9, paused.id))
    table.apply(AttemptFailed(failed.number, failed.attempt, 570, "the code has changed"))
    table.commit()
    deployment_id = DeploymentId(waiting.deployment_id or "")
    gone = f"its deployment {deployment_id} was removed: `perdure invocations resume {{}} --deployment latest` lets it"
    assert reason(table, waiting.number) == "waits for signal `go`"
    del table.ledger.registry.deployments[deployment_id]
    for invocation in (waiting, paused, failed):
        assert f"{gone.format(invocation.id)} go on elsewhere" in str(reason(table, invocation.number))


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
