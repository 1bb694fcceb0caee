"""What the engine does with each thing that a service, a caller or the clock can say: on a clock that stands still."""

import pytest
from msgspec import structs

from perdure.engine.answers import Accepted, Done, Failure, Outcome
from perdure.engine.events import (
    AttachRequested,
    AttemptFailed,
    AttemptInterrupted,
    AttemptStarted,
    CancelRequested,
    KillRequested,
    MessageReceived,
    ResumeRequested,
    SignalSent,
    Submitted,
    Target,
    TimersDue,
)
from perdure.engine.invocation import Invocation, Status
from perdure.errors import Conflict, UnknownInvocation, UnknownTarget
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.ids import InvocationId, awakeable_id, new_invocation_id, parse_invocation_id
from perdure.protocol.messages import Envelope, MessageType, envelope
from tests.unit.engine.table import START_MS, Table, notifications, responses, starts, stops

WEEK_MS = 7 * 24 * 60 * 60 * 1000


def output(value: bytes = b'"done"') -> pb.OutputCommandMessage:
    return pb.OutputCommandMessage(value=pb.Value(content=value))


def suspension(*completions: int, signals: tuple[int, ...] = (1,)) -> pb.SuspensionMessage:
    future = pb.Future(waiting_completions=completions, waiting_signals=signals, combinator_type=pb.FIRST_COMPLETED)
    return pb.SuspensionMessage(awaiting_on=future)


def undated(answer: object) -> Outcome:
    """An outcome, without the time for which it is kept."""
    assert isinstance(answer, Outcome)
    return structs.replace(answer, kept_until_ms=None)


def end(table: Table, invocation: Invocation, value: bytes = b'"done"') -> None:
    table.say(invocation, output(value), pb.EndMessage())


def test_a_call_runs_and_its_caller_gets_the_result_after_the_commit(table: Table) -> None:
    request = table.submit("Greeter/greet", b'"Ada"')
    invocation = table.run_one(table.commit())
    end(table, invocation, b'"hello"')
    assert table.status(invocation) is Status.READY  # nothing is on disk yet, so nobody may be told

    answer = responses(table.commit())[request]

    assert undated(answer) == Outcome(invocation.id, b'"hello"')
    assert table.journal(invocation) == [MessageType.INPUT, MessageType.OUTPUT]
    assert table.status(invocation) is Status.COMPLETED


def test_a_completed_or_suspended_invocation_leaves_memory(table: Table) -> None:
    invocation = table.begin("Greeter/greet")
    table.say(
        invocation, pb.SleepCommandMessage(wake_up_time=START_MS + WEEK_MS, result_completion_id=1), suspension(1)
    )
    table.commit()
    assert list(table.ledger.invocations_in_memory()) == []


def test_unknown_targets_and_keys_that_do_not_fit_are_refused(table: Table) -> None:
    for path in ("Nobody/greet", "Greeter/nothing", "Greeter/key/greet", "Counter/add"):
        request = table.submit(path)
        assert isinstance(responses(table.commit())[request], UnknownTarget), path


class TestPriorities:
    @pytest.mark.parametrize("name", ["x-perdure-priority", "X-Perdure-Priority"])
    def test_the_header_that_asks_for_one_may_be_written_in_any_case(self, table: Table, name: str) -> None:
        table.apply(Submitted(1, new_invocation_id(), Target("Greeter", "greet"), b"", ((name, "50"),)))
        (start,) = starts(table.commit())
        assert start.place.priority == 50


class TestIdempotency:
    def test_the_same_key_joins_the_first_invocation_and_gets_its_result(self, table: Table) -> None:
        first = table.submit("Greeter/greet", idempotency_key="k")
        invocation = table.run_one(table.commit())
        second = table.submit("Greeter/greet", idempotency_key="k")
        assert starts(table.commit()) == []
        end(table, invocation)
        answers = responses(table.commit())
        third = table.submit("Greeter/greet", idempotency_key="k")
        answers |= responses(table.commit())
        assert {answers[request].value for request in (first, second, third)} == {b'"done"'}  # type: ignore[attr-defined]

    def test_a_send_says_whether_it_is_new(self, table: Table) -> None:
        first = table.submit("Greeter/greet", idempotency_key="k", wants_outcome=False)
        second = table.submit("Greeter/greet", idempotency_key="k", wants_outcome=False)
        answers = responses(table.commit())
        assert isinstance(answers[first], Accepted)
        assert [answers[first].new, answers[second].new] == [True, False]  # type: ignore[attr-defined]


