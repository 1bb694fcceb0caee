"""What agents asked and were told: the model calls and tool calls of an invocation, in order, as people read them."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, cast

from perdure.cli.query import literal, one_of, rows_of
from perdure.cli.tables import harmless

_AT_ONCE = 200
_DEPTH_MAX = 8
_CHARS_MAX = 4_000
_INPUT, _OUTPUT, _RUN, _CALL = (f"Command: {word}" for word in ("Input", "Output", "Run", "Call"))
_RESULT = "Notification: Run"
_NO_MODEL = (
    "no model call is recorded here. An agent leaves none if it runs without what makes it durable: "
    "DurableRunner, DurableAgent, DurablePlugin, DurableMiddleware, completion"
)


def records_of(invocation_id: str, depth: int = 0) -> Iterator[dict[str, Any]]:
    """What is recorded of an invocation, and, below each call, of the one that it called.

    Each has the `id` of the invocation and its `depth` below the first, `index`, `entry_type` and `name` of the entry;
    of a call, `invoked_id` and `invoked_target`; else `value` or `failure`, unless it is under way; and `attempts`,
    what those that failed at it failed with.
    """
    entries = list(_entries(invocation_id))
    results = {_completion(entry): entry for entry in entries if entry["entry_type"] == _RESULT}
    failed = _failed_attempts(invocation_id)
    commands = [entry for entry in entries if entry["entry_type"] != _RESULT]
    for number, entry in enumerate(commands):
        kind = entry["entry_type"]
        if kind not in (_INPUT, _OUTPUT, _RUN, _CALL):
            continue
        record = {"id": invocation_id, "depth": depth, "index": entry["index"], "entry_type": kind}
        record |= {name: entry[name] for name in ("name", "invoked_id", "invoked_target") if entry.get(name)}
        held = results.get(_completion(entry), {}) if kind == _RUN else entry
        if "value_utf8" in held:
            record["value"] = _json(held["value_utf8"])
        if "failure" in held:
            record["failure"] = held["failure"]
        if number in failed:
            record["attempts"] = failed[number]
        yield record
        if kind == _CALL and "invoked_id" in entry and depth < _DEPTH_MAX:
            yield from records_of(entry["invoked_id"], depth + 1)


def conversation_lines(records: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Records as people read them: a line for each, and the messages and results indented below it."""
    models = 0
    for record in records:
        match record.get("value"):
            case {"model_call": {"call": _} as call}:
                models += 1
                told = _model_call(record, call)
            case {"tool_call": {"name": _} as call, **rest}:
                told = _tool_call(record, call, rest)
            case _:
                told = _other(record)
        head, *below = told
        below = [*(f"tried again after: {message}" for message in record.get("attempts", ())), *below]
        if "failure" in record:
            below.append(f"failed: {record['failure']}")
        elif record["entry_type"] == _RUN and "value" not in record:
            below.append("has not ended")
        indent = "  " * record["depth"]
        yield f"{indent}{harmless(head)}"
        for text in below:
            for line in _shortened(text).splitlines():
                yield f"{indent}    {harmless(line)}".rstrip()
    if not models:
        yield _NO_MODEL


def _model_call(record: dict[str, Any], call: dict[str, Any]) -> Iterator[str]:
    by = call.get("answered_by")
    yield _head(
        record,
        f"call {call['call']}",
        f"{call.get('latency_ms', 0)} ms",
        _tokens(call.get("usage")),
        call.get("finish_reason"),
        f"answered by {by}" if by and by != call.get("model") else None,
    )
    match call.get("follows"):
        case {"call": number, "messages": count}:
            yield f"goes on after call {number} ({count} messages)"
        case {"session": session, "messages": count}:
            yield f"goes on after the session {session} ({count} messages)"
        case _:
            pass
    if isinstance(instructions := call.get("instructions"), str):
        yield f"instructions: {instructions}"
    match call.get("tools"):
        case [*tools]:
            yield f"tools: {', '.join(str(tool.get('name')) for tool in cast('list[dict[str, Any]]', tools))}"
        case _:
            pass
    if settings := call.get("settings"):
        yield f"settings: {_text(settings)}"
    for message in (*call.get("messages", ()), *(call.get("said") or ())):
        yield from _message(message)


