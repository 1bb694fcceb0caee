"""What is said over the Responses interface, told as chat: the parts of it that agents need.

Clients send what was said before as references to it. The ids that they refer to hold what was said, so that no server
has to remember it. Fields that we do not know are ignored, as clients add their own.
"""

import base64
from collections.abc import Iterator
from typing import Any

import msgspec

from perdure.llm.chat import ChatRequest, Message, Reply, Tool, ToolFunction

_ID_PREFIX = "item_"


class Part(msgspec.Struct):
    """A piece of what was said; of those that are not text, nothing is kept."""

    text: str = ""


class Item(msgspec.Struct):
    """One entry of a conversation: a message, a call of a tool, what it returned, or a reference to any of them."""

    type: str = "message"
    role: str = "user"
    content: str | list[Part] = ""
    call_id: str = ""
    name: str = ""
    arguments: str = "{}"
    output: str | list[Part] = ""
    id: str | None = None


class OfferedTool(msgspec.Struct):
    """A tool as it is offered here, without an envelope. Those that are no functions are the provider's own."""

    type: str
    name: str = ""
    description: str | None = None
    parameters: dict[str, Any] | None = None


class ResponsesRequest(msgspec.Struct):
    """A request for one response."""

    input: str | list[Item]
    instructions: str | None = None
    model: str = ""
    tools: list[OfferedTool] | None = None
    stream: bool | None = None
    previous_response_id: str | None = None


def request(body: bytes) -> ChatRequest:
    """A request's body, as a request for a chat completion.

    Raises:
        msgspec.DecodeError: it is none, or asks for what is not served here.
    """
    asked = msgspec.json.decode(body, type=ResponsesRequest)
    if asked.stream:
        raise msgspec.ValidationError("responses are not streamed here")
    if asked.previous_response_id is not None:
        raise msgspec.ValidationError("no responses are kept here: send the conversation in place of its id")
    items = [Item(content=asked.input)] if isinstance(asked.input, str) else asked.input
    system: list[Message] = [{"role": "system", "content": asked.instructions}] if asked.instructions else []
    tools = [
        Tool(ToolFunction(tool.name, tool.description or "", tool.parameters or {}))
        for tool in asked.tools or ()
        if tool.type == "function"
    ]
    return ChatRequest([*system, *_messages(items)], asked.model, tools or None)


def response(reply: Reply, model: str) -> dict[str, Any]:
    """The response's body, as endpoints write it."""
    return {
        "id": "resp_local",
        "object": "response",
        "created_at": 0,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "model": model,
        "output": list(_output(reply)),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 0,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 0,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 0,
        },
    }


def _output(reply: Reply) -> Iterator[dict[str, Any]]:
    if reply.content is not None:
        text: dict[str, Any] = {"type": "output_text", "text": reply.content, "annotations": []}
        yield _with_id({"type": "message", "status": "completed", "role": "assistant", "content": [text]})
    for call in reply.tool_calls or ():
        called = {"call_id": call.id, "name": call.function.name, "arguments": call.function.arguments}
        yield _with_id({"type": "function_call", "status": "completed", **called})


def _messages(items: list[Item]) -> list[Message]:
    messages: list[Message] = []
    for item in items:
        said = _referred(item) if item.type == "item_reference" else item
        match said.type:
            case "message":
                role = "system" if said.role == "developer" else said.role
                messages.append({"role": role, "content": _text(said.content)})
            case "function_call":
                call = {"id": said.call_id, "type": "function"}
                call |= {"function": {"name": said.name, "arguments": said.arguments}}
                if not (messages and "tool_calls" in messages[-1]):  # those of one reply are one message
                    messages.append({"role": "assistant", "content": None, "tool_calls": []})
                messages[-1]["tool_calls"].append(call)
            case "function_call_output":
                messages.append({"role": "tool", "tool_call_id": said.call_id, "content": _text(said.output)})
            case _:
                pass  # reasoning, say
    return messages


def _text(content: str | list[Part]) -> str:
    return content if isinstance(content, str) else " ".join(part.text for part in content)


def _with_id(item: dict[str, Any]) -> dict[str, Any]:
    return {"id": _ID_PREFIX + base64.urlsafe_b64encode(msgspec.json.encode(item)).decode(), **item}


def _referred(reference: Item) -> Item:
    id = reference.id or ""
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(id.removeprefix(_ID_PREFIX)), type=Item)
    except (ValueError, msgspec.DecodeError) as error:
        raise msgspec.ValidationError(f"there is no item {id[:40]!r}") from error
