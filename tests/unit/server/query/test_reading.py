"""The store can only be read, and only through the tables that are shown, whatever gets past the translation."""

import pytest

from perdure.server.query.problems import BadQuery
from perdure.server.query.reading import StoreView
from tests.unit.server.query.stores import Store


@pytest.mark.parametrize(
    "sql",
    [
        "delete from main.state",
        "insert into temp.live_service values ('x', 1, 1, 'x', 'x')",
        "attach ':memory:' as other",
        "pragma user_version = 9",
        "pragma table_list",
        "create temp table x (a)",
        "drop view temp.state",
        "select id from main.invocation",
        "select load_extension('x')",
        "begin immediate",
        "vacuum into '/tmp/x.db'",
    ],
)
def test_nothing_but_reading_our_tables_is_allowed(store: Store, sql: str) -> None:
    store.invocation()
    view = StoreView(store.path, lambda _: [])
    with pytest.raises(BadQuery):
        list(view.batches(sql))


def test_rows_are_counted_where_no_column_is_read(store: Store) -> None:
    """The official CLI counts so; SQLite then flattens the view, and names it no more when it asks what may be read."""
    store.invocation()
    view = StoreView(store.path, lambda _: [])
    [rows] = view.batches("select count(1) from (select * from sys_invocation limit 50000)")
    assert rows[0][0] == 1


def test_a_value_that_a_function_cannot_read_is_a_bad_query(store: Store) -> None:
    with pytest.raises(BadQuery, match="soon"):
        store.ask("select to_timestamp('so' || 'on') as x")