def _message(message: dict[str, Any]) -> Iterator[str]:
    role = message.get("role", "?")
    content = message.get("content")
    calls = message.get("tool_calls") or ()
    if content or not calls:
        yield f"{role}: {_content(content)}"
    for call in calls:
        yield f"{role} calls {call.get('name')} {_text(call.get('arguments'))}"
    for name in ("reasoning", "hosted"):
        if message.get(name):
            yield f"{role}'s {name}: {_text(message[name])}"


def _tool_call(record: dict[str, Any], call: dict[str, Any], rest: dict[str, Any]) -> Iterator[str]:
    yield _head(record, f"{call.get('latency_ms', 0)} ms")
    yield f"arguments: {_text(call.get('arguments'))}"
    for name, value in rest.items():
        yield f"{name}: {_text(value)}"


def _other(record: dict[str, Any]) -> Iterator[str]:
    yield _head(record)
    if "value" in record:
        yield _text(record["value"])


def _head(record: dict[str, Any], *more: str | None) -> str:
    kind = record["entry_type"].removeprefix("Command: ")
    words = [record[name] for name in ("invoked_target", "invoked_id") if name in record]
    named = record.get("name") or " ".join([kind, *words])
    return f"{record['index']} {', '.join([named, *(each for each in more if each)])}"


def _tokens(usage: dict[str, int] | None) -> str | None:
    if not usage:
        return None
    cached = f" ({usage['cached_tokens']} cached)" if usage.get("cached_tokens") else ""
    return f"{usage.get('input_tokens', 0)}{cached} + {usage.get('output_tokens', 0)} tokens"


def _content(content: Any) -> str:
    """A message's content: what of its parts is text is shown as text."""
    if not isinstance(content, list):
        return _text(content)
    return "\n".join(map(_part, cast("list[Any]", content)))


def _part(part: Any) -> str:
    match part:
        case {"text": str(text)}:
            return text
        case _:
            return _text(part)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _shortened(text: str) -> str:
    left_out = len(text) - _CHARS_MAX
    return text if left_out <= 0 else f"{text[:_CHARS_MAX]}… ({left_out} characters more: --json has all)"


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _entries(invocation_id: str) -> Iterator[dict[str, Any]]:
    """All commands, in order, and the results of runs; read in parts, as a conversation may be long."""
    shown = one_of("entry_type", [_INPUT, _OUTPUT, _CALL, _RESULT])
    wanted = f"id = {literal(invocation_id)} and (entry_type like 'Command%' or entry_type = {literal(_RESULT)})"
    after = -1
    while True:
        rows = rows_of(
            "select index, entry_type, name, invoked_id, invoked_target, entry_lite_json,"
            f" case when {shown} then value_utf8 end as value_utf8, failure from sys_journal"
            f" where {wanted} and index > {after} order by index limit {_AT_ONCE}"
        )
        yield from rows
        if len(rows) < _AT_ONCE:
            return
        after = rows[-1]["index"]


def _failed_attempts(invocation_id: str) -> dict[int, list[str]]:
    """What attempts failed with, by the number of the command at which they did."""
    failed: dict[int, list[str]] = {}
    for row in rows_of(
        f"select event_json from sys_journal_events where id = {literal(invocation_id)}"
        " and event_type = 'TransientError' order by appended_at"
    ):
        event = json.loads(row["event_json"])
        if (number := event.get("related_command_index")) is not None:
            failed.setdefault(number, []).append(event.get("error_message", ""))
    return failed


def _completion(entry: dict[str, Any]) -> int | None:
    """What a run and its result have in common."""
    match json.loads(entry["entry_lite_json"]):
        case {"Command": {"Run": {"completion_id": id}}} | {"Notification": {"id": {"CompletionId": id}}}:
            return id
        case _:
            return None