class TestRuns:
    def run(self, table: Table, *, version: int, ack: bool) -> list[Envelope]:
        invocation = table.begin("Greeter/greet")
        invocation.protocol_version = version
        table.say(invocation, pb.RunCommandMessage(result_completion_id=1, name="step"))
        table.say(invocation, pb.ProposeRunCompletionMessage(result_completion_id=1, value=b"7"), requested_ack=ack)
        told = notifications(table.commit())
        assert table.journal(invocation) == [MessageType.INPUT, MessageType.RUN, MessageType.RUN_COMPLETION]
        return told

    def test_an_acknowledgement_where_it_was_asked_for(self, table: Table) -> None:
        (told,) = self.run(table, version=7, ack=True)
        assert told.message == pb.ProposeRunCompletionAckMessage(completion_id=1)

    @pytest.mark.parametrize(("version", "ack"), [(7, False), (6, True), (5, False)])
    def test_else_the_result_itself(self, table: Table, version: int, ack: bool) -> None:
        (told,) = self.run(table, version=version, ack=ack)
        assert told.type == MessageType.RUN_COMPLETION
        assert told.message == pb.NotificationMessage(completion_id=1, value=pb.Value(content=b"7"))

    def test_a_result_that_was_kept_is_never_replaced(self, table: Table) -> None:
        invocation = table.begin("Greeter/greet")
        table.say(invocation, pb.RunCommandMessage(result_completion_id=1))
        proposal = pb.ProposeRunCompletionMessage(result_completion_id=1, value=b"7")
        table.say(invocation, proposal, proposal)
        assert stops(table.commit())
        assert table.journal(invocation) == [MessageType.INPUT, MessageType.RUN, MessageType.RUN_COMPLETION]


class TestCalls:
    def call(self, service: str = "Greeter", handler: str = "greet", **fields: object) -> pb.CallCommandMessage:
        return pb.CallCommandMessage(
            service_name=service,
            handler_name=handler,
            parameter=b'"x"',
            invocation_id_notification_idx=1,
            result_completion_id=2,
            **fields,  # type: ignore[arg-type]
        )

    def test_the_callee_runs_and_its_result_comes_back(self, table: Table) -> None:
        caller = table.begin("Greeter/greet")
        table.say(caller, self.call())
        effects = table.commit()
        (id_told,) = notifications(effects)
        callee = table.run_one(effects)
        assert id_told.message == pb.NotificationMessage(completion_id=1, invocation_id=callee.id)
        assert callee.caller_id == caller.id
        end(table, callee, b'"from callee"')
        (result,) = notifications(table.commit())
        assert result.message == pb.NotificationMessage(completion_id=2, value=pb.Value(content=b'"from callee"'))
        assert result.type == MessageType.CALL_COMPLETION

    def test_a_failure_comes_back_with_its_code(self, table: Table) -> None:
        caller = table.begin("Greeter/greet")
        table.say(caller, self.call())
        callee = table.run_one(table.commit())
        failure = pb.Failure(code=418, message="teapot")
        table.say(callee, pb.OutputCommandMessage(failure=failure), pb.EndMessage())
        (result,) = notifications(table.commit())
        assert result.message == pb.NotificationMessage(completion_id=2, failure=failure)

    def test_a_suspended_caller_wakes_for_the_result(self, table: Table) -> None:
        caller = table.begin("Greeter/greet")
        table.say(caller, self.call())
        callee = table.run_one(table.commit())
        table.say(caller, suspension(2))
        table.commit()
        assert table.status(caller) is Status.SUSPENDED
        end(table, callee)
        (start,) = starts(table.commit())
        assert start.number == caller.number

    def test_an_unknown_callee_fails_the_attempt_and_is_not_journaled(self, table: Table) -> None:
        caller = table.begin("Greeter/greet")
        table.say(caller, self.call("Nobody"))
        assert stops(table.commit())
        assert table.journal(caller) == [MessageType.INPUT]
        assert caller.status is Status.BACKING_OFF
        assert caller.last_failure is not None
        assert "Nobody/greet" in caller.last_failure.message

    def test_an_idempotency_key_joins_what_was_called_before(self, table: Table) -> None:
        caller = table.begin("Greeter/greet")
        table.say(caller, self.call(idempotency_key="once"))
        callee = table.run_one(table.commit())
        end(table, callee, b"1")
        table.commit()
        again = table.begin("Greeter/greet")
        table.say(again, self.call(idempotency_key="once"))
        told = notifications(table.commit())
        assert [envelope.type for envelope in told] == [
            MessageType.CALL_INVOCATION_ID_COMPLETION,
            MessageType.CALL_COMPLETION,
        ]

    def test_an_object_that_calls_itself_at_its_own_key_is_told_instead_of_waiting_for_ever(self, table: Table) -> None:
        caller = table.begin("Counter/ada/add")
        table.say(caller, self.call("Counter", "add", key="ada"))
        effects = table.commit()
        assert starts(effects) == []
        (_, result) = notifications(effects)
        assert result.message.failure.code == 508  # type: ignore[attr-defined]
        table.submit("Counter/ada/add")
        end(table, caller)
        assert len(starts(table.commit())) == 1

    def test_a_delayed_send_starts_at_its_time(self, table: Table) -> None:
        caller = table.begin("Greeter/greet")
        table.say(
            caller,
            pb.OneWayCallCommandMessage(
                service_name="Greeter",
                handler_name="greet",
                invoke_time=START_MS + WEEK_MS,
                invocation_id_notification_idx=1,
            ),
        )
        assert starts(table.commit()) == []
        table.now_ms += WEEK_MS
        table.apply(TimersDue())
        assert len(starts(table.commit())) == 1


