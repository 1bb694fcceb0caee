"""The tables that SQL sees: their names, columns and kinds, and where each value comes from in the store.

Names, kinds and meanings are those of the open interface's introspection tables. A table is a view over the store's
own tables (`main`), or over what is only in the engine's memory (`temp`), of which a query is given a copy. Where
another table is needed for a column, it is looked up from within the column: a join would be made for every row even
where nobody asks for the column.
"""

from msgspec import Struct

from perdure.engine.store.statements import KEYED
from perdure.protocol.messages import MessageType
from perdure.server.query.kinds import Kind

OPEN_HINT = "_stored"
"""A column beyond those that are shown: the status as it is stored, which the store's indexes know."""
REASON_HINT = "_waiting"
"""Another: the number of an invocation that has not ended, in place of its `waiting_reason`."""


class Column(Struct, frozen=True):
    name: str
    kind: Kind
    sql: str = "null"
    """An expression of SQLite; without one, the column has no meaning here."""


class Table(Struct, frozen=True):
    """`source` is what follows FROM. `live` names the copies of the engine's memory that it needs."""

    name: str
    source: str
    columns: tuple[Column, ...]
    live: tuple[str, ...] = ()
    schema: str = "public"

    @property
    def view(self) -> str:
        """The SQL of the view, without its name."""
        shown = [f'{column.sql} as "{column.name}"' for column in self.columns]
        if self.name in ("sys_invocation", "sys_invocation_status"):
            shown.append(f'i.status as "{OPEN_HINT}"')
            shown.append(f"case when i.status <> 'completed' then i.number end as \"{REASON_HINT}\"")
        return f"select {', '.join(shown)} from {self.source}"


LIVE: dict[str, dict[str, str]] = {
    "live_attempt": {
        "number": "integer primary key",
        "id": "text",
        "in_flight": "integer",
        "retry_count": "integer",
        "last_start_at": "integer",
        "next_retry_at": "integer",
        "deployment_id": "text",
        "server": "text",
        "failure": "text",
        "failure_code": "text",
        "command_index": "integer",
        "command_name": "text",
        "command_type": "integer",
        "awaiting": "blob",
    },
    "live_deployment": {
        "id": "text",
        "ty": "text",
        "endpoint": "text",
        "created_at": "integer",
        "min_version": "integer",
        "max_version": "integer",
        "services": "text",
    },
    "live_service": {
        "name": "text",
        "revision": "integer",
        "public": "integer",
        "ty": "text",
        "deployment_id": "text",
    },
    "live_limit": {
        "scope": "text",
        "l1": "text",
        "l2": "text",
        "level": "text",
        "usage": "integer",
        "concurrency_limit": "integer",
        "rule_pattern": "text",
        "available": "integer",
        "num_waiters": "integer",
    },
}
"""What only the engine's memory knows, as temporary tables, filled before a query that needs them."""


def _words(type: MessageType) -> str:
    """`GET_LAZY_STATE_COMPLETION` as `GetLazyState`."""
    return "".join(part.capitalize() for part in type.name.removesuffix("_COMPLETION").split("_"))


def entry_word(type: int) -> str:
    """The name of an entry's type, as people read it: `GetLazyState`, for the command and for its completion."""
    return _words(MessageType(type))


def _case(subject: str, words: dict[int, str]) -> str:
    arms = " ".join(f"when {number} then '{word}'" for number, word in words.items())
    return f"case {subject} {arms} end"


_COMMANDS = {int(type): _words(type) for type in MessageType if 0x0400 <= type < 0x8000}
_NOTIFICATIONS = {int(type): _words(type) for type in MessageType if type >= 0x8000}
_ENTRY_TYPES = {type: f"Command: {word}" for type, word in _COMMANDS.items()} | {
    type: f"Notification: {word}" for type, word in _NOTIFICATIONS.items()
}


