"""What operators do to invocations: cancel, kill, pause, resume, restart and purge them, and replace state."""

import pytest
from msgspec.structs import replace

from perdure.engine.answers import Accepted, Done
from perdure.engine.events import (
    CancelRequested,
    KillRequested,
    PauseRequested,
    PurgeRequested,
    RestartRequested,
    ResumeRequested,
    StatePatched,
    TimersDue,
)
from perdure.engine.family import awaited_children
from perdure.engine.invocation import Invocation, Status
from perdure.engine.mutation import Mutation, state_version
from perdure.errors import Conflict, JournalGone, NotRestartable, TooEarly, UnknownInvocation, UsageError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.ids import CANCEL_SIGNAL, DeploymentId, InvocationId
from perdure.protocol.messages import MessageType
from tests.unit.engine.table import Table, notifications, responses, starts, stops


def call(service: str, handler: str, key: str = "", ids: tuple[int, int] = (1, 2)) -> pb.CallCommandMessage:
    return pb.CallCommandMessage(
        service_name=service,
        handler_name=handler,
        key=key,
        invocation_id_notification_idx=ids[0],
        result_completion_id=ids[1],
    )


def end(table: Table, invocation: Invocation, value: bytes = b'"done"') -> None:
    table.say(invocation, pb.OutputCommandMessage(value=pb.Value(content=value)), pb.EndMessage())


def suspend(table: Table, invocation: Invocation, *completions: int) -> None:
    future = pb.Future(waiting_completions=completions, combinator_type=pb.FIRST_COMPLETED)
    table.say(invocation, pb.SuspensionMessage(awaiting_on=future))


def ask(table: Table, event: object) -> object:
    """The answer, once it is committed."""
    table.apply(event)  # type: ignore[arg-type]
    return responses(table.commit())[event.request]  # type: ignore[attr-defined]


class TestCancel:
    def test_what_has_not_begun_ends_at_once(self, table: Table) -> None:
        table.begin("Counter/ada/add")
        table.submit("Counter/ada/add", wants_outcome=False)
        table.commit()
        (pending,) = [each for each in map(table.reader.invocation, (2,)) if each]
        assert ask(table, CancelRequested(9, pending.id)) == Done(True)
        assert table.status(pending) is Status.COMPLETED

    def test_what_runs_is_told_and_killed_if_it_goes_on(self, table: Table) -> None:
        invocation = table.begin("Greeter/greet")
        table.apply(CancelRequested(9, invocation.id, kill_after_ms=30_000))
        effects = table.commit()
        assert responses(effects)[9] == Done(False)
        assert [each.message.signal_id for each in notifications(effects)] == [CANCEL_SIGNAL]
        table = table.crash()  # the time for it is as durable as the rest
        table.now_ms += 30_000
        table.apply(TimersDue())
        table.commit()
        ended = table.reader.invocation(invocation.number)
        assert ended is not None
        assert ended.output is not None
        assert ended.output.failure.message == "killed"

    def test_a_cancelled_one_that_ends_in_time_is_left_alone(self, table: Table) -> None:
        invocation = table.begin("Greeter/greet")
        table.apply(CancelRequested(9, invocation.id, kill_after_ms=30_000))
        end(table, invocation)
        table.commit()
        table.now_ms += 30_000
        table.apply(TimersDue())
        table.commit()
        ended = table.reader.invocation(invocation.number)
        assert ended is not None
        assert ended.output is not None
        assert ended.output.value.content == b'"done"'

    def test_one_whose_last_attempt_failed_is_tried_at_once_and_so_are_its_callees_told(self, table: Table) -> None:
        caller = table.begin("Greeter/greet")
        table.say(caller, call("Counter", "get", "ada"))
        callee = table.run_one(table.commit())
        table.say(caller, pb.ErrorMessage(code=500, message="no route to host"))
        table.commit()
        table.apply(CancelRequested(9, caller.id))
        effects = table.commit()
        answer = responses(effects)[9]
        assert isinstance(answer, Done)
        assert "no route to host" in (answer.note or "")
        assert caller.number in [start.number for start in starts(effects)]
        assert MessageType.SIGNAL in table.journal(callee)

    def test_one_whose_code_is_gone_ends_and_what_it_waits_for_too(self, table: Table) -> None:
        caller = table.begin("Greeter/greet")
        table.say(caller, call("Counter", "get", "ada"))
        callee = table.run_one(table.commit())
        suspend(table, caller, 2)
        table.commit()
        stored = table.ledger.find(caller.id)
        assert stored is not None
        stored.deployment_id = "dp_gone"
        table.ledger.touch(stored)
        answer = ask(table, CancelRequested(9, caller.id))
        assert isinstance(answer, Done)
        assert answer.done
        assert "dp_gone" in (answer.note or "")
        assert table.status(caller) is Status.COMPLETED
        assert MessageType.SIGNAL in table.journal(callee)

    def test_what_has_ended_or_never_was_is_refused(self, table: Table) -> None:
        invocation = table.begin("Greeter/greet")
        end(table, invocation)
        assert isinstance(ask(table, CancelRequested(9, invocation.id)), Conflict)
        assert isinstance(ask(table, KillRequested(10, InvocationId("inv_1none"))), UnknownInvocation)