class TestSleeps:
    def test_a_week_of_sleep_costs_a_row_and_survives_a_crash(self, table: Table) -> None:
        invocation = table.begin("Greeter/greet")
        table.say(
            invocation, pb.SleepCommandMessage(wake_up_time=START_MS + WEEK_MS, result_completion_id=1), suspension(1)
        )
        table.commit()
        reborn = table.crash()
        assert starts(reborn.commit()) == []
        reborn.now_ms += WEEK_MS - 1
        reborn.apply(TimersDue())
        assert starts(reborn.commit()) == []
        reborn.now_ms += 1
        reborn.apply(TimersDue())
        (start,) = starts(reborn.commit())
        assert start.number == invocation.number
        assert reborn.journal(invocation)[-1] is MessageType.SLEEP_COMPLETION
        reborn.database.close()

    def test_one_that_is_over_before_the_suspension_arrives_resumes_at_once(self, table: Table) -> None:
        invocation = table.begin("Greeter/greet")
        table.say(invocation, pb.SleepCommandMessage(wake_up_time=START_MS, result_completion_id=1))
        table.apply(TimersDue())
        table.say(invocation, suspension(1))
        (start,) = starts(table.commit())
        assert start.number == invocation.number


class TestKeys:
    def test_exclusive_handlers_of_a_key_run_one_at_a_time_in_order(self, table: Table) -> None:
        requests = [table.submit("Counter/ada/add") for _ in range(3)]
        order: list[int] = []
        effects = table.commit()
        while starts(effects):
            invocation = table.run_one(effects)
            order.append(invocation.number)
            end(table, invocation)
            effects = table.commit()
        assert order == sorted(order)
        assert len(order) == len(requests)

    def test_other_keys_and_shared_handlers_run_beside(self, table: Table) -> None:
        for path in ("Counter/ada/add", "Counter/ada/add", "Counter/bob/add", "Counter/ada/get"):
            table.submit(path)
        assert len(starts(table.commit())) == 3

    def test_the_order_survives_a_crash(self, table: Table) -> None:
        for _ in range(3):
            table.submit("Counter/ada/add")
        first = table.run_one(table.commit())
        reborn = table.crash()
        again = reborn.run_one(reborn.commit())
        assert again.number == first.number
        end(reborn, again)
        assert reborn.run_one(reborn.commit()).number == first.number + 1
        reborn.database.close()

    def test_a_suspended_holder_keeps_its_key_though_nothing_is_in_memory(self, table: Table) -> None:
        holder = table.begin("Counter/ada/add")
        table.say(holder, suspension(1))
        table.commit()
        table.submit("Counter/ada/add")
        assert starts(table.commit()) == []

    def test_one_that_comes_while_the_holders_end_is_not_on_disk_yet_gets_the_key(self, table: Table) -> None:
        holder = table.begin("Counter/ada/add")
        end(table, holder)
        table.submit("Counter/ada/add")
        assert [start.number for start in starts(table.commit())] == [holder.number + 1]

    def test_a_delayed_one_queues_when_its_time_has_come_and_keeps_its_place_after_a_crash(self, table: Table) -> None:
        table.submit("Counter/ada/add", execute_at_ms=START_MS + 10, wants_outcome=False)  # arrives first: number 1
        table.commit()
        table.begin("Counter/ada/add")
        table.submit("Counter/ada/add")
        table.now_ms += 10
        table.apply(TimersDue())
        table.commit()
        reborn = table.crash()
        order: list[int] = []
        effects = reborn.commit()
        while starts(effects):
            invocation = reborn.run_one(effects)
            order.append(invocation.number)
            end(reborn, invocation)
            effects = reborn.commit()
        assert order == [2, 3, 1]
        reborn.database.close()

    def test_a_pending_invocation_that_is_cancelled_leaves_the_queue(self, table: Table) -> None:
        holder = table.begin("Counter/ada/add")
        request = table.submit("Counter/ada/add")
        table.commit()
        waiting = table.ledger.find_number(holder.number + 1)
        assert waiting is not None
        table.apply(CancelRequested(0, waiting.id))
        outcome = responses(table.commit())[request]
        assert undated(outcome) == Outcome(waiting.id, failure=Failure(409, "cancelled"))
        end(table, holder)
        assert starts(table.commit()) == []


