"""What a harness's store holds, read as SQLite: invocations, journals, state and promises."""

from contextlib import closing
from pathlib import Path
from typing import Any, cast

import apsw
from msgspec import DecodeError, Struct, json

from perdure.engine.store.database import FILE_NAME, Connection
from perdure.errors import UnknownInvocation
from perdure.protocol.messages import Envelope, decode_payload


class Seen(Struct, frozen=True):
    """An invocation, as the store has it."""

    id: str
    service: str
    key: str | None
    handler: str
    status: str
    caller_id: str | None
    last_failure: str | None

    @property
    def target(self) -> str:
        return target_name(self.service, self.key, self.handler)


def target_name(service: str, key: str | None, handler: str) -> str:
    """What an invocation is of, as one text."""
    return "/".join(part for part in (service, key, handler) if part is not None)


class Store:
    """Reads a store of this process; what is not committed is not seen."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME

    def invocations(self) -> list[Seen]:
        """All, in order of arrival."""
        columns = "id, service, key, handler, status, caller_id, last_failure"
        return [Seen(*row) for row in self._query(f"select {columns} from invocation order by number")]

    def number(self, invocation_id: str) -> int | None:
        """What keys an invocation's rows; None if there is no such invocation."""
        found = self._query("select number from invocation where id = ?", invocation_id)
        return found[0][0] if found else None

    def ids(self) -> dict[int, str]:
        """Of all invocations, by number."""
        return dict(cast(list[tuple[int, str]], self._query("select number, id from invocation")))

    def last_number(self) -> int:
        """That of the newest invocation; 0 if there is none."""
        return self._query("select coalesce(max(number), 0) from invocation")[0][0]

    def journal(self, invocation_id: str) -> list[Envelope]:
        """The entries of an invocation's journal. Raises `UnknownInvocation`."""
        number = self.number(invocation_id)
        if number is None:
            raise UnknownInvocation(invocation_id)
        rows = self._query("select type, payload from journal where invocation = ? order by idx", number)
        return [Envelope(type, decode_payload(type, payload)) for type, payload in rows]

    def state(self, service: str, key: str, scope: str | None) -> dict[str, Any]:
        """The state of an object or workflow: values by name, JSON read, other bytes as they are."""
        sql = "select name, value from state where scope = ? and service = ? and key = ? order by name"
        rows = self._query(sql, scope or "", service, key)
        return {bytes(name).decode(): decoded(value) for name, value in rows}

    def all_state(self) -> dict[str, Any]:
        """The state of everything, by `Service/key/name`; in a scope by `scope:Service/key/name`."""
        rows = self._query("select scope, service, key, name, value from state order by scope, service, key, name")
        return {
            f"{scope}{scope and ':'}{service}/{key}/{bytes(name).decode()}": decoded(value)
            for scope, service, key, name, value in rows
        }

    def _query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
            return cast(Connection, connection).execute(sql, values).fetchall()


def decoded(content: bytes) -> Any:
    """JSON as what it says, other bytes as they are."""
    try:
        return json.decode(content) if content else None
    except DecodeError:
        return bytes(content)