class TestPause:
    def test_a_running_one_is_cut_off_and_sleeps_through_what_comes(self, table: Table) -> None:
        invocation = table.begin("Greeter/greet")
        table.say(invocation, pb.SleepCommandMessage(wake_up_time=table.now_ms + 1000, result_completion_id=1))
        table.apply(PauseRequested(9, invocation.id))
        effects = table.commit()
        assert responses(effects)[9] == Done(True)
        assert [stop.number for stop in stops(effects)] == [invocation.number]
        table.now_ms += 1000
        table.apply(TimersDue())
        assert starts(table.commit()) == []
        assert table.status(invocation) is Status.PAUSED
        assert ask(table, PauseRequested(10, invocation.id)) == Done(False)

    def test_it_is_paused_after_a_crash_too_and_resumes(self, table: Table) -> None:
        invocation = table.begin("Greeter/greet")
        table.apply(PauseRequested(9, invocation.id))
        table.commit()
        table = table.crash()
        assert starts(table.commit()) == []
        table.apply(ResumeRequested(1, invocation.id))
        assert table.run_one(table.commit()).id == invocation.id

    def test_a_suspended_one_does_not_wake(self, table: Table) -> None:
        invocation = table.begin("Greeter/greet")
        table.say(invocation, pb.SleepCommandMessage(wake_up_time=table.now_ms + 1000, result_completion_id=1))
        suspend(table, invocation, 1)
        table.commit()
        assert ask(table, PauseRequested(9, invocation.id)) == Done(True)
        table.now_ms += 1000
        table.apply(TimersDue())
        assert starts(table.commit()) == []

    def test_what_has_not_begun_is_refused(self, table: Table) -> None:
        table.submit("Greeter/greet", wants_outcome=False, execute_at_ms=table.now_ms + 1000)
        table.commit()
        scheduled = table.reader.invocation(1)
        assert scheduled is not None
        assert isinstance(ask(table, PauseRequested(9, scheduled.id)), Conflict)
        assert isinstance(ask(table, ResumeRequested(10, scheduled.id)), TooEarly)
        assert isinstance(ask(table, RestartRequested(11, scheduled.id, 0, "latest")), TooEarly)


class TestResume:
    def test_on_a_deployment_that_is_not_there_is_refused_and_changes_nothing(self, table: Table) -> None:
        invocation = table.begin("Greeter/greet")
        table.apply(PauseRequested(9, invocation.id))
        table.commit()
        assert isinstance(ask(table, ResumeRequested(10, invocation.id, "dp_none")), UsageError)
        assert table.status(invocation) is Status.PAUSED
        assert ask(table, ResumeRequested(11, invocation.id, "latest")) == Done(True)

    def test_on_another_deployment_that_is_being_drained_is_refused_and_says_what_to_do(self, table: Table) -> None:
        invocation = table.begin("Greeter/greet")
        table.apply(PauseRequested(9, invocation.id))
        table.commit()
        was = table.registry.deployments[DeploymentId("dp_test")]
        table.registry.put(replace(was, id=DeploymentId("dp_other"), uri="http://localhost:9081/", draining=True))
        table.registry.put(replace(was, draining=True))
        refused = ask(table, ResumeRequested(10, invocation.id, "dp_other"))
        assert isinstance(refused, Conflict)
        assert str(refused) == (
            "dp_other is being drained, and takes nothing new: choose another deployment, or register it again "
            "to keep it"
        )
        assert table.status(invocation) is Status.PAUSED
        assert invocation.deployment_id == "dp_test"
        assert ask(table, ResumeRequested(11, invocation.id, "dp_test")) == Done(True), (
            "it is one of those that end there"
        )


