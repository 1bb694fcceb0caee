"""Google's Gemini interface, told as chat: the parts of it that agents need.

Which model, and whether the answer is to come in pieces, is said by the path. Function calls may have no ids: what a
function returned then belongs to the oldest call of that name which has no result yet.
"""

import json
import re
from collections import deque
from collections.abc import Iterator
from typing import Any, TypeAlias, cast

import msgspec

from perdure.llm.answers import Complete
from perdure.llm.chat import ChatRequest, Message, Tool, ToolFunction, unknown
from perdure.llm.sse import event, pieces

_FINISH_REASONS = {"length": "MAX_TOKENS", "content_filter": "SAFETY"}
_SNAKES = re.compile(r"_([a-z])")
_USERS_DATA = ("args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema")
_Fields: TypeAlias = dict[str, Any]
_WRAPPERS = ("result", "output", "content", "return_value")
"""Keys under which libraries put what is no object, since a function's response must be one."""


_ERRORS = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""Names of errors, by their status."""


class FunctionCall(msgspec.Struct):
    """A call that the model asked for."""

    name: str
    args: dict[str, Any] | None = None
    id: str | None = None


class FunctionResponse(msgspec.Struct):
    """What the function returned."""

    name: str
    response: dict[str, Any] | None = None
    id: str | None = None


class Part(msgspec.Struct, rename="camel"):
    """A piece of what was said; of those that are neither text nor functions, nothing is kept."""

    text: str | None = None
    thought: bool | None = None
    function_call: FunctionCall | None = None
    function_response: FunctionResponse | None = None


class Content(msgspec.Struct):
    """What one side said in one turn."""

    parts: list[Part] | None = None
    role: str | None = None


class Declaration(msgspec.Struct, rename="camel"):
    """A function that is offered; its schema has one of two forms."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    parameters_json_schema: dict[str, Any] | None = None


class OfferedTools(msgspec.Struct, rename="camel"):
    """Functions that are offered together. What is offered beside them is the provider's own."""

    function_declarations: list[Declaration] | None = None


class _Body(msgspec.Struct, rename="camel"):
    contents: list[Content]
    system_instruction: Content | None = None
    tools: list[OfferedTools] | None = None
    generation_config: dict[str, Any] | None = None


def request(body: bytes) -> ChatRequest:
    """A request's body, as a request for a chat completion. Raises `msgspec.DecodeError` where it is none."""
    fields: dict[str, Any] = _in_camel_case(msgspec.json.decode(body, type=dict[str, Any]))
    asked = msgspec.convert(fields, _Body)
    told = _text(asked.system_instruction) if asked.system_instruction else ""
    system: list[Message] = [{"role": "system", "content": told}] if told else []
    offered = [each for tools in asked.tools or () for each in tools.function_declarations or ()]
    config = asked.generation_config or {}
    return ChatRequest(
        [*system, *_messages(asked.contents)],
        tools=[Tool(ToolFunction(each.name, each.description or "", _parameters(each))) for each in offered] or None,
        schema=config.get("responseJsonSchema") or _json_schema(config.get("responseSchema")),
        settings={**config, **unknown(fields, ("contents", "systemInstruction", "tools", "generationConfig"))},
    )


def response(answer: Complete) -> dict[str, Any]:
    """The response's body, as endpoints write it."""
    text = [{"text": answer.reply.content}] if answer.reply.content is not None else []
    return _response(answer, [*text, *_calls(answer)], last=True)


def events(answer: Complete, asked: ChatRequest) -> Iterator[bytes]:
    """The response's body as a stream of server-sent events: each is a response, and function calls are never cut."""
    for piece in pieces(answer.reply.content or ""):
        yield event(_response(answer, [{"text": piece}], last=False))
    yield event(_response(answer, list(_calls(answer)) or [{"text": ""}], last=True))


def response_id(answer: Complete) -> str:
    """The id by which this interface tells one answer from all others."""
    return answer.id


def refusal(status: int, message: str, retry_after_s: float | None = None) -> dict[str, Any]:
    """The body that goes with a status that is no success; when to come back is a detail of it."""
    name = _ERRORS.get(status, "INTERNAL" if status >= 500 else "INVALID_ARGUMENT")
    error: dict[str, Any] = {"code": status, "message": message, "status": name}
    if retry_after_s is not None:
        wait = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{retry_after_s:g}s"}
        error["details"] = [wait]
    return {"error": error}


