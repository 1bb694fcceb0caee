"""What the SDK sends to a model and gets from it, as the messages that a journal holds.

The SDK speaks in items of OpenAI's Responses interface, whatever the model: a message, a tool call and what the tool
gave are an item each. All that a model said in one go becomes one message here, and the same one whether it comes as a
response or in the next request: so that the next request's record need not hold it again.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from agents import TResponseInputItem

_TEXT: Final = ("text", "input_text", "output_text")
_CALLS: Final = ("function_call", "custom_tool_call")


def as_messages(items: str | Iterable[TResponseInputItem]) -> list[dict[str, Any]]:
    """The items as messages, in order."""
    if isinstance(items, str):
        return [{"role": "user", "content": items}]
    messages: list[dict[str, Any]] = []
    said: dict[str, Any] | None = None  # what the model said, as far as it has come
    for item in map(_as_dict, items):
        kind, role = item.get("type", "message"), item.get("role")
        if kind.endswith("_output") or kind == "mcp_approval_response":
            said = None
            messages.append(_given_by_tool(item))
        elif role not in (None, "assistant"):
            said = None
            messages.append({"role": "system" if role == "developer" else role, "content": _content(item["content"])})
        else:
            if said is None:
                said = {"role": "assistant", "content": ""}
                messages.append(said)
            _add(said, kind, item)
    return messages


def _add(said: dict[str, Any], kind: str, item: dict[str, Any]) -> None:
    """Adds to what the model said one more item of it."""
    if kind in _CALLS:
        call = {"id": item.get("call_id"), "name": item.get("name")}
        call["arguments"] = item.get("arguments", item.get("input", ""))
        said.setdefault("tool_calls", []).append(call)
    elif kind == "message":
        said["content"] = _joined(said["content"], _content(item.get("content", "")))
    elif kind == "reasoning":
        thoughts: list[str] = [part.get("text", "") for part in map(_as_dict, item.get("summary") or [])]
        if any(thoughts):
            said["reasoning"] = "\n".join(filter(None, [said.get("reasoning"), *thoughts]))
    else:  # what a tool that the provider runs itself did
        said.setdefault("hosted", []).append({"type": kind, **_known(item)})


def _known(item: dict[str, Any]) -> dict[str, Any]:
    """Of a hosted tool's item what is worth reading; the whole of it is in the recorded response."""
    names = ("name", "server_label", "arguments", "action", "queries", "code")
    return {name: item[name] for name in names if item.get(name) is not None}


def _given_by_tool(item: dict[str, Any]) -> dict[str, Any]:
    given = item.get("output", item.get("approve"))
    content = given if isinstance(given, str) else _content(given) if isinstance(given, list) else json.dumps(given)
    return {"role": "tool", "tool_call_id": item.get("call_id", item.get("approval_request_id")), "content": content}


def _content(content: Any) -> Any:
    """A message's content: a text if it is nothing else, else its parts."""
    if not isinstance(content, list):
        return content
    parts = [_part(_as_dict(part)) for part in content]  # pyright: ignore[reportUnknownVariableType]
    if all(part.keys() == {"type", "text"} for part in parts):
        return "".join(part["text"] for part in parts)
    return parts


def _part(part: dict[str, Any]) -> dict[str, Any]:
    if part.get("type") in _TEXT:
        return {"type": "text", "text": part.get("text", "")}
    return {name: value for name, value in part.items() if value is not None}


def _joined(before: Any, more: Any) -> Any:
    if isinstance(before, str) and isinstance(more, str):
        return f"{before}\n{more}" if before and more else before or more
    return [*_parts(before), *_parts(more)]


def _parts(content: Any) -> list[Any]:
    return ([{"type": "text", "text": content}] if content else []) if isinstance(content, str) else content


def _as_dict(item: Any) -> dict[str, Any]:
    return dict(item) if isinstance(item, Mapping) else item.model_dump(exclude_unset=True)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
