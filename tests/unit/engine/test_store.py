"""The store: whole batches or nothing, one engine at a time, one schema version."""

import sqlite3
from pathlib import Path

import pytest

from perdure.engine.batch import Sealed
from perdure.engine.store.database import FILE_NAME, SCHEMA_VERSION, Database
from perdure.engine.store.reader import Reader
from perdure.engine.store.statements import ROWS_MAX
from perdure.engine.store.writer import Writer
from perdure.errors import StoreError, StoreLocked


def test_a_batch_of_any_size_is_written_whole(tmp_path: Path) -> None:
    database = Database(tmp_path)
    rows = 3 * ROWS_MAX + 7
    Writer(database.writing).commit(Sealed((("timer", [(n, n, 1) for n in range(rows)]),)))
    assert len(Reader(database.reading).timers_after((-1, 0, 0), 10_000)) == rows
    database.close()


def test_of_a_batch_that_fails_nothing_is_written_and_the_next_is(tmp_path: Path) -> None:
    database = Database(tmp_path)
    writer, reader = Writer(database.writing), Reader(database.reading)
    broken = Sealed((("timer", [(1, 1, 1)]), ("state", [("", "s", "k", b"n", None)])))
    with pytest.raises(StoreError, match="cannot be written"):
        writer.commit(broken)
    assert reader.timers_after((-1, 0, 0), 10) == []
    writer.commit(Sealed((("timer", [(2, 2, 2)]),)))
    assert reader.timers_after((-1, 0, 0), 10) == [(2, 2, 2)]
    database.close()


@pytest.mark.parametrize(("value", "error"), [(2**63, OverflowError), ("\ud800", ValueError), (object(), TypeError)])
def test_a_value_that_no_column_can_hold_is_no_fault_of_the_store_and_nothing_is_written(
    tmp_path: Path, value: object, error: type[Exception]
) -> None:
    database = Database(tmp_path)
    writer = Writer(database.writing)
    with pytest.raises(error):
        writer.commit(Sealed((("timer", [(1, 1, 1)]), ("timer", [(value, 2, 1)]))))
    assert Reader(database.reading).timers_after((-1, 0, 0), 10) == []
    writer.commit(Sealed((("timer", [(2, 2, 2)]),)))
    database.close()


def test_a_second_engine_is_told_that_the_store_is_held(tmp_path: Path) -> None:
    first = Database(tmp_path)
    with pytest.raises(StoreLocked, match=str(tmp_path)):
        Database(tmp_path)
    first.close()
    Database(tmp_path).close()


def test_a_store_of_another_schema_version_is_left_alone(tmp_path: Path) -> None:
    Database(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute(f"pragma user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(StoreError, match=f"schema version {SCHEMA_VERSION + 1}"):
        Database(tmp_path)


def test_what_is_not_a_store_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("create table mine (x)")
    connection.close()
    with pytest.raises(StoreError, match="not a store of perdure"):
        Database(tmp_path)
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / FILE_NAME).write_text("this is not a database, and long enough to be read as one" * 100)
    with pytest.raises(StoreError, match="cannot be opened"):
        Database(tmp_path / "text")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        Database(tmp_path / "file" / "below")


def test_commits_are_synced_in_a_folder_and_not_in_memory(tmp_path: Path) -> None:
    for folder, level in ((tmp_path, 2), (None, 0)):
        database = Database(folder)
        assert database.writing.pragma("synchronous") == level
        assert database.writing.pragma("journal_mode") == "wal"
        database.close()
        assert folder is not None or not database.path.exists()


def test_eager_state_ends_before_its_limit(tmp_path: Path) -> None:
    database = Database(tmp_path)
    rows = [("", "s", "k", f"n{n}".encode(), b"x" * 10) for n in range(3)]
    Writer(database.writing).commit(Sealed((("state", rows),)))
    reader = Reader(database.reading)
    assert reader.state(("", "s", "k"), 24) == ([(b"n0", b"x" * 10), (b"n1", b"x" * 10)], False)
    assert len(reader.state(("", "s", "k"), 36)[0]) == 3
    database.close()
