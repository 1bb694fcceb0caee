"""The columns that say of an invocation what is stored, and of its attempt what only memory knows.

In all of them `i` is a row of the store's `invocation`. What the engine keeps in memory is looked up by its number.
"""

from perdure.server.query.columns import Column
from perdure.server.query.entry_words import COMMANDS, case_of
from perdure.server.query.kinds import Kind

_CALLER = "substr(i.caller_target, 1, instr(i.caller_target, '/') - 1)"


def _live(column: str) -> str:
    return f"(select {column} from temp.live_attempt l where l.number = i.number)"


def _failure(column: str) -> str:
    """Of the last failure, which the row keeps, as long as it is why the invocation has come no further."""
    fails = f"i.status = 'paused' or {_live('retry_count > in_flight')}"
    return f"case when {fails} then json_extract(cast(i.last_failure as text), '$.{column}') end"


STATUS = f"""case i.status when 'ready' then
    case {_live("in_flight")} when 1 then 'running' when 0 then 'backing-off' else 'ready' end
    else i.status end"""
STORED_STATUS = "case i.status when 'pending' then 'inboxed' when 'ready' then 'invoked' else i.status end"
_AWAITING = "case when i.status = 'suspended' then {0}(i.awaiting) end"

PARTITION = Column("partition_key", Kind.UINT64, "partition_of(i.id)")

# An attempt that fails between its output and its end leaves an output that is not the outcome yet.
_OUTCOME = "case when i.status = 'completed' then i.output end"
RESULT = (
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
TARGET = (
    Column("target", Kind.TEXT, "i.service || '/' || coalesce(i.key || '/', '') || i.handler"),
    Column("target_service_name", Kind.TEXT, "i.service"),
    Column("target_service_key", Kind.TEXT, "i.key"),
    Column("target_handler_name", Kind.TEXT, "i.handler"),
    Column("target_service_ty", Kind.TEXT, "lower(i.service_type)"),
    Column("scope", Kind.TEXT, "nullif(i.scope, '')"),
    Column("limit_key", Kind.TEXT, "i.limit_key"),
    Column("idempotency_key", Kind.TEXT, "i.idempotency_key"),
)
INVOKED_BY = Column(
    "invoked_by",
    Kind.TEXT,
    "case when i.restarted_from is not null then 'restart_as_new' when i.caller_id is not null then 'service' "
    "when i.schedule_id is not null then 'schedule' else 'ingress' end",
)
CALLER_NAME = Column("invoked_by_service_name", Kind.TEXT, _CALLER)
CALLER_ID = Column("invoked_by_id", Kind.TEXT, "i.caller_id")
SUBSCRIPTION = Column("invoked_by_subscription_id", Kind.TEXT)
PINNED = (
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
LAST_FAILURE = (
    Column("last_failure", Kind.TEXT, _failure("message")),
    Column("last_failure_error_code", Kind.TEXT, f"error_code({_failure('code')})"),
)
FAILED_COMMAND, FAILED_ENTRY = (
    (
        Column(f"last_failure_related_{what}_index", Kind.UINT64, _failure("command_index")),
        Column(f"last_failure_related_{what}_name", Kind.TEXT, _failure("command_name")),
        Column(f"last_failure_related_{what}_type", Kind.TEXT, case_of(_failure("command_type"), COMMANDS)),
    )
    for what in ("command", "entry")
)
ATTEMPT = (
    Column("retry_count", Kind.UINT64, _live("retry_count")),
    Column("last_start_at", Kind.TIMESTAMP, _live("last_start_at")),
    Column("next_retry_at", Kind.TIMESTAMP, _live("next_retry_at")),
    Column("last_attempt_deployment_id", Kind.TEXT, _live("deployment_id")),
    Column("last_attempt_server", Kind.TEXT, _live("server")),
    *LAST_FAILURE,
    *FAILED_ENTRY,
    *FAILED_COMMAND,
    Column("last_awaiting_on_future_json", Kind.TEXT, f"awaited_json({_live('awaiting')})"),
)
