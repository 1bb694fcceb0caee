"""The machine alone: messages in, commands in, messages out. No loop, no handler."""

import hashlib

import pytest

from perdure.errors import LocalProtocolError, RemoteProtocolError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.ids import parse_awakeable_id
from perdure.protocol.messages import Envelope, MessageType, envelope
from perdure.sdk.awaiting import CANCEL
from perdure.sdk.intake import Phase
from perdure.sdk.journal import JournalMismatch
from perdure.sdk.machine import Machine
from tests.unit.sdk.journal_engine import ID, RAW_ID, callee_id, cancel, completion, signal
from tests.unit.sdk.lines_run import lines_run

INPUT = envelope(pb.InputCommandMessage())


def machine(*entries: Envelope, version: int = 7, **start: object) -> tuple[Machine, list[Envelope]]:
    """A machine that has taken in its known entries, and what it sends."""
    sent: list[Envelope] = []
    made = Machine(version, sent.append)
    known = [INPUT, *entries]
    made.intake.receive(envelope(pb.StartMessage(id=RAW_ID, debug_id=ID, known_entries=len(known), **start)))  # type: ignore[arg-type]
    for entry in known:
        assert made.intake.phase is Phase.COLLECTING
        made.intake.receive(entry)
    assert made.intake.phase is Phase.RUNNING
    return made, sent


def sleep_over(id: int) -> Envelope:
    return completion(MessageType.SLEEP_COMPLETION, id)


def test_ids_are_counted_in_the_order_of_fields_and_commands() -> None:
    made, _ = machine()
    assert made.commands.issue_completable(pb.RunCommandMessage()) == 1
    assert made.issue_call(pb.CallCommandMessage()) == (2, 3)
    assert made.commands.issue_send(pb.OneWayCallCommandMessage()) == 4
    assert made.state.read(b"a") == 5
    assert made.state.read_keys() == 6
    (first, one), (second, two) = made.awakeable(), made.awakeable()
    assert (one, two) == (-17, -18)
    assert [parse_awakeable_id(id) for id in (first, second)] == [(ID, 17), (ID, 18)]
    assert made.journal.index == 5  # awakeables are no commands


def test_replayed_commands_are_not_sent_and_new_ones_are() -> None:
    made, sent = machine(envelope(pb.RunCommandMessage(name="a", result_completion_id=1)))
    assert made.journal.replaying
    made.commands.issue_completable(pb.RunCommandMessage(name="a"))
    assert not made.journal.replaying
    assert sent == []
    made.commands.issue_completable(pb.RunCommandMessage(name="b"))
    assert [one.type for one in sent] == [MessageType.RUN]
    assert (made.journal.index, made.journal.written) == (2, 1)


def test_notifications_become_visible_one_at_a_time_in_recorded_order() -> None:
    made, _ = machine(sleep_over(2), signal("go"), sleep_over(1))
    assert not made.notifications.ready
    assert [made.notifications.reveal(), made.notifications.reveal()] == [2, "go"]
    assert list(made.notifications.ready) == [2, "go"]
    made.intake.receive(sleep_over(3))
    assert [made.notifications.reveal(), made.notifications.reveal(), made.notifications.reveal()] == [1, 3, None]


def test_a_completion_that_comes_twice_is_seen_once() -> None:
    made, _ = machine(sleep_over(1), sleep_over(1))
    assert [made.notifications.reveal(), made.notifications.reveal()] == [1, None]


def test_an_awakeable_that_is_completed_twice_keeps_its_first_value() -> None:
    made, _ = machine(signal(17, b"first"), signal(17, b"second"), signal(18, b"other"))
    made.intake.receive(signal(17, b"third"))
    assert [made.notifications.reveal(), made.notifications.reveal(), made.notifications.reveal()] == [-17, -18, None]
    assert made.notifications.take(-17).value.content == b"first"


