"""What the tables say of what is in the store and in memory."""

import json
from pathlib import Path

import pytest

from perdure.protocol import wire_pb2 as pb
from perdure.protocol.ids import parse_invocation_id
from perdure.protocol.messages import MessageType
from perdure.server.query.catalog import INFORMATION_SCHEMA
from perdure.server.query.tables import TABLES
from tests.unit.server.query.stores import FAILURE, NOW_MS, SUCCESS, Store

ATTEMPT = (1, 1, 2, NOW_MS - 1000, None, "dp_1", "sdk/1", None)


@pytest.mark.parametrize("name", TABLES)
def test_every_column_of_every_table_can_be_read(store: Store, name: str) -> None:
    store.invocation(
        status="suspended", awaiting=pb.Future(waiting_signals=[17], combinator_type=1).SerializeToString()
    )
    store.ask(f"select * from {name}")
    store.ask(f"select {', '.join(f'{name}.{column.name}' for column in TABLES[name].columns)} from {name}")


@pytest.mark.parametrize("name", INFORMATION_SCHEMA)
def test_the_information_schema_can_be_read(store: Store, name: str) -> None:
    assert store.ask(f"select * from information_schema.{name}")


def test_an_outcome_is_shown_as_success_or_failure(store: Store) -> None:
    store.invocation(output=SUCCESS)
    store.invocation(output=FAILURE)
    rows = store.ask("select completion_result, completion_failure from sys_invocation")
    assert rows == [
        {"completion_result": "success"},
        {"completion_result": "failure", "completion_failure": "[418] no"},
    ]


def test_the_output_of_what_has_not_ended_is_no_outcome(store: Store) -> None:
    store.invocation(status="ready", output=SUCCESS)
    store.invocation(status="paused", output=FAILURE)
    assert store.ask("select completion_result, completion_failure from sys_invocation") == [{}, {}]


def test_what_is_stored_as_ready_runs_backs_off_or_is_ready_by_what_memory_says(store: Store) -> None:
    failed = b'{"code":570,"message":"boom","at_ms":1,"command_index":1,"command_type":1024}'
    for _ in range(4):
        store.invocation(status="ready", last_failure=failed)
    running = (1, 1, 1, NOW_MS, None, None, None, None)
    waiting = (2, 0, 1, None, NOW_MS, None, None, None)
    again = (3, 1, 2, NOW_MS, None, None, None, None)
    live = {"live_attempt": [running, waiting, again]}
    columns = "last_failure, last_failure_error_code as code, last_failure_related_entry_index as entry"
    rows = store.ask(f"select status, {columns} from sys_invocation", live)
    boom = {"last_failure": "boom", "code": "RT0016", "entry": 1}
    assert rows == [
        {"status": "running"},
        {"status": "backing-off", **boom},
        {"status": "running", **boom},
        {"status": "ready"},
    ]
    assert store.ask(f"select in_flight, {columns} from sys_invocation_state", live) == [
        {"in_flight": True},
        {"in_flight": False, **boom},
        {"in_flight": True, **boom},
    ]
    assert store.ask("select distinct status from sys_invocation_status") == [{"status": "invoked"}]


def test_what_memory_says_of_an_invocation_that_has_ended_since_is_not_shown(store: Store) -> None:
    store.invocation(output=SUCCESS)
    assert store.ask("select status from sys_invocation", {"live_attempt": [ATTEMPT]}) == [{"status": "completed"}]


def test_why_it_waits_is_asked_for_those_that_have_not_ended(store: Store) -> None:
    store.invocation(output=SUCCESS)
    store.invocation(status="pending")
    assert store.ask("select waiting_reason from sys_invocation") == [{}, {"waiting_reason": "reason 2"}]


def test_the_partition_key_is_the_unsigned_number_in_the_id(store: Store) -> None:
    for _ in range(20):
        id = store.invocation()
        expected = int.from_bytes(parse_invocation_id(id)[:8], "little")
        assert store.value(f"select partition_key from sys_invocation_status where id = '{id}'") == expected
        assert store.value(f"select id from sys_invocation_status where partition_key = {expected}") == id


