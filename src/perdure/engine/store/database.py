"""Opens the store: the file, its lock, its pragmas, its schema version."""

import fcntl
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, Self, TextIO, cast

import apsw

from perdure.errors import StoreError, StoreLocked

SCHEMA_VERSION = 5
FILE_NAME = "perdure.db"


class Cursor(Protocol):
    """What a statement gives: rows of values that the (strict) schema types, and Python does not."""

    def fetchone(self) -> tuple[Any, ...] | None: ...

    def fetchall(self) -> list[tuple[Any, ...]]: ...

    def __iter__(self) -> Self: ...

    def __next__(self) -> tuple[Any, ...]: ...


class Connection(Protocol):
    """What we need of an apsw connection, whose own types name what Python 3.11 lacks."""

    @property
    def in_transaction(self) -> bool: ...

    def execute(self, sql: str, bindings: tuple[object, ...] = ()) -> Cursor: ...

    def pragma(self, name: str, value: str | int | None = None) -> Any: ...

    def set_busy_timeout(self, milliseconds: int) -> None: ...

    def close(self) -> None: ...


class Database:
    """The store's file, held by this process alone: one connection writes, one reads.

    Without a folder it lives in a temporary one, is never synced, and is gone when closed.

    Raises:
        StoreLocked: another engine holds it.
        StoreError: it cannot be opened, or is of another schema version.
    """

    def __init__(self, data_dir: Path | None) -> None:
        self._temporary = TemporaryDirectory(prefix="perdure-") if data_dir is None else None
        folder = Path(self._temporary.name) if self._temporary is not None else Path(data_dir or ".")
        self.path = folder / FILE_NAME
        self._lock = _lock(folder)
        try:
            self.writing = self._connect(synchronous="off" if data_dir is None else "full", cache_kib=32_000)
            self._prepare()
            self.reading = self._connect(synchronous="off", cache_kib=8_000)
        except apsw.Error as error:
            self._lock.close()
            raise StoreError(f"{self.path} cannot be opened as a store: {error}") from error
        except StoreError:
            self._lock.close()
            raise

    def _connect(self, *, synchronous: str, cache_kib: int) -> Connection:
        connection = cast(Connection, apsw.Connection(str(self.path), statementcachesize=200))
        connection.set_busy_timeout(10_000)
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", synchronous)
        connection.pragma("cache_size", -cache_kib)
        connection.pragma("wal_autocheckpoint", 4_000)
        return connection

    def _prepare(self) -> None:
        version: int = self.writing.pragma("user_version")
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"{self.path} has schema version {version}, this perdure reads up to version {SCHEMA_VERSION}: "
                "use the perdure that wrote it, or a newer one"
            )
        if version == 0:
            if self.writing.execute("select 1 from sqlite_schema").fetchone() is not None:
                raise StoreError(f"{self.path} is an SQLite file, but not a store of perdure")
            self._bring_to(SCHEMA_VERSION, "schema.sql")
        for older in range(version + 1, SCHEMA_VERSION + 1) if version else ():
            self._bring_to(older, f"migrations/{older}.sql")

    def _bring_to(self, version: int, script: str) -> None:
        statements = files("perdure.engine.store").joinpath(script).read_text("utf-8")
        self.writing.execute(f"begin immediate; {statements}; pragma user_version = {version}; commit")

    def close(self) -> None:
        """Closes both connections and lets go of the lock; what was committed is on disk."""
        self.reading.close()
        self.writing.close()
        self._lock.close()
        if self._temporary is not None:
            self._temporary.cleanup()


def _lock(folder: Path) -> TextIO:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "perdure.lock").open("a+")
    except OSError as error:
        raise StoreError(f"the data folder {folder} cannot be used: {error.strerror or error}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise StoreLocked(
            f"another engine holds the store in {folder.absolute()}: stop it, or give another --data-dir"
        ) from error
    return lock