_CALLER = "substr(i.caller_target, 1, instr(i.caller_target, '/') - 1)"
_STORED_FAILURE = "case when i.status = 'paused' then json_extract(cast(i.last_failure as text), '$.{0}') end"


def _live(column: str) -> str:
    return f"(select {column} from temp.live_attempt l where l.number = i.number)"


def _failure(column: str, stored: str) -> str:
    """Of the running or waiting attempt; a paused invocation's is stored."""
    return f"coalesce({_live(column)}, {_STORED_FAILURE.format(stored)})"


_STATUS = f"""case i.status when 'ready' then
    case {_live("in_flight")} when 1 then 'running' when 0 then 'backing-off' else 'ready' end
    else i.status end"""
_STORED_STATUS = "case i.status when 'pending' then 'inboxed' when 'ready' then 'invoked' else i.status end"
_AWAITING = "case when i.status = 'suspended' then {0}(i.awaiting) end"

_PARTITION = Column("partition_key", Kind.UINT64, "partition_of(i.id)")

# An attempt that fails between its output and its end leaves an output that is not the outcome yet.
_OUTCOME = "case when i.status = 'completed' then i.output end"
_RESULT = (
    Column(
        "completion_result",
        Kind.TEXT,
        f"case substr({_OUTCOME}, 1, 1) when x'72' then 'success' when x'7a' then 'failure'"
        f" else result_of({_OUTCOME}) end",
    ),
    Column(
        "completion_failure",
        Kind.TEXT,
        f"case when substr({_OUTCOME}, 1, 1) <> x'72' then failure_of({_OUTCOME}) end",
    ),
)
_TARGET = (
    Column("target", Kind.TEXT, "i.service || '/' || coalesce(i.key || '/', '') || i.handler"),
    Column("target_service_name", Kind.TEXT, "i.service"),
    Column("target_service_key", Kind.TEXT, "i.key"),
    Column("target_handler_name", Kind.TEXT, "i.handler"),
    Column("target_service_ty", Kind.TEXT, "lower(i.service_type)"),
    Column("scope", Kind.TEXT, "nullif(i.scope, '')"),
    Column("limit_key", Kind.TEXT, "i.limit_key"),
    Column("idempotency_key", Kind.TEXT, "i.idempotency_key"),
)
_INVOKED_BY = Column(
    "invoked_by",
    Kind.TEXT,
    "case when i.restarted_from is not null then 'restart_as_new' when i.caller_id is not null then 'service' "
    "when i.schedule_id is not null then 'schedule' else 'ingress' end",
)
_CALLER_NAME = Column("invoked_by_service_name", Kind.TEXT, _CALLER)
_CALLER_ID = Column("invoked_by_id", Kind.TEXT, "i.caller_id")
_SUBSCRIPTION = Column("invoked_by_subscription_id", Kind.TEXT)
_PINNED = (
    Column("invoked_by_target", Kind.TEXT, "i.caller_target"),
    Column("restarted_from", Kind.TEXT, "i.restarted_from"),
    Column("pinned_deployment_id", Kind.TEXT, "i.deployment_id"),
    Column("pinned_service_protocol_version", Kind.UINT32, "nullif(i.protocol_version, 0)"),
    Column("trace_id", Kind.TEXT),
    Column(
        "journal_size",
        Kind.UINT32,
        "(select coalesce(max(j.idx) + 1, 0) from main.journal j where j.invocation = i.number)",
    ),
    Column(
        "journal_commands_size",
        Kind.UINT32,
        "(select count(*) from main.journal j where j.invocation = i.number and j.type < 32768)",
    ),
    Column("created_at", Kind.TIMESTAMP, "i.created_at"),
    Column("created_using_restate_version", Kind.TEXT, "i.created_by"),
    Column("modified_at", Kind.TIMESTAMP, "i.modified_at"),
    Column("inboxed_at", Kind.TIMESTAMP, "i.inboxed_at"),
    Column("scheduled_at", Kind.TIMESTAMP, "case when i.execute_at > 0 then i.created_at end"),
    Column("scheduled_start_at", Kind.TIMESTAMP, "nullif(i.execute_at, 0)"),
    Column("running_at", Kind.TIMESTAMP, "i.running_at"),
    Column("completed_at", Kind.TIMESTAMP, "i.completed_at"),
    Column("completion_retention", Kind.DURATION, "i.retention"),
    Column("journal_retention", Kind.DURATION, "i.journal_retention"),
    Column("suspended_waiting_for_completions", Kind.NUMBERS, _AWAITING.format("awaited_completions")),
    Column("suspended_waiting_for_signals", Kind.NUMBERS, _AWAITING.format("awaited_signals")),
    Column("suspended_waiting_future_json", Kind.TEXT, _AWAITING.format("awaited_json")),
)
_COMMAND_TYPE = (
    f"coalesce({_case(_live('command_type'), _COMMANDS)}, {_case(_STORED_FAILURE.format('command_type'), _COMMANDS)})"
)
_FAILED_COMMAND = {
    "index": (Kind.UINT64, _failure("command_index", "command_index")),
    "name": (Kind.TEXT, _failure("command_name", "command_name")),
    "type": (Kind.TEXT, _COMMAND_TYPE),
}
_LIVE_COLUMNS = (
    Column("retry_count", Kind.UINT64, _live("retry_count")),
    Column("last_start_at", Kind.TIMESTAMP, _live("last_start_at")),
    Column("next_retry_at", Kind.TIMESTAMP, _live("next_retry_at")),
    Column("last_attempt_deployment_id", Kind.TEXT, _live("deployment_id")),
    Column("last_attempt_server", Kind.TEXT, _live("server")),
    Column("last_failure", Kind.TEXT, _failure("failure", "message")),
    Column(
        "last_failure_error_code",
        Kind.TEXT,
        f"coalesce({_live('failure_code')}, error_code({_STORED_FAILURE.format('code')}))",
    ),
    *(
        Column(f"last_failure_related_{what}_{name}", kind, sql)
        for what in ("entry", "command")
        for name, (kind, sql) in _FAILED_COMMAND.items()
    ),
    Column("last_awaiting_on_future_json", Kind.TEXT, f"awaited_json({_live('awaiting')})"),
)