def test_a_call_shows_whom_it_called(store: Store) -> None:
    callee = store.invocation(service="Cart", key="a", service_type="VIRTUAL_OBJECT", handler_type="EXCLUSIVE")
    store.invocation()
    call = pb.CallCommandMessage(
        service_name="Cart", handler_name="add", key="a", invocation_id_notification_idx=1, result_completion_id=2
    )
    store.entry(2, 0, MessageType.INPUT, pb.InputCommandMessage(value=pb.Value(content=b"1")))
    store.entry(2, 1, MessageType.CALL, call)
    store.entry(
        2, 2, MessageType.CALL_INVOCATION_ID_COMPLETION, pb.NotificationMessage(completion_id=1, invocation_id=callee)
    )
    [row] = store.ask("select * from sys_journal where index = 1")
    assert (row["invoked_id"], row["invoked_target"], row["entry_type"]) == (callee, "Cart/a/add", "Command: Call")
    target = {"VirtualObject": {"name": "Cart", "key": "a", "handler": "add", "handler_ty": "Exclusive", "scope": None}}
    assert json.loads(row["entry_lite_json"]) == {
        "Command": {
            "Call": {
                "invocation_id": callee,
                "invocation_target": target,
                "invocation_id_completion_id": 1,
                "result_completion_id": 2,
            }
        }
    }


@pytest.mark.parametrize(
    ("type", "message", "full", "lite"),
    [
        (
            MessageType.OUTPUT,
            pb.OutputCommandMessage(failure=pb.Failure(code=418, message="no")),
            {"Command": {"Output": {"result": {"Failure": {"code": 418, "message": "no"}}, "name": ""}}},
            {"Command": {"Output": {"result": "Failure"}}},
        ),
        (
            MessageType.SLEEP,
            pb.SleepCommandMessage(wake_up_time=7, result_completion_id=1),
            {"Command": {"Sleep": {"wake_up_time": 7, "completion_id": 1, "name": ""}}},
            {"Command": {"Sleep": {"wake_up_time": 7, "completion_id": 1}}},
        ),
        (
            MessageType.RUN_COMPLETION,
            pb.NotificationMessage(completion_id=1, value=pb.Value(content=b"1")),
            {"Notification": {"Completion": {"Run": {"completion_id": 1, "result": {"Success": [49]}}}}},
            {"Notification": {"ty": {"Completion": "Run"}, "id": {"CompletionId": 1}, "result": "Success"}},
        ),
        (
            MessageType.SIGNAL,
            pb.NotificationMessage(signal_id=1, void=pb.Void()),
            {"Notification": {"Signal": {"id": {"Index": 1}, "result": "Void"}}},
            {"Notification": {"ty": "Signal", "id": {"SignalIndex": 1}, "result": "Void"}},
        ),
        (
            MessageType.SET_STATE,
            pb.SetStateCommandMessage(key=b"a", value=pb.Value(content=b"1")),
            {"Command": {"SetState": {"key": "a", "value": [49], "name": ""}}},
            {"Command": {"SetState": {"key": "a"}}},
        ),
    ],
    ids=lambda value: value.name if isinstance(value, MessageType) else "",
)
def test_entries_are_json_as_the_reference_server_writes_them(
    store: Store, type: MessageType, message: object, full: object, lite: object
) -> None:
    store.invocation()
    store.entry(1, 0, type, message)
    [row] = store.ask("select entry_json, entry_lite_json from sys_journal")
    assert json.loads(row["entry_json"]) == full
    assert json.loads(row["entry_lite_json"]) == lite


