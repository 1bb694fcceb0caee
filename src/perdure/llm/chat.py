"""What is said over the chat-completions interface: the parts of it that agents need.

Fields that we do not know are ignored, as endpoints add their own.
"""

from typing import Any, TypeAlias, cast

import msgspec

Message: TypeAlias = dict[str, Any]
"""`{"role": ..., "content": ...}`, as the interface has it."""


class Function(msgspec.Struct):
    """Which tool the model calls, and with what: `arguments` is JSON in a string."""

    name: str
    arguments: str = "{}"


class ToolCall(msgspec.Struct):
    """One call that the model asks for; the tool's answer goes back under `id`."""

    id: str
    function: Function
    type: str = "function"


class Reply(msgspec.Struct, omit_defaults=True):
    """What the model said: text, or which tools to call."""

    content: str | None = None
    tool_calls: list[ToolCall] | None = None
    role: str = "assistant"

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
    """A request for one completion."""

    messages: list[Message]
    model: str = ""
    tools: list[Tool] | None = None

    @property
    def question(self) -> str:
        """What the user said last."""
        return next((_text(each) for each in reversed(self.messages) if each.get("role") == "user"), "")


class Choice(msgspec.Struct):
    """One answer of those in a completion; we ask for one."""

    message: Reply


class Completion(msgspec.Struct):
    """The body of a successful response."""

    choices: list[Choice]


def request(body: bytes) -> ChatRequest:
    """A request's body. Raises `msgspec.DecodeError` where it is none."""
    return msgspec.json.decode(body, type=ChatRequest)


def completion(reply: Reply, model: str) -> dict[str, Any]:
    """The response's body, as endpoints write it."""
    message = {"role": "assistant", "content": None, **reply.as_message()}
    reason = "tool_calls" if reply.tool_calls else "stop"
    return {
        "id": "chatcmpl-local",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    }


def _text(message: Message) -> str:
    content = message.get("content")
    if isinstance(content, list):  # the interface's other form: parts, of which some are text
        parts = cast(list[dict[str, Any]], content)
        return " ".join(part.get("text", "") for part in parts)
    return content or ""
