"""A small store for queries, written by the engine's own statements, and a way to ask it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from perdure.engine.store.database import Database
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.ids import new_invocation_id
from perdure.protocol.messages import MessageType
from perdure.server.query.reading import LiveRows, StoreView
from perdure.server.query.results import JsonEncoder
from perdure.server.query.translation import translate

NOW_MS = 1_795_264_000_000  # 2026-11-21T12:26:40Z
SUCCESS = pb.OutputCommandMessage(value=pb.Value(content=b'"done"')).SerializeToString()
FAILURE = pb.OutputCommandMessage(failure=pb.Failure(code=418, message="no")).SerializeToString()

_REQUIRED: dict[str, Any] = {
    "service": "Greeter",
    "handler": "greet",
    "service_type": "SERVICE",
    "status": "completed",
    "created_at": NOW_MS - 60_000,
    "modified_at": NOW_MS - 59_000,
    "execute_at": 0,
    "place": 0,
    "protocol_version": 7,
}


class Store:
    """Rows go in as they are given; what a test does not care for gets a value."""

    def __init__(self, folder: Path) -> None:
        self._database = Database(folder)
        self.path = str(self._database.path)
        self.ids: list[str] = []
        self.asked: list[int] = []

    def invocation(self, **columns: Any) -> str:
        row = _REQUIRED | {"number": len(self.ids) + 1, "id": new_invocation_id()} | columns
        self._insert("invocation", row)
        self.ids.append(row["id"])
        return row["id"]

    def entry(self, invocation: int, index: int, type: MessageType, message: Any) -> None:
        payload = message.SerializeToString()
        row = {"invocation": invocation, "idx": index, "type": int(type), "payload": payload, "appended_at": NOW_MS}
        self._insert("journal", row)

    def row(self, table: str, **columns: Any) -> None:
        self._insert(table, columns)

    def _insert(self, table: str, row: Mapping[str, Any]) -> None:
        marks = ", ".join("?" * len(row))
        self._database.writing.execute(f"insert into {table} ({', '.join(row)}) values ({marks})", tuple(row.values()))

    def ask(self, sql: str, live: LiveRows | None = None) -> list[dict[str, Any]]:
        """The rows as JSON has them."""
        view = StoreView(self.path, self._say)
        view.take_live(live or {})
        translated = translate(sql, NOW_MS)
        encoder = JsonEncoder(translated.outputs)
        body = b"".join(
            [*(encoder.rows(batch) for batch in view.batches(translated.sql, translated.reasons)), encoder.end()]
        )
        return msgspec.json.decode(body)["rows"]

    def _say(self, numbers: Sequence[int]) -> list[str]:
        self.asked += numbers
        return [f"reason {number}" for number in numbers]

    def value(self, sql: str) -> Any:
        """The one value of the one row; None where it is null."""
        [row] = self.ask(sql)
        return next(iter(row.values()), None)

    def close(self) -> None:
        self._database.close()