@pytest.mark.parametrize(
    ("type", "message", "value", "failure"),
    [
        (MessageType.INPUT, pb.InputCommandMessage(value=pb.Value(content=b'"hi"')), '"hi"', None),
        (MessageType.CALL, pb.CallCommandMessage(service_name="A", handler_name="b", parameter=b"1"), "1", None),
        (MessageType.RUN_COMPLETION, pb.NotificationMessage(value=pb.Value(content=b'{"a":1}')), '{"a":1}', None),
        (MessageType.RUN_COMPLETION, pb.NotificationMessage(value=pb.Value(content=b"\xff")), None, None),
        (MessageType.RUN_COMPLETION, pb.NotificationMessage(failure=pb.Failure(code=4, message="no")), None, "[4] no"),
        (
            MessageType.COMPLETE_PROMISE,
            pb.CompletePromiseCommandMessage(key="a", completion_value=pb.Value(content=b"2")),
            "2",
            None,
        ),
        (MessageType.SLEEP, pb.SleepCommandMessage(wake_up_time=7), None, None),
    ],
    ids=lambda value: value.name if isinstance(value, MessageType) else "",
)
def test_what_an_entry_holds_of_the_users_own_is_text(
    store: Store, type: MessageType, message: object, value: str | None, failure: str | None
) -> None:
    store.invocation()
    store.entry(1, 0, type, message)
    [row] = store.ask("select value_utf8, failure from sys_journal")
    assert (row.get("value_utf8"), row.get("failure")) == (value, failure)


def test_every_type_of_entry_can_be_shown(store: Store) -> None:
    from perdure.protocol.messages import CLASSES

    store.invocation()
    entries = [(type, cls) for type, cls in CLASSES.items() if type >= 0x0400]
    for index, (type, cls) in enumerate(entries):
        store.entry(1, index, MessageType(type), cls())
    rows = store.ask("select entry_type, entry_json, entry_lite_json, name from sys_journal")
    assert len({row["entry_type"] for row in rows}) == len(entries)


def test_a_key_has_a_holder_and_those_that_wait(store: Store) -> None:
    keyed = {"service": "Cart", "key": "a", "service_type": "VIRTUAL_OBJECT", "handler_type": "EXCLUSIVE"}
    holder = store.invocation(status="suspended", **keyed)
    waiting = store.invocation(status="pending", place=3, **keyed)
    assert store.value("select invocation_id from sys_keyed_service_status") == holder
    assert store.value("select acquired_by from sys_locks where lock_name = 'Cart/a'") == holder
    [row] = store.ask("select id, sequence_number from sys_inbox where service_key = 'a'")
    assert row == {"id": waiting, "sequence_number": 3}


def test_state_is_shown_as_text_where_it_is_text(store: Store) -> None:
    store.row("state", scope="", service="Cart", key="a", name=b"n", value=b"5")
    store.row("state", scope="s", service="Cart", key="a", name=b"raw", value=b"\xff")
    rows = store.ask("select scope, key, value_utf8, value, value_length from state")
    assert rows == [
        {"key": "n", "value_utf8": "5", "value": "35", "value_length": 1},
        {"scope": "s", "key": "raw", "value": "ff", "value_length": 1},
    ]


def test_rules_are_read_from_the_store(store: Store) -> None:
    record = {"pattern": "*", "limits": {"concurrency": 3}, "version": 2, "last_modified_ms": NOW_MS}
    store.row("setting", kind="rule", name="*", record=json.dumps(record).encode())
    [row] = store.ask("select * from sys_rules")
    assert (row["pattern"], row["concurrency"], row["disabled"], row["version"]) == ("*", 3, False, 2)
    assert row["last_modified"] == "2026-11-21T12:26:40.000Z"


def test_events_say_their_type_and_leave_out_what_is_null(store: Store) -> None:
    store.invocation()
    record = {"error_code": 500, "error_message": "boom", "related_command_name": None}
    store.row(
        "event", invocation=1, at=NOW_MS, after_index=0, type="TransientError", record=json.dumps(record).encode()
    )
    assert store.value("select event_json ->> 'error_message' from sys_journal_events") == "boom"
    text = store.value("select event_json from sys_journal_events")
    assert json.loads(text) == {"ty": "TransientError", "error_code": 500, "error_message": "boom"}


def test_the_page_of_the_tables_lists_every_column() -> None:
    page = (Path(__file__).parents[4] / "docs/concepts/introspection.md").read_text()
    for table in TABLES.values():
        section = page.split(f"**`{table.name}`**", 1)[1].split("\n\n", 2)[1]
        assert section.replace("\n", " ").strip() == ", ".join(f"`{column.name}`" for column in table.columns)
