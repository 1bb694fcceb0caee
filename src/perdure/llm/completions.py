"""OpenAI's chat completions: the interface that most endpoints speak.

Fields that we do not know are ignored, as endpoints and clients add their own.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from perdure.llm.answers import Complete
from perdure.llm.chat import ChatRequest, Message, Reply, Tool, unknown
from perdure.llm.sse import DONE, event, pieces

_ERRORS = {
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}
"""Type and code of an error, by its status."""


class Choice(msgspec.Struct):
    """One answer of those in a completion; we ask for one."""

    message: Reply


class Completion(msgspec.Struct):
    """The body of a successful response, as far as we read it."""

    choices: list[Choice]


class _Body(msgspec.Struct):
    messages: list[Message]
    model: str = ""
    tools: list[Tool] | None = None
    stream: bool | None = None


def request(body: bytes) -> ChatRequest:
    """A request's body. Raises `msgspec.DecodeError` where it is none."""
    fields = msgspec.json.decode(body, type=dict[str, Any])
    asked = msgspec.convert(fields, _Body)
    return ChatRequest(
        [_in_known_role(message) for message in asked.messages],
        asked.model,
        asked.tools or None,
        bool(asked.stream),
        _schema(fields.get("response_format")),
        unknown(fields, _Body.__struct_fields__),
    )


def response(answer: Complete) -> dict[str, Any]:
    """The response's body, as endpoints write it."""
    message = {"role": "assistant", "content": None, **answer.reply.as_message()}
    return {
        **_head(answer, "chat.completion"),
        "choices": [{"index": 0, "message": message, "finish_reason": answer.finish_reason}],
        "usage": _usage(answer),
    }


def events(answer: Complete, asked: ChatRequest) -> Iterator[bytes]:
    """The response's body as a stream of server-sent events, a chunk each."""
    head = _head(answer, "chat.completion.chunk")
    options: dict[str, Any] = asked.settings.get("stream_options") or {}

    def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        return event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]})

    yield chunk({"role": "assistant", "content": "" if answer.reply.content is not None else None})
    for piece in pieces(answer.reply.content or ""):
        yield chunk({"content": piece})
    for index, call in enumerate(answer.reply.tool_calls or ()):
        function = {"name": call.function.name, "arguments": ""}
        yield chunk({"tool_calls": [{"index": index, "id": call.id, "type": "function", "function": function}]})
        for piece in pieces(call.function.arguments):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield chunk({}, answer.finish_reason)
    if options.get("include_usage"):
        yield event({**head, "choices": [], "usage": _usage(answer)})
    yield DONE


def response_id(answer: Complete) -> str:
    """The id by which this interface tells one answer from all others."""
    return f"chatcmpl-{answer.id}"


def refusal(status: int, message: str, retry_after_s: float | None = None) -> dict[str, Any]:
    """The body that goes with a status that is no success, in both interfaces of OpenAI."""
    kind, code = _ERRORS.get(status, ("server_error" if status >= 500 else "invalid_request_error", None))
    said = f"Incorrect API key provided: {message}" if status == 401 else message  # clients go by these words
    return {"error": {"message": said, "type": kind, "param": None, "code": code}}


def filtered(message: str) -> tuple[int, dict[str, Any]]:
    """Status and body where the content filter is triggered."""
    said = f"Invalid prompt: it was flagged as potentially violating our usage policy: {message}"
    return 400, {"error": {"message": said, "type": "invalid_request_error", "param": None, "code": "invalid_prompt"}}


def _head(answer: Complete, kind: str) -> dict[str, Any]:
    return {"id": response_id(answer), "object": kind, "created": answer.created, "model": answer.model}


def _usage(answer: Complete) -> dict[str, Any]:
    return {
        "prompt_tokens": answer.usage.input_tokens,
        "completion_tokens": answer.usage.output_tokens,
        "total_tokens": answer.usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": answer.usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def _in_known_role(message: Message) -> Message:
    return {**message, "role": "system"} if message.get("role") == "developer" else message


def _schema(response_format: dict[str, Any] | None) -> dict[str, Any] | None:
    asked = response_format or {}
    if asked.get("type") == "json_object":
        return {"type": "object"}
    envelope: dict[str, Any] = asked.get("json_schema") or {}
    return envelope.get("schema")