class TestRestart:
    def ended(self, table: Table) -> Invocation:
        """Entries: 0 input, 1 run, 2 its result, 3 sleep, 4 its end, 5 run, 6 its result, 7 output."""
        invocation = table.begin("Greeter/greet", b'"ada"')
        table.say(
            invocation,
            pb.RunCommandMessage(result_completion_id=1, name="first"),
            pb.ProposeRunCompletionMessage(result_completion_id=1, value=b"1"),
            pb.SleepCommandMessage(wake_up_time=table.now_ms, result_completion_id=2),
        )
        table.now_ms += 1
        table.apply(TimersDue())
        table.say(
            invocation,
            pb.RunCommandMessage(result_completion_id=3, name="second"),
            pb.ProposeRunCompletionMessage(result_completion_id=3, value=b"2"),
        )
        end(table, invocation)
        table.commit()
        return invocation

    def test_from_the_start_the_input_is_the_same_and_the_id_is_not(self, table: Table) -> None:
        ended = self.ended(table)
        table.apply(RestartRequested(9, ended.id, 0, "latest"))
        effects = table.commit()
        accepted = responses(effects)[9]
        assert isinstance(accepted, Accepted)
        assert accepted.invocation_id != ended.id
        restarted = table.run_one(effects)
        assert restarted.restarted_from == ended.id
        assert table.journal(restarted) == [MessageType.INPUT]
        (entry,) = table.reader.journal(restarted.number)
        assert isinstance(entry.message, pb.InputCommandMessage)
        assert entry.message.value.content == b'"ada"'

    def test_from_an_entry_the_journal_up_to_it_is_taken_over_with_what_completed_it(self, table: Table) -> None:
        ended = self.ended(table)
        table.apply(RestartRequested(9, ended.id, 3, "keep"))
        restarted = table.run_one(table.commit())
        assert table.journal(restarted) == table.journal(ended)[:5]
        assert (restarted.deployment_id, restarted.protocol_version) == (ended.deployment_id, ended.protocol_version)

    def test_an_entry_that_was_not_completed_or_is_not_there_is_refused(self, table: Table) -> None:
        invocation = table.begin("Greeter/greet")
        table.say(invocation, pb.SleepCommandMessage(wake_up_time=2**60, result_completion_id=1))
        end(table, invocation)
        table.commit()
        for last, reason in ((1, "never completed"), (2, "the output"), (9, "entries 0 to 2"), (-1, "entries 0 to 2")):
            answer = ask(table, RestartRequested(9, invocation.id, last, "latest"))
            assert isinstance(answer, UsageError)
            assert reason in str(answer)

    def test_workflows_and_purged_journals_are_refused(self, table: Table) -> None:
        workflow = table.begin("Signup/ada/run")
        end(table, workflow)
        table.commit()
        assert isinstance(ask(table, RestartRequested(9, workflow.id, 0, "latest")), NotRestartable)
        ended = self.ended(table)
        table.apply(PurgeRequested(10, ended.id, journal_only=True))
        table.commit()
        assert isinstance(ask(table, RestartRequested(11, ended.id, 0, "latest")), JournalGone)


class TestState:
    KEY = ("", "Counter", "ada")

    def patch(self, table: Table, state: dict[str, bytes], version: str | None = None) -> object:
        return ask(table, StatePatched(9, self.KEY, Mutation(state, version).encode()))

    def test_of_a_free_object_it_is_replaced_at_once(self, table: Table) -> None:
        assert self.patch(table, {"n": b"1", "m": b"2"}) == Done(True)
        assert self.patch(table, {"n": b"3"}) == Done(True)
        assert table.reader.state(self.KEY, 1000) == ([(b"n", b"3")], True)

    def test_another_version_is_refused(self, table: Table) -> None:
        self.patch(table, {"n": b"1"})
        assert self.patch(table, {"n": b"2"}, state_version([(b"n", b"0")])) == Done(False)
        assert self.patch(table, {"n": b"2"}, state_version([(b"n", b"1")])) == Done(True)
        assert table.reader.state(self.KEY, 1000)[0] == [(b"n", b"2")]

    @pytest.mark.parametrize("crash", [False, True])
    def test_of_a_held_object_it_is_replaced_in_its_turn(self, table: Table, crash: bool) -> None:
        holder = table.begin("Counter/ada/add")
        assert self.patch(table, {"n": b"2"}) == Done(True)
        table.submit("Counter/ada/add", wants_outcome=False)
        table.commit()
        assert table.reader.state(self.KEY, 1000)[0] == []
        if crash:
            table = table.crash()
            holder = table.run_one(table.commit())
        table.say(holder, pb.SetStateCommandMessage(key=b"n", value=pb.Value(content=b"1")))
        end(table, holder)
        following = table.run_one(table.commit())
        assert table.reader.state(self.KEY, 1000)[0] == [(b"n", b"2")]
        end(table, following)
        table.commit()
        assert table.reader.mutation(1) is None

    def test_versions_are_the_official_clients(self) -> None:
        version = state_version([(b"name", b'"x"'), (b"total", b"3")])
        assert version == "rzb1Qlp0GMqOG-ysQJBaoLZ7LYogOqKLffLjLLDdFro"