class TestState:
    def test_what_one_handler_sets_the_next_reads(self, table: Table) -> None:
        first = table.begin("Counter/ada/add")
        table.say(first, pb.SetStateCommandMessage(key=b"n", value=pb.Value(content=b"1")))
        table.say(first, pb.SetStateCommandMessage(key=b"empty", value=pb.Value(content=b"")))
        end(table, first)
        table.commit()
        assert table.reader.state(("", "Counter", "ada"), 1000) == ([(b"empty", b""), (b"n", b"1")], True)
        second = table.begin("Counter/ada/add")
        table.say(second, pb.GetLazyStateCommandMessage(key=b"n", result_completion_id=1))
        table.say(second, pb.GetLazyStateCommandMessage(key=b"none", result_completion_id=2))
        table.say(second, pb.GetLazyStateKeysCommandMessage(result_completion_id=3))
        told = [envelope.message for envelope in notifications(table.commit())]
        assert told == [
            pb.NotificationMessage(completion_id=1, value=pb.Value(content=b"1")),
            pb.NotificationMessage(completion_id=2, void=pb.Void()),
            pb.NotificationMessage(completion_id=3, state_keys=pb.StateKeys(keys=[b"empty", b"n"])),
        ]

    def test_clearing_all_and_setting_again_in_one_batch(self, table: Table) -> None:
        first = table.begin("Counter/ada/add")
        value = pb.Value(content=b"1")
        table.say(first, pb.SetStateCommandMessage(key=b"old", value=value))
        table.commit()
        table.say(first, pb.SetStateCommandMessage(key=b"gone", value=value), pb.ClearAllStateCommandMessage())
        table.say(first, pb.SetStateCommandMessage(key=b"new", value=value), pb.ClearStateCommandMessage(key=b"no"))
        table.commit()
        assert table.reader.state_names(("", "Counter", "ada")) == [b"new"]

    def test_the_names_that_a_handler_is_told_hold_its_own_writes_before_they_are_committed(self, table: Table) -> None:
        handler = table.begin("Counter/ada/add")
        value = pb.Value(content=b"1")
        table.say(handler, pb.SetStateCommandMessage(key=b"old", value=value), pb.ClearAllStateCommandMessage())
        table.say(handler, pb.SetStateCommandMessage(key=b"b", value=value))
        table.say(handler, pb.SetStateCommandMessage(key=b"a", value=value))
        table.say(handler, pb.SetStateCommandMessage(key=b"no", value=value), pb.ClearStateCommandMessage(key=b"no"))
        table.say(handler, pb.GetLazyStateKeysCommandMessage(result_completion_id=1))
        told = [envelope.message for envelope in notifications(table.commit())]
        assert told == [pb.NotificationMessage(completion_id=1, state_keys=pb.StateKeys(keys=[b"a", b"b"]))]

    def test_shared_handlers_and_plain_services_may_not_write(self, table: Table) -> None:
        for path in ("Counter/ada/get", "Greeter/greet"):
            invocation = table.begin(path)
            table.say(invocation, pb.SetStateCommandMessage(key=b"n", value=pb.Value(content=b"1")))
            assert stops(table.commit()), path
            assert table.journal(invocation) == [MessageType.INPUT]


