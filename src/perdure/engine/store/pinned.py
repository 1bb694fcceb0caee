"""Asks the store which invocations have not ended on a deployment. Each is a walk over these alone, by their index."""

from perdure.engine.invocation import Status
from perdure.engine.store.database import Connection

_PINNED = "from invocation indexed by invocation_pinned where status <> 'completed'"


class PinnedReader:
    """Reads what is committed. A deployment that is None stands for: pinned to none yet."""

    def __init__(self, connection: Connection) -> None:
        self._execute = connection.execute

    def numbers(self, deployment_id: str, limit: int) -> list[int]:
        """The first invocations on a deployment, in order of arrival."""
        query = f"select number {_PINNED} and deployment_id = ? order by number limit ?"
        return [number for (number,) in self._execute(query, (deployment_id, limit))]

    def count(self, deployment_id: str) -> int:
        """How many there are on a deployment; read from the index alone."""
        row = self._execute(f"select count(*) {_PINNED} and deployment_id = ?", (deployment_id,)).fetchone()
        return row[0] if row is not None else 0

    def by_status(self, deployment_id: str, limit: int) -> dict[Status, int]:
        """The first so many on a deployment, counted by the status that is stored."""
        query = f"select status, count(*) from (select status {_PINNED} and deployment_id = ? limit ?) group by status"
        return {Status(status): count for status, count in self._execute(query, (deployment_id, limit))}

    def count_handler(self, deployment_id: str | None, service: str, handler: str) -> int:
        """How many of a handler there are."""
        query = f"select count(*) {_PINNED} and deployment_id is ? and service = ? and handler = ?"
        row = self._execute(query, (deployment_id, service, handler)).fetchone()
        return row[0] if row is not None else 0
