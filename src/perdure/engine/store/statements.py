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
    "scope",
    "limit_key",
    "priority",
    "caller_target",
    "restarted_from",
    "schedule_id",
    "created_by",
    "inboxed_at",
    "running_at",
    "retention",
    "journal_retention",
    "expires_at",
    "paused_by",
    "seeded_by",
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
    "output",
    "last_failure",
    "inboxed_at",
    "running_at",
    "retention",
    "journal_retention",
    "expires_at",
    "paused_by",
)
_SET = ", ".join(f"{name} = excluded.{name}" for name in _CHANGING)

KEYED = "handler_type = 'EXCLUSIVE' and status in ('pending', 'ready', 'suspended', 'paused')"
"""The condition of the index `invocation_keyed`, to the letter: a query says it too, or cannot have the index."""

STATEMENTS: dict[str, Statement] = {
    "invocation": Statement(
        f"insert into invocation ({', '.join(INVOCATION_COLUMNS)}) values",
        len(INVOCATION_COLUMNS),
        f"on conflict (number) do update set {_SET}",
    ),
    "purge_invocation": Statement("delete from invocation where number in (values", 1, ")"),
    "journal": Statement("insert into journal (invocation, idx, type, payload, appended_at) values", 5),
    "purge_journal": Statement("delete from journal where (invocation, idx) in (values", 2, ")"),
    "event": Statement("insert or replace into event (invocation, at, after_index, type, record) values", 5),
    "purge_event": Statement("delete from event where invocation in (values", 1, ")"),
    "timer": Statement("insert or ignore into timer (due, invocation, completion) values", 3),
    "clear_timer": Statement("delete from timer where (due, invocation, completion) in (values", 3, ")"),
    "clear_timers": Statement("delete from timer where invocation in (values", 1, ")"),
    "state": Statement("insert or replace into state (scope, service, key, name, value) values", 5),
    "clear_state": Statement("delete from state where (scope, service, key, name) in (values", 4, ")"),
    "clear_object": Statement("delete from state where (scope, service, key) in (values", 3, ")"),
    "promise": Statement(
        "insert or replace into promise (scope, service, key, name, result, waiters, expires_at) values", 7
    ),
    "clear_promises": Statement("delete from promise where (scope, service, key) in (values", 3, ")"),
    "mutation": Statement("insert into mutation (place, scope, service, key, record) values", 5),
    "clear_mutation": Statement("delete from mutation where place in (values", 1, ")"),
    "clear_deployment": Statement("delete from deployment where id in (values", 1, ")"),
    "deployment": Statement(
        "insert into deployment (id, record) values", 2, "on conflict (id) do update set record = excluded.record"
    ),
    "setting": Statement("insert or replace into setting (kind, name, record) values", 3),
    "clear_setting": Statement("delete from setting where (kind, name) in (values", 2, ")"),
}

ROWS_MAX = 64  # a statement of so many rows; fewer go in steps of powers of two, so that few statements are prepared