class TestWorkflows:
    def test_a_workflow_runs_once(self, table: Table) -> None:
        first = table.submit("Signup/ada/run")
        invocation = table.run_one(table.commit())
        second = table.submit("Signup/ada/run")
        third = table.submit("Signup/ada/run", wants_outcome=False)
        answers = responses(table.commit())
        assert answers[second].failure.code == 409  # type: ignore[attr-defined]
        assert answers[third] == Accepted(invocation.id, new=False)
        end(table, invocation)
        assert first in responses(table.commit())

    def test_a_promise_is_resolved_once_and_wakes_who_waits(self, table: Table) -> None:
        main = table.begin("Signup/ada/run")
        table.say(main, pb.GetPromiseCommandMessage(key="approved", result_completion_id=1), suspension(1))
        table.commit()
        helper = table.begin("Signup/ada/approve")
        value = pb.Value(content=b"true")
        for completion in (1, 2):
            table.say(
                helper,
                pb.CompletePromiseCommandMessage(
                    key="approved", completion_value=value, result_completion_id=completion
                ),
            )
        table.say(helper, pb.PeekPromiseCommandMessage(key="approved", result_completion_id=3))
        table.say(helper, pb.PeekPromiseCommandMessage(key="open", result_completion_id=4))
        effects = table.commit()
        won, lost, peeked, void = [envelope.message for envelope in notifications(effects)]
        assert won == pb.NotificationMessage(completion_id=1, void=pb.Void())
        assert lost.failure.code == 409  # type: ignore[attr-defined]
        assert peeked == pb.NotificationMessage(completion_id=3, value=value)
        assert void == pb.NotificationMessage(completion_id=4, void=pb.Void())
        assert [start.number for start in starts(effects)] == [main.number]


class TestSignals:
    def test_an_awakeable_is_completed_from_outside_and_from_a_handler(self, table: Table) -> None:
        for outside in (True, False):
            waiting = table.begin("Greeter/greet")
            table.say(waiting, suspension(signals=(17, 1)))
            table.commit()
            id = awakeable_id(parse_invocation_id(waiting.id), 17)
            if outside:
                table.apply(SignalSent(0, waiting.id, 17, b'"yes"'))
            else:
                other = table.begin("Greeter/greet")
                value = pb.Value(content=b'"yes"')
                table.say(other, pb.CompleteAwakeableCommandMessage(awakeable_id=id, value=value))
            (start,) = starts(table.commit())
            assert start.number == waiting.number

    def test_an_awakeable_is_completed_once(self, table: Table) -> None:
        waiting = table.begin("Greeter/greet")
        table.say(waiting, suspension(5))
        table.commit()
        for value in (b"1", b"2"):
            table.apply(SignalSent(0, waiting.id, 17, value))  # both in one batch
        table.commit()
        table.apply(SignalSent(0, waiting.id, 17, b"3"))
        table.commit()
        running = table.begin("Greeter/greet")
        for value in (b"1", b"2"):
            table.apply(SignalSent(0, running.id, 17, value))
        table.commit()
        for invocation in (waiting, running):
            signals = [entry.message for entry in table.reader.journal(invocation.number)[1:]]
            assert signals == [pb.NotificationMessage(signal_id=17, value=pb.Value(content=b"1"))]

    @pytest.mark.parametrize("awaited", [True, False])
    def test_whether_an_awakeable_is_complete_is_known_without_its_journal(
        self, table: Table, monkeypatch: pytest.MonkeyPatch, awaited: bool
    ) -> None:
        waiting = table.begin("Greeter/greet")
        table.say(waiting, suspension(signals=(5, 17, 18, 300)) if awaited else suspension(5))
        table.commit()
        monkeypatch.setattr(table.reader, "journal", None)
        ids = (17, 300, 18, 4_000_000_000)
        for commit in (False, True):  # known from the batch, and from disk
            for signal in ids:
                table.apply(SignalSent(0, waiting.id, signal, b"1" * signal.bit_length()))
            if commit:
                table.commit()
        for signal in ids:
            table.apply(SignalSent(0, waiting.id, signal, b"again"))
        table.commit()
        monkeypatch.undo()
        signals = [entry.message for entry in table.reader.journal(waiting.number)[1:]]
        assert [each.signal_id for each in signals] == list(ids)  # type: ignore[attr-defined]

    def test_what_is_made_up_from_an_invocations_id_does_not_cancel_it(self, table: Table) -> None:
        victim, other = table.begin("Greeter/greet"), table.begin("Greeter/greet")
        made_up = awakeable_id(parse_invocation_id(victim.id), 1)
        table.say(other, pb.CompleteAwakeableCommandMessage(awakeable_id=made_up, value=pb.Value(content=b"")))
        assert notifications(table.commit()) == []

    def test_a_handler_cancels_another(self, table: Table) -> None:
        victim, other = table.begin("Greeter/greet"), table.begin("Greeter/greet")
        table.say(other, pb.SendSignalCommandMessage(target_invocation_id=victim.id, idx=1, void=pb.Void()))
        (told,) = notifications(table.commit())
        assert told.message == pb.NotificationMessage(signal_id=1, void=pb.Void())

    def test_a_cancel_reaches_the_running_the_suspended_and_the_backing_off(self, table: Table) -> None:
        running = table.begin("Greeter/greet")
        table.apply(CancelRequested(0, running.id))
        (told,) = notifications(table.commit())
        assert told.message == pb.NotificationMessage(signal_id=1, void=pb.Void())

        suspended = table.begin("Greeter/greet")
        table.say(suspended, suspension(1))
        table.commit()
        table.apply(CancelRequested(0, suspended.id))
        assert len(starts(table.commit())) == 1

        failing = table.begin("Greeter/greet")
        table.apply(AttemptFailed(failing.number, failing.attempt, 500, "no"))
        table.commit()
        table.apply(CancelRequested(0, failing.id))
        assert len(starts(table.commit())) == 1

    def test_a_scheduled_invocation_that_is_cancelled_never_starts(self, table: Table) -> None:
        table.submit("Greeter/greet", execute_at_ms=START_MS + 10, wants_outcome=False)
        accepted = responses(table.commit())[1]
        assert isinstance(accepted, Accepted)
        table.apply(CancelRequested(2, accepted.invocation_id))
        table.commit()
        table.now_ms += 10
        table.apply(TimersDue())
        assert starts(table.commit()) == []

    def test_signals_to_nobody_are_refused_outside_and_ignored_between_handlers(self, table: Table) -> None:
        nobody = new_invocation_id()
        table.apply(SignalSent(1, nobody, 17, b""))
        assert isinstance(responses(table.commit())[1], UnknownInvocation)
        invocation = table.begin("Greeter/greet")
        table.say(invocation, pb.SendSignalCommandMessage(target_invocation_id=nobody, idx=1, void=pb.Void()))
        table.commit()
        assert invocation.status is Status.RUNNING