def test_signals_of_one_name_are_taken_one_after_the_other() -> None:
    made, _ = machine(signal("go", b"1"), signal("stop", b"x"), signal("go", b"2"), signal("go", b"3"))
    while made.notifications.reveal() is not None:
        pass
    taken = [made.notifications.take(name).value.content for name in ("go", "go", "stop", "go")]
    assert taken == [b"1", b"2", b"x", b"3"]
    assert not made.notifications.ready


def test_taking_costs_the_same_however_many_signals_are_unread() -> None:
    def lines_of_a_take(unread: int) -> int:
        made, _ = machine(sleep_over(1), *(signal("go", b"%d" % n) for n in range(unread)))
        while made.notifications.reveal() is not None:
            pass
        with lines_run() as lines:
            made.notifications.take(1)
            made.notifications.take("go")
        return lines.count

    assert lines_of_a_take(1000) == lines_of_a_take(10)


def test_a_cancel_waits_for_the_ids_of_all_callees_and_comes_before_what_follows_it() -> None:
    made, sent = machine()
    made.issue_call(pb.CallCommandMessage(service_name="A"))
    made.issue_call(pb.CallCommandMessage(service_name="B"))
    for message in (callee_id(1, "inv_a"), cancel(), completion(MessageType.CALL_COMPLETION, 2, b"1")):
        made.intake.receive(message)
    assert made.notifications.reveal() == 1
    assert made.notifications.reveal() is None  # 2 is there, but the cancel came first
    tree = made.awaiting([(None, [4])])
    assert (list(tree.waiting_completions), list(tree.waiting_signals)) == ([3], [])
    made.intake.receive(callee_id(3, "inv_b"))
    assert made.notifications.reveal() == CANCEL
    assert [one.message.target_invocation_id for one in sent[2:]] == ["inv_a", "inv_b"]  # type: ignore[attr-defined]
    assert made.notifications.reveal() is None
    assert set(made.notifications.ready) == {1, 2, 3}


def test_a_second_cancel_is_a_second_one() -> None:
    made, _ = machine(cancel(), sleep_over(1), cancel())
    assert [
        made.notifications.reveal(),
        made.notifications.reveal(),
        made.notifications.reveal(),
        made.notifications.reveal(),
    ] == [CANCEL, 1, CANCEL, None]


def test_the_seed_is_the_engines_from_version_6_on() -> None:
    assert machine(version=6, random_seed=5)[0].intake.random_seed == 5
    derived = int.from_bytes(hashlib.sha256(RAW_ID).digest()[:8], "big")
    assert machine(version=5, random_seed=5)[0].intake.random_seed == derived


@pytest.mark.parametrize(("version", "asked"), [(5, False), (6, False), (7, True)])
def test_a_proposal_asks_for_an_ack_in_version_7(version: int, asked: bool) -> None:
    made, sent = machine(version=version)
    handle = made.commands.issue_completable(pb.RunCommandMessage(name="a"))
    made.propose(handle, b"1")
    assert (sent[-1].type, sent[-1].requested_ack) == (MessageType.PROPOSE_RUN_COMPLETION, asked)
    assert sent[-1].message.SerializeToString() == bytes.fromhex("0801720131")
    assert made.proposals.waiting


def test_an_ack_makes_the_proposed_value_visible_and_a_notification_wins_over_it() -> None:
    made, _ = machine()
    one, two = (made.commands.issue_completable(pb.RunCommandMessage(name=name)) for name in "ab")
    made.propose(one, b"mine")
    made.propose(two, b"mine")
    made.intake.receive(completion(MessageType.RUN_COMPLETION, two, b"theirs"))
    made.intake.receive(envelope(pb.ProposeRunCompletionAckMessage(completion_id=one)))
    assert [made.notifications.reveal(), made.notifications.reveal()] == [two, one]
    assert (made.notifications.take(one).value.content, made.notifications.take(two).value.content) == (
        b"mine",
        b"theirs",
    )
    assert not made.proposals.waiting


