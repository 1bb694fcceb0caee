"""The statements that a commit executes, by name: each takes rows of a fixed width, many in one execution."""

from functools import cache

from msgspec import Struct


class Statement(Struct, frozen=True):
    """`head`, then one group of `width` placeholders a row, then `tail`."""

    head: str
    width: int
    tail: str = ""

    def sql(self, rows: int) -> str:
        return _sql(self, rows)


@cache
def _sql(statement: Statement, rows: int) -> str:
    group = f"({', '.join('?' * statement.width)})"
    return f"{statement.head} {', '.join([group] * rows)} {statement.tail}"


INVOCATION_COLUMNS = (
    "number",
    "id",
    "service",
    "key",
    "handler",
    "service_type",
    "handler_type",
    "status",
    "created_at",
    "modified_at",
    "completed_at",
    "execute_at",
    "place",
    "idempotency_key",
    "caller_id",
    "deployment_id",
    "protocol_version",
    "awaiting",
    "waiters",
    "output",
    "last_failure",
)
# What never changes after the row was made is left alone, and with it the indexes over it.
_CHANGING = (
    "place",
    "status",
    "modified_at",
    "completed_at",
    "deployment_id",
    "protocol_version",
    "awaiting",
    "waiters",
)
_SET = ", ".join(f"{name} = excluded.{name}" for name in (*_CHANGING, "output", "last_failure"))

STATEMENTS: dict[str, Statement] = {
    "invocation": Statement(
        f"insert into invocation ({', '.join(INVOCATION_COLUMNS)}) values",
        len(INVOCATION_COLUMNS),
        f"on conflict (number) do update set {_SET}",
    ),
    "journal": Statement("insert into journal (invocation, idx, type, payload, appended_at) values", 5),
    "timer": Statement("insert or ignore into timer (due, invocation, completion) values", 3),
    "clear_timer": Statement("delete from timer where (due, invocation, completion) in (values", 3, ")"),
    "state": Statement("insert or replace into state (service, key, name, value) values", 4),
    "clear_state": Statement("delete from state where (service, key, name) in (values", 3, ")"),
    "clear_object": Statement("delete from state where (service, key) in (values", 2, ")"),
    "promise": Statement("insert or replace into promise (service, key, name, result, waiters) values", 5),
    "deployment": Statement(
        "insert into deployment (id, record) values", 2, "on conflict (id) do update set record = excluded.record"
    ),
}

ROWS_MAX = 64  # a statement of so many rows; fewer go in steps of powers of two, so that few statements are prepared
