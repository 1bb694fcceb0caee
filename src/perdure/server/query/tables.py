"""The tables that SQL sees: their names, columns and kinds, and where each value comes from in the store.

Names, kinds and meanings are those of the open interface's introspection tables. A table is a view over the store's
own tables (`main`), or over what is only in the engine's memory (`temp`), of which a query is given a copy.
"""

from perdure.engine.store.statements import KEYED
from perdure.protocol.messages import MessageType
from perdure.server.query.columns import Column, Table
from perdure.server.query.entry_words import ENTRY_TYPES, case_of
from perdure.server.query.invocation_columns import (
    ATTEMPT,
    CALLER_ID,
    CALLER_NAME,
    FAILED_COMMAND,
    FAILED_ENTRY,
    INVOKED_BY,
    LAST_FAILURE,
    PARTITION,
    PINNED,
    RESULT,
    STATUS,
    STORED_STATUS,
    SUBSCRIPTION,
    TARGET,
)
from perdure.server.query.kinds import Kind

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
            PARTITION,
            Column("id", Kind.TEXT, "i.id"),
            Column("vqueue_id", Kind.TEXT),
            Column("status", Kind.TEXT, STORED_STATUS),
            *RESULT,
            *TARGET,
            INVOKED_BY,
            CALLER_ID,
            SUBSCRIPTION,
            CALLER_NAME,
            *PINNED,
        ),
    ),
    Table(
        "sys_invocation_state",
        "temp.live_attempt l join main.invocation i on i.number = l.number",
        (
            PARTITION,
            Column("id", Kind.TEXT, "i.id"),
            Column("in_flight", Kind.BOOLEAN, "l.in_flight"),
            Column("retry_count", Kind.UINT64, "l.retry_count"),
            Column("last_start_at", Kind.TIMESTAMP, "l.last_start_at"),
            Column("last_attempt_deployment_id", Kind.TEXT, "l.deployment_id"),
            Column("last_attempt_server", Kind.TEXT, "l.server"),
            Column("next_retry_at", Kind.TIMESTAMP, "l.next_retry_at"),
            *LAST_FAILURE,
            *FAILED_COMMAND,
            *FAILED_ENTRY,
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
            *TARGET,
            INVOKED_BY,
            CALLER_NAME,
            CALLER_ID,
            SUBSCRIPTION,
            *PINNED,
            *ATTEMPT,
            Column("status", Kind.TEXT, STATUS),
            *RESULT,
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
            PARTITION,
            Column("id", Kind.TEXT, "i.id"),
            Column("index", Kind.UINT32, "j.idx"),
            Column("entry_type", Kind.TEXT, case_of("j.type", ENTRY_TYPES)),
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
            Column("value_utf8", Kind.TEXT, "entry_value(j.type, j.payload)"),
            Column("failure", Kind.TEXT, "entry_failure(j.type, j.payload)"),
        ),
    ),
    Table(
        "sys_journal_events",
        "main.event e join main.invocation i on i.number = e.invocation",
        (
            PARTITION,
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
            PARTITION,
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
            PARTITION,
            Column("service_name", Kind.TEXT, "i.service"),
            Column("service_key", Kind.TEXT, "i.key"),
            Column("invocation_id", Kind.TEXT, "i.id"),
        ),
    ),
    Table(
        "sys_locks",
        f"main.invocation i where {KEYED} and i.status <> 'pending'",
        (
            PARTITION,
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

TABLES: dict[str, Table] = {table.name: table for table in _TABLES}
"""The introspection tables, by name."""
