"""A `waiting_reason` is made for the rows that leave a query, and before only where the query looks at it."""

import pytest

from tests.unit.server.query.stores import NOW_MS, Store

COUNT = 30
LATEST = [f"reason {number}" for number in range(COUNT, COUNT - 5, -1)]


@pytest.fixture(autouse=True)
def invocations(store: Store) -> None:
    for n in range(COUNT):
        store.invocation(status="suspended", created_at=NOW_MS + n)
    store.invocation(status="completed", created_at=NOW_MS + COUNT)


@pytest.mark.parametrize(
    "statement",
    [
        # that of `perdure invocations list`
        "select id, target, status, created_at, waiting_reason as why, completion_failure from sys_invocation "
        "where status in ('scheduled', 'pending', 'suspended', 'paused') order by created_at desc limit 5",
        "select id, waiting_reason as why from sys_invocation where status <> 'completed' "
        "order by created_at desc limit 5",
        "select why from (select created_at, waiting_reason as why from sys_invocation where status <> 'completed') t "
        "order by t.created_at desc limit 5",
        "with w as (select * from sys_invocation order by created_at desc limit 6) "
        "select waiting_reason as why from w where status in ('suspended', 'pending') limit 5",
        "select i.waiting_reason as why from sys_invocation i join sys_invocation_status s on s.id = i.id "
        "where i.status = 'suspended' order by s.created_at desc limit 5",
    ],
)
def test_only_the_rows_that_leave_are_asked_for(store: Store, statement: str) -> None:
    assert [row["why"] for row in store.ask(statement)] == LATEST
    assert len(store.asked) == 5


def test_nobody_is_asked_where_no_reason_leaves(store: Store) -> None:
    assert store.value("select count(*) from (select * from sys_invocation limit 1000) t") == COUNT + 1
    assert store.asked == []


def test_what_has_ended_waits_for_nothing(store: Store) -> None:
    rows = store.ask("select waiting_reason from sys_invocation where status = 'completed'")
    assert rows == [{}]
    assert store.asked == []


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        ("select waiting_reason from sys_invocation where waiting_reason like '%12'", ["reason 12"]),
        ("select waiting_reason w from sys_invocation order by w desc nulls last limit 1", ["reason 9"]),
        ("select id, waiting_reason from sys_invocation order by 2 desc nulls last limit 1", ["reason 9"]),
        ("select waiting_reason w from sys_invocation order by waiting_reason desc nulls last limit 1", ["reason 9"]),
        ("select max(waiting_reason) from sys_invocation", ["reason 9"]),
        ("select max(w) from (select waiting_reason as w from sys_invocation) t", ["reason 9"]),
        ("select w from (select waiting_reason as w from sys_invocation) t where w = 'reason 7'", ["reason 7"]),
        ("select upper(waiting_reason) from sys_invocation where created_at = to_timestamp_millis({0})", ["REASON 1"]),
        ("select (select waiting_reason from sys_invocation order by created_at limit 1) as x", ["reason 1"]),
        ("select 1 where 'reason 3' in (select waiting_reason from sys_invocation)", [1]),
        (
            "select distinct waiting_reason from sys_invocation where created_at = to_timestamp_millis({0})",
            ["reason 1"],
        ),
        (
            "select waiting_reason, count(*) as n from sys_invocation group by 1 order by 1 desc nulls last limit 1",
            ["reason 9"],
        ),
        ("select first_value(waiting_reason) from sys_invocation where status = 'suspended'", ["reason 1"]),
        (
            "select waiting_reason from sys_invocation where created_at = to_timestamp_millis({0}) "
            "union all select 'none'",
            ["reason 1", "none"],
        ),
        (
            "with recursive r(n, w) as (select 1, waiting_reason from sys_invocation where status = 'suspended' "
            "union all select n + 1, w from r where n < 2) select w from r order by w desc limit 1",
            ["reason 9"],
        ),
        ("select waiting_reason || '!' from sys_invocation where created_at = to_timestamp_millis({0})", ["reason 1!"]),
        (
            "select a.waiting_reason from sys_invocation a join sys_invocation b using (waiting_reason) "
            "where b.created_at = to_timestamp_millis({0})",
            ["reason 1"],
        ),
    ],
)
def test_a_query_that_looks_at_reasons_sees_sentences(store: Store, statement: str, values: list[object]) -> None:
    rows = store.ask(statement.format(NOW_MS))
    assert [next(value for name, value in row.items() if name not in ("id", "n")) for row in rows] == values


def test_all_columns_have_it_too(store: Store) -> None:
    [row] = store.ask("select * from sys_invocation where status <> 'completed' order by created_at limit 1")
    assert row["waiting_reason"] == "reason 1"
    assert store.asked == [1]