@pytest.mark.parametrize("version", [6, 7])
def test_an_ack_that_nobody_asked_for_is_a_violation(version: int) -> None:
    made, _ = machine(version=version)
    if version < 7:
        made.propose(made.commands.issue_completable(pb.RunCommandMessage()), b"1")
    with pytest.raises(RemoteProtocolError):
        made.intake.receive(envelope(pb.ProposeRunCompletionAckMessage(completion_id=1)))


def test_state_reads_are_served_from_start_as_far_as_it_says() -> None:
    entry = pb.StartMessage.StateEntry(key=b"a", value=b"")
    made, sent = machine(state_map=[entry], partial_state=True)
    assert made.state.read(b"a") in made.notifications.ready
    assert made.state.read(b"b") not in made.notifications.ready
    made.state.clear(b"b")
    assert made.state.read(b"b") in made.notifications.ready
    assert made.state.read_keys() not in made.notifications.ready
    made.state.clear_all()
    assert made.state.read_keys() in made.notifications.ready
    assert [one.message.SerializeToString() for one in sent][:2] == [
        bytes.fromhex("0a01617200"),  # it exists, and is empty
        bytes.fromhex("0a01625802"),
    ]


def test_on_replay_the_journal_says_what_a_read_gave() -> None:
    entry = pb.StartMessage.StateEntry(key=b"a", value=b"later")
    recorded = envelope(pb.GetEagerStateCommandMessage(key=b"a", value=pb.Value(content=b"then")))
    lazy = envelope(pb.GetLazyStateCommandMessage(key=b"b", result_completion_id=2))
    made, sent = machine(recorded, lazy, state_map=[entry])
    assert made.notifications.take(made.state.read(b"a")).value.content == b"then"
    assert made.state.read(b"b") not in made.notifications.ready
    assert made.notifications.take(made.state.read(b"a")).value.content == b"later"
    assert len(sent) == 1


def test_sleeps_and_delays_are_compared_without_their_times() -> None:
    send = pb.OneWayCallCommandMessage(service_name="A", invoke_time=5, invocation_id_notification_idx=2)
    made, sent = machine(envelope(pb.SleepCommandMessage(wake_up_time=5, result_completion_id=1)), envelope(send))
    made.commands.issue_completable(pb.SleepCommandMessage(wake_up_time=9))
    made.commands.issue_send(pb.OneWayCallCommandMessage(service_name="A", invoke_time=9))
    assert sent == []


@pytest.mark.parametrize(
    "attempted",
    [
        pb.CallCommandMessage(service_name="B", handler_name="run"),
        pb.CallCommandMessage(service_name="A", handler_name="run", key="k"),
        pb.CallCommandMessage(service_name="A", handler_name="run", parameter=b"other"),
        pb.CallCommandMessage(service_name="A", handler_name="run", headers=[pb.Header(key="x", value="1")]),
        pb.CallCommandMessage(service_name="A", handler_name="run", idempotency_key="once"),
        pb.CallCommandMessage(service_name="A", handler_name="run", scope="tenant"),
    ],
)
def test_a_call_that_differs_in_any_field_is_a_mismatch(attempted: pb.CallCommandMessage) -> None:
    recorded = pb.CallCommandMessage(
        service_name="A", handler_name="run", invocation_id_notification_idx=1, result_completion_id=2
    )
    made, _ = machine(envelope(recorded))
    with pytest.raises(JournalMismatch) as caught:
        made.issue_call(attempted)
    assert caught.value.index == 1


def test_nothing_is_sent_after_the_end() -> None:
    made, sent = machine()
    handle = made.commands.issue_completable(pb.RunCommandMessage())
    made.finish(b"")
    made.propose(handle, b"late")
    assert [one.type for one in sent] == [MessageType.RUN, MessageType.OUTPUT, MessageType.END]
    with pytest.raises(LocalProtocolError):
        made.fail(pb.ErrorMessage())
