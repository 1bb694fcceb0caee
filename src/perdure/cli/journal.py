"""A journal as a tree: an invocation's entries, and below each call those of the invocation that it began."""

import json
from collections.abc import Iterator
from typing import Any

from perdure.cli.query import literal, rows_of
from perdure.cli.tables import when

_DEPTH_MAX = 8
_ENTRIES_MAX = 200


def journal_tree(invocation_id: str) -> Iterator[str]:
    """The lines of the tree; those of a called invocation are indented below the call."""
    lines = _tree(invocation_id, "", 0)
    first = next(lines, None)
    if first is None:
        yield "its journal was purged"
    else:
        yield first
        yield from lines


def _tree(invocation_id: str, indent: str, depth: int) -> Iterator[str]:
    entries = rows_of(
        "select index, entry_type, name, completed, invoked_id, invoked_target, sleep_wakeup_at, promise_name"
        f" from sys_journal where id = {literal(invocation_id)} and entry_type like 'Command%'"
        f" order by index limit {_ENTRIES_MAX + 1}"
    )
    for position, entry in enumerate(entries[:_ENTRIES_MAX]):
        last = position == len(entries) - 1
        yield f"{indent}{'└─' if last else '├─'} {_line(entry)}"
        callee = entry.get("invoked_id")
        if callee and "Call" in entry["entry_type"] and depth < _DEPTH_MAX:
            below = f"{indent}{'   ' if last else '│  '}"
            yield from _callee(callee, below, depth + 1)
    if len(entries) > _ENTRIES_MAX:
        yield f"{indent}└─ and more: `perdure sql` shows all of sys_journal"


def _callee(invocation_id: str, indent: str, depth: int) -> Iterator[str]:
    found = rows_of(
        f"select status, completion_failure, waiting_reason from sys_invocation where id = {literal(invocation_id)}"
    )
    if not found:
        return
    [row] = found
    why = row.get("completion_failure") or row.get("waiting_reason")
    yield f"{indent}{invocation_id} {row['status']}{f': {why}' if why else ''}"
    yield from _tree(invocation_id, indent, depth)


def _line(entry: dict[str, Any]) -> str:
    kind = entry["entry_type"].removeprefix("Command: ")
    words = [f"{entry['index']} {kind}"]
    words += [entry[name] for name in ("invoked_target", "promise_name") if entry.get(name)]
    if entry.get("name"):
        words.append(json.dumps(entry.get("name"), ensure_ascii=False))
    if entry.get("sleep_wakeup_at") and not entry.get("completed"):
        words.append(f"due {when(entry['sleep_wakeup_at'])}")
    if entry.get("completed") is False:
        words.append("(open)")
    return " ".join(words)
