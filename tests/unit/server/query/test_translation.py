"""The dialect: what clients send runs, means what it means to them, and what is wrong is said."""

from pathlib import Path
from typing import Any

import pytest

from perdure.server.query.problems import BadQuery
from perdure.server.query.translation import translate
from tests.unit.server.query.stores import NOW_MS, Store

STATEMENTS = [
    line
    for line in Path(__file__).with_name("statements.sql").read_text().splitlines()
    if line and not line.startswith("--")
]


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda text: text[:60])
def test_what_clients_send_runs(store: Store, statement: str) -> None:
    store.invocation(status="suspended", service="Ledger", key="a")
    store.ask(statement)


def test_the_sql_of_clients_is_all_there() -> None:
    assert len(STATEMENTS) > 40


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("now()", "2026-11-21T12:26:40.000Z"),
        ("current_date", "2026-11-21"),
        ("interval '1 day 2 hours'", "PT93600S"),
        ("now() - interval '1 hour'", "2026-11-21T11:26:40.000Z"),
        ("timestamp '2026-01-31' + interval '1 month'", "2026-02-28T00:00:00.000Z"),
        ("now() - timestamp '2026-11-21T12:26:39.997Z'", "PT0.003S"),
        ("timestamp '2026-01-01' < now()", True),
        ("date_trunc('month', now())", "2026-11-01T00:00:00.000Z"),
        ("date_trunc('week', now())", "2026-11-16T00:00:00.000Z"),
        ("date_bin(interval '15 minutes', now())", "2026-11-21T12:15:00.000Z"),
        ("date_part('year', now())", 2026),
        ("extract(epoch from timestamp '1970-01-02')", 86400.0),
        ("to_unixtime(now())", NOW_MS // 1000),
        ("to_timestamp(86400)", "1970-01-02T00:00:00.000Z"),
        ("to_timestamp_millis(1)", "1970-01-01T00:00:00.001Z"),
        ("to_timestamp('2026-01-01T01:00:00+01:00')", "2026-01-01T00:00:00.000Z"),
        ("now()::date", "2026-11-21"),
        ("now()::text", "2026-11-21T12:26:40.000Z"),
        ("'12'::bigint + 1", 13),
        ("10 / 4", 2),
        ("10.0 / 4", 2.5),
        ("true", True),
        ("(1 = 2)::text", "false"),
        ("'a' || 'b'", "ab"),
        ("'a\0''b' || 'c'", "a\0'bc"),
        ("concat('a', null, 'b')", "ab"),
        ("coalesce(null, 3)", 3),
        ("'Plain' like 'P%n'", True),
        ("'Plain' like 'p%'", False),
        ("'Plain' ilike 'p%'", True),
        ("'a*b' like 'a*%'", True),
        ("'x1' ~ '^x\\d$'", True),
        ("'X1' ~* '^x'", True),
        ("'X1' !~ '^x'", True),
        ("'abc' similar to '(a|b)%'", True),
        ("encode('ab', 'hex')", "6162"),
        ("decode('6162', 'hex')", "6162"),
        ("'{\"a\": {\"b\": [1, 2]}}' -> 'a' -> 'b'", "[1,2]"),
        ("'{\"a\": {\"b\": true}}' -> 'a' ->> 'b'", "true"),
        ("json_get_int('{\"a\": [1, 2]}', 'a', 1)", 2),
        ("json_get_str('{\"a\": 1}', 'a')", None),
        ("json_as_text('{\"a\": 1}', 'a')", "1"),
        ("'{\"a\": 1}' ? 'a'", True),
        ("json_length('[1, 2]')", 2),
        ("'not json' ->> 'a'", None),
        ("split_part('a/b/c', '/', 2)", "b"),
        ("left('abc', 2)", "ab"),
        ("right('abc', 2)", "bc"),
        ("strpos('abc', 'c')", 3),
        ("position('c' in 'abc')", 3),
        ("substring('abc' from 2 for 1)", "b"),
        ("lpad('1', 3, '0')", "001"),
        ("regexp_replace('inv_1', '_.*', '')", "inv"),
        ("arrow_cast(1, 'Utf8')", "1"),
        ("arrow_typeof(now())", 'Timestamp(ms, "+00:00")'),
        ("case when 1 = 1 then now() end", "2026-11-21T12:26:40.000Z"),
        ("nullif(1, 1)", None),
    ],
)
def test_an_expression_means_what_it_means_to_clients(store: Store, expression: str, value: Any) -> None:
    found = store.value(f"select {expression} as x")
    assert found == value
    assert type(found) is type(value) or isinstance(value, int)