_ENTRY = "main.journal j join main.invocation i on i.number = j.invocation"
_IS_CALL = f"j.type in ({int(MessageType.CALL)}, {int(MessageType.ONE_WAY_CALL)})"
_IS_PROMISE = (
    f"j.type in ({int(MessageType.GET_PROMISE)}, {int(MessageType.PEEK_PROMISE)}, {int(MessageType.COMPLETE_PROMISE)})"
)
# The callee's id is in the notification that follows the command.
_INVOKED_ID = f"""case when {_IS_CALL} then (
    select invocation_id_of(n.payload) from main.journal n
    where n.invocation = j.invocation and n.idx > j.idx and n.type = {int(MessageType.CALL_INVOCATION_ID_COMPLETION)}
        and completion_of(n.payload) = invocation_id_completion_of(j.type, j.payload)
    order by n.idx limit 1) end"""
_INVOKED_TYPE = (
    f"(select c.service_type || ' ' || coalesce(c.handler_type, '') from main.invocation c where c.id = {_INVOKED_ID})"
)


def _rule(path: str) -> str:
    return f"json_extract(cast(r.record as text), '$.{path}')"


_TABLES = (
    Table(
        "sys_deployment",
        "temp.live_deployment",
        (
            Column("id", Kind.TEXT, "id"),
            Column("ty", Kind.TEXT, "ty"),
            Column("endpoint", Kind.TEXT, "endpoint"),
            Column("created_at", Kind.TIMESTAMP, "created_at"),
            Column("min_service_protocol_version", Kind.UINT32, "min_version"),
            Column("max_service_protocol_version", Kind.UINT32, "max_version"),
            Column("services", Kind.TEXTS, "services"),
        ),
        live=("live_deployment",),
    ),
    Table(
        "sys_service",
        "temp.live_service",
        (
            Column("name", Kind.TEXT, "name"),
            Column("revision", Kind.UINT64, "revision"),
            Column("public", Kind.BOOLEAN, "public"),
            Column("ty", Kind.TEXT, "ty"),
            Column("deployment_id", Kind.TEXT, "deployment_id"),
        ),
        live=("live_service",),
    ),
    Table(
        "sys_invocation_status",
        "main.invocation i",
        (
            _PARTITION,
            Column("id", Kind.TEXT, "i.id"),
            Column("vqueue_id", Kind.TEXT),
            Column("status", Kind.TEXT, _STORED_STATUS),
            *_RESULT,
            *_TARGET,
            _INVOKED_BY,
            _CALLER_ID,
            _SUBSCRIPTION,
            _CALLER_NAME,
            *_PINNED,
        ),
    ),
    Table(
        "sys_invocation_state",
        "temp.live_attempt l",
        (
            Column("partition_key", Kind.UINT64, "partition_of(l.id)"),
            Column("id", Kind.TEXT, "l.id"),
            Column("in_flight", Kind.BOOLEAN, "l.in_flight"),
            Column("retry_count", Kind.UINT64, "l.retry_count"),
            Column("last_start_at", Kind.TIMESTAMP, "l.last_start_at"),
            Column("last_attempt_deployment_id", Kind.TEXT, "l.deployment_id"),
            Column("last_attempt_server", Kind.TEXT, "l.server"),
            Column("next_retry_at", Kind.TIMESTAMP, "l.next_retry_at"),
            Column("last_failure", Kind.TEXT, "l.failure"),
            Column("last_failure_error_code", Kind.TEXT, "l.failure_code"),
            *(
                Column(f"last_failure_related_{what}_{name}", kind, sql)
                for what in ("command", "entry")
                for name, kind, sql in (
                    ("index", Kind.UINT64, "l.command_index"),
                    ("name", Kind.TEXT, "l.command_name"),
                    ("type", Kind.TEXT, _case("l.command_type", _COMMANDS)),
                )
            ),
            Column("last_awaiting_on_future_json", Kind.TEXT, "awaited_json(l.awaiting)"),
        ),
        live=("live_attempt",),
    ),
    Table(
        "sys_invocation",
        "main.invocation i",
        (
            Column("id", Kind.TEXT, "i.id"),
            Column("vqueue_id", Kind.TEXT),
            *_TARGET,
            _INVOKED_BY,
            _CALLER_NAME,
            _CALLER_ID,
            _SUBSCRIPTION,
            *_PINNED,
            *_LIVE_COLUMNS,
            Column("status", Kind.TEXT, _STATUS),
            *_RESULT,
            Column("waiting_reason", Kind.TEXT, "case when i.status <> 'completed' then waiting_reason(i.number) end"),
            Column("priority", Kind.INT64, "i.priority"),
            Column("schedule_id", Kind.TEXT, "i.schedule_id"),
        ),
        live=("live_attempt",),
    ),
    Table(
        "sys_journal",
        _ENTRY,
        (
            _PARTITION,
            Column("id", Kind.TEXT, "i.id"),
            Column("index", Kind.UINT32, "j.idx"),
            Column("entry_type", Kind.TEXT, _case("j.type", _ENTRY_TYPES)),
            Column("name", Kind.TEXT, "case when j.type < 32768 then entry_name(j.type, j.payload) end"),
            Column("completed", Kind.BOOLEAN),
            Column("invoked_id", Kind.TEXT, _INVOKED_ID),
            Column("invoked_target", Kind.TEXT, f"case when {_IS_CALL} then called_target(j.type, j.payload) end"),
            Column(
                "sleep_wakeup_at",
                Kind.TIMESTAMP,
                f"case when j.type = {int(MessageType.SLEEP)} then wake_up_time(j.payload) end",
            ),
            Column("promise_name", Kind.TEXT, f"case when {_IS_PROMISE} then promise_name(j.type, j.payload) end"),
            Column("raw", Kind.BINARY, "j.payload"),
            Column("raw_length", Kind.UINT64, "length(j.payload)"),
            Column("version", Kind.UINT32, "2"),
            Column("entry_json", Kind.TEXT, f"entry_json(j.type, j.payload, {_INVOKED_ID}, {_INVOKED_TYPE})"),
            Column("entry_lite_json", Kind.TEXT, f"entry_lite_json(j.type, j.payload, {_INVOKED_ID}, {_INVOKED_TYPE})"),
            Column("appended_at", Kind.TIMESTAMP, "j.appended_at"),
        ),
    ),
    Table(
        "sys_journal_events",
        "main.event e join main.invocation i on i.number = e.invocation",
        (
            _PARTITION,
            Column("id", Kind.TEXT, "i.id"),
            Column("after_journal_entry_index", Kind.UINT32, "e.after_index"),
            Column("appended_at", Kind.TIMESTAMP, "e.at"),
            Column("event_type", Kind.TEXT, "e.type"),
            # a patch leaves out what is null
            Column("event_json", Kind.TEXT, "json_patch(json_object('ty', e.type), cast(e.record as text))"),
        ),
    ),
    Table(
        "sys_inbox",
        f"main.invocation i where {KEYED} and i.status = 'pending'",
        (
            _PARTITION,
            Column("service_name", Kind.TEXT, "i.service"),
            Column("service_key", Kind.TEXT, "i.key"),
            Column("id", Kind.TEXT, "i.id"),
            Column("sequence_number", Kind.UINT64, "i.place"),
            Column("created_at", Kind.TIMESTAMP, "i.created_at"),
        ),
    ),
    Table(
        "sys_keyed_service_status",
        f"main.invocation i where {KEYED} and i.status <> 'pending'",
        (
            _PARTITION,
            Column("service_name", Kind.TEXT, "i.service"),
            Column("service_key", Kind.TEXT, "i.key"),
            Column("invocation_id", Kind.TEXT, "i.id"),
        ),
    ),
    Table(
        "sys_locks",
        f"main.invocation i where {KEYED} and i.status <> 'pending'",
        (
            _PARTITION,
            Column("scope", Kind.TEXT, "nullif(i.scope, '')"),
            Column("lock_name", Kind.TEXT, "i.service || '/' || i.key"),
            Column("acquired_at", Kind.TIMESTAMP, "i.running_at"),
            Column("acquired_by", Kind.TEXT, "i.id"),
        ),
    ),
    Table(
        "sys_promise",
        "main.promise p",
        (
            Column("partition_key", Kind.UINT64, "partition_of_key(p.scope, p.key)"),
            Column("scope", Kind.TEXT, "nullif(p.scope, '')"),
            Column("service_name", Kind.TEXT, "p.service"),
            Column("service_key", Kind.TEXT, "p.key"),
            Column("key", Kind.TEXT, "p.name"),
            Column("completed", Kind.BOOLEAN, "p.result is not null"),
            Column("completion_success_value", Kind.BINARY, "promise_value(p.result)"),
            Column("completion_success_value_utf8", Kind.TEXT, "utf8(promise_value(p.result))"),
            Column("completion_failure", Kind.TEXT, "promise_failure(p.result)"),
        ),
    ),
    Table(
        "state",
        "main.state s",
        (
            Column("partition_key", Kind.UINT64, "partition_of_key(s.scope, s.key)"),
            Column("scope", Kind.TEXT, "nullif(s.scope, '')"),
            Column("service_name", Kind.TEXT, "s.service"),
            Column("service_key", Kind.TEXT, "s.key"),
            Column("key", Kind.TEXT, "utf8(s.name)"),
            Column("key_length", Kind.UINT64, "length(s.name)"),
            Column("value_utf8", Kind.TEXT, "utf8(s.value)"),
            Column("value", Kind.BINARY, "s.value"),
            Column("value_length", Kind.UINT64, "length(s.value)"),
        ),
    ),
    Table(
        "sys_rules",
        "main.setting r where r.kind = 'rule'",
        (
            Column("pattern", Kind.TEXT, "r.name"),
            Column("concurrency", Kind.UINT32, _rule("limits.concurrency")),
            Column("description", Kind.TEXT, _rule("description")),
            Column("disabled", Kind.BOOLEAN, f"coalesce({_rule('disabled')}, 0)"),
            Column("version", Kind.UINT32, f"coalesce({_rule('version')}, 1)"),
            Column("last_modified", Kind.TIMESTAMP, _rule("last_modified_ms")),
            Column("rate", Kind.TEXT, _rule("limits.rate")),
            Column("backlog", Kind.UINT32, _rule("limits.backlog")),
        ),
    ),
    Table(
        "sys_user_limits",
        "temp.live_limit",
        (
            Column("partition_key", Kind.UINT64, "partition_of_key(scope, '')"),
            Column("scope", Kind.TEXT, "scope"),
            Column("l1", Kind.TEXT, "l1"),
            Column("l2", Kind.TEXT, "l2"),
            Column("level", Kind.TEXT, "level"),
            Column("usage", Kind.UINT32, "usage"),
            Column("concurrency_limit", Kind.UINT32, "concurrency_limit"),
            Column("rule_pattern", Kind.TEXT, "rule_pattern"),
            Column("available", Kind.UINT32, "available"),
            Column("num_waiters", Kind.UINT64, "num_waiters"),
        ),
        live=("live_limit",),
    ),
)


