"""Reads the store for a query: a connection that can do nothing else, with our tables as its views."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import apsw

from perdure.server.query import functions
from perdure.server.query.catalog import INFORMATION_SCHEMA, catalog_rows
from perdure.server.query.live_tables import LIVE
from perdure.server.query.problems import BadQuery
from perdure.server.query.tables import TABLES

LiveRows = Mapping[str, Sequence[Sequence[Any]]]
_CACHE_KIB = 64_000
_BATCH = 500
_ALLOWED = {apsw.SQLITE_SELECT, apsw.SQLITE_FUNCTION, apsw.SQLITE_RECURSIVE}


class StoreView:
    """`ask_reasons` gives the sentences for invocations' numbers; only the engine knows them."""

    def __init__(self, path: str, ask_reasons: Callable[[Sequence[int]], Sequence[str | None]]) -> None:
        self._ask_reasons = ask_reasons
        # Any: apsw's own types name what Python 3.11 lacks.
        self._connection = cast(Any, apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY))
        self._connection.set_busy_timeout(10_000)
        self._connection.pragma("cache_size", -_CACHE_KIB)
        self._connection.pragma("trusted_schema", 1)
        self._connection.limit(apsw.SQLITE_LIMIT_ATTACHED, 0)
        functions.register(self._connection)
        self._connection.create_scalar_function("waiting_reason", self._reason, 1)
        self._make_tables()

    def _make_tables(self) -> None:
        execute = self._connection.execute
        for name, columns in LIVE.items():
            execute(f"create temp table {name} ({', '.join(f'{column} {type}' for column, type in columns.items())})")
        for name, rows in catalog_rows().items():
            table = INFORMATION_SCHEMA[name]
            execute(f"create temp table catalog_{name} ({', '.join(column.name for column in table.columns)})")
            marks = ", ".join("?" * len(table.columns))
            self._connection.executemany(f"insert into temp.catalog_{name} values ({marks})", rows)
            execute(f"create temp view information_schema_{name} as {table.view}")
        for name, table in TABLES.items():
            execute(f"create temp view {name} as {table.view}")

    def take_live(self, live: LiveRows) -> None:
        """Replace the copies of the engine's memory that are given."""
        for name, rows in live.items():
            self._connection.execute(f"delete from temp.{name}")
            self._connection.executemany(f"insert into temp.{name} values ({', '.join('?' * len(LIVE[name]))})", rows)

    def batches(self, sql: str, reasons: Sequence[int] = ()) -> Iterator[Sequence[Sequence[Any]]]:
        """The rows, some hundred at a time. Raises `BadQuery` for what SQLite makes of the query.

        `reasons`: places in a row at which the numbers of invocations become sentences.
        """
        self._connection.authorizer = _may
        try:
            cursor = self._connection.execute(sql)
            while batch := _some(cursor):
                yield self._with_reasons(batch, reasons) if reasons else batch
        except functions.BROKEN as error:
            raise BadQuery(f"a value cannot be read: {error}") from error
        except (apsw.NoMemError, MemoryError) as error:
            raise BadQuery(
                "the query needs more memory than queries may have (memory_bytes of QueryLimits): narrow it"
            ) from error
        except apsw.Error as error:
            raise BadQuery(f"the query cannot be run: {error}") from error
        finally:
            self._connection.authorizer = None

    def _reason(self, number: int) -> str | None:
        return self._ask_reasons([number])[0]

    def _with_reasons(self, batch: list[Any], places: Sequence[int]) -> list[list[Any]]:
        rows = [list(row) for row in batch]
        numbers = list(dict.fromkeys(row[place] for row in rows for place in places if row[place] is not None))
        said = dict(zip(numbers, self._ask_reasons(numbers), strict=True)) if numbers else {}
        for row in rows:
            for place in places:
                row[place] = said.get(row[place])
        return rows


def _some(cursor: Any) -> list[Any]:
    batch: list[Any] = []
    for row in cursor:
        batch.append(row)
        if len(batch) == _BATCH:
            break
    return batch


def _may(action: int, first: str | None, second: str | None, database: str | None, view: str | None) -> int:
    """Nothing but reading, and the store's own tables through our views alone."""
    if action == apsw.SQLITE_READ:
        if database != "main" or view is not None or first == "json_each":
            return apsw.SQLITE_OK
        only_counts = not second  # of a view that SQLite has flattened, it does not say the name then
        return apsw.SQLITE_OK if only_counts else apsw.SQLITE_DENY
    if action == apsw.SQLITE_FUNCTION and second == "load_extension":
        return apsw.SQLITE_DENY
    return apsw.SQLITE_OK if action in _ALLOWED else apsw.SQLITE_DENY
