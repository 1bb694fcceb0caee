"""Anthropic's Messages interface, told as chat: the parts of it that agents need."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from perdure.llm.answers import Complete
from perdure.llm.chat import ChatRequest, Message, Tool, ToolFunction, unknown
from perdure.llm.sse import event, pieces

_STOP_REASONS = {"tool_calls": "tool_use", "length": "max_tokens", "content_filter": "refusal"}


_ERRORS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""Types of errors, by their status."""


class Block(msgspec.Struct):
    """A piece of what was said: text, a call of a tool, or what it returned. Of others, nothing is kept."""

    type: str
    text: str = ""
    id: str = ""
    name: str = ""
    input: Any = None
    tool_use_id: str = ""
    content: Any = None


class Turn(msgspec.Struct):
    """What one side said in one turn."""

    role: str
    content: str | list[Block]


class OfferedTool(msgspec.Struct):
    """A tool as it is offered here. Those with a type that is not `custom` are the provider's own."""

    name: str
    description: str | None = None
    input_schema: dict[str, Any] | None = None
    type: str | None = None


class _Body(msgspec.Struct):
    messages: list[Turn]
    model: str = ""
    system: str | list[Block] | None = None
    tools: list[OfferedTool] | None = None
    stream: bool | None = None


def request(body: bytes) -> ChatRequest:
    """A request's body, as a request for a chat completion. Raises `msgspec.DecodeError` where it is none."""
    fields = msgspec.json.decode(body, type=dict[str, Any])
    asked = msgspec.convert(fields, _Body)
    told = _text(asked.system or "")
    system: list[Message] = [{"role": "system", "content": told}] if told else []
    tools = [
        Tool(ToolFunction(tool.name, tool.description or "", tool.input_schema or {}))
        for tool in asked.tools or ()
        if tool.type in (None, "custom")
    ]
    return ChatRequest(
        [*system, *_messages(asked.messages)],
        asked.model,
        tools or None,
        bool(asked.stream),
        _schema(fields),
        unknown(fields, _Body.__struct_fields__),
    )


def response(answer: Complete) -> dict[str, Any]:
    """The response's body, as endpoints write it."""
    stop_reason = _STOP_REASONS.get(answer.finish_reason, "end_turn")
    return {**_head(answer), "content": list(_blocks(answer)), "stop_reason": stop_reason, "usage": _usage(answer)}


def events(answer: Complete, asked: ChatRequest) -> Iterator[bytes]:
    """The response's body as a stream of server-sent events: each block is begun, said in pieces, and ended."""
    for data in _said(answer):
        yield event(data, data["type"])


def response_id(answer: Complete) -> str:
    """The id by which this interface tells one answer from all others."""
    return f"msg_{answer.id}"


def refusal(status: int, message: str, retry_after_s: float | None = None) -> dict[str, Any]:
    """The body that goes with a status that is no success."""
    kind = _ERRORS.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": message}}


def filtered(message: str) -> tuple[int, dict[str, Any]]:
    """Status and body where the content filter is triggered."""
    return 400, refusal(400, message)


def _said(answer: Complete) -> Iterator[dict[str, Any]]:
    nothing: list[Any] = []
    begun = {**_head(answer), "content": nothing, "stop_reason": None, "usage": {**_usage(answer), "output_tokens": 1}}
    yield {"type": "message_start", "message": begun}
    for index, block in enumerate(_blocks(answer)):
        if block["type"] == "text":
            empty, deltas = (
                {**block, "text": ""},
                ({"type": "text_delta", "text": each} for each in pieces(block["text"])),
            )
        else:
            arguments = json.dumps(block["input"])
            deltas = ({"type": "input_json_delta", "partial_json": each} for each in pieces(arguments))
            empty: dict[str, Any] = {**block, "input": {}}
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    ended = {"stop_reason": _STOP_REASONS.get(answer.finish_reason, "end_turn"), "stop_sequence": None}
    yield {"type": "message_delta", "delta": ended, "usage": {"output_tokens": answer.usage.output_tokens}}
    yield {"type": "message_stop"}


def _head(answer: Complete) -> dict[str, Any]:
    head = {"id": response_id(answer), "type": "message", "role": "assistant", "model": answer.model}
    return {**head, "stop_sequence": None}


def _blocks(answer: Complete) -> Iterator[dict[str, Any]]:
    if answer.reply.content is not None:
        yield {"type": "text", "text": answer.reply.content}
    for call in answer.reply.tool_calls or ():
        arguments = json.loads(call.function.arguments)
        yield {"type": "tool_use", "id": call.id, "name": call.function.name, "input": arguments}


def _usage(answer: Complete) -> dict[str, int]:
    return {
        "input_tokens": answer.usage.input_tokens - answer.usage.cached_tokens,  # here they are told apart
        "cache_read_input_tokens": answer.usage.cached_tokens,
        "cache_creation_input_tokens": 0,
        "output_tokens": answer.usage.output_tokens,
    }


def _messages(turns: list[Turn]) -> list[Message]:
    messages: list[Message] = []
    for turn in turns:
        blocks = [Block("text", turn.content)] if isinstance(turn.content, str) else turn.content
        for block in blocks:
            if block.type == "tool_result":
                said = _result(block.content)
                messages.append({"role": "tool", "tool_call_id": block.tool_use_id, "content": said})
        text = _text(blocks)
        calls = [
            {"id": block.id, "type": "function", "function": {"name": block.name, "arguments": json.dumps(block.input)}}
            for block in blocks
            if block.type == "tool_use"
        ]
        if calls:
            messages.append({"role": turn.role, "content": text or None, "tool_calls": calls})
        elif text:
            messages.append({"role": turn.role, "content": text})
    return messages


def _text(content: str | list[Block]) -> str:
    if isinstance(content, str):
        return content
    return " ".join(block.text for block in content if block.type == "text")


def _result(content: object) -> str:
    """What a tool returned: a text, or blocks of it."""
    return _text(msgspec.convert(content or "", str | list[Block]))


def _schema(fields: dict[str, Any]) -> dict[str, Any] | None:
    """Of `output_config`; older clients have it beside."""
    config: dict[str, Any] = fields.get("output_config") or {}
    format: dict[str, Any] = config.get("format") or fields.get("output_format") or {}
    return format.get("schema")