def _catalog_table(name: str, columns: dict[str, Kind]) -> Table:
    shown = tuple(Column(column, kind, f'"{column}"') for column, kind in columns.items())
    return Table(name, f"temp.catalog_{name}", shown, schema="information_schema")


_CATALOG = (
    _catalog_table("schemata", {"catalog_name": Kind.TEXT, "schema_name": Kind.TEXT}),
    _catalog_table(
        "tables",
        {"table_catalog": Kind.TEXT, "table_schema": Kind.TEXT, "table_name": Kind.TEXT, "table_type": Kind.TEXT},
    ),
    _catalog_table(
        "columns",
        {
            "table_catalog": Kind.TEXT,
            "table_schema": Kind.TEXT,
            "table_name": Kind.TEXT,
            "column_name": Kind.TEXT,
            "ordinal_position": Kind.UINT64,
            "is_nullable": Kind.TEXT,
            "data_type": Kind.TEXT,
        },
    ),
)

CATALOG_NAME = "restate"  # what clients that look into information_schema filter by
TABLES: dict[str, Table] = {table.name: table for table in _TABLES}
"""The introspection tables, by name."""
INFORMATION_SCHEMA: dict[str, Table] = {table.name: table for table in _CATALOG}


def catalog_rows() -> dict[str, list[tuple[object, ...]]]:
    """The rows of `information_schema`, by table."""
    every = [*_TABLES, *_CATALOG]
    return {
        "schemata": [(CATALOG_NAME, "public"), (CATALOG_NAME, "information_schema")],
        "tables": [
            (
                CATALOG_NAME,
                table.schema,
                table.name,
                "VIEW" if table in _CATALOG or table.name == "sys_invocation" else "BASE TABLE",
            )
            for table in every
        ],
        "columns": [
            (CATALOG_NAME, table.schema, table.name, column.name, position, "YES", column.kind.value)
            for table in every
            for position, column in enumerate(table.columns)
        ],
    }
