"""Older stores: brought to the schema of today, with what they hold."""

from pathlib import Path

import apsw

from perdure.engine.store.database import FILE_NAME, SCHEMA_VERSION, Database
from perdure.engine.store.reader import Reader

VERSION_1 = Path(__file__).parent / "schema_1.sql"
ENDED_MS = 1_000_000


def store_of_version_1(folder: Path) -> None:
    store = apsw.Connection(str(folder / FILE_NAME))
    store.execute(f"begin; {VERSION_1.read_text()}; pragma user_version = 1; commit")
    store.execute(
        "insert into invocation (number, id, service, key, handler, service_type, handler_type, status, created_at,"
        " modified_at, completed_at, execute_at, place, protocol_version) values"
        f" (1, 'inv_1', 'Counter', 'ada', 'add', 'VIRTUAL_OBJECT', 'EXCLUSIVE', 'completed', 1, 1, {ENDED_MS}, 0, 0, 5)"
    )
    for number, paused_ms in ((2, 5), (3, 6)):
        store.execute(
            "insert into invocation (number, id, service, handler, service_type, status, created_at, modified_at,"
            " execute_at, place, protocol_version, last_failure) values"
            " (?1, 'inv_' || ?1, 'Greeter', 'greet', 'SERVICE', 'paused', 1, ?2, 0, 0, 5, cast(?3 as blob))",
            (number, paused_ms, '{"code":500,"message":"no","at_ms":5}'),
        )
    store.execute("insert into timer values (7, 1, 1), (8, 2, 1), (9, 99, 1)")
    store.execute("insert into state values ('Counter', 'ada', x'6e', x'31')")
    store.execute("insert into promise values ('Signup', 'ada', 'mail', null, cast('[]' as blob))")
    store.close()


def shape_of(folder: Path) -> dict[str, object]:
    """Every table's columns and every index's, by name; columns that were added later stand last in both."""
    store = apsw.Connection(str(folder / FILE_NAME))
    tables = [name for (name,) in store.execute("select name from sqlite_schema where type = 'table'")]
    indexes = [name for (name,) in store.execute("select name from sqlite_schema where type = 'index'")]
    shape: dict[str, object] = {name: store.execute(f"pragma table_xinfo({name})").fetchall() for name in tables}
    shape |= {name: store.execute(f"pragma index_info({name})").fetchall() for name in indexes}
    store.close()
    return shape


def test_an_older_store_has_the_shape_of_a_new_one(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    store_of_version_1(old)
    Database(old).close()
    Database(new).close()
    assert shape_of(old) == shape_of(new)


def test_an_older_store_keeps_what_it_holds(tmp_path: Path) -> None:
    store_of_version_1(tmp_path)
    database = Database(tmp_path)
    try:
        assert database.writing.pragma("user_version") == SCHEMA_VERSION
        reader = Reader(database.reading)
        assert reader.state(("", "Counter", "ada"), 100) == ([(b"n", b"1")], True)
        assert reader.promise(("", "Signup", "ada", "mail")) is not None
        ended = reader.invocation(1)
        assert ended is not None
        assert ended.expires_at_ms == ENDED_MS + 24 * 60 * 60 * 1000
        assert reader.timers_after((-1, 0, 0), 10) == [(8, 2, 1)]  # the others are of what has ended, or was purged
        paused = [reader.invocation(2), reader.invocation(3)]
        assert [each.paused_by for each in paused if each is not None] == ["failure", "operator"]
    finally:
        database.close()
