"""SQL functions that read what the store holds encoded: outcomes, promises, journal entries, failures."""

# SQLite's values have no types that a checker could know.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

import hashlib
from collections.abc import Callable

from perdure.engine.answers import Failure
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.failure_codes import JOURNAL_MISMATCH, PROTOCOL_VIOLATION
from perdure.protocol.ids import parse_invocation_id
from perdure.server.query import entries
from perdure.server.query.values import Value, json_of

_INT64_MAX = 2**63 - 1


def partition_of(invocation_id: str) -> int:
    return int.from_bytes(parse_invocation_id(invocation_id)[:8], "little", signed=True)


def partition_of_key(scope: str, key: str) -> int:
    return int.from_bytes(hashlib.sha256((scope or key).encode()).digest()[:8], "little", signed=True)


def _failure_text(failure: pb.Failure) -> str:
    return str(Failure(failure.code, failure.message))


def result_of(output: bytes) -> str:
    return "failure" if pb.OutputCommandMessage.FromString(output).HasField("failure") else "success"


def failure_of(output: bytes) -> str | None:
    message = pb.OutputCommandMessage.FromString(output)
    return _failure_text(message.failure) if message.HasField("failure") else None


def promise_value(result: bytes) -> bytes | None:
    message = pb.NotificationMessage.FromString(result)
    return message.value.content if message.HasField("value") else None


def promise_failure(result: bytes) -> str | None:
    message = pb.NotificationMessage.FromString(result)
    return _failure_text(message.failure) if message.HasField("failure") else None


def entry_value(type: int, payload: bytes) -> str | None:
    value = entries.held_value(type, payload)
    return None if value is None else utf8(value)


def entry_failure(type: int, payload: bytes) -> str | None:
    failure = entries.held_failure(type, payload)
    return None if failure is None else _failure_text(failure)


def error_code(code: int) -> str:
    """The open interface's code for an attempt's failure."""
    return {JOURNAL_MISMATCH: "RT0016", PROTOCOL_VIOLATION: "RT0012"}.get(code, "RT0007")


def utf8(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "partition_of": partition_of,
    "partition_of_key": partition_of_key,
    "result_of": result_of,
    "failure_of": failure_of,
    "promise_value": promise_value,
    "promise_failure": promise_failure,
    "error_code": error_code,
    "utf8": utf8,
    "awaited_json": entries.future_json,
    "awaited_completions": lambda stored: json_of(entries.awaited(stored, "waiting_completions")),
    "awaited_signals": lambda stored: json_of(entries.awaited(stored, "waiting_signals")),
    "entry_name": entries.entry_name,
    "entry_value": entry_value,
    "entry_failure": entry_failure,
    "called_target": entries.called_target,
    "wake_up_time": lambda payload: min(pb.SleepCommandMessage.FromString(payload).wake_up_time, _INT64_MAX),
    "promise_name": lambda type, payload: entries.decoded(type, payload).key,
    "invocation_id_of": lambda payload: pb.NotificationMessage.FromString(payload).invocation_id,
    "completion_of": lambda payload: pb.NotificationMessage.FromString(payload).completion_id,
    "invocation_id_completion_of": lambda type, payload: entries.decoded(type, payload).invocation_id_notification_idx,
    "entry_json": lambda *values: entries.entry_json(*values, lite=False),
    "entry_lite_json": lambda *values: entries.entry_json(*values, lite=True),
}