def filtered(message: str) -> tuple[int, dict[str, Any]]:
    """Status and body where the content filter is triggered: that is a success, but without candidates."""
    feedback = {"blockReason": "SAFETY", "blockReasonMessage": message}
    return 200, {"promptFeedback": feedback, "usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 1}}


def _response(answer: Complete, parts: list[dict[str, Any]], *, last: bool) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if last:
        candidate["finishReason"] = _FINISH_REASONS.get(answer.finish_reason, "STOP")
    usage = {
        "promptTokenCount": answer.usage.input_tokens,
        "candidatesTokenCount": answer.usage.output_tokens,
        "totalTokenCount": answer.usage.total_tokens,
    }
    if answer.usage.cached_tokens:
        usage["cachedContentTokenCount"] = answer.usage.cached_tokens
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": answer.model,
        "responseId": response_id(answer),
    }


def _calls(answer: Complete) -> Iterator[dict[str, Any]]:
    for call in answer.reply.tool_calls or ():
        arguments = json.loads(call.function.arguments)
        yield {"functionCall": {"id": call.id, "name": call.function.name, "args": arguments}}


def _in_camel_case(said: Any) -> Any:
    """The same with the names that we read; the interface takes them in snake case, too. Users' data stays as it is."""
    if isinstance(said, list):
        return [_in_camel_case(each) for each in cast(list[Any], said)]
    if not isinstance(said, dict):
        return said
    named = {_SNAKES.sub(lambda found: found[1].upper(), name): value for name, value in cast(_Fields, said).items()}
    return {name: value if name in _USERS_DATA else _in_camel_case(value) for name, value in named.items()}


def _messages(contents: list[Content]) -> list[Message]:
    messages: list[Message] = []
    unanswered: dict[str, deque[str]] = {}  # ids of calls, by the function's name
    calls_made = 0
    for content in contents:
        text = _text(content)
        calls: list[dict[str, Any]] = []
        for part in content.parts or ():
            if part.function_call:
                calls_made += 1
                id = part.function_call.id or f"{part.function_call.name}_{calls_made}"
                unanswered.setdefault(part.function_call.name, deque()).append(id)
                function = {"name": part.function_call.name, "arguments": json.dumps(part.function_call.args or {})}
                calls.append({"id": id, "type": "function", "function": function})
            elif part.function_response:
                id = _answered(part.function_response, unanswered)
                messages.append({"role": "tool", "tool_call_id": id, "content": _returned(part.function_response)})
        if calls:
            messages.append({"role": "assistant", "content": text or None, "tool_calls": calls})
        elif text:
            messages.append({"role": "assistant" if content.role == "model" else "user", "content": text})
    return messages


def _answered(returned: FunctionResponse, unanswered: dict[str, deque[str]]) -> str:
    ids = unanswered.get(returned.name) or deque([returned.name])
    if returned.id in ids:
        ids.remove(returned.id)
        return returned.id
    return returned.id or ids.popleft()


def _returned(returned: FunctionResponse) -> str:
    """What a function returned, freed of the object that a library may have put around it."""
    match list((returned.response or {}).items()):
        case [(name, value)] if name in _WRAPPERS:
            return value if isinstance(value, str) else json.dumps(value)
        case _:
            return json.dumps(returned.response or {})


def _text(content: Content) -> str:
    return " ".join(part.text for part in content.parts or () if part.text and not part.thought)


def _parameters(declared: Declaration) -> dict[str, Any]:
    return declared.parameters_json_schema or _json_schema(declared.parameters) or {}


def _json_schema(schema: Any) -> Any:
    """A schema of Google's as JSON schema has it: there, the names of types are not in capitals."""
    if isinstance(schema, list):
        return [_json_schema(each) for each in cast(list[Any], schema)]
    if not isinstance(schema, dict):
        return schema
    fields = {name: _json_schema(value) for name, value in cast(_Fields, schema).items()}
    named = fields.get("type")
    return {**fields, "type": named.lower()} if isinstance(named, str) else fields