@pytest.mark.parametrize(
    ("select", "value"),
    [
        ("count(*) filter (where status = 'suspended')", 2),
        ("count(distinct target_service_name)", 1),
        ("approx_distinct(id)", 3),
        ("first_value(target_handler_name order by created_at desc)", "c"),
        ("first_value(target_handler_name order by created_at)", "a"),
        ("array_agg(target_handler_name order by target_handler_name)", ["a", "b", "c"]),
        ("string_agg(target_handler_name, ',')", "a,b,c"),
        ("max(created_at)", "1970-01-01T00:00:00.003Z"),
        ("median(journal_size)", 0),
        ("sum(journal_size)", 0),
    ],
)
def test_aggregates(store: Store, select: str, value: Any) -> None:
    for number, (handler, status) in enumerate([("a", "suspended"), ("b", "suspended"), ("c", "completed")]):
        store.invocation(handler=handler, status=status, created_at=number + 1)
    assert store.value(f"select {select} as x from sys_invocation") == value


def test_moments_are_compared_with_text(store: Store) -> None:
    store.invocation()
    for condition in ("> '2026-11-21'", ">= '2026-11-21T12:00:00Z'", "between '2026-01-01' and now()"):
        assert store.value(f"select count(*) as n from sys_invocation where created_at {condition}") == 1
    assert store.value("select count(*) as n from sys_invocation where created_at > '2026-12-01'") == 0


def test_a_list_is_a_row_for_each_item(store: Store) -> None:
    live = {"live_deployment": [("dp_1", "http", "http://x", 0, 5, 7, '["A", "B"]')]}
    rows = store.ask("select unnest(services) as service, services[1] as first, services from sys_deployment", live)
    assert rows == [
        {"service": "A", "first": "A", "services": ["A", "B"]},
        {"service": "B", "first": "A", "services": ["A", "B"]},
    ]
    assert store.ask("select id from sys_deployment where 'B' = any(services)", live) == [{"id": "dp_1"}]


def test_a_subquery_without_a_name_is_spoken_of_by_its_table(store: Store) -> None:
    store.invocation()
    sql = "select count(1) from (select * from sys_invocation inv limit 5) where inv.target_service_name = 'Greeter'"
    assert store.ask(sql) == [{"count(1)": 1}]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("", "the query is empty"),
        ("selec 1", "cannot be parsed"),
        ("select id,, from\n state where", "line 2, column"),
        ("select 1; select 2", "one statement at a time"),
        ("delete from state", "can only be read"),
        ("drop table state", "can only be read"),
        ("attach 'x' as y", "attach is not among"),
        ("pragma user_version", "pragma is not among"),
        ("select * from sys_invocations", "no table sys_invocations (line 1, column 29). Did you mean sys_invocation"),
        ("select * from sys_vqueues", "no virtual queues"),
        ("select * from invocation", "no table invocation"),
        ("select * from main.invocation", "no schema main"),
        ("select * from pragma_table_list('x')", "is no table"),
        ("select stauts from sys_invocation", "no column stauts (line 1, column 13). Did you mean status"),
        ("select i.nope from sys_invocation i", "no column nope"),
        ('select "ID" from sys_invocation', "no column ID"),
        ("select frob(1)", "no function frob"),
        ("select load_extension('x')", "no function load_extension"),
        ("select left('a')", "left takes 2 arguments, not 1"),
        ("select 1 as a, 2 as a", "two columns of the result are called 'a'"),
        ("select id from sys_invocation where created_at > 'soon'", "'soon' is no moment"),
        ("select interval '3 fortnights'", "is no unit of time"),
        ("select 'x' ~ '('", "is no regular expression"),
        ("select id from state s, sys_inbox i where key = nosuch.x", "nosuch"),
    ],
)
def test_what_is_wrong_is_said(store: Store, statement: str, message: str) -> None:
    with pytest.raises(BadQuery) as caught:
        store.ask(statement)
    assert message in str(caught.value)


def test_only_what_a_query_reads_of_memory_is_copied() -> None:
    assert translate("select 1 as x from state", 0).live == []
    assert translate("select s.*, d.id from sys_service s join sys_deployment d on d.id = s.deployment_id", 0).live == [
        "live_deployment",
        "live_service",
    ]


@pytest.mark.parametrize(
    ("condition", "hinted"),
    [
        ("status = 'suspended'", True),
        ("status in ('pending', 'ready')", True),
        ("status != 'completed' and scope is null", True),
        ("status not in ('completed')", True),
        ("status = 'completed'", False),
        ("status in ('pending', 'completed')", False),
        ("status != 'pending'", False),
        ("status = 'suspended' or scope is null", False),
    ],
)
def test_the_stores_indexes_are_told_that_nothing_completed_is_wanted(condition: str, hinted: bool) -> None:
    assert ("_stored" in translate(f"select id from sys_invocation where {condition}", 0).sql) is hinted


def test_a_condition_with_a_subquery_keeps_its_meaning_beside_the_hint(store: Store) -> None:
    store.invocation(status="suspended", deployment_id="gone")
    sql = "select id from sys_invocation i where i.pinned_deployment_id not in (select id from sys_deployment)"
    assert len(store.ask(f"{sql} and status != 'completed'")) == 1