class TestFailures:
    def fail(self, table: Table, invocation: Invocation, **fields: object) -> None:
        table.apply(AttemptFailed(invocation.number, invocation.attempt, 500, "boom", **fields))  # type: ignore[arg-type]
        table.commit()

    def test_back_off_grows_until_the_policy_gives_up_and_pauses(self, table: Table) -> None:
        invocation = table.begin("Fragile/pause")
        delays: list[int] = []
        while invocation.status is not Status.PAUSED:
            self.fail(table, invocation)
            if invocation.status is Status.BACKING_OFF:
                assert invocation.retry_at_ms is not None
                delays.append(invocation.retry_at_ms - table.now_ms)
                table.now_ms = invocation.retry_at_ms
                table.apply(TimersDue())
                invocation = table.run_one(table.commit())
        assert delays == [100, 200]
        assert table.status(invocation) is Status.PAUSED
        table.apply(ResumeRequested(1, invocation.id))
        assert len(starts(table.commit())) == 1

    def test_a_policy_that_kills_gives_the_caller_the_last_error(self, table: Table) -> None:
        request = table.submit("Fragile/kill")
        invocation = table.run_one(table.commit())
        effects = []
        for _ in range(3):
            table.apply(AttemptFailed(invocation.number, invocation.attempt, 503, "boom"))
            effects = table.commit()
            if invocation.retry_at_ms is not None and invocation.status is Status.BACKING_OFF:
                table.now_ms = invocation.retry_at_ms
                table.apply(TimersDue())
                invocation = table.run_one(table.commit())
        assert undated(responses(effects)[request]) == Outcome(invocation.id, failure=Failure(503, "boom"))

    def test_progress_starts_the_count_anew(self, table: Table) -> None:
        invocation = table.begin("Fragile/pause")
        self.fail(table, invocation)
        assert invocation.failures == 1
        table.now_ms += 1000
        table.apply(TimersDue())
        invocation = table.run_one(table.commit())
        table.say(invocation, pb.RunCommandMessage(result_completion_id=1))
        assert invocation.failures == 0

    def test_a_delay_that_the_service_asks_for_takes_the_place_of_the_policy(self, table: Table) -> None:
        invocation = table.begin("Fragile/pause")
        table.say(invocation, pb.ErrorMessage(code=500, message="busy", next_retry_delay=12_345))
        assert invocation.retry_at_ms == table.now_ms + 12_345

    def test_a_journal_mismatch_pauses_and_says_why(self, table: Table, caplog: pytest.LogCaptureFixture) -> None:
        invocation = table.begin("Greeter/greet")
        table.say(invocation, pb.ErrorMessage(code=570, message="entry 1 was a run", related_command_index=1))
        table.commit()
        assert table.status(invocation) is Status.PAUSED
        stored = table.reader.invocation(invocation.number)
        assert stored is not None
        assert stored.last_failure is not None
        assert (stored.last_failure.code, stored.last_failure.command_index) == (570, 1)
        assert f"perdure invocations resume {stored.id} --deployment latest" in stored.last_failure.message
        assert caplog.messages == [f"attempt at Greeter/greet failed ({stored.id}): {stored.last_failure.message}"]
        assert caplog.text.count("paused") == 1

    def test_an_error_that_asks_to_fail_ends_the_invocation(self, table: Table) -> None:
        request = table.submit("Greeter/greet")
        invocation = table.run_one(table.commit())
        table.say(invocation, pb.ErrorMessage(code=400, message="never", behavior=pb.FAIL))
        assert undated(responses(table.commit())[request]) == Outcome(invocation.id, failure=Failure(400, "never"))

    def test_a_journal_mismatch_that_asks_to_fail_is_not_said_to_be_paused(self, table: Table) -> None:
        request = table.submit("Greeter/greet")
        invocation = table.run_one(table.commit())
        table.say(invocation, pb.ErrorMessage(code=570, message="never", behavior=pb.FAIL))
        assert undated(responses(table.commit())[request]) == Outcome(invocation.id, failure=Failure(570, "never"))

    def test_what_an_old_attempt_says_is_not_heard(self, table: Table) -> None:
        invocation = table.begin("Greeter/greet")
        stale = invocation.attempt
        self.fail(table, invocation)
        table.now_ms += 1000
        table.apply(TimersDue())
        invocation = table.run_one(table.commit())
        before = invocation.journal_length
        for message in (pb.RunCommandMessage(result_completion_id=1), pb.EndMessage()):
            table.apply(_said(invocation.number, stale, message))
        assert (invocation.journal_length, invocation.status) == (before, Status.RUNNING)

    def test_a_start_that_comes_too_late_does_not_take_place(self, table: Table) -> None:
        table.submit("Greeter/greet")
        (start,) = starts(table.commit())
        invocation = table.ledger.find_number(start.number)
        assert invocation is not None
        table.apply(KillRequested(9, invocation.id))
        table.commit()
        table.apply(AttemptStarted(start.number))
        assert table.status(invocation) is Status.COMPLETED

    def test_an_interrupted_attempt_is_nobodys_failure(self, table: Table) -> None:
        invocation = table.begin("Greeter/greet")
        table.apply(AttemptInterrupted(invocation.number, invocation.attempt))
        table.commit()
        reborn = table.crash()
        assert len(starts(reborn.commit())) == 1
        reborn.database.close()


