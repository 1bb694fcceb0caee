"""What is said to a model and by it, in one form for all interfaces: that of chat completions, which most know.

The interfaces (`completions`, `responses`, `gemini`, `anthropic`) read requests into it, and write answers out of it.
"""

import json
from typing import Any, Self, TypeAlias, cast

import msgspec

Message: TypeAlias = dict[str, Any]
"""`{"role": ..., "content": ...}`, as the interface has it."""


class Function(msgspec.Struct):
    """Which tool the model calls, and with what: `arguments` is JSON in a string."""

    name: str
    arguments: str = "{}"


class ToolCall(msgspec.Struct):
    """One call that the model asks for; the tool's answer goes back under `id`. Served, an empty one is filled in."""

    id: str
    function: Function
    type: str = "function"


class Reply(msgspec.Struct, omit_defaults=True):
    """What the model said: text, or which tools to call."""

    content: str | None = None
    tool_calls: list[ToolCall] | None = None
    role: str = "assistant"

    @classmethod
    def calling(cls, *calls: tuple[str, dict[str, Any]], content: str | None = None) -> Self:
        """Calls these tools, `("find_flights", {"city": "Rome"})`, all in one answer."""
        return cls(content, [ToolCall("", Function(name, json.dumps(arguments))) for name, arguments in calls])

    @classmethod
    def of(cls, value: Any) -> Self:
        """Says a value as JSON: the answer to a question with a schema."""
        return cls(json.dumps(value))

    def as_message(self) -> Message:
        """The same, to be sent back as part of the conversation."""
        return {"role": self.role, **msgspec.to_builtins(self)}


class ToolFunction(msgspec.Struct):
    """A tool as it is offered: what it is for, and the JSON schema of its arguments."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])


class Tool(msgspec.Struct):
    """The envelope in which tools are offered."""

    function: ToolFunction


class ChatRequest(msgspec.Struct):
    """A request for one answer, whichever interface it came by."""

    messages: list[Message]
    model: str = ""
    tools: list[Tool] | None = None
    stream: bool = False
    schema: dict[str, Any] | None = None
    """What the answer has to look like, where the request says so."""
    settings: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    """All else that was asked for, in the interface's own words: temperature, tool_choice and the like."""

    @property
    def question(self) -> str:
        """What the user said last."""
        return next((text(each) for each in reversed(self.messages) if each.get("role") == "user"), "")

    @property
    def instructions(self) -> str:
        """What the model was told of its task: the system's messages."""
        return "\n".join(text(each) for each in self.messages if each.get("role") == "system")

    @property
    def offered(self) -> list[str]:
        """The names of the tools that it may call."""
        return [tool.function.name for tool in self.tools or ()]

    @property
    def results(self) -> dict[str, str]:
        """What the tools returned since the user spoke last, by their names; of several calls of one, the last."""
        names: dict[str, str] = {}
        results: dict[str, str] = {}
        for message in self.messages:
            if message.get("role") == "user":
                results.clear()
            for call in cast(list[dict[str, Any]], message.get("tool_calls") or []):
                names[call["id"]] = call["function"]["name"]
            if message.get("role") == "tool":
                id: str = message.get("tool_call_id") or ""
                results[names.get(id, id)] = text(message)
        return results


def text(message: Message) -> str:
    """What a message says, without pictures and the like."""
    content = message.get("content")
    if isinstance(content, list):  # the interface's other form: parts, of which some are text
        parts = cast(list[dict[str, Any]], content)
        return " ".join(part.get("text", "") for part in parts)
    return content or ""


def unknown(fields: dict[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    """The fields of a request that its interface does not read."""
    return {name: value for name, value in fields.items() if name not in known}