class TestDeadlocks:
    def test_the_call_that_closes_the_circle_fails_and_names_it(self, table: Table) -> None:
        ada = table.begin("Counter/ada/add")
        bob = table.begin("Counter/bob/add")
        table.say(ada, call("Counter", "add", "bob"))
        table.commit()
        assert notifications(table.commit()) == []
        table.say(bob, call("Counter", "add", "ada"))
        answers = [each.message for each in notifications(table.commit())]
        (failure,) = [each.failure for each in answers if each.HasField("failure")]
        assert failure.code == 508
        for name in ("Counter/ada/add", "Counter/bob/add", ada.id, bob.id):
            assert name in failure.message

    def test_a_call_of_its_own_key_fails_at_once(self, table: Table) -> None:
        ada = table.begin("Counter/ada/add")
        table.say(ada, call("Counter", "add", "ada"))
        (failure,) = [each.message.failure for each in notifications(table.commit()) if each.message.failure.code]
        assert failure.code == 508

    def test_through_a_plain_service_and_suspended_callers_it_is_found_too(self, table: Table) -> None:
        ada = table.begin("Counter/ada/add")
        table.say(ada, call("Greeter", "greet"))
        middle = table.run_one(table.commit())
        suspend(table, ada, 2)
        table.commit()
        table.say(middle, call("Counter", "add", "ada"))
        (failure,) = [each.message.failure for each in notifications(table.commit()) if each.message.failure.code]
        assert failure.code == 508

    def test_sends_and_queues_without_a_circle_are_left_alone(self, table: Table) -> None:
        ada = table.begin("Counter/ada/add")
        bob = table.begin("Counter/bob/add")
        table.say(ada, pb.OneWayCallCommandMessage(service_name="Counter", handler_name="add", key="bob"))
        table.say(bob, call("Counter", "add", "ada"))
        assert not [each for each in notifications(table.commit()) if each.message.failure.code]
        assert [child.target.key for child in awaited_children(table.ledger, bob)] == ["ada"]


class TestRetention:
    def test_what_has_ended_goes_when_its_time_is_over(self, table: Table) -> None:
        invocation = table.begin("Greeter/greet")
        end(table, invocation)
        table.commit()
        kept_ms = invocation.retention_ms
        assert table.ledger.next_expiry_ms == table.now_ms + kept_ms
        table.now_ms += kept_ms - 1
        table.apply(TimersDue())
        table.commit()
        assert table.reader.invocation(invocation.number) is not None
        table.now_ms += 1
        table.apply(TimersDue())
        table.commit()
        assert table.reader.invocation(invocation.number) is None
        assert table.journal(invocation) == []

    def test_a_long_journal_goes_a_little_at_a_time(self, table: Table) -> None:
        invocation = table.begin("Greeter/greet")
        for number in range(1, 1501):
            table.say(invocation, pb.RunCommandMessage(result_completion_id=number))
        end(table, invocation)
        table.commit()
        table.apply(PurgeRequested(9, invocation.id, journal_only=False))
        table.commit()
        lengths = [len(table.journal(invocation))]
        while table.reader.invocation(invocation.number) is not None:
            due = table.ledger.next_expiry_ms
            assert due is not None
            table.now_ms = max(due, table.now_ms)
            table.apply(TimersDue())
            table.commit()
            lengths.append(len(table.journal(invocation)))
        assert lengths == [1002, 502, 2, 0]

    def test_a_workflow_goes_with_its_state_and_promises_and_can_run_again(self, table: Table) -> None:
        workflow = table.begin("Signup/ada/run")
        table.say(
            workflow,
            pb.SetStateCommandMessage(key=b"n", value=pb.Value(content=b"1")),
            pb.CompletePromiseCommandMessage(key="p", completion_value=pb.Value(content=b"1"), result_completion_id=1),
        )
        end(table, workflow)
        table.commit()
        waiting = table.begin("Signup/ada/approve")
        table.say(waiting, pb.GetPromiseCommandMessage(key="open", result_completion_id=1))
        table.commit()
        table.apply(PurgeRequested(9, workflow.id, journal_only=False))
        effects = table.commit()
        assert [each.message.failure.code for each in notifications(effects)] == [410]
        key = ("", "Signup", "ada")
        assert table.reader.state(key, 100) == ([], True)
        assert table.reader.promise_names(key) == []
        assert table.begin("Signup/ada/run").number != workflow.number

    def test_it_survives_a_crash(self, table: Table) -> None:
        invocation = table.begin("Greeter/greet")
        end(table, invocation)
        table.commit()
        now_ms = table.now_ms + invocation.retention_ms
        table = table.crash()
        table.now_ms = now_ms
        table.apply(TimersDue())
        table.commit()
        assert table.reader.invocation(invocation.number) is None

    def test_what_has_not_ended_is_refused(self, table: Table) -> None:
        assert isinstance(ask(table, PurgeRequested(9, table.begin("Greeter/greet").id, journal_only=False)), Conflict)