class TestPeersThatBreakTheProtocol:
    @pytest.mark.parametrize(
        "messages",
        [
            (pb.EndMessage(),),
            (pb.StartMessage(),),
            (pb.InputCommandMessage(),),
            (pb.CommandAckMessage(),),
            (Envelope(MessageType.SLEEP_COMPLETION, pb.NotificationMessage(completion_id=1, void=pb.Void())),),
            (pb.SuspensionMessage(),),
            (pb.SuspensionMessage(awaiting_on=pb.Future(combinator_type=pb.ALL_COMPLETED)),),
            (pb.OutputCommandMessage(),),
            (output(), output()),
            (output(), pb.RunCommandMessage(result_completion_id=1)),
            (pb.RunCommandMessage(result_completion_id=1), pb.ProposeRunCompletionMessage(result_completion_id=1)),
            (pb.ProposeRunCompletionMessage(result_completion_id=99, value=b"7"),),
            (
                pb.SleepCommandMessage(result_completion_id=1),
                pb.ProposeRunCompletionMessage(result_completion_id=1, value=b"7"),
            ),
            (pb.SleepCommandMessage(result_completion_id=1), pb.RunCommandMessage(result_completion_id=1)),
            (
                pb.CallCommandMessage(
                    service_name="Greeter",
                    handler_name="greet",
                    invocation_id_notification_idx=1,
                    result_completion_id=1,
                ),
            ),
            (pb.GetPromiseCommandMessage(key="p", result_completion_id=1),),
            (pb.AttachInvocationCommandMessage(result_completion_id=1),),
            (pb.AttachInvocationCommandMessage(result_completion_id=1, invocation_id="inv_nonsense"),),
            (pb.CompleteAwakeableCommandMessage(awakeable_id="nonsense"),),
            (pb.SendSignalCommandMessage(target_invocation_id="nonsense"),),
        ],
    )
    def test_their_attempt_fails_and_nothing_else(self, table: Table, messages: tuple[object, ...]) -> None:
        invocation = table.begin("Greeter/greet")
        table.say(invocation, *messages)
        assert stops(table.commit())
        assert invocation.status is Status.BACKING_OFF

    def test_an_id_that_is_completed_without_a_command_harms_nobody(self, table: Table) -> None:
        invocation = table.begin("Greeter/greet")
        table.say(invocation, suspension(4_000_000_000))
        table.commit()
        assert table.status(invocation) is Status.SUSPENDED


