"""What is said over the Responses interface, told as chat: the parts of it that agents need.

Clients send what was said before as references to it. The ids that they refer to hold what was said, so that no server
has to remember it. Fields that we do not know are ignored, as clients add their own.
"""

import base64
from collections.abc import Iterator
from typing import Any

import msgspec

from perdure.llm.answers import Complete
from perdure.llm.chat import ChatRequest, Message, Tool, ToolFunction, unknown
from perdure.llm.completions import filtered, refusal
from perdure.llm.sse import event, pieces

__all__ = ["events", "filtered", "refusal", "request", "response", "response_id"]

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


class _Body(msgspec.Struct):
    input: str | list[Item]
    instructions: str | None = None
    model: str = ""
    tools: list[OfferedTool] | None = None
    stream: bool | None = None
    previous_response_id: str | None = None
    text: dict[str, Any] | None = None


def request(body: bytes) -> ChatRequest:
    """A request's body, as a request for a chat completion.

    Raises:
        msgspec.DecodeError: it is none, or asks for what is not served here.
    """
    fields = msgspec.json.decode(body, type=dict[str, Any])
    asked = msgspec.convert(fields, _Body)
    if asked.previous_response_id is not None:
        raise msgspec.ValidationError("no responses are kept here: send the conversation in place of its id")
    items = [Item(content=asked.input)] if isinstance(asked.input, str) else asked.input
    system: list[Message] = [{"role": "system", "content": asked.instructions}] if asked.instructions else []
    tools = [
        Tool(ToolFunction(tool.name, tool.description or "", tool.parameters or {}))
        for tool in asked.tools or ()
        if tool.type == "function"
    ]
    return ChatRequest(
        [*system, *_messages(items)],
        asked.model,
        tools or None,
        bool(asked.stream),
        _schema((asked.text or {}).get("format")),
        unknown(fields, _Body.__struct_fields__),
    )


def response(answer: Complete) -> dict[str, Any]:
    """The response's body, as endpoints write it."""
    return _response(answer, _status(answer), list(_output(answer)))


def events(answer: Complete, asked: ChatRequest) -> Iterator[bytes]:
    """The same as events: each item of the output is announced, said in pieces, and repeated whole."""
    for number, said in enumerate(_said(answer)):
        yield event({**said, "sequence_number": number}, said["type"])


def response_id(answer: Complete) -> str:
    """The id by which this interface tells one answer from all others."""
    return f"resp_{answer.id}"


def _said(answer: Complete) -> Iterator[dict[str, Any]]:
    begun = _response(answer, "in_progress", [])
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(_output(answer)):
        place = {"output_index": index, "item_id": item["id"]}
        pieces_of = _text_in_pieces if item["type"] == "message" else _arguments_in_pieces
        yield from pieces_of(item, place)
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    whole = response(answer)
    yield {"type": f"response.{whole['status']}", "response": whole}


def _text_in_pieces(item: dict[str, Any], place: dict[str, Any]) -> Iterator[dict[str, Any]]:
    empty: dict[str, Any] = {**item, "status": "in_progress", "content": []}
    yield {"type": "response.output_item.added", "output_index": place["output_index"], "item": empty}
    [part] = item["content"]
    place = {**place, "content_index": 0}
    yield {"type": "response.content_part.added", **place, "part": {**part, "text": ""}}
    for piece in pieces(part["text"]):
        yield {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}
    yield {"type": "response.output_text.done", **place, "text": part["text"], "logprobs": []}
    yield {"type": "response.content_part.done", **place, "part": part}


def _arguments_in_pieces(item: dict[str, Any], place: dict[str, Any]) -> Iterator[dict[str, Any]]:
    empty = {**item, "status": "in_progress", "arguments": ""}
    yield {"type": "response.output_item.added", "output_index": place["output_index"], "item": empty}
    for piece in pieces(item["arguments"]):
        yield {"type": "response.function_call_arguments.delta", **place, "delta": piece}
    called = {"name": item["name"], "arguments": item["arguments"]}
    yield {"type": "response.function_call_arguments.done", **place, **called}


def _response(answer: Complete, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(answer.finish_reason)
    return {
        "id": response_id(answer),
        "object": "response",
        "created_at": answer.created,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": reason} if status == "incomplete" else None,
        "model": answer.model,
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": None if status == "in_progress" else _usage(answer),
    }


def _status(answer: Complete) -> str:
    return "incomplete" if answer.finish_reason in ("length", "content_filter") else "completed"


def _usage(answer: Complete) -> dict[str, Any]:
    return {
        "input_tokens": answer.usage.input_tokens,
        "input_tokens_details": {"cached_tokens": answer.usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": answer.usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": answer.usage.total_tokens,
    }


def _output(answer: Complete) -> Iterator[dict[str, Any]]:
    if answer.reply.content is not None:
        text: dict[str, Any] = {"type": "output_text", "text": answer.reply.content, "annotations": [], "logprobs": []}
        said = {"type": "message", "status": "completed", "role": "assistant", "content": [text]}
        yield _with_id(said, answer)
    for call in answer.reply.tool_calls or ():
        called = {"call_id": call.id, "name": call.function.name, "arguments": call.function.arguments}
        yield _with_id({"type": "function_call", "status": "completed", **called}, answer)


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


def _with_id(item: dict[str, Any], answer: Complete) -> dict[str, Any]:
    told = msgspec.json.encode({**item, "of": answer.id})  # the same words, said twice, are two items
    return {"id": _ID_PREFIX + base64.urlsafe_b64encode(told).decode(), **item}


def _referred(reference: Item) -> Item:
    id = reference.id or ""
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(id.removeprefix(_ID_PREFIX)), type=Item)
    except (ValueError, msgspec.DecodeError) as error:
        raise msgspec.ValidationError(f"there is no item {id[:40]!r}") from error


def _schema(format: dict[str, Any] | None) -> dict[str, Any] | None:
    asked = format or {}
    return {"type": "object"} if asked.get("type") == "json_object" else asked.get("schema")