class TestOperators:
    def test_kill_ends_the_invocation_and_the_calls_that_it_awaits(self, table: Table) -> None:
        request = table.submit("Greeter/greet")
        caller = table.run_one(table.commit())
        table.say(
            caller,
            pb.CallCommandMessage(
                service_name="Greeter", handler_name="greet", invocation_id_notification_idx=1, result_completion_id=2
            ),
            pb.OneWayCallCommandMessage(service_name="Greeter", handler_name="greet", invocation_id_notification_idx=3),
        )
        effects = table.commit()
        called, sent = [table.run(start) for start in starts(effects)]
        table.apply(KillRequested(9, caller.id))
        effects = table.commit()
        assert undated(responses(effects)[request]) == Outcome(caller.id, failure=Failure(409, "killed"))
        assert responses(effects)[9] == Done(True)
        assert (table.status(called), table.status(sent)) == (Status.COMPLETED, Status.READY)
        assert {stop.number for stop in stops(effects)} == {caller.number, called.number}
        table.apply(KillRequested(10, caller.id))
        assert isinstance(responses(table.commit())[10], Conflict)

    def test_who_waited_and_went_away_is_forgotten(self, table: Table) -> None:
        invocation = table.begin("Greeter/greet")
        table.apply(AttachRequested(7, invocation.id))
        table.ledger.requests.forget(7)
        end(table, invocation)
        assert responses(table.commit()).keys() == {1}

    def test_attach_waits_and_finds_what_has_ended(self, table: Table) -> None:
        invocation = table.begin("Greeter/greet")
        table.apply(AttachRequested(7, invocation.id))
        end(table, invocation)
        assert undated(responses(table.commit())[7]) == Outcome(invocation.id, b'"done"')
        table.apply(AttachRequested(8, invocation.id))
        table.apply(AttachRequested(9, InvocationId("inv_1none")))
        answers = responses(table.commit())
        assert undated(answers[8]) == Outcome(invocation.id, b'"done"')
        assert isinstance(answers[9], UnknownInvocation)


def test_a_gather_wakes_once_when_all_is_there(table: Table) -> None:
    invocation = table.begin("Greeter/greet")
    for completion in (1, 2):
        wake_up_time = START_MS + completion * 1000
        table.say(invocation, pb.SleepCommandMessage(wake_up_time=wake_up_time, result_completion_id=completion))
    future = pb.Future(waiting_signals=[1], combinator_type=pb.FIRST_COMPLETED)
    future.nested_futures.add(waiting_completions=[1, 2], combinator_type=pb.ALL_COMPLETED)
    table.say(invocation, pb.SuspensionMessage(awaiting_on=future))
    table.commit()
    table.now_ms += 1000
    table.apply(TimersDue())
    assert starts(table.commit()) == []
    table.now_ms += 1000
    table.apply(TimersDue())
    assert len(starts(table.commit())) == 1


def _said(number: int, attempt: int, message: object) -> MessageReceived:
    return MessageReceived(number, attempt, envelope(message))  # type: ignore[arg-type]
